"""`write_labels`: a segmentor's labels of a corpus, an ``.npy`` a sample, and a manifest that says what made them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from slt_zoo._version import __version__
from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.boundaries import as_labels
from slt_zoo.data.clips import read_clip
from slt_zoo.data.readers import open_reader
from slt_zoo.data.retry import retry_read
from slt_zoo.data.stores.lock import FolderLock
from slt_zoo.errors import ConfigError, MediaError, MissingMediaError, StoreError, first_few, one_line
from slt_zoo.files import replacing, write_atomically
from slt_zoo.segmentation.segmentors import Segmentor, stretch
from slt_zoo.types import Clip, Sample, Split

__all__ = ["MANIFEST", "Written", "write_labels"]

MANIFEST = "manifest.json"
_FORMAT, _VERSION = "slt_zoo sign boundaries", 1
_LOCK = ".writing"
_NO_DRAWS = np.random.default_rng(0)  # pipelines of evaluation draw nothing


@dataclass(frozen=True)
class Written:
    """What was done.

    Attributes:
        folder: of the labels.
        samples: that were labelled now.
        there: that were there before.
        unreadable: that were left out, with the reason.
    """

    folder: Path
    samples: int
    there: int
    unreadable: Mapping[str, str] = field(default_factory=dict)


def write_labels(
    data: SLTDataModule,
    segmentor: Segmentor,
    folder: Path,
    *,
    splits: Sequence[Split],
    overwrite: bool = False,
    on_bad_sample: Literal["error", "skip"] = "error",
    progress: Callable[[int, int], None] | None = None,
) -> Written:
    """Label every frame of the corpus's videos; stopped at any moment, it goes on when it is called again.

    Args:
        data: the corpus.
        segmentor: labels the rows of a clip; rows that stand for several frames are stretched.
        folder: gets ``<id>.npy`` (``(T,)`` int8, 0 outside, 1 inside, 2 begin) and ``manifest.json``.
        splits: of the corpus; others that are in the folder stay.
        overwrite: earlier labels in the folder go.
        on_bad_sample: ``"error"``: the folder stays unfinished where samples cannot be read; ``"skip"``: it is
            finished without them, and its manifest names them.
        progress: called with the samples that are done, and all.

    Raises:
        ConfigError: the segmentor does not read every frame, or is not for this corpus.
        MediaError: samples cannot be read.
        StoreError: the folder holds labels of other making, or something else; or another process fills it.
    """
    spec = segmentor.input_spec
    if spec.evaluation.select is not None:
        raise ConfigError(
            "a segmentor labels every frame, and this one reads a selection of them",
            where=segmentor.made_by.segmentor,
            found=repr(spec.evaluation.select),
        )
    data.bind(spec, splits, segmentor.made_by.segmentor)
    manifest = _describe(data, segmentor, splits)
    lock = FolderLock(folder / _LOCK / "lock")
    _check_folder(folder)
    lock.take()
    try:
        manifest = _begin(folder, manifest, overwrite)
        samples = [sample for split in splits for sample in data.manifest(split)]
        done, there, unreadable = 0, 0, dict[str, str]()
        for number, sample in enumerate(samples):
            path = folder / f"{sample.id}.npy"
            if path.is_file():
                there += 1
            else:
                try:
                    _write(path, retry_read(_labelled(sample, segmentor, data.fps), f"sample {sample.id}"))
                    done += 1
                except MediaError as fault:
                    unreadable[sample.id] = one_line(fault)
            if progress is not None:
                progress(number + 1, len(samples))
        if unreadable and (on_bad_sample == "error" or not done + there):
            raise _unreadable(unreadable, folder)
        counts = {split: sum((folder / f"{s.id}.npy").is_file() for s in data.manifest(split)) for split in splits}
        kept = {name: why for name, why in manifest["unreadable"].items() if not (folder / f"{name}.npy").is_file()}
        manifest |= {"samples": {**manifest["samples"], **counts}, "unreadable": {**kept, **unreadable}}
        _save(folder, {**manifest, "complete": True})
    finally:
        lock.release()
    return Written(folder, done, there, unreadable)


def _labelled(sample: Sample, segmentor: Segmentor, fps: float | None) -> Callable[[], Tensor]:
    def label() -> Tensor:
        spec = segmentor.input_spec
        if spec.modality == "none":
            clip = read_clip(sample, spec, training=False, rng=_NO_DRAWS, fps=fps)
            if not spec.needs:
                clip.index = torch.arange(_count_frames(sample))
            return as_labels(segmentor(clip), f"sample {sample.id}")
        clip = read_clip(sample, spec, training=False, rng=_NO_DRAWS, fps=fps)
        media = sample.media[spec.modality]
        stride = media.stride or 1
        labels = as_labels(segmentor(clip), f"sample {sample.id}")
        _check_rows(clip, len(labels))
        return stretch(labels, stride, media.num_frames if stride > 1 else None)

    return label


def _check_rows(clip: Clip, labels: int) -> None:
    rows = None if clip.index is None else len(clip.index)
    if rows != labels:
        raise MediaError(
            "a segmentor gives one label a row",
            where=f"sample {clip.sample.id}",
            expected=f"{rows} labels",
            found=labels,
        )


def _count_frames(sample: Sample) -> int:
    """Frames of the sample's video, as the first of its media that is there says."""
    lacking: MissingMediaError | None = None
    for kind in ("frames", "pose", "features"):
        media = sample.media.get(kind)
        if media is None:
            continue
        try:
            rows = open_reader(kind, media, sample_id=sample.id).num_frames
        except MissingMediaError as fault:
            lacking = lacking or fault
            continue
        stride = media.stride or 1
        return rows if stride == 1 else media.num_frames or rows * stride
    raise lacking or MissingMediaError(
        "no media whose frames could be counted", where=f"sample {sample.id}", todo="name frames, poses or features"
    )


def _write(path: Path, labels: Tensor) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, labels.numpy().astype(np.int8), allow_pickle=False)


def _describe(data: SLTDataModule, segmentor: Segmentor, splits: Sequence[Split]) -> dict[str, Any]:
    store = data.stores.get(segmentor.input_spec.modality)
    plain: dict[str, Any] = json.loads(json.dumps(asdict(segmentor.made_by)))
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "made_by": plain,
        "read": segmentor.input_spec.modality,
        "store": None if store is None else store.manifest.made_by.signature(),
        "corpus": data.corpus,
        "media": data.media_settings(),
        "simulated": data.simulated,
        "fps": data.fps,
        "annotations": {split: data.annotation_hashes[split] for split in splits},
        "complete": False,
        "samples": {},
        "unreadable": {},
        "code_version": [__version__],
    }


def _check_folder(folder: Path) -> None:
    """What is no folder of labels is left alone, before a lock is put into it."""
    if not folder.exists() or (folder / MANIFEST).is_file():
        return
    others = sorted(p.name for p in folder.iterdir() if p.name != _LOCK) if folder.is_dir() else ["a file"]
    if others:
        raise StoreError(
            "the folder is not empty and holds no labels that `slt-zoo segment` wrote",
            where=folder,
            found=first_few(others),
            todo="give another name with --id, or another folder with --out",
        )


def _begin(folder: Path, mine: dict[str, Any], overwrite: bool) -> dict[str, Any]:
    """The manifest to go on with, which the folder has from now on."""
    if (folder / MANIFEST).is_file():
        theirs = _read(folder)  # also where it goes: a store of features has a file of this name too
        if not overwrite:
            mine = _joined(folder, mine, theirs)
        else:
            for path in folder.iterdir():
                if path.name != _LOCK:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
    _save(folder, mine)
    return mine


def _joined(folder: Path, mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    differ = list(_differences(mine, theirs))
    if differ:
        raise StoreError(
            "the folder holds sign boundaries of other making",
            where=folder,
            found="; ".join(f"{name}: {b!r} there, {a!r} now" for name, a, b in differ),
            todo="give another name with --id, or replace them with --overwrite",
        )
    merged = {name: {**theirs[name], **mine[name]} for name in ("annotations", "samples", "unreadable")}
    versions = list(dict.fromkeys([*theirs["code_version"], *mine["code_version"]]))
    return {**mine, **merged, "code_version": versions}


def _differences(mine: dict[str, Any], theirs: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in ("version", "read", "store", "corpus", "media", "simulated", "fps"):
        if mine[name] != theirs[name]:
            yield name, mine[name], theirs[name]
    for name, value in mine["made_by"].items():
        other = theirs["made_by"].get(name)
        if value != other:
            yield name, value, other
    for split, value in mine["annotations"].items():
        other = theirs["annotations"].get(split, value)
        if value != other:
            yield f"annotations.{split}", value, other


def _read(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise ValueError(f'"format" is {content["format"]!r}')
        dicts = ("made_by", "annotations", "samples", "unreadable", "media")
        wrong = [name for name in dicts if not isinstance(content[name], dict)]
        wrong += [] if isinstance(content["code_version"], list) else ["code_version"]
        if wrong:
            raise ValueError(f"{first_few(wrong)} of another type")
        known: dict[str, Any] = {**dict.fromkeys(("version", "read", "store", "corpus", "simulated", "fps")), **content}
        return known
    except (ValueError, KeyError, TypeError, RecursionError) as cause:
        raise StoreError(
            "the manifest of sign boundaries is damaged, or another file of this name",
            where=folder / MANIFEST,
            found=f"{type(cause).__name__}: {cause}",
            todo="give another name with --id, or remove the folder and run the same command again",
        ) from cause


def _save(folder: Path, manifest: Mapping[str, Any]) -> None:
    write_atomically(folder / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")


def _unreadable(reasons: Mapping[str, str], folder: Path) -> MediaError:
    name, why = next(iter(reasons.items()))
    return MediaError(
        f"{len(reasons)} samples cannot be labelled; the folder stays unfinished",
        where=folder,
        found=f"{first_few(list(reasons))}; {name}: {why[:800]}",
        todo="mend them and run the same command again, or leave them out with --on-bad-sample skip",
    )
