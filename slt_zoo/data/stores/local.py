"""A store on a disk. The samples of a shard lie end to end in one tensor, so a sample is a range of rows."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.stores.base import Store
from slt_zoo.data.stores.manifest import TENSORS, Shard, StoreManifest
from slt_zoo.data.stores.tensor_files import Header, TensorPlace, read_header, read_rows
from slt_zoo.errors import StoreError

__all__ = ["LocalStore", "StoredRows"]

_AGAIN = "copy the store again, or delete it and extract again with `slt-zoo extract`"


class LocalStore(Store):
    """A store on a disk.

    Every shard is looked at once, when the store is opened: whether it is there, whole, and what the manifest says.
    Rows are read by position (`read_rows`): files that are open may be shared with worker processes.

    Args:
        folder: of the store.
        manifest: of it, where it has been read already.

    Raises:
        StoreError: it is unfinished or damaged, or no store.
    """

    def __init__(self, folder: Path, manifest: StoreManifest | None = None) -> None:
        self.folder = folder
        manifest = StoreManifest.read(folder) if manifest is None else manifest
        if not manifest.complete:
            raise StoreError(
                "the store is not finished: its extraction is under way, or was stopped",
                where=folder,
                todo="run the same `slt-zoo extract` again; it goes on where it was stopped",
            )
        advice = f"run the `slt-zoo extract` that made {folder} again; it adds what is missing"
        super().__init__(str(folder), manifest, advice)
        self._headers = [self._check(shard) for shard in manifest.shards]
        self._first_rows = [_starts(shard.rows) for shard in manifest.shards]
        self._first_bytes = [_starts(shard.jpeg) for shard in manifest.shards]
        self._handles: dict[int, int] = {}
        weakref.finalize(self, _close, self._handles)

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalStore, (self.folder, self.manifest)  # another process opens its own files

    def rows(self, sample_id: str, tensor: str) -> StoredRows:
        """The rows of a sample in one of the shard's tensors; nothing is read yet.

        Raises:
            StoreError: the store has no such sample.
        """
        number, i = self.place(sample_id)
        shard, where = self.manifest.shards[number], self._headers[number].tensors[tensor]
        begin, count = self._first_rows[number][i], shard.rows[i]
        if tensor == "jpeg":
            begin, count = self._first_bytes[number][i], shard.jpeg[i]
        return StoredRows(self, number, where, begin, begin + count)

    def read(self, sample_id: str) -> dict[str, Tensor]:
        """All tensors of a sample as they are stored, by name."""
        names = TENSORS[self.manifest.made_by.kind]
        return {name: self.rows(sample_id, name).tensor() for name in names}

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
        told = {name: list(getattr(shard, name)) for name in ("ids", "rows", "frames", "fps", "jpeg")}
        if {name: note.get(name) for name in told} != told or note.get("id") != made.id:
            found = f"{len(note.get('ids', []))} samples of {note.get('id')!r}, or other rows, frames and rates"
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

    store: LocalStore
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
