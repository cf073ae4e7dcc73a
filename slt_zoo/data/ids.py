"""Which ids may name files, and which split stands in front of one: one rule for all files that name samples."""

from __future__ import annotations

import re
import unicodedata

from slt_zoo.errors import AnnotationError
from slt_zoo.types import SPLIT_NAMES, Split

__all__ = ["bare_id", "check_id", "why_unsound"]

_LONGEST = 255
"""Bytes of a name on the file systems in use."""


def bare_id(name: str) -> tuple[str, Split | None]:
    """A name without the split that derived files put in front (``val/<id>``), and that split; None: there is none."""
    word, slash, rest = name.partition("/")
    split = SPLIT_NAMES.get(word)
    return (rest, split) if slash and split else (name, None)


def why_unsound(sample_id: str) -> str | None:
    """Why an id may not become the name of a file; None: it may.

    An id names files below the corpus's folders and must never lead out of them: it is a relative path of plain names,
    mostly a single one. ``..``, absolute paths, backslashes, drives, NUL and other characters that are not seen are
    refused, and so are those that are no part of file names on some systems.
    """
    if not sample_id:
        return "it is empty"
    if sample_id != sample_id.strip():
        return "it begins or ends with a space"
    hidden = next((c for c in sample_id if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")), None)
    if hidden is not None:
        return f"it holds the character U+{ord(hidden):04X}"
    foreign = re.search(r'[\\:*?"<>|]', sample_id)
    if foreign is not None:
        return f"it holds {foreign[0]!r}, which is no part of file names everywhere"
    parts = sample_id.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "it leads out of the folder of its corpus" if ".." in parts or not parts[0] else "it is no plain path"
    if any(len(part.encode()) > _LONGEST for part in parts):
        return f"it is longer than the {_LONGEST} bytes of a file name"
    return None


def check_id(sample_id: str, where: object) -> str:
    """The id, if it may name files.

    Args:
        sample_id: as annotated.
        where: file and line, for the message.

    Raises:
        AnnotationError: it may not; see `why_unsound`.
    """
    why = why_unsound(sample_id)
    if why is not None:
        raise AnnotationError(
            f"{sample_id[:120]!r} cannot be an id: {why}",
            where=where,
            expected="a name, or a relative path, without '..'",
            todo="take the file of the release",
        )
    return sample_id
