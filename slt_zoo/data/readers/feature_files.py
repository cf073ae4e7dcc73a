"""Containers of feature vectors: ``.npy``, ``.safetensors``, ``.pt``, and pickles with all samples of a split."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.compressed import gzip_bound
from slt_zoo.data.ids import bare_id
from slt_zoo.data.readers.base import load_array
from slt_zoo.data.readers.plain_pickle import as_array, is_pickle, load_pickle, one_of
from slt_zoo.errors import MediaError, first_few
from slt_zoo.types import Media

__all__ = ["feature_ids", "load_features"]

_ENDINGS = ".npy, .safetensors, .pt, or a (gzipped) pickle of any ending"
_LIST = "a list of dicts with name and sign (T, D)"


def load_features(path: Path, media: Media, where: str) -> NDArray[Any]:
    """The vectors of a sample, of any real type.

    ======================  =================================================================================
    container               content
    ======================  =================================================================================
    ``.npy``                ``(T, D)``; mapped into memory, so that only rows asked for are read
    ``.safetensors``        one tensor ``(T, D)``, or the one called ``media.item`` (a split in front is left out)
    ``.pt``, ``.pth``       a tensor ``(T, D)``, or a dict of one or of ``media.item``; weights only. A file of many
                            samples stays in memory
    pickle, gzipped or not  a list of dicts with ``name`` (a split in front is left out) and ``sign`` ``(T, D)``,
                            as signjoey, TSPNet, SLRT and CV-SLT read them; ``media.item`` is the name. All of the
                            file stays in memory: write one ``.npy`` a sample where that is too much
    ======================  =================================================================================

    Raises:
        MediaError: none of these, damaged, no such sample, not ``(T, D)`` with something in it.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        array = load_array(path, where)
    elif suffix == ".safetensors":
        array = _safetensors(path, media.item, where)
    elif suffix in (".pt", ".pth"):
        array = _torch(path, media.item, where)
    elif is_pickle(path):
        array = _signs(path, media.item, where)
    else:
        raise MediaError("not a file of features", where=where, expected=f"a file ending in {_ENDINGS}")
    if array.ndim != 2:
        raise MediaError(
            "features have two axes", where=where, expected="(frames, width)", found=f"shape {array.shape}"
        )
    if 0 in array.shape:
        raise MediaError(f"0 frames in an array of shape {array.shape}", where=where)
    return array


def feature_ids(path: Path) -> list[str]:
    """Ids of the samples in a file of many, without a split in front. No tensor of ``.safetensors`` is read.

    Raises:
        MediaError: damaged, or no such file.
    """
    where, suffix = repr(str(path)), path.suffix.lower()
    if suffix == ".safetensors":
        names = _in_safetensors(path, lambda file: list(file.keys()), where)
    elif suffix in (".pt", ".pth"):
        content = _kept(path, where)
        if not isinstance(content, dict):
            raise MediaError("not a file of many samples", where=where, expected="a dict of tensors, by id")
        names = list(content)
    elif suffix != ".npy" and is_pickle(path):
        names = list(load_pickle(path, _by_name, where))
    else:
        raise MediaError(
            "not a file of features of many samples",
            where=where,
            expected=".safetensors, .pt, or a (gzipped) pickle, with the samples by id",
            todo="pass the folder of files with one sample each",
        )
    ids = [bare_id(name)[0] for name in names]
    if len(set(ids)) < len(ids):
        raise MediaError(f"{len(ids) - len(set(ids))} names occur twice", where=where, expected="one entry a sample")
    return ids


def _signs(path: Path, item: str | None, where: str) -> NDArray[Any]:
    sign = as_array(one_of(load_pickle(path, _by_name, where), item, where), where)
    if sign.size <= 1:  # (0,) or (1, 1)
        raise MediaError(
            "the file has annotations and no features", where=where, found=f"sign of shape {tuple(sign.shape)}"
        )
    return sign


def _by_name(content: Any) -> dict[str, Any]:
    """``sign`` of each entry."""
    entries = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(entries, list) or not entries or not all(isinstance(e, dict) for e in entries):
        raise MediaError("not a pickle of features", expected=_LIST, found=f"a {type(content).__name__}")
    if any(not isinstance(e.get("name"), str) or "sign" not in e for e in entries):
        keys = ", ".join(str(k) for k in entries[0])
        raise MediaError("not a pickle of features", expected=_LIST, found=f"entries with {keys}")
    signs = {bare_id(e["name"])[0]: e["sign"] for e in entries}
    if len(signs) < len(entries):
        raise MediaError(f"{len(entries) - len(signs)} names occur twice", expected="one entry a sample")
    return signs


def _safetensors(path: Path, item: str | None, where: str) -> NDArray[Any]:
    def read(file: Any) -> Any:
        return file.get_tensor(_one_name(list(file.keys()), item, where))

    return as_array(_in_safetensors(path, read, where), where)


def _in_safetensors(path: Path, read: Callable[[Any], Any], where: str) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return read(file)
    except SafetensorError as cause:
        raise MediaError(f"cannot read as .safetensors: {cause}", where=where) from cause


def _torch(path: Path, item: str | None, where: str) -> NDArray[Any]:
    content = _load(path, where) if item is None else _kept(path, where)
    if isinstance(content, dict):
        content = content[_one_name(list(content), item, where)]
    if not isinstance(content, Tensor):
        raise MediaError("not a tensor", where=where, found=f"a {type(content).__name__}")
    return as_array(content.detach(), where)


def _kept(path: Path, where: str) -> Any:
    """A file of many samples is asked for each: it stays in memory as long as it stays as it is."""
    stat = path.stat()
    try:
        return _load_once(str(path), stat.st_mtime_ns, stat.st_size)
    except MediaError as fault:
        raise MediaError(
            fault.what, where=where, expected=fault.expected, found=fault.found, todo=fault.todo
        ) from fault.__cause__


@lru_cache(maxsize=4)
def _load_once(path: str, mtime: int, size: int) -> Any:
    return _load(Path(path), path)


def _load(path: Path, where: str) -> Any:
    """A tensor, or a dict with strings as keys."""
    _refuse_bomb(path, where)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as cause:
        wants = re.search(r"GLOBAL (\S+)", str(cause))
        raise MediaError(
            f"pickle wants {wants[1]}: refused" if wants else f"cannot read as {path.suffix}: {cause}",
            where=where,
            expected="a tensor (T, D), or a dict of one",
            todo="a pickle can run any code when it is opened. Where you trust it, convert it to .npy",
        ) from cause
    except Exception as cause:  # a damaged file raises whatever its bytes say
        raise MediaError(f"cannot read as {path.suffix}: {cause}", where=where) from cause
    return {str(k): v for k, v in content.items()} if isinstance(content, dict) else content


def _refuse_bomb(path: Path, where: str) -> None:
    """A ``.pt`` file is a zip archive, whose parts say how large they unpack."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except Exception:  # a damaged archive raises whatever its bytes say
        return  # that, or an older .pt file: torch tells
    bound = gzip_bound(path.stat().st_size)
    if size > bound:
        raise MediaError(
            f"it unpacks to more than {bound:,} bytes: refused",
            where=where,
            found=f"{path.stat().st_size} bytes of zip",
        )


def _one_name(names: list[str], item: str | None, where: str) -> str:
    """The tensor of the item, whose name may have a split in front, or the only one."""
    if item in names:
        return str(item)
    if item is None and len(names) == 1:
        return names[0]
    known = {bare_id(name)[0]: name for name in names}
    if item in known:
        return known[str(item)]
    raise MediaError(
        f"{len(names)} tensors in the file: which one?",
        where=where,
        expected=f"one called {item!r}" if item else "one tensor: folders and tables name files of one sample",
        found=first_few(names) or "nothing",
        todo=None if item else "name a file of many samples itself: data.features=<file>",
    )
