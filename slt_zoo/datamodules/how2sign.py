"""How2Sign: American Sign Language (ASL) to English, instructional videos.

Duarte et al., "How2Sign: A Large-scale Multimodal Dataset for Continuous American Sign Language", CVPR 2021. 11 signers
in a studio, about 35,000 sentences. CC BY-NC 4.0, research use; files on the page "how2sign". No glosses were released.
Nothing is downloaded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.base import Expected, SLTDataModule
from slt_zoo.data.checks import require_bools
from slt_zoo.data.formats.how2sign import NAME, times_are_realigned
from slt_zoo.data.listing import FolderIndex
from slt_zoo.data.locations import FolderTree, named_folder, wrong_root
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.official import Entry, read_how2sign
from slt_zoo.data.readers.lmdb_file import DATA_FILE
from slt_zoo.errors import AnnotationError, ConfigError, DatasetNotFoundError, first_few
from slt_zoo.types import InputSpec, Media, Sample, Split

__all__ = ["How2Sign", "repair_mojibake"]

_CSV = re.compile(r"how2sign(_realigned)?_(train|val|dev|test)\.(csv|tsv)")
_IMAGES = (".png", ".jpg", ".jpeg")


class How2Sign(SLTDataModule):
    r"""The corpus as its download script lays it out, or with its parts anywhere below ``root``.

    The annotation (``how2sign_realigned_<split>.csv``, ``how2sign_<split>.csv``) and the media are searched below
    ``root`` by name. ``val`` is ``dev``. The key of a sample is its ``SENTENCE_NAME``: a ``SENTENCE_ID`` occurs with
    several signers.

    The shipped clips and key points are cut at the original times; the better texts belong to the re-aligned ones.
    With ``cut="realigned"`` frames are parts of the full videos, from start to end of the re-aligned files; with
    ``cut="clips"`` they are the clips, with the texts of the original files where those are there.

    Poses are searched as folders of OpenPose JSON, one a sentence, or taken from where ``poses`` says: a
    folder or a file, see `MediaFinder.find`.

    Args:
        root: a folder above annotation and media.
        cut: ``"realigned"`` (full videos with times) or ``"clips"``.
        view: camera, ``"front"`` or ``"side"``.
        repair_text: undo UTF-8 that was read as Latin-1 (``â\x80\x99`` for an apostrophe). Changes references, which
            published scores were taken on: scores are then no longer comparable.
        pose_layout: layout of ``.npy`` poses, where the number of points does not tell it.
        base: arguments of `SLTDataModule`.
    """

    sign_language = "ase"
    language = "en"
    protocol = "how2sign/sacrebleu"
    licence = "CC BY-NC 4.0 in the list of sign-language-processing; the project page says research use only"
    access = "page how2sign; script download_how2sign.sh of how2sign/how2sign-data"
    expected: ClassVar[dict[Split, Expected]] = {  # of the re-aligned files
        "train": Expected(31165),
        "dev": Expected(1741, "1c16428267cd48ffcbd926623704843fc17330f268b8743666c6a96f5e6e093a"),
        "test": Expected(2357, "ab3bece80fd683ffffc8f6af3639e54c28eff9ff624c09bbc6b6420cf55a68fe"),
    }

    def __init__(
        self,
        root: str,
        *,
        cut: Literal["clips", "realigned"] = "realigned",
        view: Literal["front", "side"] = "front",
        repair_text: bool = False,
        pose_layout: str | None = None,
        **base: Any,
    ) -> None:
        super().__init__(root, **base)
        require_bools(repair_text=repair_text)
        if cut not in ("clips", "realigned"):
            raise ConfigError("cut must be 'clips' or 'realigned'", found=repr(cut))
        if view not in ("front", "side"):
            raise ConfigError("view must be 'front' or 'side'", found=repr(view))
        self.cut, self.view, self.repair_text, self.pose_layout = cut, view, repair_text, pose_layout
        self._realigned: dict[Split, bool] = {}
        self._homes: dict[tuple[Split, str], Path | None] = {}
        self._names: dict[Split, list[tuple[str, str]]] = {}
        self._timed: dict[Split, Counter[str]] = {}

    def media_settings(self) -> dict[str, str]:
        """Cut and camera."""
        return {"cut": self.cut, "view": self.view}

    @cached_property
    def _tree(self) -> FolderTree:
        return FolderTree(self.root, lambda name: NAME.fullmatch(name) is not None)

    # Annotation.

    def annotation_file(self, split: Split) -> Path:
        """The CSV of a split that fits ``cut``.

        Raises:
            DatasetNotFoundError: there is none, only original times where re-aligned ones are needed, or two that
                differ.
        """
        name = "val" if split == "dev" else split
        found: dict[bool, list[Path]] = {True: [], False: []}
        for path in self._tree.files(lambda file: _CSV.fullmatch(file) is not None):
            match = _CSV.fullmatch(path.name)
            if match and match[2] in (name, split):
                found[match[1] is not None].append(path)
        paths = found[True] if self.cut == "realigned" else found[False] or found[True]
        if not paths:
            todo, there = "pass data.root=<folder above annotation and videos>", None
            if found[False]:
                todo += "; data.cut=clips takes the original times"
                there = f"only the file of the original times, {found[False][0]}"
            what, made = f"how2sign_realigned_{name}.csv", None if there else type(self)
            raise wrong_root(self.corpus, what, self.root, [self.root], todo, below=True, found=there, simulate=made)
        if len({path.read_bytes() for path in paths}) > 1:
            raise DatasetNotFoundError(
                f"{self.corpus}: {len(paths)} annotations of {split} that differ",
                found=first_few(paths),
                todo="pass a data.root that holds one of them",
            )
        return paths[0]

    def read_annotations(self, split: Split) -> Iterable[Sample]:
        """Samples of the split's CSV, texts to the byte unless ``repair_text``.

        Raises:
            DatasetNotFoundError: see `annotation_file`.
            AnnotationError: the file is damaged; names the line.
        """
        path = self.annotation_file(split)
        entries = read_how2sign(path)
        self._realigned[split] = realigned = times_are_realigned(path)
        if self.cut == "clips" and realigned:
            rank_zero_warn(
                f"{self.corpus} {split}: clips are joined with re-aligned texts ({path.name}). The shipped clips are "
                "cut at the original times, so text and signing need not agree; cut='realigned' takes parts of full "
                "videos instead"
            )
        if self.cut == "realigned":
            self._require_times(entries, path, realigned)
        self._names[split] = [(entry.id, entry.video or "") for entry in entries]
        self._timed[split] = Counter(n for e in entries for n in _names_with_start(e.id, e.video, e.start))
        return [self._sample(entry, split) for entry in self._told_mojibake(entries, split)]

    def _require_times(self, entries: list[Entry], path: Path, realigned: bool) -> None:
        lacking = [entry for entry in entries if entry.start is None or entry.end is None or not entry.video]
        if lacking or not realigned:
            raise AnnotationError(
                f"cut='realigned' needs re-aligned times; {len(lacking) if realigned else 'all'} rows have none",
                where=f"{path}, line {lacking[0].line if lacking else 1}",
                expected="VIDEO_NAME, START_REALIGNED and END_REALIGNED",
                todo="take how2sign_realigned_<split>.csv of the release, or data.cut=clips",
            )

    def _told_mojibake(self, entries: list[Entry], split: Split) -> list[Entry]:
        repaired = [replace(entry, text=repair_mojibake(entry.text)) for entry in entries]
        changed = [new.id for new, old in zip(repaired, entries, strict=True) if new.text != old.text]
        if not changed:
            return entries
        what = (
            f"{self.corpus} {split}: {len(changed)} texts hold UTF-8 that was read as Latin-1 ({first_few(changed, 2)})"
        )
        if not self.repair_text:
            rank_zero_warn(f"{what}; kept, as published scores have them. repair_text=True repairs them")
            return entries
        rank_zero_warn(f"{what}; repaired: references were changed, scores are not comparable with published ones")
        return repaired

    def _sample(self, entry: Entry, split: Split) -> Sample:
        return Sample(
            id=entry.id,
            split=split,
            text=entry.text,
            language=self.language,
            sign_language=self.sign_language,
            signer=entry.signer,
            references=(entry.text,),
            meta={"video": entry.video, "video_id": entry.id[:11], "start": entry.start, "end": entry.end},
        )

    def _compare_with_published(self, manifest: Manifest) -> None:
        if self._realigned.get(manifest.split):  # counts of the original files differ from source to source
            super()._compare_with_published(manifest)

    # Media.

    def locate(self, sample: Sample) -> dict[str, Media]:
        """Frames, poses, features and sign boundaries, as far as they are anywhere."""
        named = None if self.frames is None else named_folder(self.root, self.frames, "")
        timed = _names_with_start(sample.id, sample.meta["video"], sample.meta["start"])
        mine = [name for name in timed if self._timed.get(sample.split, Counter())[name] == 1]
        found = self.find_media(sample, named, self.pose_layout, other_names=mine)
        self._note_shared(sample, [name for name in timed if name not in mine], found.get("features"))
        own = {"frames": self._frames(sample) if named is None else None}
        own["pose"] = self._pose(sample) if self.poses is None else None
        return found | {kind: media for kind, media in own.items() if media is not None}

    def _note_shared(self, sample: Sample, shared: list[str], media: Media | None) -> None:
        """Where files bear a name and start that two sentences share: missing samples are told to be of these."""
        if not shared or media is None or media.item is not None or media.source is not None:
            return
        folder = Path(media.path)
        if folder.exists() or not folder.parent.is_dir():
            return
        names = FolderIndex(folder.parent).names()
        there = [n for n in names for s in shared if n.startswith(s) and not n[len(s) : len(s) + 1].isalnum()]
        if there:
            text = f"{there[0]!r} fits {sample.id} and another sentence, since two share name and start"
            text += ": call the files by SENTENCE_NAME"
            self.finder.notes.setdefault(("features", sample.split), {})[text] = None

    def _frames(self, sample: Sample) -> Media | None:
        if self.cut == "realigned":
            home = self._home(sample.split, "videos")
            if home is None:
                return None
            path = home / f"{self._seen(str(sample.meta['video']))}.mp4"
            return Media(str(path), start=sample.meta["start"], end=sample.meta["end"])
        for kind, suffix in (("clips", ".mp4"), ("images", "")):
            home = self._home(sample.split, kind)
            if home is not None:
                return Media(str(home / f"{self._seen(sample.id)}{suffix}"))
        return None

    def _pose(self, sample: Sample) -> Media | None:
        home = self._home(sample.split, "poses")
        return None if home is None else Media(str(home / self._seen(sample.id)), layout="openpose137")

    def _home(self, split: Split, kind: str) -> Path | None:
        """The folder that holds most of a split's files of a kind."""
        if (split, kind) not in self._homes:
            searches: dict[str, tuple[int, str, Callable[[Path], bool]]] = {
                "videos": (1, ".mp4", lambda path: True),
                "clips": (0, ".mp4", lambda path: True),
                "images": (0, "", lambda path: _holds(path, (*_IMAGES, DATA_FILE))),
                "poses": (0, "", lambda path: _holds(path, ("_keypoints.json",))),
            }
            column, suffix, fits = searches[kind]
            names = {f"{self._seen(row[column])}{suffix}" for row in self._names.get(split, [])}
            self._homes[split, kind] = self._tree.home(names, fits)
        return self._homes[split, kind]

    def _seen(self, name: str) -> str:
        """The name of the same recording from the wanted camera; the CSVs name the front one."""
        return f"{re.sub('-rgb_(front|side)$', '', name)}-rgb_{self.view}"

    def bind(self, spec: InputSpec, splits: Iterable[Split], model: str = "the model") -> None:
        """See `SLTDataModule.bind`; tells where shipped key points meet re-aligned texts."""
        splits = list(splits)
        super().bind(spec, splits, model)
        if spec.modality == "pose" and self.poses is None and self.cut == "realigned":
            rank_zero_warn(
                f"{self.corpus}: the shipped key points follow the clips, which are cut at the original times; with "
                "re-aligned texts, text and signing need not agree. data.poses=<folder> takes poses of the full videos"
            )

    def media_advice(self, modality: str) -> str:
        """What a person can do when media are missing."""
        if modality != "frames" or self.not_there("frames") is not None:
            return super().media_advice(modality)
        if self.cut == "clips":
            return f"put the clips (<SENTENCE_NAME>.mp4, view {self.view}) below {self.root}"
        return f"put the full videos (<VIDEO_NAME>.mp4, view {self.view}) below {self.root}, or choose data.cut=clips"


def _names_with_start(sample_id: str, video: str | None, start: float | None) -> list[str]:
    """What SpaMo's dataset calls a sample: a name and its start, as Python writes the number.

    Its name is in a file that is not published; the start tells sentences apart under a video's name, too, but for a
    few, which have no name here.
    """
    names = [] if start is None else dict.fromkeys((sample_id, video, sample_id[:11]))
    return [f"{name}_{start}" for name in names if name]


def _holds(folder: Path, endings: tuple[str, ...]) -> bool:
    return folder.is_dir() and any(path.name.endswith(endings) for path in folder.iterdir())


_SEQUENCE = re.compile("[\u00c2-\u00f4][\u0080-\u00bf]+")


def repair_mojibake(text: str) -> str:
    """Undo UTF-8 that was read as Latin-1, where the characters are valid UTF-8 taken as bytes; the rest stays."""

    def undo(match: re.Match[str]) -> str:
        try:
            return match[0].encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            return match[0]

    return _SEQUENCE.sub(undo, text)
