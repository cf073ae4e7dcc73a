"""`open_store`: the store of a folder or an address."""

from __future__ import annotations

import os
from pathlib import Path

from slt_zoo.data.stores.base import Store
from slt_zoo.data.stores.local import LocalStore
from slt_zoo.data.stores.manifest import MANIFEST, StoreManifest
from slt_zoo.data.stores.streamed import StreamedStore, fetch_manifest, is_url

__all__ = ["is_store", "open_store"]


def is_store(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is meant to be a store: it has a ``manifest.json``, or shards by name. A URL always is."""
    if is_url(os.fspath(folder)):
        return True
    if os.path.isfile(f"{os.fspath(folder)}/{MANIFEST}"):  # noqa: PTH113  # asked at every read
        return True
    return any(Path(folder).glob("*-?????-of-?????.safetensors"))


def open_store(folder: str | os.PathLike[str]) -> Store:
    """The store of a folder, opened and checked once a process, and again when its manifest changes.

    At a URL (``s3://``, ``gs://``, ``azure://``, ``r2://``, ``local:`` and a folder) the manifest is fetched once a
    process.

    Raises:
        StoreError: it is unfinished or damaged, or no store.
    """
    key = os.fspath(folder)
    if is_url(key):
        if key not in _fetched:
            _fetched[key] = StreamedStore(key, *fetch_manifest(key))
        return _fetched[key]
    try:
        stat = os.stat(f"{key}/{MANIFEST}")  # noqa: PTH116  # asked at every read
    except OSError:
        return LocalStore(Path(key))  # says what is missing
    mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    known = _opened.get(key)
    if known is None or known[0] != mark:
        manifest = StoreManifest.read(Path(key))
        fetched = manifest.container == "litdata"
        store = StreamedStore(key, manifest, None) if fetched else LocalStore(Path(key), manifest)
        known = _opened[key] = (mark, store)
    return known[1]


_opened: dict[str, tuple[tuple[int, int, int], Store]] = {}
_fetched: dict[str, StreamedStore] = {}
