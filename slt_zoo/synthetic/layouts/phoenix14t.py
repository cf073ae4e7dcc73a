"""PHOENIX14T: three ``.corpus.csv`` files, one folder of PNG frames a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import ClassVar

from slt_zoo.data.annotations import read_rows
from slt_zoo.errors import DatasetNotFoundError
from slt_zoo.synthetic.layouts.base import Layout, refuse_doubles
from slt_zoo.synthetic.sentences import SPLITS, Row
from slt_zoo.synthetic.variation import stream

__all__ = ["INNER", "Phoenix14TLayout"]

_COLUMNS = ("name", "video", "start", "end", "speaker", "orth", "translation")
INNER = "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Phoenix14TLayout(Layout):
    """The layout of release v3, with ``poses``, ``videos`` and ``labels`` beside the official folders.

    Frames lie in the official folder, whatever their size.
    """

    corpus: ClassVar[str] = "Phoenix14T"
    language: ClassVar[str] = "de"
    folders: ClassVar[tuple[str, ...]] = ("PHOENIX-2014-T-release-v3",)
    places: ClassVar[Mapping[str, str]] = {
        "pose": f"{INNER}/poses/{{split}}/{{id}}.pose",
        "frames": f"{INNER}/features/fullFrame-210x260px/{{split}}/{{id}}",
        "video": f"{INNER}/videos/{{split}}/{{id}}.mp4",
        "features": f"{INNER}/features/simulated/{{split}}/{{id}}.npy",
        "labels": f"{INNER}/labels/{{split}}/{{id}}.npy",
    }
    frame: ClassVar[str] = "images{:04d}.png"
    first_frame: ClassVar[int] = 1

    def names(self, count: int, seed: int) -> list[str]:
        """Broadcasts of invented dates, such as ``01April_2010_Thursday_tagesschau-17``."""
        rng = stream(seed, "names", self.corpus)
        names: dict[str, None] = {}
        while len(names) < count:
            day = date(2009, 1, 1) + timedelta(days=int(rng.integers(5 * 365)))
            source = "tagesschau" if rng.random() < 0.7 else "heute"
            stamp = f"{day.day:02d}{_MONTHS[day.month - 1]}_{day.year}_{_DAYS[day.weekday()]}"
            names[f"{stamp}_{source}-{rng.integers(1, 60)}"] = None
        return list(names)

    def signer_name(self, number: int) -> str:
        """``Signer01`` and so on."""
        return f"Signer{number:02d}"

    def read_annotations(self, path: Path) -> list[Row]:
        """Rows of the three official files below a folder, or of one file.

        A single file holds the split that its name says (``.dev.``, ``.test.``), else training.

        Raises:
            DatasetNotFoundError: no such file, or none of the three in the folder.
            AnnotationError: a damaged line, or a name that occurs twice.
        """
        if path.is_file():
            split = next((s for s in SPLITS if f".{s}." in path.name), "train")
            files = {split: path}
        else:
            folders = [path, *(path / level / "annotations/manual" for level in ("", "PHOENIX-2014-T", INNER))]
            files = {s: f / _file(s) for s in SPLITS for f in folders if (f / _file(s)).is_file()}
        if not files:
            raise DatasetNotFoundError(
                "no annotation to simulate",
                where=path,
                expected=f"a file with the columns {'|'.join(_COLUMNS)}, or a folder with {_file('<split>')}",
                found="no such file or folder" if not path.exists() else "a folder without them",
            )
        rows: list[Row] = []
        for split, file in files.items():
            for line in read_rows(file, _COLUMNS, "|"):
                cells = line.cells
                rows.append(
                    Row(cells["name"], split, cells["speaker"], tuple(cells["orth"].split()), cells["translation"])
                )
        return refuse_doubles(rows, path)

    def write_annotations(self, root: Path, rows: Sequence[Row], fps: float) -> None:
        """``annotations/manual/PHOENIX-2014-T.{split}.corpus.csv``."""
        folder = root / INNER / "annotations/manual"
        folder.mkdir(parents=True, exist_ok=True)
        for split in SPLITS:
            lines = ["|".join(_COLUMNS)]
            for row in rows:
                if row.split == split:
                    lines.append("|".join([row.id, f"{row.id}/1/*.png", "-1", "-1", row.signer, *_strings(row)]))
            (folder / _file(split)).write_bytes(("\n".join(lines) + "\n").encode())


def _file(split: str) -> str:
    return f"PHOENIX-2014-T.{split}.corpus.csv"


def _strings(row: Row) -> tuple[str, str]:
    return " ".join(row.gloss), row.text
