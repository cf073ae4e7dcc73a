"""`Entry`, and what the readers of all formats share."""

from __future__ import annotations

import re
import reprlib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.annotations import read_text
from slt_zoo.errors import AnnotationError

__all__ = ["Entry", "check_encodable", "numbered_lines", "shown", "whole_number", "without_doubles"]

_WHOLE = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True)
class Entry:
    """One annotated sentence.

    Attributes:
        id: without a split in front.
        text: untouched; Chinese without the spaces of its segmentation, which the release puts between characters.
        gloss: None where the format has none.
        question: None where the format has none.
        signer: opaque label; None where the format has none.
        num_frames: as declared, not trusted.
        start, end: of the sentence in its video, in seconds.
        video: name of the video that it is a part of.
        line: in the file, from 1; 0 where the file has no lines.
    """

    id: str
    text: str
    gloss: tuple[str, ...] | None = None
    question: str | None = None
    signer: str | None = None
    num_frames: int | None = None
    start: float | None = None
    end: float | None = None
    video: str | None = None
    line: int = 0


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, with their numbers from 1. Only LF (and CRLF) ends a line: U+2028 may be in a text."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line:
            yield number, line


def shown(value: object) -> str:
    """A value for a message, in 120 characters whatever it holds: nested lists of a pickle can be endless."""
    return reprlib.repr(value)[:120]


def whole_number(text: str, where: str) -> int:
    """A number of frames; -1 is how CSL-Daily says that it is not known.

    Raises:
        AnnotationError: it is none.
    """
    digits = text.strip()
    if not _WHOLE.fullmatch(digits):
        raise AnnotationError("not a whole number of frames", where=where, found=repr(text[:120]))
    return int(digits)


def check_encodable(text: str, where: str) -> str:
    """The text, if it is text: JSON and pickles can hold halves of characters that no file can.

    Raises:
        AnnotationError: it holds such a half.
    """
    half = next((c for c in text if unicodedata.category(c) == "Cs"), None)
    if half is not None:
        raise AnnotationError(
            f"half a character, U+{ord(half):04X}", where=where, todo="take the file of the release again"
        )
    return text


def without_doubles(entries: Iterable[Entry], path: Path) -> list[Entry]:
    """Entries whose ids occur once; a row that stands twice is kept once, and told.

    Ids are compared in Unicode's NFC form, since they become names of files, which some disks keep in that form.

    Raises:
        AnnotationError: two rows of one id differ; names both lines.
    """
    first: dict[str, Entry] = {}
    doubled: list[tuple[int, int]] = []
    for entry in entries:
        other = first.setdefault(unicodedata.normalize("NFC", entry.id), entry)
        if other is entry:
            continue
        if replace(other, line=0) != replace(entry, line=0):
            spelled = f"; in ASCII {other.id!a} and {entry.id!a}" if other.id != entry.id else ""
            raise AnnotationError(
                f"id {entry.id!r} occurs on lines {other.line} and {entry.line}, with different content{spelled}",
                where=path,
                todo="remove one of the two rows",
            )
        doubled.append((other.line, entry.line))
    if doubled:
        (a, b), more = doubled[0], len(doubled) - 1
        rank_zero_warn(
            f"{path}: lines {a} and {b} are the same{f', and {more} more pairs' if more else ''}; one is kept"
        )
    return list(first.values())
