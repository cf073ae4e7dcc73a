"""What the first look at media tells: sizes of pictures, lengths of features, clips too short for CTC."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.checks import find_missing_media
from slt_zoo.data.listing import require_path, what_is_there
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.readers import open_reader
from slt_zoo.data.readers.image_sources import open_images
from slt_zoo.errors import MediaError, MissingMediaError, first_few
from slt_zoo.types import Sample

__all__ = ["check_feature_lengths", "check_there", "first_look", "frame_size_hint", "too_short_for_ctc"]

_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")


def too_short_for_ctc(
    manifest: Manifest, stride: int, lengths: Mapping[str, int] | None = None
) -> tuple[list[str], list[str]]:
    """Samples for which a CTC loss is infinite: ``frames // stride < glosses + repeats``.

    A gloss that follows itself needs a blank in between, hence the repeats. A model with a CTC loss asks at setup,
    with the stride of its own layers times that of its features.

    Args:
        manifest: of a split with glosses.
        stride: frames that become one step of the model.
        lengths: frames by id; as declared by default.

    Returns:
        Ids that are too short, and ids whose length is not known.
    """
    short: list[str] = []
    unknown: list[str] = []
    for sample in manifest:
        frames = declared_frames(sample) if lengths is None else lengths.get(sample.id)
        if frames is None:
            unknown.append(sample.id)
        elif sample.gloss and frames // stride < ctc_steps(sample.gloss):
            short.append(sample.id)
    return short, unknown


def ctc_steps(gloss: tuple[str, ...]) -> int:
    """Steps that CTC needs at least: one a gloss, and one between two that are the same."""
    return len(gloss) + sum(a == b for a, b in pairwise(gloss))


def declared_frames(sample: Sample) -> int | None:
    """Frames of the whole sample as annotated."""
    frames: int | None = sample.meta.get("num_frames")
    return frames or next((m.num_frames for m in sample.media.values() if m.num_frames), None)


def check_there(manifest: Manifest, kind: str, skip: bool, advice: Callable[[], str]) -> list[str]:
    """Ids of samples without media of a kind, where these may be skipped.

    Args:
        manifest: of the split.
        kind: of media.
        skip: whether some may be missing.
        advice: what to do, for the message.

    Raises:
        MissingMediaError: some are missing and may not be skipped, or all are.
    """
    missing, example = find_missing_media(manifest, kind)
    left = len(manifest) - len(missing)
    if not missing or (skip and left):
        return missing
    on = f"; on_bad_sample='skip' goes on with {left}" if manifest.split == "train" and left else ""
    raise MissingMediaError(
        f"{manifest.corpus} {manifest.split}: {len(missing)} of {len(manifest)} samples have no {kind}",
        where=example,
        found=f"missing for {first_few(missing)}" + ("" if example is None else f"; {what_is_there(Path(example))}"),
        todo=advice() + on,
    )


def first_look(manifest: Manifest, kind: str, *, sizes: bool = True) -> None:
    """What a few media of a split tell of all: warns of resized frames, refuses features of mixed strides.

    Args:
        manifest: of the split.
        kind: of media.
        sizes: whether frames are to have the size that their folder's name says; simulated ones have what was asked.

    Raises:
        MediaError: see `check_feature_lengths`.
    """
    hint = frame_size_hint(manifest) if sizes and kind == "frames" else None
    if hint:
        rank_zero_warn(f"{manifest.corpus} {manifest.split}: {hint}")
    if kind == "features":
        check_feature_lengths(manifest)


def frame_size_hint(manifest: Manifest) -> str | None:
    """A sentence where the first picture is not of the size that its folder's name says; nothing is decoded."""
    from PIL import Image

    for sample in manifest:
        media = sample.media.get("frames")
        if media is None:
            return None
        stated = _SIZE.findall(media.path[: -len(sample.id)])
        try:
            folder = require_path(media.path, sample.id)
            if not stated or not folder.is_dir():
                return None
            images = open_images(folder, sample.id)
            with images.opened() as image_of:
                first = image_of(0)
                file = io.BytesIO(first) if isinstance(first, bytes) else first
                with Image.open(file, formats=("PNG", "JPEG")) as image:
                    found = image.size
        except (OSError, MediaError, Image.DecompressionBombError):
            return None  # the reader says it, when the sample's turn comes
        width, height = (int(n) for n in stated[-1])
        if found == (width, height):
            return None
        return (
            f"expected {width}x{height}, as the folder is called, got {found[0]}x{found[1]} ({images.name(0)}): a "
            f"resized copy? data.frames=<folder> takes another"
        )
    return None


def check_feature_lengths(manifest: Manifest, samples: int = 8) -> None:
    """Numbers of feature vectors follow from numbers of frames, in a few samples spread over the split.

    Where the stride is not known, that of the first samples must fit all. Samples without a declared number of frames
    say nothing.

    Raises:
        MediaError: no stride fits; these are features of other videos, or of another extractor in part.
    """
    told = [s for s in manifest if "features" in s.media and declared_frames(s) is not None]
    step = max(1, len(told) // samples)
    pairs: dict[str, tuple[int, int]] = {}
    for sample in told[::step][:samples]:
        media = sample.media["features"]
        if media.stride is None and not media.is_part and Path(media.path).is_file():
            try:
                vectors = open_reader("features", media, sample_id=sample.id).num_frames
            except MediaError:
                continue  # it is told when its turn comes, or skipped
            pairs[sample.id] = (vectors, declared_frames(sample) or 0)
    if len(pairs) < 2:
        return
    strides = sorted(round(frames / vectors) for vectors, frames in pairs.values())
    stride = max(1, strides[len(strides) // 2])
    # a window at the end may be left out, and a frame more or less is a matter of counting
    off = [i for i, (vectors, frames) in pairs.items() if abs(frames - vectors * stride) > max(16, 2 * stride)]
    if off:
        vectors, frames = pairs[off[0]]
        raise MediaError(
            f"{manifest.corpus} {manifest.split}: T={vectors} features for {frames} frames, and stride {stride} in "
            "other samples",
            where=f"sample {off[0]}, {manifest.by_id(off[0]).media['features'].path!r}",
            found=f"{len(off)} of {len(pairs)} samples looked at: {first_few(off, 3)}",
            todo="extract the features of all samples with one program and one stride; data.feature_stride says it",
        )
