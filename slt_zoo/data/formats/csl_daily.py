"""Tables of CSL-Daily: ``video_map.txt``, ``split_1.txt``, and questions as ``glq-1992/GBT-code`` has them."""

from __future__ import annotations

import re
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.annotations import Row, read_rows
from slt_zoo.data.formats.entries import Entry, numbered_lines, whole_number, without_doubles
from slt_zoo.errors import AnnotationError, UnknownNameError
from slt_zoo.types import SPLITS, Split, as_split

__all__ = [
    "CSL_DAILY",
    "csl_name",
    "csl_signer",
    "read_csl_daily",
    "read_csl_daily_qa",
    "read_csl_list",
    "read_csl_split",
]

CSL_DAILY = ("index", "name", "length", "gloss", "char", "word", "postag")
_NAME = re.compile(r"S[0-9]{6}_P([0-9]{4})_T[0-9]{2}")
_INDEX = re.compile(r"[0-9]{1,9}")
_HEADER = "name|split"


def csl_name(name: str, where: str) -> str:
    """The name, if it is one of CSL-Daily.

    Raises:
        AnnotationError: it is none.
    """
    if not _NAME.fullmatch(name):
        raise AnnotationError(
            f"{name[:120]!r} is no name of CSL-Daily", where=where, expected="S<6 digits>_P<4 digits>_T<2 digits>"
        )
    return name


def csl_signer(name: str) -> str | None:
    """The signer's number in a name."""
    match = _NAME.fullmatch(name)
    return str(int(match[1])) if match else None


def read_csl_daily(path: Path) -> list[Entry]:
    """``video_map.txt``, all splits together.

    A missing header is accepted where every row can be nothing else: the last field has a tag for each word.

    Raises:
        AnnotationError: another delimiter, header or number of fields, or a damaged row; names the line.
    """
    rows = list(read_rows(path, CSL_DAILY, "|"))
    headless = bool(rows) and rows[0].line == 1
    for row in rows if headless else ():
        _require_tags(row, path)
    differ = [r.line for r in rows if _joined(r.cells["char"]) != _joined(r.cells["word"])]
    if differ:
        rank_zero_warn(
            f"{path}: {len(differ)} rows have other characters in their words than in their text, first line "
            f"{differ[0]}; the column char is used"
        )
    return without_doubles([_entry(list(row.cells.values()), row.line, path) for row in rows], path)


def _require_tags(row: Row, path: Path) -> None:
    tags = row.cells["postag"].split()
    if len(tags) != len(row.cells["word"].split()) or not all(re.fullmatch("[A-Za-z]+", tag) for tag in tags):
        raise AnnotationError(
            f"line {row.line}: without a header this could be a file of questions",
            where=f"{path}, line {row.line}",
            expected=f"the header {'|'.join(CSL_DAILY)}, or a tag for each word in the last field",
            found=repr(row.cells["postag"][:120]),
            todo="take video_map.txt of the release, with its header",
        )


def read_csl_daily_qa(path: Path) -> list[Entry]:
    """Lines ``index|name|length|gloss|char|word|question``, often with an eighth field that is empty or ``Overlap!``.

    Raises:
        AnnotationError: another number of fields, or characters and words of different texts, which a lost or added
            delimiter makes; names the line.
    """
    entries = []
    for number, line in numbered_lines(path):
        fields = line.split("|")
        surplus = fields[7:]  # one, that is empty or marks that question and text are the same
        if len(fields) not in (7, 8) or any(field.strip() not in ("", "Overlap!") for field in surplus):
            raise AnnotationError(
                f"line {number}: {len(fields)} fields, expected 7 or 8",
                where=f"{path}, line {number}",
                expected="index|name|length|gloss|char|word|question|, the eighth field empty or 'Overlap!'",
                found=repr(line[:120]),
            )
        # Where a question is the text itself, a delimiter lost before it would make an empty question.
        shifted = len(fields) == 7 and not fields[6].strip() and fields[4].split() == fields[5].split()
        if shifted or _joined(fields[4]) != _joined(fields[5]):
            raise AnnotationError(
                f"line {number}: fields 5 and 6 are not one text in characters and in words",
                where=f"{path}, line {number}",
                found=repr(line[:120]),
                todo="is a delimiter missing or surplus?",
            )
        entries.append(_entry(fields, number, path, _joined(fields[6])))
    return without_doubles(entries, path)


def _entry(fields: list[str], line: int, path: Path, question: str | None = None) -> Entry:
    where = f"{path}, line {line}"
    if not _INDEX.fullmatch(fields[0]):
        raise AnnotationError(
            f"line {line}: the index is no number", where=f"{where}, column index", found=repr(fields[0][:120])
        )
    name = csl_name(fields[1], f"{where}, column name")
    return Entry(
        name,
        _joined(fields[4]),
        tuple(fields[3].split()),
        question,
        signer=csl_signer(name),
        num_frames=whole_number(fields[2], f"{where}, column length"),
        line=line,
    )


def _joined(segmented: str) -> str:
    return segmented.replace(" ", "")


def read_csl_split(path: Path) -> dict[Split, list[str]]:
    """``split_1.txt``: ``name|split``, with its header or without; every split in the order of the file.

    Raises:
        AnnotationError: a line without a split, an unknown split, or a name in two splits; names the lines.
    """
    found: dict[Split, list[str]] = {split: [] for split in SPLITS}
    first: dict[str, tuple[Split, int]] = {}
    doubled: list[int] = []
    for number, line in numbered_lines(path):
        where = f"{path}, line {number}"
        if number == 1 and line.strip() == _HEADER:
            continue
        fields = line.split("|")
        if len(fields) != 2 or not fields[1].strip():
            raise AnnotationError(
                f"line {number}: {'no split' if len(fields) <= 2 else f'{len(fields)} fields, expected 2'}",
                where=where,
                expected=_HEADER,
                found=repr(line[:120]),
            )
        name = csl_name(fields[0].strip(), where)
        try:
            split = as_split(fields[1].strip())
        except UnknownNameError as cause:
            raise AnnotationError(f"line {number}: {cause.what}", where=where, todo=cause.todo) from cause
        other, line_before = first.setdefault(name, (split, number))
        if other != split:
            raise AnnotationError(
                f"{name} is in {other} on line {line_before} and in {split} on line {number}",
                where=path,
                todo="use the split file of the release",
            )
        if line_before != number:
            doubled.append(number)
        else:
            found[split].append(name)
    if not first:
        raise AnnotationError("the split file names no sample", where=path, expected=f"lines {_HEADER}")
    if doubled:
        rank_zero_warn(f"{path}: {len(doubled)} lines stand twice, first line {doubled[0]}; one is kept")
    return found


def read_csl_list(path: Path, split: Split) -> list[str]:
    """``split_1_<split>.txt``: a name a line, or ``name|split`` with this split alone.

    Raises:
        AnnotationError: a line that is no name, or names of another split; names the line.
    """
    lines = list(numbered_lines(path))
    if any("|" in line for _, line in lines):
        found = read_csl_split(path)
        others = [name for name, names in found.items() if names and name != split]
        if others:
            raise AnnotationError(f"names of {', '.join(others)} in the list of {split}", where=path)
        return found[split]
    names = [csl_name(line.strip(), f"{path}, line {number}") for number, line in lines]
    if not names:
        raise AnnotationError("the split file names no sample", where=path, expected="a name a line")
    unique = list(dict.fromkeys(names))
    if len(unique) < len(names):
        rank_zero_warn(f"{path}: {len(names) - len(unique)} lines stand twice; one is kept")
    return unique
