"""GSL: Greek Sign Language to Greek, staged talk with public services (health, police, citizen service centres).

Adaloglou et al., "A Comprehensive Study on Deep Learning-based Methods for Sign Language Recognition", IEEE
Transactions on Multimedia, 2022. 7 signers, 331 sentences that are each repeated, 30 frames a second. Some tables call
German Sign Language "GSL" too: this corpus is Greek. For research; page "The Greek Sign Language (GSL) Dataset" of the
Visual Computing Lab, CERTH. Nothing is downloaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.base import Expected, SLTDataModule
from slt_zoo.data.locations import FolderTree, named_folder, wrong_root
from slt_zoo.data.media_finder import SUFFIXES
from slt_zoo.data.official import Entry, read_gsl, read_gsl_list
from slt_zoo.data.places import suffixes_in
from slt_zoo.data.readers.image_sources import holds_images
from slt_zoo.errors import AnnotationError, ConfigError, DatasetNotFoundError, MediaError, first_few
from slt_zoo.types import SPLITS, Media, Sample, Split

__all__ = ["GSL"]

Scheme = Literal["si", "sd"]
_Takes = dict[str, dict[str, dict[Path, frozenset[str]]]]
"""Names of sentences by suffix (empty: folders), name of the take, and each folder of that name."""

ANNOTATIONS = ("merged_continuous.csv", "annotations.csv")
_TAKE = re.compile(r"(\w+?)_signer(\d+)_rep(\d+)_sentences")
_EXPECTED: dict[str, dict[Split, Expected]] = {
    "si": {
        "train": Expected(8821, "ae6c5a3f6c0c012ca4f69eea7b034e453bda5967af14d8f39813ff5dfd770a58"),
        "dev": Expected(588, "f0032416ceea36d580ef8ee5c20717c02a938835ea41284f9639c684a9e0a0ef"),
        "test": Expected(881, "d10d53c83064a14b72a8da288c93c5b10ef51bb3731ff5f2bdb3ba0d26a6b818"),
    },
    "sd": {
        "train": Expected(8189, "c28ad457b6390cd7b5d4cc97ca4291428d1ba38d9e3c55e24a3d06823b42f723"),
        "dev": Expected(1063, "f4212edbd72eca83b0787aa97707bc6dd61831690eb078fe605c48ca64a797f6"),
        "test": Expected(1043, "147afd497fb05a4c2e32b1c5fc79e6b7b0ce8f4475e49fa593329bed7097ca85"),
    },
}


_EMPTY = frozenset(
    [
        "health4_signer3_rep4_sentences/sentences0004",
        "health4_signer5_rep2_sentences/sentences0007",
        "kep3_signer3_rep2_sentences/sentences0004",
        "police3_signer2_rep5_sentences/sentences0010",
        *(f"police4_signer6_rep5_sentences/sentences000{i}" for i in (0, 1, 2, 3, 4, 6, 7, 8)),
    ]
)
"""Samples whose text is empty in the release."""


class GSL(SLTDataModule):
    """The continuous part of the corpus, in either of its two schemes of splits.

    Lists of splits and annotation are searched below ``root`` by name, and joined on the path without the scenario in
    front, ``<take>/<sentence>``, which is the id. Glosses and texts are the annotation's, also where a list has other
    glosses (told with their number). Frames lie in ``<scenario>/<take>/<sentence>`` or, where the archives were
    unpacked in one place, ``<take>/<sentence>``; where there are none, videos are looked for under the same names, and
    ``frames`` names another folder. Poses and features lie alike, a file for the folder of a sentence:
    ``<take>/<sentence>.npy``, with any levels in front, or in a file of many samples, see `MediaFinder.find`.

    Twelve samples have an empty text in the release. Models of glosses see them; for models that need text they are
    left out of all splits, which is told and written beside every score: in ``si`` translation is evaluated on 587 and
    880 samples, in ``sd`` on 1,062 and 1,038. Any other empty text is an error.

    Args:
        root: a folder above annotation, lists and frames.
        split: ``"si"``, signer-independent (one signer held out, sentences shared), or ``"sd"``, signer-dependent
            (all signers everywhere, sentences of dev and test unseen in training). Scores of the two do not compare.
        pose_layout: layout of ``.npy`` poses, where the number of points does not tell it.
        base: arguments of `SLTDataModule`.
    """

    sign_language = "gss"
    language = "el"
    fps = 30.0
    protocol = "gsl/word"
    licence = "research use; no licence text was seen"
    access = "page 'The Greek Sign Language (GSL) Dataset' of CERTH/ITI; Zenodo record 3941811"
    expected: ClassVar[dict[Split, Expected]] = _EXPECTED["si"]
    empty_in_release = _EMPTY

    def __init__(self, root: str, *, split: Scheme = "si", pose_layout: str | None = None, **base: Any) -> None:
        super().__init__(root, **base)
        if split not in _EXPECTED:
            raise ConfigError(
                "split must be 'si' or 'sd'",
                found=repr(split),
                todo="si: signer-independent, sd: signer-dependent; train, dev and test are chosen by the command",
            )
        self.scheme, self.pose_layout = split, pose_layout
        self.expected = _EXPECTED[split]  # type: ignore[misc]  # the two schemes are two releases of one corpus
        self.signers_apart = split == "si"
        self._takes: dict[Path, _Takes] = {}
        self._unlisted_told = False
        self._rivals_told: set[tuple[str, str]] = set()

    # Annotation.

    @cached_property
    def _tree(self) -> FolderTree:
        return _tree(self.root)

    def _find(self, what: str, fits: re.Pattern[str]) -> Path:
        paths = self._tree.files(lambda name: fits.fullmatch(name) is not None)
        if not paths:
            todo = "pass data.root=<folder that holds GSL_continuous and GSL_continuous_files>"
            name = f"{self.corpus} (Greek Sign Language)"
            raise wrong_root(name, what, self.root, [self.root], todo, below=True, simulate=type(self))
        if len({path.read_bytes() for path in paths}) > 1:
            raise DatasetNotFoundError(
                f"{self.corpus}: {len(paths)} files for {what} that differ",
                found=first_few(paths),
                todo="pass a data.root that holds one of them",
            )
        return paths[0]

    @cached_property
    def _annotation(self) -> tuple[Path, dict[str, Entry]]:
        names = " or ".join(ANNOTATIONS)
        path = self._find(f"{names} (path|text|glosses)", re.compile("|".join(map(re.escape, ANNOTATIONS))))
        entries: dict[str, Entry] = {}
        for entry in read_gsl(path):
            other = entries.setdefault(_key(entry.id), entry)
            if other is not entry:  # the same path below two scenarios
                raise AnnotationError(
                    f"id {_key(entry.id)!r} occurs on lines {other.line} and {entry.line}, in different scenarios",
                    where=path,
                    todo="remove one of the two rows",
                )
        return path, entries

    def split_list(self, split: Split) -> Path:
        """The list of a split in the scheme: ``gsl_split_SI_<split>.csv``, ``GSL_SD_<split>.csv`` or ``.txt``.

        Raises:
            DatasetNotFoundError: there is none, or two that differ.
        """
        name = "gsl_split_SI" if self.scheme == "si" else "GSL_SD"
        return self._find(f"{name}_{split}.csv", self._list_name(split))

    def _lists(self, split: Split) -> list[Path]:
        pattern = self._list_name(split)
        return self._tree.files(lambda name: pattern.fullmatch(name) is not None)

    def _list_name(self, split: Split) -> re.Pattern[str]:
        ends = "dev|val" if split == "dev" else split
        return re.compile(rf"gsl[_-](split[_-])?{self.scheme}[_-]({ends})\.(csv|txt)", re.IGNORECASE)

    def _tell_unlisted(self) -> None:
        """Annotated samples that no list of the scheme names: 5 in the release's ``si``, none in ``sd``."""
        if self._unlisted_told or not all(self._lists(split) for split in SPLITS):
            return  # a list that is not there may name them
        self._unlisted_told = True
        source, entries = self._annotation
        listed = {_key(entry.id) for split in SPLITS for entry in read_gsl_list(self.split_list(split))}
        unlisted = [key for key in entries if key not in listed]
        if unlisted:
            rank_zero_warn(
                f"{self.corpus}: {len(unlisted)} samples of {source.name} are in no list of split={self.scheme!r} and "
                f"are left out: {first_few(unlisted)}"
            )

    def read_annotations(self, split: Split) -> Iterable[Sample]:
        """Samples of the split's list, with texts and glosses of the annotation, to the byte.

        Raises:
            DatasetNotFoundError: list or annotation are not there.
            AnnotationError: a file is damaged, or the list names what the annotation has not.
        """
        path = self.split_list(split)
        source, entries = self._annotation
        samples: list[Sample] = []
        unknown: list[str] = []
        other: list[str] = []
        for listed in read_gsl_list(path):
            key = _key(listed.id)
            entry = entries.get(key)
            if entry is None:
                unknown.append(key)
                continue
            if listed.gloss != entry.gloss:
                other.append(key)
            samples.append(self._sample(key, listed.id, entry, split))
        if unknown:
            raise AnnotationError(
                f"{len(unknown)} samples of the list of {split} are not in the annotation",
                where=f"{path} and {source}",
                found=first_few(unknown),
                todo="take both files of one release",
            )
        if other:
            rank_zero_warn(
                f"{self.corpus} {split}: glosses of {len(other)} samples differ between {path.name} and {source.name} "
                f"({first_few(other, 2)}); those of {source.name} are used"
            )
        self._tell_unlisted()
        return samples

    def _sample(self, key: str, path: str, entry: Entry, split: Split) -> Sample:
        take = _TAKE.fullmatch(key.split("/")[0])
        above = path.split("/")[:-2]
        scenario = above[-1] if above else take[1] if take else None
        return Sample(
            id=key,
            split=split,
            text=entry.text,
            language=self.language,
            sign_language=self.sign_language,
            gloss=entry.gloss,
            signer=take[2] if take else None,
            references=(entry.text,),
            meta={"scenario": scenario, "repetition": int(take[3]) if take else None},
        )

    # Media.

    def locate(self, sample: Sample) -> dict[str, Media]:
        """Frames, poses, features and sign boundaries, as far as their folders exist."""
        frames = self.root if self.frames is None else named_folder(self.root, self.frames, "")
        return self.find_media(sample, frames, self.pose_layout, self._file_of)

    def _file_of(self, folder: Path, suffixes: Sequence[str], sample: Sample) -> tuple[str, str] | None:
        takes = self._takes_in(folder)
        suffix = next((s for s in suffixes if s in takes), None)
        if suffix is None:
            return None
        take, sentence = sample.id.split("/")
        name = f"{sentence}{suffix}"
        holding = [home / name for home, names in takes[suffix].get(take, {}).items() if name in names]
        if len(holding) > 1:  # a link is no second place
            holding = list({os.path.realpath(path): path for path in reversed(holding)}.values())[::-1]
        if len(holding) > 1 and not suffix:  # images and key points lie under the same names
            wanted = holds_images if suffixes is SUFFIXES["frames"] else _holds_points
            holding = [path for path in holding if wanted(path)] or holding
        if len(holding) > 1:
            raise MediaError(
                f"sample {sample.id} lies in {len(holding)} places: which one?",
                where=f"below {str(folder)!r}",
                found=first_few([repr(str(path)) for path in holding], 3),
                todo="name the folder that holds one (data.features, data.poses, data.frames), or remove others",
            )
        if holding:
            self._tell_rivals(takes, suffixes, suffix, take, sentence)
            return str(holding[0]), suffix
        others = (next(iter(known[take])) for known in takes.values() if take in known)  # said to lack it
        home = next(iter(takes[suffix].get(take, ())), None)
        return str((home or next(others, folder / str(sample.meta["scenario"]) / take)) / name), suffix

    def _tell_rivals(self, takes: _Takes, suffixes: Sequence[str], suffix: str, take: str, sentence: str) -> None:
        """Say once a pair of endings that a sentence has a file of another ending, too, which is not read."""
        for other in suffixes:
            homes = takes.get(other, {}).get(take, {}) if suffix and other not in ("", suffix) else {}
            beside = [home for home, names in homes.items() if f"{sentence}{other}" in names]
            if beside and (suffix, other) not in self._rivals_told:
                self._rivals_told.add((suffix, other))
                rank_zero_warn(
                    f"{self.corpus}: {beside[0] / sentence}{other} is not read, and perhaps others: files {suffix} of "
                    "the same sentences go first"
                )

    def _takes_in(self, folder: Path) -> _Takes:
        """Takes below a folder; what they hold is asked, since poses may lie under the same names beside the frames."""
        if folder not in self._takes:
            tree = self._tree if folder == self.root else _tree(folder)
            known = self._takes[folder] = {}
            for take in tree.folders(lambda name: _TAKE.fullmatch(name) is not None):
                for suffix, names in suffixes_in(take).items():
                    known.setdefault(suffix, {}).setdefault(take.name, {})[take] = frozenset(names)
        return self._takes[folder]

    def media_advice(self, modality: str) -> str:
        """What a person can do when media are missing."""
        if modality == "frames" and self.not_there("frames") is None:
            return f"unpack the archives of the scenarios below {self.root}, or choose a model of poses or features"
        return super().media_advice(modality)


def _tree(folder: Path) -> FolderTree:
    """Takes are not entered, and neither are depth images, which lie under the same names as those of colour."""
    return FolderTree(folder, lambda name: _TAKE.fullmatch(name) is not None or "depth" in name.lower())


def _holds_points(folder: Path) -> bool:
    return any(path.name.endswith("_keypoints.json") for path in folder.iterdir())


def _key(path: str) -> str:
    """``<take>/<sentence>``: the path without the level of its scenario."""
    return "/".join(path.split("/")[-2:])
