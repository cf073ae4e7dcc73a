"""Reading annotation tables so that every damage is told with file and line, and none makes a wrong sample."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from slt_zoo.errors import AnnotationError

__all__ = ["Row", "read_rows", "read_text"]

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
        if any(b < 9 for b in data[:1000]):
            raise AnnotationError(
                "the file is no text", where=path, found=f"bytes {data[:8]!r}", todo="take the file of the release"
            ) from cause
        raise AnnotationError(
            f"not UTF-8 (byte 0x{byte:02x} at {place}, line {line}): looks like Latin-1",
            where=path,
            todo="convert the file to UTF-8, or take the file of the release",
        ) from cause
    if "\0" in text:
        raise AnnotationError(
            "NUL bytes in a text file", where=f"{path}, line {text[: text.index(chr(0))].count(chr(10)) + 1}"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
    if lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise AnnotationError("the annotation file is empty", where=path)
    start = _after_header(lines[0], path, columns, delimiter)
    for number, line in enumerate(lines[start:], start + 1):
        cells = line.split(delimiter)
        if len(cells) != len(columns):
            raise AnnotationError(
                f"line {number}: {len(cells)} fields, expected {len(columns)}",
                where=f"{path}, line {number}",
                found=repr(line[:120]),
                expected=delimiter.join(columns),
            )
        yield Row(number, dict(zip(columns, cells, strict=True)))


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
            "the header names other columns", where=path, expected=delimiter.join(columns), found=first[:120]
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
