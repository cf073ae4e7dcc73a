"""GSL (Greek Sign Language): one annotation, lists of two schemes of splits, one folder of JPEG frames a sample."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from slt_zoo.data.annotations import read_rows
from slt_zoo.data.locations import FolderTree
from slt_zoo.errors import AnnotationError, ConfigError, DatasetNotFoundError, first_few
from slt_zoo.synthetic.layouts.base import Layout, refuse_doubles
from slt_zoo.synthetic.sentences import SPLITS, Row, distinct, draw, turns
from slt_zoo.synthetic.variation import stream

if TYPE_CHECKING:
    from slt_zoo.synthetic.grammars import Grammar

__all__ = ["GSLLayout"]

_FILES = "GSL_continuous_files"
_SCENARIOS = [f"{place}{number}" for place in ("health", "kep", "police") for number in range(1, 6)]
_HELD_OUT = 3
_REPETITIONS = {"train": (1, 2, 3, 4, 5), "dev": (1, 2), "test": (3, 4, 5)}
_TAKE = re.compile(r"\w+_signer(\d)_rep\d_sentences")
_LIST = r"gsl[_-](split[_-])?{}[_-]({})\.(csv|txt)"


class GSLLayout(Layout):
    """The tree of the unpacked archives with their files beside it; videos, poses, features and labels lie alike.

    One tree serves both schemes of splits, with as many samples in each:

    - ``si``: signer 3 is held out; repetitions 1 and 2 are dev, 3 to 5 test. Their sentences occur in train too, by
      other signers (as far as a small training split leaves room).
    - ``sd``: all signers everywhere; the sentences of dev and test occur in no other split, and their glosses and words
      are known from train.

    ``Row.split`` is that of ``si``, ``Row.second_split`` that of ``sd``.
    """

    corpus: ClassVar[str] = "GSL"
    language: ClassVar[str] = "el"
    folders: ClassVar[tuple[str, ...]] = ("GSL_continuous", _FILES, "videos", "poses", "features/simulated", "labels")
    places: ClassVar[Mapping[str, str]] = {
        "pose": "poses/{scenario}/{id}.pose",
        "frames": "GSL_continuous/{scenario}/{id}",
        "video": "videos/{scenario}/{id}.mp4",
        "features": "features/simulated/{scenario}/{id}.npy",
        "labels": "labels/{scenario}/{id}.npy",
    }
    fps: ClassVar[float] = 30.0
    frame_size: ClassVar[tuple[int, int]] = (848, 480)
    signers: ClassVar[tuple[int, int, int]] = (6, 1, 1)
    frame: ClassVar[str] = "frame_{:04d}.jpg"
    first_frame: ClassVar[int] = 1

    def names(self, count: int, seed: int) -> list[str]:
        """Sentences, such as ``police1/0002``: a scenario and a number in it."""
        return [f"{_SCENARIOS[k % len(_SCENARIOS)]}/{k // len(_SCENARIOS):04d}" for k in range(count)]

    def signer_name(self, number: int) -> str:
        """``1`` to ``9``."""
        return str(number)

    def plan(self, grammar: Grammar, samples: Sequence[int], signers: Sequence[int], seed: int) -> list[Row]:
        """Takes of sentences, so that both schemes have the splits that are asked for; see the class."""
        people = [self.signer_name(n) for n in range(1, 10) if n != _HELD_OUT][: signers[0]]
        if tuple(signers[1:]) != (1, 1) or len(people) < signers[0]:
            raise ConfigError(
                f"{self.corpus} cannot have these signers",
                where="signers",
                expected=f"up to 8 of train, and 1 of dev and 1 of test, who are one person: signer {_HELD_OUT}",
                found=tuple(signers),
            )
        # Of each unseen sentence of `sd` the held-out signer has a take, and for the first of them another signer too.
        others = [min(count // 2, samples[0] // 8) for count in samples[1:]]
        seen = samples[0] - sum(others)
        sizes = (distinct(seen, len(people)), samples[1] - others[0], samples[2] - others[1])
        drawn = draw(grammar, sizes, seed)
        sentences = [(split, phrase) for split in SPLITS for phrase in drawn[split]]
        names = self.names(len(sentences), seed)
        unseen = {"dev": range(sizes[0], sizes[0] + sizes[1]), "test": range(sizes[0] + sizes[1], len(sentences))}
        takes = [(sentence, people[person], "train") for sentence, person in turns(seen, len(people))]
        again = [k for split, count in zip(("dev", "test"), others, strict=True) for k in unseen[split][:count]]
        takes += [(sentence, people[k % len(people)], "train") for k, sentence in enumerate(again)]
        rng = stream(seed, "takes", self.corpus)
        known = rng.permutation(sizes[0])[: sum(others)]
        held_out = [int(k) for k in rng.permutation([*unseen["dev"], *unseen["test"], *known])]
        for k, sentence in enumerate(held_out):
            takes.append((sentence, self.signer_name(_HELD_OUT), "dev" if k < samples[1] else "test"))
        rows = []
        for k, (sentence, signer, split) in enumerate(takes):
            repetition = _REPETITIONS[split][k % len(_REPETITIONS[split])]
            scenario, number = names[sentence].split("/")
            second, (gloss, text) = sentences[sentence]
            name = f"{scenario}_signer{signer}_rep{repetition}_sentences/sentences{number}"
            rows.append(Row(name, split, signer, tuple(gloss.split()), text, second_split=second))
        return rows

    def signer_order(self, rows: Sequence[Row]) -> list[str]:
        """Signers of train first, so that the held-out one is not the left-handed one."""
        training = {row.signer for row in rows if row.split == "train"}
        return sorted({row.signer for row in rows}, key=lambda name: (name not in training, name))

    def read_annotations(self, path: Path) -> list[Row]:
        """Annotated samples that a list of ``si`` names; where there are no lists of ``sd``, both schemes are alike.

        Raises:
            DatasetNotFoundError: no annotation, or no list of ``si``, below the folder.
            AnnotationError: a file is damaged, a list names what is not annotated, or a name occurs twice.
        """
        from slt_zoo.data.official import read_gsl

        tree = FolderTree(path, lambda name: _TAKE.fullmatch(name) is not None)
        annotations = tree.files(lambda name: name in ("merged_continuous.csv", "annotations.csv"))
        lists = {scheme: _lists(tree, scheme) for scheme in ("si", "sd")}
        if not annotations or not lists["si"]:
            raise DatasetNotFoundError(
                "no annotation to simulate",
                where=path,
                expected="a folder with merged_continuous.csv and gsl_split_SI_<split>.csv, at any depth",
                found="a folder without them" if path.is_dir() else "a file" if path.is_file() else "no such folder",
            )
        entries = {_key(entry.id): entry for entry in read_gsl(annotations[0])}
        if unknown := [name for name in lists["si"] if name not in entries]:
            raise AnnotationError(
                f"{len(unknown)} listed samples are not annotated", where=annotations[0], found=first_few(unknown)
            )
        rows = [
            Row(name, split, e.signer or "0", e.gloss or (), e.text, second_split=lists["sd"].get(name, split))
            for name, split in lists["si"].items()
            for e in (entries[name],)
        ]
        return refuse_doubles(rows, path)

    def write_annotations(self, root: Path, rows: Sequence[Row], fps: float) -> None:
        """``merged_continuous.csv`` and the lists of both schemes; no file has a header, an empty split has none."""
        folder = root / _FILES
        rows = sorted(rows, key=lambda row: row.id)
        _write(folder / "merged_continuous.csv", (f"{row.id}|{row.text}|{' '.join(row.gloss)}" for row in rows))
        for split in SPLITS:
            lists = {
                f"GSL_SI/gsl_split_SI_{split}.csv": [_listed(row) for row in rows if row.split == split],
                f"GSL_SD/GSL_SD_{split}.csv": [_listed(row) for row in rows if row.second_split == split],
            }
            for name, lines in lists.items():
                if lines:  # an empty file would be taken for a damaged one
                    _write(folder / name, lines)

    def place(self, root: Path, row: Row, kind: str) -> Path:
        """As in `places`; the scenario is in the sample's name."""
        return root / self.places[kind].format(scenario=_scenario(row), id=row.id)


def _scenario(row: Row) -> str:
    return row.id.split("_")[0]


def _listed(row: Row) -> str:
    return f"{_scenario(row)}/{row.id}|{' '.join(row.gloss)}"


def _write(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


def _key(path: str) -> str:
    """``<take>/<sentence>``: the path without the level of its scenario."""
    return "/".join(path.strip().split("/")[-2:])


def _lists(tree: FolderTree, scheme: str) -> dict[str, str]:
    """Split of each listed sample."""
    found: dict[str, str] = {}
    for split, ends in zip(SPLITS, ("train", "dev|val", "test"), strict=True):
        pattern = re.compile(_LIST.format(scheme, ends), re.IGNORECASE)
        for path in [path for path in tree.files(lambda name: True) if pattern.fullmatch(path.name)][:1]:
            found |= {_key(line.cells["path"]): split for line in read_rows(path, ("path", "glosses"), "|")}
    return found
