"""Stores: features, poses or resized frames of a corpus in a few files, read sample by sample in any order.

A store is a folder of ``manifest.json`` and ``<split>-00001-of-00004.safetensors``; `slt_zoo.data.store_writer` and
``slt-zoo extract`` make it. The samples of a shard lie end to end in one tensor, so a sample is a range of rows; where
it begins follows from the manifest.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.store_manifest import MANIFEST, TENSORS, Shard, StoreManifest
from slt_zoo.data.tensor_files import Header, TensorPlace, read_header, read_rows
from slt_zoo.errors import StoreError, first_few, nearest
from slt_zoo.types import Media, Split

__all__ = ["Store", "StoredRows", "is_store", "open_store"]

_AGAIN = "copy the store again, or delete it and extract again with `slt-zoo extract`"


def is_store(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is meant to be a store: it has a ``manifest.json``, or shards by name."""
    if os.path.isfile(f"{os.fspath(folder)}/{MANIFEST}"):  # noqa: PTH113  # asked at every read
        return True
    return any(Path(folder).glob("*-?????-of-?????.safetensors"))


def open_store(folder: str | os.PathLike[str]) -> Store:
    """The store of a folder, opened and checked once a process, and again when its manifest changes.

    Raises:
        StoreError: it is unfinished or damaged, or no store.
    """
    key = os.fspath(folder)
    try:
        stat = os.stat(f"{key}/{MANIFEST}")  # noqa: PTH116  # asked at every read
    except OSError:
        return Store(Path(key))  # says what is missing
    mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    known = _opened.get(key)
    if known is None or known[0] != mark:
        known = _opened[key] = (mark, Store(Path(key)))
    return known[1]


_opened: dict[str, tuple[tuple[int, int, int], Store]] = {}


class _Place(NamedTuple):
    """Where a sample lies: number of its shard and of the sample in it, first row and byte."""

    shard: int
    number: int
    row: int
    byte: int


class Store:
    """An opened store; see `open_store`.

    Every shard is looked at once, when the store is opened: whether it is there, whole, and what the manifest says.
    Rows are read by position (`read_rows`): files that are open may be shared with worker processes.

    Args:
        folder: of the store.

    Attributes:
        manifest: what it says of itself.

    Raises:
        StoreError: it is unfinished or damaged, or no store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = StoreManifest.read(folder)
        if not self.manifest.complete:
            raise StoreError(
                "the store is not finished: its extraction is under way, or was stopped",
                where=folder,
                todo="run the same `slt-zoo extract` again; it goes on where it was stopped",
            )
        self._headers: list[Header] = []
        self._places: dict[str, _Place] = {}
        for number, shard in enumerate(self.manifest.shards):
            self._headers.append(self._check(shard))
            rows, bytes_ = _starts(shard.rows), _starts(shard.jpeg) or [0] * len(shard.rows)
            for i, (sample_id, row, byte) in enumerate(zip(shard.ids, rows, bytes_, strict=True)):
                if sample_id in self._places:
                    raise self._fault("a sample is in the store twice", found=sample_id)
                self._places[sample_id] = _Place(number, i, row, byte)
        self._handles: dict[int, int] = {}
        weakref.finalize(self, _close, self._handles)

    def __reduce__(self) -> tuple[Any, ...]:
        return open_store, (str(self.folder),)  # another process opens its own files

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        """The ids, in order."""
        return iter(self._places)

    def __contains__(self, sample_id: object) -> bool:
        return sample_id in self._places

    def ids(self, split: Split) -> list[str]:
        """Ids of a split, in the order of its annotation."""
        return [i for shard in self.manifest.shards_of(split) for i in shard.ids]

    @property
    def advice(self) -> str:
        """What a person can do when samples are not in it."""
        return f"run the `slt-zoo extract` that made {self.folder} again; it adds what is missing"

    def media(self, sample_id: str) -> Media | None:
        """Where a sample lies, with all that the manifest knows of it; None: the store has it not.

        No shard is opened for that.
        """
        place = self._places.get(sample_id)
        if place is None:
            return None
        made, shard = self.manifest.made_by, self.manifest.shards[place.shard]
        return Media(
            str(self.folder),
            fps=shard.fps[place.number],
            num_frames=shard.frames[place.number],
            stride=made.stride,
            window=made.window,
            extractor=made.id,
            item=sample_id,
        )

    def rows(self, sample_id: str, tensor: str) -> StoredRows:
        """The rows of a sample in one of the shard's tensors; nothing is read yet.

        Raises:
            StoreError: the store has no such sample.
        """
        place = self._find(sample_id)
        shard = self.manifest.shards[place.shard]
        where = self._headers[place.shard].tensors[tensor]
        begin, count = place.row, shard.rows[place.number]
        if tensor == "jpeg":
            begin, count = place.byte, shard.jpeg[place.number]
        return StoredRows(self, place.shard, where, begin, begin + count)

    def read(self, sample_id: str) -> dict[str, Tensor]:
        """All tensors of a sample as they are stored, by name."""
        names = TENSORS[self.manifest.made_by.kind]
        return {name: self.rows(sample_id, name).tensor() for name in names}

    def _find(self, sample_id: str) -> _Place:
        try:
            return self._places[sample_id]
        except KeyError:
            near = nearest(sample_id, self._places, cutoff=0.8)
            raise self._fault(
                f"the store has no sample {sample_id!r}",
                found=f"{len(self)} samples" + (f"; similar: {first_few(near)}" if near else ""),
                todo=self.advice,
            ) from None

    def _handle(self, shard: int) -> int:
        handle = self._handles.get(shard)
        if handle is None:
            path = self.folder / self.manifest.shards[shard].file
            handle = self._handles[shard] = os.open(path, os.O_RDONLY)
        return handle

    def _check(self, shard: Shard) -> Header:
        """The header of a shard, if it is what the manifest says."""
        path, made = self.folder / shard.file, self.manifest.made_by
        if not path.is_file():
            raise self._fault("a shard of the store is missing", where=path)
        if path.stat().st_size != shard.size:
            found = f"{path.stat().st_size} bytes"
            raise self._fault("a shard of the store is cut off or damaged", path, f"{shard.size} bytes", found)
        header = read_header(path, _AGAIN)
        expected, rows = {}, sum(shard.rows)
        if made.kind == "features":
            expected = {"features": (made.dtype, (rows, *self.manifest.shape))}
        elif made.kind == "pose":
            expected = {
                "pose": (made.dtype, (rows, *self.manifest.shape)),
                "conf": (made.dtype, (rows, self.manifest.shape[0])),
            }
        else:
            expected = {"ends": ("int64", (rows,)), "jpeg": ("uint8", (sum(shard.jpeg),))}
        found_ = {name: (str(t.dtype).removeprefix("torch."), t.shape) for name, t in header.tensors.items()}
        if found_ != expected:
            raise self._fault("a shard does not hold what the manifest says", path, expected, found_)
        note = header.note
        if (note.get("ids"), note.get("id")) != (list(shard.ids), made.id):
            found = f"{len(note.get('ids', []))} samples of {note.get('id')!r}"
            raise self._fault("a shard is not of this store", path, f"{len(shard.ids)} samples of {made.id!r}", found)
        return header

    def _fault(
        self,
        what: str,
        where: object = None,
        expected: object = None,
        found: object = None,
        todo: str = _AGAIN,
    ) -> StoreError:
        return StoreError(what, where=where or self.folder, expected=expected, found=found, todo=todo)


@dataclass(frozen=True, eq=False)
class StoredRows:
    """Rows of a sample that are read when they are asked for; behaves like an array along its first axis.

    Attributes:
        store: that holds them.
        shard: its number.
        place: of the shard's tensor.
        begin: first row in the shard.
        end: row behind the last.
    """

    store: Store
    shard: int
    place: TensorPlace
    begin: int
    end: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        return (self.end - self.begin, *self.place.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.place.shape)

    def __len__(self) -> int:
        return self.end - self.begin

    def __getitem__(self, key: slice | NDArray[np.int64]) -> Any:
        """A slice is a part that is not read yet; row numbers are read, as float32.

        All between the first and the last row asked for is read: one read is faster than many.
        """
        if isinstance(key, slice):
            first, stop, step = key.indices(len(self))
            if step != 1:
                raise IndexError("stored rows are cut without steps")
            return StoredRows(self.store, self.shard, self.place, self.begin + first, self.begin + max(first, stop))
        first, last = int(key.min()), int(key.max())
        rows = self.tensor(first, last + 1)
        array = (rows.float() if rows.dtype.is_floating_point else rows).numpy()
        in_order = len(key) == len(array) and bool((key[1:] > key[:-1]).all())
        return array if in_order else array[key - first]

    def tensor(self, first: int = 0, stop: int | None = None) -> Tensor:
        """Rows ``[first, stop)`` as they are stored."""
        stop = len(self) if stop is None else stop
        if not 0 <= first <= stop <= len(self):
            raise IndexError(f"rows {first} to {stop} of {len(self)}")
        handle = self.store._handle(self.shard)
        return read_rows(handle, self.place, self.begin + first, self.begin + stop, self.store.folder)

    def numpy(self) -> NDArray[Any]:
        """All rows, numbers as float32."""
        rows = self.tensor()
        array: NDArray[Any] = rows.to(torch.float32).numpy() if rows.dtype.is_floating_point else rows.numpy()
        return array


def _starts(counts: tuple[int, ...]) -> list[int]:
    return [0, *accumulate(counts)][:-1] if counts else []


def _close(handles: Mapping[int, int]) -> None:
    for handle in handles.values():
        os.close(handle)
