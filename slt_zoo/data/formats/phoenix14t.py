"""Files of PHOENIX14T: the annotation of a split, and its questions as ``glq-1992/GBT-code`` has them."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from slt_zoo.data.annotations import Row, read_rows
from slt_zoo.data.formats.entries import Entry, numbered_lines, without_doubles
from slt_zoo.data.ids import bare_id, check_id
from slt_zoo.errors import AnnotationError

__all__ = ["PHOENIX14T", "read_phoenix14t", "read_phoenix14t_qa"]

PHOENIX14T = ("name", "video", "start", "end", "speaker", "orth", "translation")
_MARKS = re.compile(r"__(ON|OFF)__|\bloc-")
_VIDEO = re.compile(r"(.*)/1/\*\.png")


def read_phoenix14t(path: Path, split: str | None = None, *, complex_annotation: bool = False) -> list[Entry]:
    """``PHOENIX-2014-T.<split>.corpus.csv``; a missing header line and a split in front of names are accepted.

    Args:
        path: the file.
        split: whose names it should have; None: not known.
        complex_annotation: the file is that of the complex annotation.

    Raises:
        AnnotationError: a damaged row, the other one of the two annotations, or names of another split; names the line.
    """
    rows = list(read_rows(path, PHOENIX14T, "|"))
    _check_which_annotation(rows, path, complex_annotation)
    return without_doubles([_entry(row, path, split) for row in rows], path)


def _entry(row: Row, path: Path, split: str | None) -> Entry:
    cells, where = row.cells, f"{path}, line {row.line}"
    for column in ("start", "end"):
        if not re.fullmatch(r"-?[0-9]{1,9}", cells[column].strip()):
            raise AnnotationError(
                f"line {row.line}: {column} is no number",
                where=f"{where}, column {column}",
                found=repr(cells[column][:120]),
                expected="-1, as in the release",
            )
    name, its_split = bare_id(cells["name"].strip())
    if not name:
        raise AnnotationError(f"line {row.line}: the name is empty", where=where)
    if split is not None and its_split not in (None, split):
        raise AnnotationError(f"line {row.line}: a name of {its_split} in the file of {split}", where=where)
    check_id(name, where)
    video = _VIDEO.fullmatch(cells["video"])
    if video is not None and not _same(bare_id(video[1])[0], name):
        raise AnnotationError(
            f"line {row.line}: name and video are of different samples",
            where=where,
            found=f"{cells['name'][:120]!r} and {cells['video'][:120]!r}",
            expected="<name>|<name>/1/*.png",
        )
    return Entry(name, cells["translation"], tuple(cells["orth"].split()), signer=cells["speaker"], line=row.line)


def _same(a: str, b: str) -> bool:
    return unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b)


def _check_which_annotation(rows: list[Row], path: Path, wants_complex: bool) -> None:
    marks = [row.line for row in rows if _MARKS.search(row.cells["orth"])]
    if wants_complex and not marks:
        raise AnnotationError(
            "this is not the complex annotation: no gloss carries a marker",
            where=path,
            expected="glosses such as __ON__ and loc-, in some lines",
            todo="put PHOENIX-2014-T.train-complex-annotation.corpus.csv of the release there",
        )
    if marks and not wants_complex:
        raise AnnotationError(
            "this is the complex annotation, whose glosses carry markers and whose texts end in ' .'",
            where=f"{path}, line {marks[0]} and {len(marks) - 1} more",
            todo="put PHOENIX-2014-T.<split>.corpus.csv of the release there; where the complex one is meant, leave it "
            "under its own name and pass data.complex_annotation=true",
        )


def read_phoenix14t_qa(path: Path) -> list[Entry]:
    """Lines ``split/name text%question%glosses``; in older files without glosses, on all lines alike.

    Raises:
        AnnotationError: another number of fields, as training variants have; names the line.
    """
    entries = []
    expected: int | None = None  # with mixed numbers, a lost '%' would make a question out of question and glosses
    for number, line in numbered_lines(path):
        where = f"{path}, line {number}"
        fields = line.split("%")
        name, space, text = fields[0].partition(" ")
        bare, split = bare_id(name)
        expected = expected or len(fields)
        if len(fields) not in (2, 3) or len(fields) != expected or not space or split is None:
            raise AnnotationError(
                f"line {number}: {len(fields)} fields between '%'",
                where=where,
                expected="split/name text%question%glosses, or without glosses, on all lines alike"
                + (f"; the first has {expected} fields" if len(fields) != expected else ""),
                found=repr(line[:120]),
            )
        gloss = tuple(fields[2].split()) if len(fields) == 3 else None
        entries.append(Entry(check_id(bare, where), text, gloss, fields[1], line=number))
    return without_doubles(entries, path)
