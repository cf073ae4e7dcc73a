"""Tables that say where the file of each sample lies: found, told apart by their header, and read line by line."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from slt_zoo.data.annotations import Row, read_rows, read_text
from slt_zoo.data.ids import bare_id, check_id
from slt_zoo.data.listing import FolderIndex, what_is_there
from slt_zoo.data.places import PREFIX, SPLIT_MARK, Place, exists_for_a_split, prefix_place, words_of
from slt_zoo.errors import AnnotationError, ConfigError, first_few, nearest

if TYPE_CHECKING:
    from slt_zoo.types import Split

__all__ = ["MediaTable", "Part", "find_table", "why_no_place"]

_ENDINGS = (".tsv", ".csv")
_DELIMITERS = ("\t", ",", ";")
_NEEDED = {
    "signs_file": ("id", "signs_file", "signs_offset", "signs_length"),
    "signal": ("signal",),
    "video_name": ("video_name",),
    "path": ("id", "path"),
}
"""Columns without which a table cannot be read, by the one that tells whose it is."""

_PLAIN = ("id", "path", "start", "end")
_VIDEO = re.compile(r"\.(mp4|mov|avi|mkv|webm|m4v|mpg|mpeg|wmv|ts|flv)$", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]{1,2})?", re.ASCII)


@dataclass(frozen=True)
class Part:
    """The file of a sample, or a part of it.

    Attributes:
        line: of the table.
        path: of the file or folder.
        start: begin in seconds; None: of the file.
        end: end in seconds (exclusive); None: of the file.
        row_start: begin in rows of the file, where the table counts rows.
        row_end: its end (exclusive).
    """

    line: int
    path: str
    start: float | None = None
    end: float | None = None
    row_start: int | None = None
    row_end: int | None = None


@dataclass(frozen=True)
class MediaTable:
    """A table of a split, or of all.

    Attributes:
        path: of the table.
        parts: by the sample's id, without a split in front.
        note: why the files that it names were not found.
    """

    path: Path
    parts: Mapping[str, Part]
    note: str | None = None

    def find(self, names: Sequence[str]) -> Part | None:
        """The first of these names that the table has."""
        return next((self.parts[name] for name in names if name in self.parts), None)

    def overlaps(self) -> list[str]:
        """Pairs of neighbouring parts of one file that share something of it, each as text with both lines."""
        by_file: dict[str, list[tuple[float, float, str, int]]] = {}
        for name, part in self.parts.items():
            rows = part.row_start is not None or part.row_end is not None
            start, end = (part.row_start, part.row_end) if rows else (part.start, part.end)
            span = (start or 0, math.inf if end is None else end, name, part.line)
            by_file.setdefault(os.path.normpath(part.path), []).append(span)
        found = []
        for spans in by_file.values():
            last = None
            for span in sorted(spans):
                if last is not None and span[0] < last[1]:
                    found.append(f"{last[2]!r} (line {last[3]}) and {span[2]!r} (line {span[3]})")
                last = span if last is None or span[1] > last[1] else last
        return found

    def lacks(self, ids: Sequence[str]) -> str:
        """A sentence about samples that the table has not, with what it has under similar names."""
        near = nearest(ids[0], self.parts)  # of one alone: it takes a second for a table of 30,000 lines
        what = "similar there" if near else "it has others"
        shown = [f"{name!r} (line {self.parts[name].line})" for name in near or self.parts]
        return f"{self.path} has no line for {first_few(ids, 3)}; {what}: {first_few(shown, 3)}"


def find_table(place: Path, split: Split, kind: str, suffixes: Sequence[str]) -> MediaTable | None:
    """The table of a split: ``place`` itself, or with the split's name for ``{split}`` in it.

    ==============  ===================================================================  ===============================
    made by         columns that are read                                                the sample's id
    ==============  ===================================================================  ===============================
    a person        ``id``, ``path``, and ``start``, ``end`` in seconds or empty         ``id``
    multimodalhugs  ``signal``, and ``signal_start``, ``signal_end`` in milliseconds; 0  name of ``signal`` without its
                    or empty: those of the file                                          ending
    wicv2023        ``id``, ``signs_file``, and ``signs_offset``, ``signs_length`` in    ``id``
                    rows of the file
    ssvp_slt        ``video_name``, also without a header                                ``video_name`` without ending
    ==============  ===================================================================  ===============================

    Other columns, texts among them, are not read: texts come from the corpus's annotation. Fields stand between tabs
    (or commas, or semicolons) as they are: a quotation mark is a sign like others. A path is absolute or begins at the
    table's folder, and no part of it is ``..``.

    Args:
        place: what a person named.
        split: dev may be called ``val``, ``valid`` or ``validation``.
        kind: of media.
        suffixes: what files of the kind end in, those preferred first; empty: a folder.

    Returns:
        None: it is no table, or not there.

    Raises:
        AnnotationError: none of these tables, or damaged; names file and line.
        ConfigError: there are several of the split.
    """
    if place.suffix.lower() not in _ENDINGS:
        return None
    words = words_of(split) if SPLIT_MARK in str(place) else ("",)
    paths = [Path(str(place).replace(SPLIT_MARK, word)) for word in words]
    found = [path for path in paths if path.is_file()]
    if len(found) > 1 and not all(path.samefile(found[0]) for path in found):
        raise ConfigError(
            f"{len(found)} tables for {split}: which one?",
            where=str(place),
            found=first_few([path.name for path in found]),
            todo="keep one of them",
        )
    if not found:
        return None
    parts, note = _parts(found[0], split, kind, suffixes)
    return MediaTable(found[0], parts, note)


def why_no_place(place: Path, kind: str, split: Split) -> str | None:
    """A sentence about a place that is not there, where its name tells what was meant; None: there is none to say."""
    if place.suffix.lower() in _ENDINGS:
        paths = [Path(str(place).replace(SPLIT_MARK, word)) for word in words_of(split)]
        there = any(path.exists() for path in paths)
        return None if there else f"there is no file {paths[0]}; {what_is_there(paths[0])}"
    if kind == "features" and "," in str(place) and not exists_for_a_split(place):
        return f"there is no {str(place)!r}: several places are joined as a list, data.features='[{_spaced(place)}]'"
    return None


def _spaced(place: Path) -> str:
    return ", ".join(part.strip() for part in str(place).split(","))


def _parts(path: Path, split: Split, kind: str, suffixes: Sequence[str]) -> tuple[Mapping[str, Part], str | None]:
    columns, delimiter, form = _form(path)
    readers: dict[str, Callable[[Row, Path], tuple[str, Part]]] = {
        "path": _of_a_person,
        "signal": partial(_of_multimodalhugs, suffixes),
        "signs_file": _of_wicv,
        "video_name": _of_ssvp,
    }
    parts: dict[str, Part] = {}
    for row in read_rows(path, columns, delimiter):
        name, part = readers[form](row, path)
        sample_id = check_id(bare_id(name)[0], _where(path, row.line))
        other = parts.setdefault(sample_id, part)
        if other is not part:
            several = "a table with id, path, start and end can name several sentences of one file"
            raise AnnotationError(
                f"line {row.line}: id {sample_id!r} is also on line {other.line}",
                where=_where(path, row.line),
                expected="a line a sample",
                todo=several if form == "signal" else "remove one of the two lines",
            )
    if not parts:
        raise AnnotationError("the table of media has a header and no lines", where=_where(path, 1))
    if form == "path":
        _refuse_doubles(parts, path)
    return _in_prefix_folders(parts, path.parent, split, kind, suffixes) if form == "video_name" else (parts, None)


def _refuse_doubles(parts: Mapping[str, Part], table: Path) -> None:
    """Two samples of a person's table cannot be the same frames."""
    seen: dict[tuple[object, ...], tuple[str, int]] = {}
    for name, part in parts.items():
        other, line = seen.setdefault((os.path.normpath(part.path), part.start, part.end), (name, part.line))
        if other != name:
            raise AnnotationError(
                f"line {part.line}: {name!r} is the same part of the same file as {other!r} on line {line}",
                where=_where(table, part.line),
                expected="a file, or a part of one, a sample",
                found=repr(part.path),
                todo="correct the path, or tell the sentences of a file apart with the columns start and end",
            )


def _form(path: Path) -> tuple[list[str], str, str]:
    """The columns, what stands between them, and the one that tells whose table it is."""
    first = read_text(path).split("\n", 1)[0]
    if not first.strip():
        raise AnnotationError("the table of media is empty, or its first line is", where=_where(path, 1))
    cells = first.split("\t")
    durations = cells[1:2]  # ssvp_slt writes no header; captions, or all but the name, may be left out
    if len(cells) <= 3 and _VIDEO.search(cells[0]) and all(_NUMBER.fullmatch(d.removeprefix("-")) for d in durations):
        return ["video_name", "duration", "caption"][: len(cells)], "\t", "video_name"
    for delimiter in _DELIMITERS:
        cells = [cell.strip() for cell in first.split(delimiter)]
        form = next((mark for mark in _NEEDED if mark in cells), None)
        if form is not None:
            _check_header(cells, form, path)
            return cells, delimiter, form
    raise AnnotationError(
        "not a table of media: its header is none of those that are known",
        where=_where(path, 1),
        expected="; or ".join(", ".join(columns) for columns in _NEEDED.values()),
        found=repr(first[:120]),
        todo="write a table with the columns id and path, or pass the folder of files that are called by their ids",
    )


def _check_header(cells: list[str], form: str, path: Path) -> None:
    lacking = [f"no column {column!r}" for column in _NEEDED[form] if column not in cells]
    twice = [f"the column {cell!r} twice" for cell in cells if cells.count(cell) > 1]
    unknown = [f"an unknown column {cell!r}" for cell in cells if form == "path" and cell not in _PLAIN]
    wrong = next(iter([*lacking, *twice, *unknown]), None)
    if wrong is not None:
        raise AnnotationError(
            f"the table of media has {wrong}",
            where=_where(path, 1),
            expected=", ".join(_PLAIN if form == "path" else _NEEDED[form]),
            found=", ".join(cells)[:200],
        )


# Whose table it is: from a line to the sample's id and its file.


def _of_a_person(row: Row, table: Path) -> tuple[str, Part]:
    path, (start, end) = _file(row, "path", table), _times(row, ("start", "end"), table)
    return row.cells["id"], Part(row.line, path, start, end)


def _of_multimodalhugs(suffixes: Sequence[str], row: Row, table: Path) -> tuple[str, Part]:
    path = _file(row, "signal", table)
    start, end = _times(row, ("signal_start", "signal_end"), table, scale=1000, zero_is_none=True)
    name = Path(path).name
    ending = next((s for s in suffixes if s and name.lower().endswith(s)), "")
    return name[: len(name) - len(ending)], Part(row.line, path, start, end)


def _of_wicv(row: Row, table: Path) -> tuple[str, Part]:
    path = _file(row, "signs_file", table)
    first, count = (_rows(row, column, table) for column in ("signs_offset", "signs_length"))
    if count == 0:
        raise _wrong(row, "signs_length", table, "at least one row")
    return row.cells["id"], Part(row.line, path, row_start=first, row_end=first + count)


def _of_ssvp(row: Row, table: Path) -> tuple[str, Part]:
    for column in ("duration", "length"):  # of the whole file; -1 where the program could not tell it
        text = row.cells.get(column, "0")
        if text != "-1" and _number(text) is None:
            raise _wrong(row, column, table, "a number")
    name = _VIDEO.sub("", row.cells["video_name"])
    if "/" in check_id(name, _where(table, row.line)):
        raise _wrong(row, "video_name", table, "a name alone: the folder is called by its first 5 characters")
    return name, Part(row.line, "")  # where it lies is asked once for all


def _in_prefix_folders(
    parts: Mapping[str, Part], folder: Path, split: Split, kind: str, suffixes: Sequence[str]
) -> tuple[dict[str, Part], str | None]:
    """The samples of ssvp_slt's table in folders of 5 characters: beside it or above, there also in ``features/0``.

    With them why a folder of an epoch was not entered, where nothing was found.
    """
    own = {"frames": "videos", "pose": "poses"}.get(kind, kind)
    above = [folder, folder.parent]
    places, skipped = [place for base in above for place in (base, base / own)], list[str]()
    for base in above:
        names = FolderIndex(base / own).names()
        epochs = [name for name in names if name.isdigit() and len(name) < PREFIX]
        if names and len(epochs) != 1:
            skipped.append(f"{base / own} has {first_few(names, 3)}")
        places.extend(base / own / epoch for epoch in epochs if len(epochs) == 1)  # of several none is guessed
    prefixes = dict.fromkeys(name[:PREFIX] for name in parts)
    should = next((base / own for base in above if (base / own).is_dir()), folder / own)
    home = Place(should, next(suffix for suffix in suffixes if suffix), prefixed=True)
    for place in (level for one in places for level in (one, *(one / word for word in words_of(split)))):
        listed = FolderIndex(place)
        prefix = next((prefix for prefix in prefixes if listed.has(prefix)), None)
        found = None if prefix is None else prefix_place(place, prefix, suffixes)
        if found is not None:
            home, skipped = found, []
            break
    note = "; ".join(skipped) + ": of these the only folder with a number as its name, an epoch's, is entered"
    found_parts = {name: replace(part, path=home.path(name)) for name, part in parts.items()}
    return found_parts, note + f"; name the folder itself: data.{kind}=<folder>" if skipped else None


# Cells.


def _where(table: Path, line: int) -> str:
    return f"{table}, line {line}"


def _wrong(row: Row, column: str, table: Path, expected: str) -> AnnotationError:
    return AnnotationError(
        f"line {row.line}: {column} is not as it should be",
        where=_where(table, row.line),
        expected=expected,
        found=repr(row.cells[column][:120]),
    )


def _number(text: str) -> float | None:
    """A number of a cell that is not negative; None: it is none."""
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def _rows(row: Row, column: str, table: Path) -> int:
    text = row.cells[column]
    if not re.fullmatch(r"[0-9]{1,12}", text, re.ASCII):
        raise _wrong(row, column, table, "a whole number of rows, at least 0")
    return int(text)


def _times(
    row: Row, columns: tuple[str, str], table: Path, scale: float = 1, zero_is_none: bool = False
) -> tuple[float | None, float | None]:
    """Begin and end in seconds; None where the column is not there or is empty."""
    found: list[float | None] = []
    for column in columns:
        text = row.cells.get(column, "").strip(" ")
        value = _number(text)
        if text and value is None:
            raise _wrong(row, column, table, "a time that is not negative, or nothing")
        found.append(None if value is None or (zero_is_none and value == 0) else value / scale)
    start, end = found
    if end is not None and end <= (start or 0):
        raise _wrong(row, columns[1], table, f"an end behind the begin, {(start or 0) * scale:g}")
    return start, end


def _file(row: Row, column: str, table: Path) -> str:
    """The path that a cell names, seen from the table's folder."""
    text = row.cells[column]
    if not text or text != text.strip():
        raise _wrong(row, column, table, "a path without spaces around it")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text) or '"' in text:
        raise _wrong(row, column, table, "a path without quotation marks and characters that are not seen")
    if ".." in re.split(r"[/\\]", text):
        raise _wrong(row, column, table, "a path without '..': absolute, or below the folder of the table")
    return str(table.parent / text)
