"""Containers of feature vectors: ``.npy``, ``.safetensors``, ``.pt``, and pickles with all samples of a split."""

from __future__ import annotations

import pickle
import re
import zipfile
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

__all__ = ["load_features"]

_ENDINGS = ".npy, .safetensors, .pt, or a (gzipped) pickle of any ending"
_LIST = "a list of dicts with name and sign (T, D)"


def load_features(path: Path, media: Media, where: str) -> NDArray[Any]:
    """The vectors of a sample, of any real type.

    ======================  =================================================================================
    container               content
    ======================  =================================================================================
    ``.npy``                ``(T, D)``; mapped into memory, so that only rows asked for are read
    ``.safetensors``        one tensor ``(T, D)``, or the one called ``media.item``
    ``.pt``, ``.pth``       a tensor ``(T, D)``, or a dict of one or of ``media.item``; weights only
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
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            name = _one_name(list(file.keys()), item, where)
            return as_array(file.get_tensor(name), where)
    except SafetensorError as cause:
        raise MediaError(f"cannot read as .safetensors: {cause}", where=where) from cause


def _torch(path: Path, item: str | None, where: str) -> NDArray[Any]:
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
    if isinstance(content, dict):
        names = {str(k): v for k, v in content.items()}
        content = names[_one_name(list(names), item, where)]
    if not isinstance(content, Tensor):
        raise MediaError("not a tensor", where=where, found=f"a {type(content).__name__}")
    return as_array(content.detach(), where)


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
    """The tensor of the item, or the only one."""
    if item in names:
        return str(item)
    if len(names) == 1:
        return names[0]
    raise MediaError(
        f"{len(names)} tensors in the file: which one?",
        where=where,
        expected="one tensor, or one called like the item of the media",
        found=first_few(names) or "nothing",
    )
