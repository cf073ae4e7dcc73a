"""LMDB environments as Sign2GPT has them, made by the LMDB package itself."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lmdb

__all__ = ["details_of", "pack_folder", "write_lmdb"]


def details_of(count: Any, name: Any) -> bytes:
    return pickle.dumps({"num_frames": count, "id": name})


def write_lmdb(folder: Path, images: Mapping[int, bytes] | Sequence[bytes], details: bytes | None = None) -> Path:
    """A folder with a ``data.mdb``; images by number, or from 0 on."""
    numbered = dict(images.items() if isinstance(images, Mapping) else enumerate(images))
    folder.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(folder), map_size=2**28) as env, env.begin(write=True) as transaction:
        for number, image in numbered.items():
            transaction.put(str(number).encode(), image)
        if details is not None:
            transaction.put(b"details", details)
    (folder / "lock.mdb").unlink()
    return folder


def pack_folder(folder: Path, name: str) -> None:
    """The images of a folder go into an LMDB file in it."""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".png", ".jpg"))
    images = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()
    write_lmdb(folder, images, details_of(len(images), name))
