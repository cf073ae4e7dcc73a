"""A store as shards of litdata, for object storage: what is read is fetched, a file of many samples at a time.

The folder ``stream`` beside a store's shards holds ``manifest.json`` and, a split, a folder ``<split>`` with litdata's
``index.json`` and ``chunk-*.bin``. It may lie on a disk or at a URL. A sample is one string of bytes in the form of a
safetensors file, so nothing that is fetched can run code: litdata's other kinds of items, pickles among them, are
refused. litdata's index is made here, of the checked manifest: that of a stranger could name files anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.stores.base import Store
from slt_zoo.data.stores.manifest import MANIFEST, TENSORS, StoreManifest
from slt_zoo.errors import ConfigError, StoreError
from slt_zoo.files import cache_folder, write_atomically
from slt_zoo.types import SPLITS, Split

__all__ = ["STREAM", "StreamedStore", "fetch_manifest", "import_litdata", "is_url"]

STREAM = "stream"
"""Name of the folder beside a store's shards."""

_SCHEMES = ("s3://", "gs://", "azure://", "r2://", "local:")
_CONFIG = {
    "compression": None,
    "data_format": ["bytes"],
    "data_spec": '[1, {"type": null, "context": null, "children_spec": []}]',
    "encryption": None,
    "item_loader": "PyTreeLoader",
    "types": "bytes",
}
"""What litdata's index says of items that are bytes and nothing else."""

_AGAIN = "make it again: delete the folder, and run the same `slt-zoo extract ... --shards`"


def is_url(place: str) -> bool:
    """Whether something lies elsewhere: an address of object storage, or ``local:`` and a folder of a slow disk."""
    return re.match(r"[a-z][a-z0-9+.-]*://|local:", place) is not None


def fetch_manifest(place: str) -> tuple[StoreManifest, Path]:
    """The manifest at a place, and the folder on this machine for what is fetched from it.

    The folder's name depends on place and manifest, so what was fetched of an earlier store is never taken for this
    one's. It lies in ``$SLT_ZOO_CACHE``, by default ``~/.cache/slt_zoo``; it may be deleted at any time between runs.

    Args:
        place: a URL.

    Raises:
        StoreError: nothing is there, or no manifest.
        ConfigError: an unknown kind of address, or litdata is not installed.
    """
    if not place.startswith(_SCHEMES):
        raise ConfigError("an address of this kind cannot be read", where=place, expected=", ".join(_SCHEMES))
    get_downloader = import_litdata().streaming.downloader.get_downloader
    cache = cache_folder(STREAM)
    taken = cache / f".{uuid.uuid4().hex}"
    taken.mkdir(parents=True)
    try:
        remote = f"{place.removeprefix('local:').rstrip('/')}/{MANIFEST}"
        get_downloader(place, str(taken), []).download_file(remote, str(taken / MANIFEST))
        if not (taken / MANIFEST).is_file():
            raise FileNotFoundError(remote)
        text = (taken / MANIFEST).read_bytes()
        manifest = StoreManifest.read(taken, told_as=place)
    except StoreError:
        raise
    except Exception as cause:  # every kind of storage has its own
        raise StoreError(
            f"no manifest of a store can be fetched: {type(cause).__name__}: {cause}",
            where=place,
            expected=f"{MANIFEST} of a folder that `slt-zoo extract ... --shards` wrote",
            todo="check the address and your credentials",
        ) from cause
    finally:
        shutil.rmtree(taken, ignore_errors=True)
    digest = hashlib.sha256(place.encode() + b"\n" + text).hexdigest()
    return manifest, cache / digest[:32]


class StreamedStore(Store):
    """A store whose samples are fetched when they are read; made by `open_store`.

    Args:
        place: folder or URL.
        manifest: of it.
        cache: folder for what is fetched; None: read where it lies.

    Raises:
        StoreError: the manifest contradicts itself.
    """

    def __init__(self, place: str, manifest: StoreManifest, cache: Path | None) -> None:
        advice = "run the `slt-zoo extract ... --shards` that made it again, and copy the folder anew"
        if not manifest.complete:
            raise StoreError("the store is not finished", where=place, todo=_AGAIN)
        super().__init__(place, manifest, advice)
        self._cache = cache
        self._first: list[int] = []  # of each file's samples, which number in its split its first has
        counts = dict.fromkeys(SPLITS, 0)
        for shard in manifest.shards:
            self._first.append(counts[shard.split])
            counts[shard.split] += len(shard.ids)
        self._sized: set[int] = set()
        self._open: dict[Split, Any] = {}
        self._pid = os.getpid()
        self._last: tuple[str, dict[str, Tensor]] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return StreamedStore, (self.name, self.manifest, self._cache)  # another process opens its own

    def chunk_of(self, sample_id: str) -> int | None:
        """Which file a sample is fetched with."""
        return self.place(sample_id).shard

    def rows(self, sample_id: str, tensor: str) -> FetchedRows:
        """The rows of a sample in one of its tensors.

        Raises:
            StoreError: the store has no such sample, or it cannot be fetched.
        """
        return FetchedRows(self.read(sample_id)[tensor])

    def read(self, sample_id: str) -> dict[str, Tensor]:
        """All tensors of a sample as they are stored, by name.

        Raises:
            StoreError: the store has no such sample, or it cannot be fetched.
        """
        if self._last is None or self._last[0] != sample_id:
            self._last = (sample_id, self._fetch(sample_id))
        return self._last[1]

    def _fetch(self, sample_id: str) -> dict[str, Tensor]:
        from safetensors import SafetensorError
        from safetensors.torch import load

        number, i = self.place(sample_id)
        shard, made = self.manifest.shards[number], self.manifest.made_by
        try:
            self._check_size(number)
            data = bytes(self._samples(shard.split)[self._first[number] + i])
            tensors = load(data)
        except SafetensorError as cause:
            raise self._fault(sample_id, f"no safetensors: {cause}") from cause
        except StoreError:
            raise
        except Exception as cause:  # of the storage, or of litdata
            raise self._fault(sample_id, f"{type(cause).__name__}: {cause}") from cause
        rows = {name: len(tensor) for name, tensor in tensors.items()}
        expected = dict.fromkeys(TENSORS[made.kind], shard.rows[i])
        if made.kind == "frames":
            expected["jpeg"] = shard.jpeg[i]
        shape = tuple(tensors[made.kind].shape[1:]) if made.kind in tensors else ()
        note = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
        if (note.get("id"), note.get("made_by")) != (sample_id, made.signature()):
            found = f"{note.get('id')!r} of {note.get('made_by')!r}: the files are not those of this manifest"
            raise self._fault(sample_id, found)
        kinds = {str(tensors[name].dtype) for name in TENSORS[made.kind] if name in tensors}
        if made.kind != "frames" and kinds != {f"torch.{made.dtype}"}:
            raise self._fault(sample_id, f"numbers of {kinds}, expected {made.dtype}")
        if rows != expected or shape != self.manifest.shape:
            raise self._fault(sample_id, f"rows {rows} of shape {shape}, expected {expected}, {self.manifest.shape}")
        return tensors

    def _check_size(self, number: int) -> None:
        """A file on a disk has the size that the manifest says: litdata would wait for a cut one for minutes."""
        shard = self.manifest.shards[number]
        path = Path(self.name.removeprefix("local:")) / shard.split / shard.file
        if number in self._sized or (is_url(self.name) and not self.name.startswith("local:")):
            return
        size = path.stat().st_size
        if size != shard.size:
            raise StoreError(
                "a file of the store is cut off or damaged", where=path, expected=shard.size, found=size, todo=_AGAIN
            )
        self._sized.add(number)

    def _fault(self, sample_id: str, found: str) -> StoreError:
        where = f"sample {sample_id}, {self.name}"
        return StoreError("a sample cannot be fetched from the store", where=where, found=found, todo=_AGAIN)

    def _samples(self, split: Split) -> Any:
        """Litdata's reader of a split; its threads do not survive a fork, so every process has its own."""
        if self._pid != os.getpid():
            self._open, self._pid, self._last = {}, os.getpid(), None
        if split not in self._open:
            place, arguments = f"{self.name.rstrip('/')}/{split}", {}
            if self._cache is None:
                self._check_index(Path(place) / "index.json", split)
            else:
                cache = self._cache / split
                cache.mkdir(parents=True, exist_ok=True)
                write_atomically(cache / "index.json", json.dumps(self._index(split)))
                arguments = {"cache_dir": str(cache / "chunks"), "index_path": str(cache / "index.json")}
            self._open[split] = import_litdata().StreamingDataset(place, serializers=_bytes_alone(), **arguments)
            self._open[split]._on_demand_bytes = False  # whole files: their other samples follow soon
        return self._open[split]

    def _index(self, split: Split) -> dict[str, Any]:
        """Litdata's index of a split, as it follows from the manifest."""
        shards = self.manifest.shards_of(split)
        names = ("filename", "chunk_bytes", "chunk_size", "dim")
        chunks = [dict(zip(names, (s.file, s.size, len(s.ids), None), strict=True)) for s in shards]
        return {"chunks": chunks, "config": dict(_CONFIG), "updated_at": "0"}

    def _check_index(self, path: Path, split: Split) -> None:
        """Litdata reads the index beside files on a disk: it must be what follows from the manifest.

        Raises:
            StoreError: it names other files, or another form of items.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            same = found["chunks"] == self._index(split)["chunks"] and all(
                found["config"].get(name) == value for name, value in _CONFIG.items()
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as cause:
            raise StoreError("cannot read litdata's index", where=path, found=str(cause), todo=_AGAIN) from cause
        if not same:
            raise StoreError("litdata's index is not what the manifest says: refused", where=path, todo=_AGAIN)


@dataclass(frozen=True, eq=False)
class FetchedRows:
    """Rows that were fetched; a `Rows`.

    Attributes:
        all: every row.
    """

    all: Tensor

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        return tuple(self.all.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.all.ndim

    def __len__(self) -> int:
        return len(self.all)

    def __getitem__(self, key: slice | NDArray[np.int64]) -> Any:
        """A slice, or the rows of these numbers as float32."""
        return FetchedRows(self.all[key]) if isinstance(key, slice) else FetchedRows(self.all[key]).numpy()

    def tensor(self, first: int = 0, stop: int | None = None) -> Tensor:
        """Rows ``[first, stop)`` as they are stored."""
        return self.all[first:stop]

    def numpy(self) -> NDArray[Any]:
        """All rows, numbers as float32."""
        rows = self.all.to(torch.float32) if self.all.dtype.is_floating_point else self.all
        array: NDArray[Any] = rows.numpy()
        return array


def import_litdata() -> Any:
    """The package; it would otherwise ask the package index for a newer version of itself.

    Raises:
        ConfigError: it is not installed.
    """
    os.environ.setdefault("LITDATA_DISABLE_VERSION_CHECK", "1")
    try:
        import litdata
        import litdata.streaming.downloader
        import litdata.streaming.writer
    except ImportError as cause:
        raise ConfigError(
            "streaming needs litdata, which is not installed", todo="pip install 'slt-zoo[stream]'"
        ) from cause
    return litdata


class _Refused:
    """In the place of litdata's serializers of other things than bytes."""

    def setup(self, data_format: Any) -> None:
        """Is told what it will be given."""

    def serialize(self, item: Any) -> Any:
        """Refuse."""
        raise StoreError("a store holds bytes alone", found=type(item).__name__)

    def deserialize(self, data: bytes) -> Any:
        """Refuse."""
        raise StoreError(
            "an item of another kind than bytes: refused",
            found="shards that slt_zoo has not written, or that were changed",
            todo=_AGAIN,
        )

    def can_serialize(self, data: Any) -> bool:
        """Nothing."""
        return False


def _bytes_alone() -> dict[str, Any]:
    """A serializer for every kind of item that litdata knows; all but bytes refuse."""
    from litdata.streaming.serializers import _SERIALIZERS, BytesSerializer

    return {name: BytesSerializer() if name == "bytes" else _Refused() for name in _SERIALIZERS}
