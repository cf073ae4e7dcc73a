"""The table of How2Sign: tab-separated with quoting, with a header, in one of two versions of the times."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.annotations import read_text
from slt_zoo.data.formats.entries import Entry, without_doubles
from slt_zoo.errors import AnnotationError

__all__ = ["NAME", "read_how2sign", "times_are_realigned"]

NAME = re.compile(r"([A-Za-z0-9_-]{11})_([0-9_]+)-([0-9]+)-(rgb_front|rgb_side)")
"""A ``SENTENCE_NAME``: id of the video, numbers of the sentences, signer, view. Ids may begin with ``-`` or ``_``."""

_VIDEO = re.compile(r"([A-Za-z0-9_-]{11})-[0-9]+-(rgb_front|rgb_side)")
_REQUIRED = ("SENTENCE_NAME", "SENTENCE")
_KNOWN = frozenset(
    ("VIDEO_ID", "VIDEO_NAME", "SENTENCE_ID", "START_REALIGNED", "END_REALIGNED", "START", "END", *_REQUIRED)
)
_DELIMITERS = {",": "comma", ";": "semicolon", "|": "bar"}


def read_how2sign(path: Path) -> list[Entry]:
    """``how2sign_<split>.csv`` or ``how2sign_realigned_<split>.csv``.

    A spreadsheet that saves it writes commas or semicolons: such a file is read, and told, where all of it can be
    read in that way alone.

    Raises:
        AnnotationError: another header, a damaged row, or another delimiter that is not certain; names the line.
    """
    lines = read_text(path).split("\n")
    if not lines[0].strip():
        raise AnnotationError("the annotation file is empty", where=path)
    delimiter = _delimiter(lines, path)
    header = _header(lines[0], delimiter, path)
    entries = []
    for number, line in enumerate(lines[1:], start=2):
        if line or number < len(lines):
            cells = _cells(line, delimiter, f"{path}, line {number}", number)
            entries.append(_entry(_named(header, cells, path, number), path, number))
    return without_doubles(entries, path)


def times_are_realigned(path: Path) -> bool:
    """Whether the times are the re-aligned ones; the header decides and not the name, since people rename files."""
    return "START_REALIGNED" in re.split(r"[\t,;|]", read_text(path).split("\n", 1)[0].replace('"', ""))


def _header(line: str, delimiter: str, path: Path) -> list[str]:
    cells = _cells(line, delimiter, f"{path}, line 1", 1)
    odd = [c for c in cells if c not in _KNOWN] + [c for c in _KNOWN if cells.count(c) > 1]
    if odd or not set(_REQUIRED) <= set(cells):
        raise _wrong_header(line, path)
    return cells


def _wrong_header(line: str, path: Path) -> AnnotationError:
    columns = len(line.split("\t"))
    counts = {name: line.count(sign) for sign, name in _DELIMITERS.items()}
    likely = max(counts, key=lambda name: counts[name])
    looks = f". It contains {counts[likely]} {likely}s: the file looks {likely}-separated" if counts[likely] else ""
    return AnnotationError(
        f"header has {columns} column{'s' * (columns != 1)}; expected 7 tab-separated{looks}",
        where=f"{path}, line 1",
        expected=f"a header with {' and '.join(_REQUIRED)}, and else {', '.join(sorted(_KNOWN - set(_REQUIRED)))}",
        found=repr(line[:120]),
        todo="take the file as it was released: a spreadsheet that saves it changes delimiter and numbers",
    )


def _delimiter(lines: list[str], path: Path) -> str:
    """The tab, or what a spreadsheet made of it where every row has a cell for each column and a name in its place."""
    for sign, name in _DELIMITERS.items():
        if "\t" in lines[0] or sign not in lines[0]:
            continue
        try:
            header, *rows = [next(csv.reader([line], delimiter=sign, strict=True)) for line in lines if line]
        except (csv.Error, StopIteration):
            continue
        if not set(_REQUIRED) <= set(header) <= _KNOWN or len(set(header)) != len(header):
            continue
        place = header.index("SENTENCE_NAME")
        if all(len(row) == len(header) and NAME.fullmatch(row[place]) for row in rows):
            rank_zero_warn(f"{path}: {name}-separated, as spreadsheets save it; read as such. The release has tabs")
            return sign
    return "\t"


def _cells(line: str, delimiter: str, where: str, number: int) -> list[str]:
    """Each row is one line: a quotation mark that is opened and not closed would else swallow the rows behind it."""
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as cause:
        raise AnnotationError(
            f"line {number}: a field in quotes is damaged, or goes over lines",
            where=where,
            found=str(cause),
            expected="a quotation mark that begins a field ends it too; those inside are doubled",
            todo="take the file of the release",
        ) from cause
    if any("\t" in cell for cell in cells):
        raise AnnotationError(
            f"line {number}: a field in quotes goes over columns",
            where=where,
            expected="a quotation mark that begins a field ends it too; those inside are doubled",
            todo="take the file of the release",
        )
    return cells


def _named(header: list[str], cells: list[str], path: Path, number: int) -> dict[str, str]:
    if len(cells) != len(header):
        raise AnnotationError(
            f"line {number}: fields are missing or surplus",
            where=f"{path}, line {number}",
            expected=f"{len(header)} fields, tab-separated: {', '.join(header)}",
            found=f"{len(cells)} fields",
        )
    return dict(zip(header, cells, strict=True))


def _entry(row: dict[str, str], path: Path, number: int) -> Entry:
    where = f"{path}, line {number}"
    name = NAME.fullmatch(row["SENTENCE_NAME"])
    if name is None:
        raise AnnotationError(
            f"line {number}: {row['SENTENCE_NAME'][:120]!r} is no SENTENCE_NAME",
            where=where,
            expected="<11 characters>_<numbers>-<signer>-rgb_front",
        )
    video = row.get("VIDEO_NAME")
    known = _VIDEO.fullmatch(video or "")
    if video and (known is None or known[1] != name[1]):
        raise AnnotationError(
            f"line {number}: {video[:120]!r} is not the VIDEO_NAME of this sentence",
            where=where,
            expected=f"{name[1]}-<signer>-rgb_front",
        )
    start, end = (_seconds(row, column, where) for column in ("START", "END"))
    if start is not None and end is not None and not 0 <= start < end:
        raise AnnotationError(
            f"line {number}: the times are no segment",
            where=where,
            expected="0 <= start < end, in seconds",
            found=f"{start:g} to {end:g}",
        )
    return Entry(name[0], row["SENTENCE"], signer=name[3], start=start, end=end, video=video, line=number)


def _seconds(row: dict[str, str], name: str, where: str) -> float | None:
    """A time, re-aligned where the file has that; None where the column is not there or is empty."""
    column = f"{name}_REALIGNED" if f"{name}_REALIGNED" in row else name
    text = row.get(column) or ""
    if not text.strip():
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise AnnotationError(
            f"{name.lower()} is no time in seconds", where=f"{where}, column {column}", found=repr(text[:120])
        )
    return seconds
