"""Safetensors files read by position: the header once, then single rows, without mapping the file into memory."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slt_zoo.errors import StoreError
from slt_zoo.files import replacing

__all__ = ["Header", "TensorPlace", "read_header", "read_rows", "write_tensors"]

NOTE = "slt_zoo"
"""The one key of a file's metadata. There is no second one: safetensors writes several in no fixed order."""

_TYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "U8": torch.uint8,
}
_MAX_HEADER = 100_000_000  # bytes; what safetensors itself accepts


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies in a file.

    Attributes:
        dtype: of its numbers.
        shape: the first axis is rows.
        begin: its first byte, counted from the begin of the file.
        row_bytes: bytes a row.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    row_bytes: int


@dataclass(frozen=True)
class Header:
    """What a file says of itself: its tensors, and the note that its writer left."""

    tensors: Mapping[str, TensorPlace]
    note: Mapping[str, Any]


def read_header(path: Path, todo: str) -> Header:
    """Header of a safetensors file, held against the file's size.

    Args:
        path: the file.
        todo: what a person does about a damaged one.

    Raises:
        StoreError: not such a file, cut off, or damaged.
    """
    size = path.stat().st_size

    def damaged(found: str) -> StoreError:
        return StoreError("a file of a store is cut off or damaged", where=path, found=found, todo=todo)

    with path.open("rb") as file:
        first = file.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8 or length > min(size - 8, _MAX_HEADER):
            raise damaged(f"{size} bytes, no whole header")
        try:
            content: dict[str, Any] = json.loads(file.read(length))
            note = json.loads(content.pop("__metadata__", {}).get(NOTE, "{}"))
            tensors = {name: _place(entry, 8 + length) for name, entry in content.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as cause:
            raise damaged(f"a header that cannot be read ({type(cause).__name__}: {cause})") from cause
    end = 8 + length
    for place in sorted(tensors.values(), key=lambda place: place.begin):
        if place.begin != end:
            raise damaged("tensors that overlap or leave gaps")
        end += place.row_bytes * place.shape[0]
    if end != size:
        raise damaged(f"{size} bytes; the header describes {end}")
    return Header(tensors, note)


def _place(entry: dict[str, Any], data: int) -> TensorPlace:
    dtype, shape = _TYPES[entry["dtype"]], tuple(int(n) for n in entry["shape"])
    begin, end = entry["data_offsets"]
    row_bytes = dtype.itemsize * math.prod(shape[1:])
    if not shape or min(shape) < 0 or end - begin != row_bytes * shape[0]:
        raise ValueError(f"shape {shape} of {entry['dtype']} in {end - begin} bytes")
    return TensorPlace(dtype, shape, data + begin, row_bytes)


def read_rows(handle: int, place: TensorPlace, first: int, stop: int, where: object) -> Tensor:
    """Rows ``[first, stop)`` of a tensor.

    By position: the handle has no state, so processes forked from this one may share it, and what was read does not
    stay mapped into the process.

    Args:
        handle: file descriptor, open for reading.
        place: of the tensor.
        first: row.
        stop: row behind the last.
        where: sample and file, for messages.

    Raises:
        StoreError: the file ends before these rows do: it was changed while it was open.
    """
    length = (stop - first) * place.row_bytes
    buffer, got = bytearray(length), 0
    while got < length:
        view = memoryview(buffer)[got:]
        count = os.preadv(handle, [view], place.begin + first * place.row_bytes + got)
        if count == 0:
            raise StoreError("a file of a store ends too early: it was changed while it was open", where=where)
        got += count
    shape = (stop - first, *place.shape[1:])
    if length == 0:
        return torch.empty(shape, dtype=place.dtype)
    return torch.frombuffer(buffer, dtype=place.dtype).view(shape)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
    """Write a safetensors file so that it is there whole or not at all; its bytes depend on the content alone."""
    from safetensors.torch import save_file

    contiguous = {key: tensor.contiguous() for key, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(contiguous, temporary, metadata={NOTE: json.dumps(note, ensure_ascii=False)})
