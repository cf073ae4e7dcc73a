"""Reading annotation tables so that every damage is told with file and line, and none makes a wrong sample."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slt_zoo.errors import AnnotationError

__all__ = ["Row", "read_rows", "read_text", "unique_keys"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        line: its number in the file, from 1.
        cells: by column name, untouched.
    """

    line: int
    cells: dict[str, str]


def read_text(path: Path) -> str:
    """A UTF-8 file as text; a byte-order mark is dropped, line ends become LF.

    Raises:
        AnnotationError: it cannot be opened, or is compressed, no text, not UTF-8 (with the byte's place).
    """
    try:
        data = path.read_bytes()
    except OSError as cause:
        raise AnnotationError("cannot read the file", where=path, found=cause.strerror) from cause
    if data[:2] == b"\x1f\x8b":
        raise AnnotationError("the file is compressed (gzip)", where=path, todo="unpack it, with `gzip -d`")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        byte, place = data[cause.start], cause.start
        line = data[:place].count(b"\n") + 1
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise AnnotationError(
                "not UTF-8: this is UTF-16, as a spreadsheet's 'Unicode text' has it",
                where=path,
                todo="convert the file to UTF-8, or take the file of the release",
            ) from cause
        if sum(b < 9 for b in data[:1000]) > 1:
            raise AnnotationError(
                "the file is no text", where=path, found=f"bytes {data[:8]!r}", todo="take the file of the release"
            ) from cause
        if b"\0" in data[:place]:
            raise _nul(data, path) from cause
        raise AnnotationError(
            f"not UTF-8 (byte 0x{byte:02x} at {place}, line {line}): looks like Latin-1",
            where=path,
            todo="convert the file to UTF-8, or take the file of the release",
        ) from cause
    if "\0" in text:
        raise _nul(data, path)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _nul(data: bytes, path: Path) -> AnnotationError:
    line = data[: data.index(b"\0")].count(b"\n") + 1
    return AnnotationError("NUL bytes in a text file", where=f"{path}, line {line}")


def read_rows(path: Path, columns: Sequence[str], delimiter: str) -> Iterator[Row]:
    """The rows of a table without quoting; a missing header line is accepted when the number of columns fits.

    Args:
        path: the file.
        columns: their names, in order.
        delimiter: one character.

    Raises:
        AnnotationError: another delimiter, another header, or a line with another number of fields.
    """
    lines = read_text(path).split("\n")
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise AnnotationError("the annotation file is empty", where=path)
    start = _after_header(lines[0], path, columns, delimiter)
    for number, line in enumerate(lines[start:], start + 1):
        cells = line.split(delimiter)
        if [c.strip() for c in cells] == list(columns):
            raise AnnotationError(
                f"line {number}: the header again",
                where=f"{path}, line {number}",
                expected="a sample; a header stands in the first line alone",
                todo="were two files joined? Remove this line, or take the file of the release",
            )
        if len(cells) != len(columns):
            raise AnnotationError(
                f"line {number}: {len(cells)} fields, expected {len(columns)}",
                where=f"{path}, line {number}",
                found=repr(line[:120]),
                expected=delimiter.join(columns),
            )
        yield Row(number, dict(zip(columns, cells, strict=True)))


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """``object_pairs_hook`` of `json.loads` that refuses a key that stands twice: the last would win unnoticed.

    Raises:
        ValueError: one does.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} stands twice")
    return found


def _after_header(first: str, path: Path, columns: Sequence[str], delimiter: str) -> int:
    cells = first.split(delimiter)
    if [c.strip() for c in cells] == list(columns):
        return 1
    named = {c.strip().lower() for c in cells} & {c.lower() for c in columns}
    if len(cells) == len(columns) and not named:
        log.info("%s has no header line; its first line is read as a sample", path)
        return 0
    if len(cells) == len(columns):
        raise AnnotationError(
            "the header names other columns",
            where=f"{path}, line 1",
            expected=delimiter.join(columns),
            found=first[:120],
        )
    other = {
        name: first.count(sign) for name, sign in {"tab": "\t", "comma": ",", "semicolon": ";", "bar": "|"}.items()
    }
    likely = max(other, key=lambda name: other[name])
    hint = f"it has {other[likely]} of {likely}: the file looks {likely}-separated" if other[likely] else None
    raise AnnotationError(
        f"header has {len(cells)} column{'s' * (len(cells) != 1)}; expected {len(columns)} separated by {delimiter!r}",
        where=f"{path}, line 1",
        expected=delimiter.join(columns),
        found=f"{first[:120]!r}" + (f"; {hint}" if hint else ""),
        todo="take the annotation file as it was released",
    )
