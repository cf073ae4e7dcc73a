"""`LengthCache`: lengths of media files, kept on this machine, so that a corpus is opened once and not each run."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR
from typing import Any

from slt_zoo.data.readers.lmdb_file import DATA_FILE
from slt_zoo.files import cache_folder, write_atomically
from slt_zoo.types import Media

__all__ = ["LengthCache"]

log = logging.getLogger(__name__)

Length = float | None
_Entry = tuple[int, int, Length]
"""Size and time of change of a file, and what was measured of it."""


class LengthCache:
    """What was measured of the media of a split, as long as each file stays as it is (size and time of change).

    A file of JSON in ``$SLT_ZOO_CACHE/lengths``, by default ``~/.cache/slt_zoo/lengths``; it may be deleted at any
    time. One that is damaged is made again, and where none can be written everything is measured each time.

    Args:
        annotation_hash: of the whole split.
        kind: of media.
        root: of the corpus.
    """

    def __init__(self, annotation_hash: str, kind: str, root: Path) -> None:
        self._root = str(root.resolve())
        name = hashlib.sha256("\n".join((annotation_hash, kind, self._root)).encode()).hexdigest()[:32]
        self.path = cache_folder("lengths") / f"{name}.json"
        self._entries: dict[str, _Entry] | None = None  # not read yet
        self._new: dict[str, _Entry] = {}

    def ask(self, media: Media, unit: str, measure: Callable[[], Length]) -> Length:
        """What is known of a file in this unit (``"frames"``, ``"seconds"``), else ``measure()``.

        Raises:
            Exception: what ``measure`` raises; then nothing is kept.
        """
        try:
            stat = _stat(media.path)  # a path that names no file here may still be found by its reader
        except (OSError, ValueError):
            return measure()
        part: tuple[Any, ...] = () if unit == "seconds" else (media.start, media.end, media.item)
        if media.row_start is not None or media.row_end is not None:
            part = (*part, media.row_start, media.row_end)
        if self._entries is None:
            self._entries = _load(self.path)
        path = os.path.relpath(media.path, self._root) if media.path.startswith(self._root) else media.path
        key = json.dumps([unit, path, *part, media.fps, media.stride])
        known = self._new.get(key) or self._entries.get(key)
        if known is not None and known[:2] == (stat.st_size, stat.st_mtime_ns):
            return known[2]
        value = measure()
        self._new[key] = (stat.st_size, stat.st_mtime_ns, value)
        return value

    def save(self) -> None:
        """Write what is new, beside what other processes have written since; at once or not at all."""
        if not self._new:
            return
        entries = {**_load(self.path), **self._new}
        self._entries, self._new = entries, {}
        try:
            write_atomically(self.path, json.dumps({"lengths": entries}))
        except OSError as fault:
            log.info("lengths of media are not kept for the next run: %s", fault)


def _stat(path: str) -> os.stat_result:
    """Of a file, or of a folder, whose time changes with the names in it; an LMDB file is changed under its name."""
    found = os.stat(path)  # noqa: PTH116  # no Path a sample
    if S_ISDIR(found.st_mode):
        with suppress(FileNotFoundError):
            return os.stat(f"{path}/{DATA_FILE}")  # noqa: PTH116  # no Path a sample
    return found


def _load(path: Path) -> dict[str, _Entry]:
    """The entries of a file; none, where it is not there or not whole."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {key: _entry(*value) for key, value in found["lengths"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as fault:
        log.info("%s is no cache of lengths (%s); it is made again", path, fault)
        return {}


def _entry(size: Any, changed: Any, value: Any) -> _Entry:
    numbers = (size, changed) if value is None else (size, changed, value)
    if not all(type(n) in (int, float) and 0 <= n < float("inf") for n in numbers):
        raise ValueError("an entry that is no length")
    return size, changed, value
