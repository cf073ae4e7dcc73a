"""Pickles of plain data, arrays and tensors, read without running anything that they ask for.

A pickle is a program that may call any function of any package. Here every name it asks for is looked up in a short
list, and what stands in that list are stand-ins of our own: they keep bytes, check them, and build arrays from
numbers. Not one function of numpy or torch is handed to the file.
"""

from __future__ import annotations

import gzip
import io
import math
import pickle
import pickletools
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.compressed import ExpandsTooFarError, is_gzip, open_bounded
from slt_zoo.errors import MediaError, first_few, nearest

__all__ = ["as_array", "is_pickle", "load_pickle", "load_pickled", "one_of"]

_NUMBER = re.compile(r"[fiu][1248]|b1")


def is_pickle(path: Path) -> bool:
    """Whether a file begins like a pickle of protocol 2 or newer, gzipped or not; its name does not matter."""
    try:
        with gzip.open(path) if is_gzip(path) else path.open("rb") as file:
            return file.read(1) == b"\x80"
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return True  # a cut gzip file: `load_pickle` says so


def load_pickle(path: Path, arrange: Callable[[Any], Any], where: str) -> Any:
    """What a pickle holds, gzipped or not; arrays in it are read with `as_array`.

    The last four files stay in memory, as long as they stay as they are: a file of many samples is asked for each.

    Args:
        path: of any ending.
        arrange: puts the content in order, once a file; raises MediaError, without ``where``, at what it is not.
        where: sample and path, for messages.

    Raises:
        MediaError: cut off, damaged, or it asks for more than numbers, strings, lists, dicts, arrays and tensors.
    """
    stat = path.stat()
    with _faults_named(where, stat.st_size, "numpy.save(new, array), a file a sample"):
        return _load(str(path), stat.st_mtime_ns, stat.st_size, arrange)


def load_pickled(data: bytes, where: str) -> Any:
    """What a short pickle holds that is a value of a database.

    Args:
        data: of 1 MiB at most.
        where: sample, path and key, for messages.

    Raises:
        MediaError: as `load_pickle`, or longer.
    """
    with _faults_named(where, len(data), "write a dict of numbers and strings"):
        if len(data) > _LONGEST:
            raise _Refused(f"a pickle of {len(data):,} bytes, {_LONGEST:,} at most are read")
        for _, argument, at in pickletools.genops(data):
            if at is not None and _is_far(data[at], argument, len(data)):
                raise _Refused("pickle wants room for more objects than it has bytes")
        return _Unpickler(io.BytesIO(data)).load()


_LONGEST = 2**20
_PUTS = b"pqr"  # each remembers an object under a number; room is made for all numbers below


def _is_far(code: int, argument: Any, size: int) -> bool:
    return code in _PUTS and int(argument) > size


@contextmanager
def _faults_named(where: str, size: int, convert: str) -> Iterator[None]:
    """Whatever a pickle raises, as a MediaError with sample and path; ``convert``: what to write instead."""
    try:
        yield
    except MediaError as fault:
        raise MediaError(
            fault.what, where=where, expected=fault.expected, found=fault.found, todo=fault.todo
        ) from fault.__cause__
    except ExpandsTooFarError as cause:
        raise MediaError(str(cause.strerror), where=where, found=f"{size} bytes of gzip") from cause
    except (EOFError, zlib.error, gzip.BadGzipFile) as cause:
        raise MediaError(f"the file is cut off or damaged: {cause}", where=where, found=f"{size} bytes") from cause
    except _Refused as cause:
        raise MediaError(
            f"{cause}: refused",
            where=where,
            expected="numbers, strings, lists, dicts, numpy arrays, torch tensors",
            todo="a pickle can run any code when it is opened. Where you trust it, convert it with the program that "
            f"made it: {convert}",
        ) from cause
    except Exception as cause:  # a damaged pickle raises whatever its bytes say
        raise MediaError(f"cannot read as a pickle: {cause or type(cause).__name__}", where=where) from cause


@lru_cache(maxsize=4)
def _load(path: str, mtime: int, size: int, arrange: Callable[[Any], Any]) -> Any:
    with open_bounded(Path(path)) as file:
        return arrange(_Unpickler(file).load())


def as_array(value: Any, where: str) -> NDArray[Any]:
    """An array or tensor of a pickle, or numbers in lists, as a numpy array of real numbers.

    Raises:
        MediaError: it is something else.
    """
    if isinstance(value, _Array):
        value = value.array
    if isinstance(value, Tensor):
        value = value.float().numpy() if value.dtype == torch.bfloat16 else value.numpy()
    if isinstance(value, list | tuple) and _count(value, {}) > _MOST:
        raise MediaError(
            f"lists of more than {_MOST:,} numbers: refused",
            where=where,
            todo="a pickle can name one list many times over; write arrays instead of lists",
        )
    try:
        array = np.asarray([] if value is None else value)
    except (ValueError, RecursionError):
        array = np.empty(0, dtype=object)
    if value is None or array.dtype.kind not in "fiub":
        raise MediaError("not an array of real numbers", where=where, found=f"a {type(value).__name__}")
    return array


_MOST = 2**28


def _count(value: list[Any] | tuple[Any, ...], known: dict[int, int]) -> int:
    """Numbers in nested lists, each list counted once: ten lists of ten, ten deep, are few bytes and 10**10 numbers."""
    if id(value) not in known:
        known[id(value)] = _MOST + 1  # a list inside itself has no end
        parts = (_count(v, known) if isinstance(v, list | tuple) else 1 for v in value)
        known[id(value)] = sum(parts)
    return known[id(value)]


def one_of(entries: dict[str, Any], item: str | None, where: str) -> Any:
    """The entry of a sample in a file of many, or the only one.

    Raises:
        MediaError: no ``item`` where there are several, or it is not there; similar names are in the message.
    """
    if item in entries:
        return entries[item]
    if item is None and len(entries) == 1:
        return next(iter(entries.values()))
    near = nearest(item or "", entries)
    raise MediaError(
        f"no sample {item!r} among {len(entries)}" if item else f"a file of {len(entries)} samples: which one?",
        where=where,
        found=f"similar: {', '.join(near)}" if near else f"there: {first_few(list(entries), 3)}",
        todo="set item of the media to the sample's id, without split in front"
        if item
        else "folders and tables name files of one sample; name a file of many itself (data.features, data.poses)",
    )


class _Refused(pickle.UnpicklingError):
    pass


class _StandIn:
    """What a pickle gets for a name: it can be called and nothing else; a state (BUILD) would change it for good."""

    __slots__ = ("_call", "_name")

    def __init__(self, name: str, call: Callable[..., Any] | None) -> None:
        self._name, self._call = name, call

    def __call__(self, *args: Any) -> Any:
        if self._call is None:
            raise _Refused(f"pickle wants to call {self._name}")
        return self._call(*args)

    def __setstate__(self, state: Any) -> NoReturn:
        raise _Refused(f"pickle wants to change {self._name}")


class _DType:
    """Stands in for ``numpy.dtype``: a kind of number and its byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, *_: Any) -> None:
        if not isinstance(code, str) or not _NUMBER.fullmatch(code):
            raise _Refused(f"pickle wants an array of {code!r}, not of numbers")
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise _Refused("pickle wants an unknown byte order")
        self.order = str(state[1])

    def build(self, data: Any, shape: Any, order: str = "C") -> NDArray[Any]:
        """``data`` as an array; sizes that do not fit are a ValueError."""
        dtype = np.dtype(self.code if self.order in "|=" else self.order + self.code)
        flat = np.frombuffer(bytes(data), dtype=dtype)
        sizes = tuple(int(n) for n in ((shape,) if isinstance(shape, int) else shape))
        if min(sizes, default=0) < 0 or math.prod(sizes) != flat.size:
            raise ValueError(f"{flat.size} numbers for an array of shape {sizes}")
        return flat.reshape(sizes, order="F" if order == "F" else "C")


class _Array:
    """Stands in for ``numpy.ndarray``: made empty, its bytes come after."""

    __slots__ = ("array",)

    def __init__(self, *_: Any) -> None:
        self.array: NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _DType) or not isinstance(data, bytes | bytearray):
            raise _Refused("pickle wants an array of other things than numbers")
        self.array = dtype.build(data, shape, "F" if fortran else "C")


def _scalar(dtype: _DType, data: bytes) -> Any:
    return dtype.build(data, ())[()]


def _from_buffer(data: Any, dtype: _DType, shape: Any, order: str, *_: Any) -> NDArray[Any]:
    return dtype.build(data, shape, order)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"pickle wants the encoding {encoding!r}")
    return text.encode("latin1")


def _storage(data: bytes) -> Tensor:
    """Numbers of a tensor, as `torch.save` wrote them; the inner pickle is read by torch's own restricted reader."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # storages are deprecated, files that hold them are not
        storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if not isinstance(storage, torch.storage.TypedStorage):
            raise _Refused(f"pickle wants a tensor of a {type(storage).__name__}")
        numbers: Tensor = torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage)
        return numbers


def _tensor(numbers: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any) -> Tensor:
    if math.prod(size) > len(numbers):  # a stride of 0 would make any size out of one number
        raise ValueError(f"{len(numbers)} numbers for a tensor of shape {tuple(size)}")
    return torch.as_strided(numbers, tuple(size), tuple(stride), offset).detach()


def _parameter(data: Tensor, *_: Any) -> Tensor:
    return data


_ARRAYS: dict[str, Callable[..., Any] | None] = {
    "_codecs.encode": _encode,
    "builtins.bytearray": lambda data=b"": bytearray(data) if isinstance(data, bytes) else bytearray(),
    "collections.OrderedDict": lambda: {},
    "numpy.dtype": _DType,
    "numpy.ndarray": None,  # an argument, never called
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch.storage._load_from_bytes": _storage,
}
for _package in ("numpy.core", "numpy._core"):  # moved with numpy 2
    _ARRAYS[f"{_package}.multiarray._reconstruct"] = _Array
    _ARRAYS[f"{_package}.multiarray.scalar"] = _scalar
    _ARRAYS[f"{_package}.numeric._frombuffer"] = _from_buffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in _ARRAYS:
            raise _Refused(f"pickle wants {full}")
        return _StandIn(full, _ARRAYS[full])
