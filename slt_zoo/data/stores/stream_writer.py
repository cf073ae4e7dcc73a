"""`write_stream`: a store as shards of litdata."""

from __future__ import annotations

import json
import shutil
import uuid
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from slt_zoo.data.stores.local import LocalStore
from slt_zoo.data.stores.manifest import MANIFEST, Shard
from slt_zoo.data.stores.streamed import STREAM, import_litdata
from slt_zoo.types import SPLITS, Split

__all__ = ["write_stream"]


def write_stream(folder: Path, chunk_size: int = 64 << 20) -> Path:
    """Write the shards of litdata beside those of a store, whole or not at all.

    Args:
        folder: of a store that is complete.
        chunk_size: bytes that a file has at most, unless a single sample has more. Samples of eight files are mixed in
            training, so smaller files mix less and are fetched faster.

    Returns:
        The folder, ``<store>/stream``.

    Raises:
        StoreError: there is no complete store.
        ConfigError: litdata is not installed.
    """
    from safetensors.torch import save

    writer_of = import_litdata().streaming.writer.BinaryWriter
    store = LocalStore(folder)
    goal = store.folder / STREAM
    made = store.folder / f".{STREAM}-{uuid.uuid4().hex}.tmp"
    made_by = store.manifest.made_by.signature()
    shards: list[Shard] = []
    try:
        for split in SPLITS:
            ids = store.ids(split)
            if not ids:
                continue
            part = made / split
            part.mkdir(parents=True)
            writer = writer_of(str(part), chunk_bytes=chunk_size)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "An item was larger than the target chunk size")  # it may be
                for number, sample_id in enumerate(ids):
                    writer.add_item(number, save(store.read(sample_id), {"id": sample_id, "made_by": made_by}))
                writer.done()
                writer.merge(1)
            shards += _chunks(store, part, split, ids)
        manifest = replace(store.manifest, container="litdata", shards=tuple(shards))
        (made / MANIFEST).write_text(manifest.to_text(), encoding="utf-8", newline="\n")
        if goal.is_symlink():
            goal.unlink()
        elif goal.exists():
            shutil.rmtree(goal)
        made.replace(goal)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return goal


def _chunks(store: LocalStore, folder: Path, split: Split, ids: Sequence[str]) -> Iterator[Shard]:
    """The files of a split as the manifest lists them."""
    begin = 0
    for chunk in json.loads((folder / "index.json").read_text(encoding="utf-8"))["chunks"]:
        own = ids[begin : begin + chunk["chunk_size"]]
        begin += len(own)
        yield store.described(own, split, chunk["filename"], (folder / chunk["filename"]).stat().st_size)
