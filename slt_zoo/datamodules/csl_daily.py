"""CSL-Daily: Chinese Sign Language (CSL) to Chinese, sentences of daily life.

Zhou, Zhou, Qi, Pu, Li, "Improving Sign Language Translation with Monolingual Data by Sign Back-Translation",
CVPR 2021. 10 signers, 18,401 / 1,077 / 1,176 sentences, 30 frames a second. For research, by signed agreement with the
University of Science and Technology of China (page "2021_csl_daily"). Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.base import Expected, SLTDataModule
from slt_zoo.data.formats.csl_daily import read_csl_list
from slt_zoo.data.locations import wrong_root
from slt_zoo.data.manifest import annotation_hash
from slt_zoo.data.official import (
    Entry,
    read_csl_daily,
    read_csl_daily_labels,
    read_csl_daily_pickle,
    read_csl_split,
)
from slt_zoo.errors import AnnotationError, ConfigError, DatasetNotFoundError, first_few
from slt_zoo.types import SPLITS, Media, Sample, Split

__all__ = ["CSLDaily"]

TextVersion = Literal["cvpr21", "smoothed"]
LEVELS = ("", "CSL-Daily")
FRAMES = ("sentence/frames_512x512", "sentence_frames-512x512", "sentence/images")
FRAMES_RESIZED = ("sentence/frames_*x*", "sentence_frames-*x*")
VIDEOS = "sentence-crop"
VIDEO_MAP, PICKLE = "video_map.txt", "csl2020ct_v2.pkl"
CVPR21 = ("annotations_cvpr21_text.jsonl", "annotations_cvpr21_text.jsonl.gz")
CVPR21_SPLIT = "csl-daily.{split}"
_WHICH = (
    "Papers (SLRT, CV-SLT, Uni-Sign, the statistics of CVPR 2021) use cvpr21, the release's own table is smoothed; "
    "scores on the two are not comparable"
)


class CSLDaily(SLTDataModule):
    """The corpus in its official layout; ``root`` is the folder ``CSL-Daily`` or the one that holds it.

    Splits come from ``sentence_label/split_1.txt`` (or ``split_1_<split>.txt``). Of the text two versions are in use,
    which differ in 90 of the 2,253 texts of dev and test; scores on one are not comparable with scores on the other:

    - ``smoothed`` is that of the release's ``video_map.txt``. Where that file is missing ``csl2020ct_v2.pkl`` is read.
    - ``cvpr21`` is that of the CVPR 2021 paper's statistics, on which SLRT, CV-SLT and Uni-Sign evaluate. It is read
      from their label files ``csl-daily.<split>`` (gzipped pickle) or from ``annotations_cvpr21_text.jsonl(.gz)`` with
      ``name``, ``signer``, ``num_frames``, ``gloss``, ``text``, in ``sentence_label`` or beside it; or from the
      release's pickle, if it is known by its hash to have this version.

    Frames lie in ``sentence/frames_512x512/<name>/*.jpg`` or in a folder as other copies have it, or as videos in
    ``sentence-crop/<name>.mp4``; poses as in `SLTDataModule.find_media`.

    Args:
        root: the folder of the corpus, or the one above.
        text_version: which text is translation and reference.
        frames: folder of frames or videos: a path, or a name inside the corpus; found by its usual names by
            default. Or a store of them.
        pose_layout: layout of ``.npy`` poses, where the number of points does not tell it.
        base: arguments of `SLTDataModule`.
    """

    sign_language = "csl"
    language = "zh"
    fps = 30.0
    protocol = "csl-daily/char-fold"
    licence = "by signed agreement, research only"
    access = "page '2021_csl_daily' of the USTC sign language group; an agreement is signed by hand"
    versions: ClassVar[dict[str, dict[Split, Expected]]] = {
        "smoothed": {
            "train": Expected(18400, version="smoothed"),
            "dev": Expected(1077, "1feeff80eeea99053d6011e4470040a667f24e80d7a6d5767e18f5019f5d16e8", "smoothed"),
            "test": Expected(1176, "4e0631e2b269ee8ae8ef838b54374f03e7890d919da4a4c6782258697eaa6d27", "smoothed"),
        },
        "cvpr21": {
            "train": Expected(18401, "bb03640f23d62c112491a080cb1bfbc1259d2b5e903682493b235cd15af32d74", "cvpr21"),
            "dev": Expected(1077, "7b9013d6aaecb9dc8491178e2ddaf479594244cf85a4d7d130376d56a301f3d4", "cvpr21"),
            "test": Expected(1176, "26fb96a41b24b24a19575d6d0792a187b554cbe4b05bd8757e3e6c954baf49ff", "cvpr21"),
        },
    }
    """By text version. Train of ``smoothed`` is what joining the release's split and annotation gives."""

    def __init__(
        self,
        root: str,
        *,
        text_version: TextVersion = "smoothed",
        frames: str | None = None,
        pose_layout: str | None = None,
        **base: Any,
    ) -> None:
        super().__init__(root, **base)
        if text_version not in get_args(TextVersion):
            raise ConfigError(
                "unknown text_version", expected=" or ".join(get_args(TextVersion)), found=repr(text_version)
            )
        self.text_version, self.frames, self.pose_layout = text_version, frames, pose_layout
        self.remark = f"text_version={text_version}. {_WHICH}"

    def published(self, split: Split) -> Expected | None:
        """Counts and hashes of the chosen text version."""
        return self.versions[self.text_version].get(split)

    def score_notes(self, split: Split) -> dict[str, Any]:
        """The text version too: scores on the two are not comparable."""
        return {**super().score_notes(split), "text_version": self.text_version}

    def corpus_folder(self) -> Path:
        """The folder ``CSL-Daily``."""
        return self._folder

    @cached_property
    def _folder(self) -> Path:
        tried = [self.root / level for level in LEVELS]
        for folder in tried:
            if any(_find(folder, f"split_1{part}.txt") for part in ("", *(f"_{s}" for s in SPLITS))):
                return folder
        todo = "pass data.root=<folder that holds sentence_label>; the corpus is given out on a signed agreement"
        raise wrong_root(self.corpus, "sentence_label/split_1.txt", self.root, tried, todo, simulate=type(self))

    def read_annotations(self, split: Split) -> Iterable[Sample]:
        """Samples of the split in the order of the split file; those without annotation are told and left out.

        Raises:
            DatasetNotFoundError: no annotation of the chosen text version, or no split file.
            AnnotationError: a file is damaged, of another text version, or fits none of the split's ids.
        """
        path, entries = self._annotation
        samples = self._join(split, entries)
        if not samples:
            raise AnnotationError(
                f"{self.corpus}: no sample of {split} is annotated",
                where=path,
                found=f"{len(entries)} annotated ids, {len(self._splits[split])} ids of {split}",
                todo="take the annotation of the whole release",
            )
        self._refuse_other_version(samples, split, path)
        return samples

    def _join(self, split: Split, entries: dict[str, Entry]) -> list[Sample]:
        return [self._sample(entries[i], split) for i in self._splits[split] if i in entries]

    def _sample(self, entry: Entry, split: Split) -> Sample:
        meta: dict[str, Any] = {"text_version": self.text_version}
        if entry.num_frames is not None and entry.num_frames > 0:
            meta["num_frames"] = entry.num_frames
        return Sample(
            id=entry.id,
            split=split,
            text=entry.text,
            language=self.language,
            sign_language=self.sign_language,
            gloss=entry.gloss,
            signer=entry.signer,
            references=(entry.text,),
            meta=meta,
        )

    @cached_property
    def _splits(self) -> dict[Split, list[str]]:
        whole = _find(self._folder, "split_1.txt")
        if whole is not None:
            return read_csl_split(whole)
        found: dict[Split, list[str]] = {}
        for split in SPLITS:
            path = _find(self._folder, f"split_1_{split}.txt")
            if path is None:
                raise DatasetNotFoundError(
                    f"{self.corpus}: the split file of {split} is missing",
                    where=self._folder / "sentence_label" / f"split_1_{split}.txt",
                    todo="put split_1.txt of the release there",
                )
            found[split] = read_csl_list(path, split)
        return found

    @cached_property
    def _annotation(self) -> tuple[Path, dict[str, Entry]]:
        """The file that was read, and its entries of all splits by id."""
        path, entries = self._read_smoothed() if self.text_version == "smoothed" else self._read_cvpr21()
        by_id = {e.id: e for e in entries}
        if len(by_id) != len(entries):  # over several files; within one the reader tells the lines
            seen: set[str] = set()
            twice = [e.id for e in entries if e.id in seen or seen.add(e.id)]  # type: ignore[func-returns-value]
            raise AnnotationError(f"{len(twice)} ids occur in two files", where=path, found=first_few(twice))
        ids = {i for split in SPLITS for i in self._splits[split]}
        bare, extra = sorted(ids - set(by_id)), sorted(set(by_id) - ids)
        if bare or extra:
            rank_zero_warn(
                f"{self.corpus}: split file and annotation differ, and the samples that both have are used: "
                f"{len(bare)} ids are in a split and not annotated ({first_few(bare) or 'none'}), "
                f"{len(extra)} are annotated and in no split ({first_few(extra) or 'none'}); "
                "one of each is a known defect of the release"
            )
        return path, by_id

    def _read_smoothed(self) -> tuple[Path, list[Entry]]:
        readers: dict[str, Callable[[Path], list[Entry]]] = {VIDEO_MAP: read_csl_daily, PICKLE: read_csl_daily_pickle}
        for name, read in readers.items():
            path = _find(self._folder, name)
            if path is not None:
                return path, read(path)
        raise self._no_version(f"sentence_label/{VIDEO_MAP} or sentence_label/{PICKLE}", "cvpr21")

    def _read_cvpr21(self) -> tuple[Path, list[Entry]]:
        for name in CVPR21:
            path = _find(self._folder, name)
            if path is not None:
                return path, read_csl_daily_labels(path)
        parts = [p for s in SPLITS if (p := _find(self._folder, CVPR21_SPLIT.format(split=s))) is not None]
        if parts:
            return parts[0].parent, [e for p in parts for e in read_csl_daily_labels(p)]
        path = _find(self._folder, PICKLE)
        if path is not None:
            entries = read_csl_daily_pickle(path)
            dev = self._join("dev", {e.id: e for e in entries})
            if annotation_hash(dev) == self._known_hash("cvpr21", "dev"):
                return path, entries
        raise self._no_version(f"{CVPR21[0]}, its .gz, or csl-daily.train, .dev, .test", "smoothed")

    def _no_version(self, names: str, other: str) -> DatasetNotFoundError:
        return DatasetNotFoundError(
            f"{self.corpus}: the text version {self.text_version!r} is not here",
            where=f"{self._folder / 'sentence_label'}, {self._folder}",
            expected=names,
            todo=f"put the file there, or take data.text_version={other}. {_WHICH}",
        )

    def _known_hash(self, version: str, split: Split) -> str | None:
        return CSLDaily.versions[version][split].annotation_hash

    def _refuse_other_version(self, samples: list[Sample], split: Split, path: Path) -> None:
        found = annotation_hash(samples)
        for other in CSLDaily.versions:
            if other != self.text_version and found == self._known_hash(other, split):
                raise AnnotationError(
                    f"{self.corpus} {split}: the file has the text version {other!r}",
                    where=path,
                    expected=self.text_version,
                    found=f"hash {found[:12]} of ids, texts and glosses",
                    todo=f"take data.text_version={other}. {_WHICH}",
                )

    def locate(self, sample: Sample) -> dict[str, Media]:
        """Frames, poses, features and sign boundaries by id, as far as their folders exist."""
        return self.find_media(sample, self._frames, self.pose_layout)

    @cached_property
    def _frames(self) -> Path | None:
        if self.frames is not None:
            return self._named(self.frames, "")
        there = [self._folder / name for name in FRAMES if (self._folder / name).is_dir()]
        resized = sorted(p for pattern in FRAMES_RESIZED for p in self._folder.glob(pattern) if p.is_dir())
        videos = [path for path in [self._folder / VIDEOS] if path.is_dir()]
        found = list(dict.fromkeys([*there, *resized, *videos]))
        if len(found) > 1:
            rank_zero_warn(
                f"{self.corpus}: frames are read from {found[0]}; data.frames chooses another of {first_few(found)}"
            )
        return found[0] if found else None

    def media_advice(self, modality: str) -> str:
        """What a person can do when media are missing."""
        if modality == "frames" and self.not_there("frames") is None:
            folder = self._frames or self._folder / FRAMES[0]
            return (
                f"unpack the frames into {folder}, name another folder with data.frames, or choose a model of poses "
                "or features"
            )
        return super().media_advice(modality)


def _find(folder: Path, name: str) -> Path | None:
    """A label file in ``sentence_label`` or, as in hand-made copies, beside it."""
    return next((p for p in (folder / "sentence_label" / name, folder / name) if p.is_file()), None)
