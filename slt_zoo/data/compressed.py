"""Gzip files, read no further than a bound: a small file can unpack to any size."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO, Any

from slt_zoo.errors import AnnotationError

__all__ = ["ExpandsTooFarError", "gzip_bound", "is_gzip", "open_bounded", "read_bounded"]

FLOOR = 256 * 2**20
RATIO = 100
_PART = 1 << 20


class ExpandsTooFarError(OSError):
    """A gzip file that unpacks to more than `gzip_bound`."""


def gzip_bound(size: int) -> int:
    """Bytes to which a gzip file of ``size`` bytes may unpack: 100 times as many, and 256 MiB at least.

    Text shrinks to a tenth or so and numbers by less; what shrinks to a thousandth was made to fill a disk or memory.
    """
    return max(FLOOR, RATIO * size)


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip files do, whatever its name."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


class _Bounded(io.RawIOBase):
    """What a gzip file unpacks to, and an error where it goes on beyond the bound."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.open(path)  # noqa: SIM115  # closed by close()
        self._left = self._bound = gzip_bound(path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(min(len(buffer), _PART))  # gzip would hold what it unpacks several times
        self._left -= len(data)
        if self._left < 0:
            raise ExpandsTooFarError(None, f"it unpacks to more than {self._bound:,} bytes: refused")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def open_bounded(path: Path) -> IO[bytes]:
    """A file, unpacked while it is read if it is gzip.

    Reading raises `ExpandsTooFarError` beyond `gzip_bound`, and EOFError, zlib.error or gzip.BadGzipFile where the
    file is damaged.
    """
    return io.BufferedReader(_Bounded(path), 1 << 20) if is_gzip(path) else path.open("rb")


def read_bounded(path: Path) -> bytes:
    """All of an annotation file, unpacked if it is gzip.

    Raises:
        AnnotationError: it cannot be read, is damaged, or unpacks to more than `gzip_bound`.
    """
    try:
        with open_bounded(path) as file:
            return file.read()
    except (OSError, EOFError, zlib.error) as cause:
        found = str(cause.strerror if isinstance(cause, OSError) and cause.strerror else cause)
        raise AnnotationError("cannot read the file", where=path, found=found) from cause
