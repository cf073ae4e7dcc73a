"""PHOENIX14T: German Sign Language (DGS) to German, weather forecasts of a public broadcaster.

Camgöz, Hadfield, Koller, Ney, Bowden, "Neural Sign Language Translation", CVPR 2018. 9 signers (interpreters),
7,096 / 519 / 642 sentences, 25 frames a second. CC BY-NC-SA; archive ``phoenix-2014-T.v3.tar.gz`` on the page
"RWTH-PHOENIX-Weather 2014 T" of RWTH Aachen. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.annotations import Row, read_rows
from slt_zoo.data.base import Expected, SLTDataModule
from slt_zoo.data.official import PHOENIX14T
from slt_zoo.errors import AnnotationError, DatasetNotFoundError
from slt_zoo.types import Media, Sample, Split

__all__ = ["Phoenix14T"]

LEVELS = ("", "PHOENIX-2014-T", "PHOENIX-2014-T-release-v3/PHOENIX-2014-T")


class Phoenix14T(SLTDataModule):
    """The corpus in its official layout; ``root`` may be any of three levels of the archive.

    Frames lie in ``features/<frames>/<split>/<name>/*.png`` (a further level ``1/``, as some copies have, is
    accepted). Poses, which the release has not, are looked for in ``poses/`` or where ``poses`` says: a file
    ``.pose`` or ``.npy`` a sample, with or without a level for the split, or ``<split>.skels(.gz)`` with its
    ``.files``.

    Args:
        root: the folder that holds the release, the release, or ``PHOENIX-2014-T`` in it.
        frames: folder of the frames below ``features``, or a store of them.
        pose_layout: layout of ``.npy`` poses, where the number of points does not tell it.
        base: arguments of `SLTDataModule`.
    """

    sign_language = "gsg"
    language = "de"
    fps = 25.0
    protocol = "phoenix14t/signjoey"
    licence = "CC BY-NC-SA (3.0 in the list of sign-language-processing, 4.0 in others; the corpus page decides)"
    access = "page 'RWTH-PHOENIX-Weather 2014 T' of RWTH Aachen, archive phoenix-2014-T.v3.tar.gz, about 39 GB"
    expected: ClassVar[dict[Split, Expected]] = {
        "train": Expected(7096, "be6dab074cf2bedba71423de5022275b5b25e86ce6f6ecd8e2c1fb68ce2bb87b"),
        "dev": Expected(519, "d71b2cb681c62666bbe6081cd908dc407fec73f3a72d1132fe347a6b634ef676"),
        "test": Expected(642, "688c4713e5c8177b3b46e23f7e1f06bb58ec9196a14605993c308366cd0d58ca"),
    }

    def __init__(
        self, root: str, *, frames: str = "fullFrame-210x260px", pose_layout: str | None = None, **base: Any
    ) -> None:
        super().__init__(root, **base)
        self.frames, self.pose_layout = frames, pose_layout

    def corpus_folder(self) -> Path:
        """The folder ``PHOENIX-2014-T``."""
        return self._folder

    @cached_property
    def _folder(self) -> Path:
        tried = [self.root / level for level in LEVELS]
        for folder in tried:
            if any(_annotation(folder, split).is_file() for split in ("train", "dev", "test")):
                return folder
        inside = sorted(p.name for p in self.root.iterdir())[:8] if self.root.is_dir() else None
        raise DatasetNotFoundError(
            f"{self.corpus}: no {_annotation(Path(), 'train')} under {str(self.root)!r}",
            where="looked in " + ", ".join(str(p) for p in tried),
            found=("a file, no folder" if self.root.is_file() else "no such folder")
            if inside is None
            else f"there: {', '.join(inside) or 'nothing'}",
            todo="pass data.root=<folder that holds PHOENIX-2014-T-release-v3>, or make a simulated one with "
            "`slt-zoo simulate --corpus Phoenix14T --root DIR`",
        )

    def read_annotations(self, split: Split) -> Iterable[Sample]:
        """Samples of the split's ``.corpus.csv``, texts and glosses to the byte.

        Raises:
            DatasetNotFoundError: there is no annotation, or none of this split.
            AnnotationError: the file is damaged; names the line.
        """
        path = _annotation(self._folder, split)
        if not path.is_file():
            raise DatasetNotFoundError(
                f"{self.corpus}: the annotation of {split} is missing", where=path, todo="unpack the release again"
            )
        rows = list(read_rows(path, PHOENIX14T, "|"))
        _refuse_complex_annotation(rows, path)
        return [self._sample(row, split, path) for row in _without_doubles(rows, path)]

    def _sample(self, row: Row, split: Split, path: Path) -> Sample:
        cells = row.cells
        for column in ("start", "end"):
            try:
                int(cells[column])
            except ValueError:
                raise AnnotationError(
                    f"line {row.line}: {column} is no number",
                    where=f"{path}, line {row.line}, column {column}",
                    found=repr(cells[column]),
                    expected="-1, as in the release",
                ) from None
        sample_id = cells["name"].strip()
        if not sample_id:
            raise AnnotationError(f"line {row.line}: the name is empty", where=f"{path}, line {row.line}")
        return Sample(
            id=sample_id.removeprefix(f"{split}/"),
            split=split,
            text=cells["translation"],
            language=self.language,
            sign_language=self.sign_language,
            gloss=tuple(cells["orth"].split()),
            signer=cells["speaker"],
            references=(cells["translation"],),
        )

    def locate(self, sample: Sample) -> dict[str, Media]:
        """Frames, poses, features and sign boundaries, as far as their folders exist."""
        return self.find_media(sample, self._folder / "features" / str(self.frames), self.pose_layout)

    def media_advice(self, modality: str) -> str:
        """What a person can do when media are missing."""
        if modality == "frames":
            return (
                f"unpack the frames into {self._folder / 'features' / str(self.frames)}, name another folder with "
                "data.frames, or choose a model of poses or features"
            )
        return super().media_advice(modality)


def _annotation(folder: Path, split: Split) -> Path:
    return folder / "annotations" / "manual" / f"PHOENIX-2014-T.{split}.corpus.csv"


def _refuse_complex_annotation(rows: list[Row], path: Path) -> None:
    marks = [row.line for row in rows if "__ON__" in row.cells["orth"] or "loc-" in row.cells["orth"]]
    if marks:
        raise AnnotationError(
            "this is the complex annotation, whose glosses carry markers and whose texts end in ' .'",
            where=f"{path}, line {marks[0]} and {len(marks) - 1} more",
            todo="put PHOENIX-2014-T.<split>.corpus.csv of the release there",
        )


def _without_doubles(rows: list[Row], path: Path) -> list[Row]:
    first: dict[str, Row] = {}
    for row in rows:
        name = row.cells["name"]
        if name not in first:
            first[name] = row
        elif row.cells == first[name].cells:
            rank_zero_warn(f"{path}: lines {first[name].line} and {row.line} are the same; one is kept")
        else:
            raise AnnotationError(
                f"id {name!r} occurs on lines {first[name].line} and {row.line}, with different content",
                where=path,
                todo="remove one of the two rows",
            )
    return list(first.values())
