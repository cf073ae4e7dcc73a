"""Writing a store: pieces as they are made, by any number of processes, and shards when all are there.

A store that is being made has a manifest with ``"complete": false`` and pieces in ``parts/``. A piece is a safetensors
file that is renamed into its place when it is whole, so whatever stops the processes, what is there counts and nothing
else does. The shards are made of the pieces in the order of the annotation: how often an extraction was stopped, and on
how many devices it ran, leaves no trace in them.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slt_zoo._version import __version__
from slt_zoo.data.stores.lock import FolderLock
from slt_zoo.data.stores.manifest import MANIFEST, TENSORS, Extraction, Shard, StoreManifest, compare_fields
from slt_zoo.data.stores.streamed import STREAM
from slt_zoo.data.stores.tensor_files import Header, read_header, read_rows, write_tensors
from slt_zoo.errors import ConfigError, MediaError, StoreError, first_few
from slt_zoo.files import write_atomically
from slt_zoo.types import SPLITS, Split

__all__ = ["PieceWriter", "Record", "StoreBuilder"]

PARTS = "parts"
_AGAIN = "delete this file and run the same `slt-zoo extract` again"


@dataclass(eq=False)
class Record:
    """What was extracted of a sample.

    Attributes:
        id: of the sample.
        split: of the sample.
        tensors: by name, see `slt_zoo.data.stores.manifest.TENSORS`; on the CPU.
        frames: video frames that they were made of.
        fps: of the video; None: unknown.
    """

    id: str
    split: Split
    tensors: dict[str, Tensor]
    frames: int
    fps: float | None = None


class PieceWriter:
    """Writes a process's records as pieces of a store.

    Args:
        builder: of the store.
        seconds: a piece is written when the last one is so old ...
        size: ... or when so many bytes are in memory.
    """

    def __init__(self, builder: StoreBuilder, seconds: float = 60.0, size: int = 64 << 20) -> None:
        self._builder, self._seconds, self._size = builder, seconds, size
        self._first: Record | None = None
        self._kept: list[Record] = []
        self._bytes, self._last = 0, time.monotonic()

    def add(self, record: Record) -> None:
        """Take a sample; it may be kept in memory until `flush`.

        Raises:
            MediaError: it cannot be stored; the message names the sample.
        """
        record = _stored(record, self._builder.manifest.made_by)
        if self._kept and self._kept[-1].split != record.split:
            self.flush()
        self._first = self._first or replace(record, tensors={n: t[:1].clone() for n, t in record.tensors.items()})
        _same_shape(self._first, record)
        self._kept.append(record)
        self._bytes += sum(t.nbytes for t in record.tensors.values())
        if self._bytes >= self._size or time.monotonic() - self._last >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory; what was flushed is not lost when the process ends."""
        if self._kept:
            kept, self._kept, self._bytes = self._kept, [], 0
            name = f"{kept[0].split}-{uuid.uuid4().hex}.safetensors"
            self._builder.write(self._builder.folder / PARTS / name, kept)
        self._last = time.monotonic()


class StoreBuilder:
    """A store that is being made, or gone on with.

    Every process has one. `begin`, `reopen` and `finish` are called by one process alone, and the others are given the
    manifest that `begin` has left. One extraction at a time writes: see `FolderLock`.

    Args:
        folder: of the store.
        manifest: what is going to be in it; `StoreManifest.shards` and ``complete`` are not looked at.
        shard_size: bytes that a shard has at most, unless a single sample has more.
    """

    def __init__(self, folder: Path, manifest: StoreManifest, shard_size: int = 256 << 20) -> None:
        self.folder, self.shard_size = folder, shard_size
        settings = json.loads(json.dumps(dict(manifest.made_by.settings)))
        made_by = replace(manifest.made_by, settings=settings)
        self.manifest = replace(manifest, made_by=made_by, code_version=(__version__,))
        self._lock = FolderLock(folder / PARTS / "lock")

    def begin(self, overwrite: bool = False) -> None:
        """Make the folder, or go on with what is in it. A store that is complete is only looked at.

        Args:
            overwrite: an earlier store in the folder goes.

        Raises:
            StoreError: the folder holds something else, or a store of other making (the fields that differ are told),
                or another extraction fills it.
        """
        held = (self.folder / MANIFEST).is_file()
        others = [] if held or not self.folder.exists() else [p.name for p in self.folder.iterdir() if p.name != PARTS]
        if others:
            raise StoreError(
                "the folder is not empty and holds no store",
                where=self.folder,
                found=first_few(sorted(others)),
                todo="name another folder with --out",
            )
        if held and not overwrite:
            there = StoreManifest.read(self.folder)
            if there.complete:
                self.manifest = self._joined(there)
                return
        self._lock.take()
        try:
            self._begin(overwrite)
        except BaseException:
            self.release()
            raise

    def _begin(self, overwrite: bool) -> None:
        """Under the lock; what another has finished meanwhile is seen."""
        held = (self.folder / MANIFEST).is_file()
        if held and overwrite:
            StoreManifest.read(self.folder)  # nothing but a store is ever deleted
            self._remove()
        elif held:
            there = StoreManifest.read(self.folder)
            if there.complete or any(self.folder.rglob("*.safetensors")):  # what was begun and has nothing may change
                self.manifest = self._joined(there)
        if not self.manifest.complete:
            self._write_manifest(self.manifest)

    def release(self) -> None:
        """Let others write, if this one holds the lock."""
        self._lock.release()

    def _joined(self, there: StoreManifest) -> StoreManifest:
        differences = list(compare_fields(there, self.manifest))
        if differences:
            told = "; ".join(f"{name} is {old!r} there and {new!r} now" for name, old, new in differences[:5])
            raise StoreError(
                "the folder holds a store of other making, and the two must not be mixed",
                where=self.folder,
                found=told,
                todo="name another folder with --out, or --overwrite this one",
            )
        known = {**there.annotations, **self.manifest.annotations}
        splits = {split: known[split] for split in SPLITS if split in known}
        versions = tuple(sorted({*there.code_version, __version__}))
        return replace(there, annotations=splits, code_version=versions)

    def missing(self, split: Split, ids: Iterable[str]) -> list[str]:
        """Those of the ids that are not in the store yet, in their order."""
        done = {i for piece in self._pieces(split) for i in piece.rows}
        return [i for i in ids if i not in done]

    def reopen(self) -> None:
        """Mark a complete store as unfinished, since something is going to be added.

        Raises:
            StoreError: another extraction fills it.
        """
        self._lock.take()
        shutil.rmtree(self.folder / STREAM, ignore_errors=True)  # would lack what is added
        if self.manifest.complete:
            self.manifest = replace(self._joined(StoreManifest.read(self.folder)), complete=False, shards=())
            self._write_manifest(self.manifest)

    def writer(self, seconds: float = 60.0) -> PieceWriter:
        """The writer of a process."""
        return PieceWriter(self, seconds)

    def write(self, path: Path, records: Sequence[Record]) -> None:
        """Write records of one split as one file, whole or not at all."""
        made, split = self.manifest.made_by, records[0].split
        tensors = {name: torch.cat([r.tensors[name] for r in records]) for name in TENSORS[made.kind]}
        rows = TENSORS[made.kind][0]
        note = {
            "id": made.id,
            "weights": made.weights,
            "annotation": self.manifest.annotations[split],
            "split": split,
            "ids": [r.id for r in records],
            "rows": [len(r.tensors[rows]) for r in records],
            "frames": [r.frames for r in records],
            "fps": [r.fps for r in records],
            "jpeg": [len(r.tensors["jpeg"]) for r in records] if made.kind == "frames" else [],
        }
        write_tensors(path, tensors, note)

    def finish(self, order: Mapping[Split, Sequence[str]], unreadable: Mapping[str, str] | None = None) -> None:
        """Make the shards and the manifest, and remove the pieces.

        Args:
            order: by split, its ids in the order of the annotation; ids that no piece has are left out, and what is
                there besides comes last. Other splits keep the shards they have.
            unreadable: ids that could not be extracted, with the reason.
        """
        self.manifest = StoreManifest.read(self.folder)  # `begin` may have been called in another process
        if self.manifest.complete:
            return
        shards: list[Shard] = []
        shapes: set[tuple[int, ...]] = set()
        for split in SPLITS:
            if split in order:
                known = dict.fromkeys(i for piece in self._pieces(split) for i in piece.rows)
                others = known.keys() - set(order[split])  # of an extraction that was of other samples of the split
                ids = [*(i for i in order[split] if i in known), *(i for i in known if i in others)]
                pieces = self._shards(split, ids)
            else:  # shards of an earlier extraction stay; what one that was stopped has left waits for its turn
                pieces = self._shard_pieces(split)
                pieces = pieces if _named_whole(pieces) else []
            shards += [piece.shard() for piece in pieces]
            shapes |= {piece.shape for piece in pieces}
        if len(shapes) != 1:
            found = " and ".join(str(s) for s in sorted(shapes)) or "no sample at all"
            raise StoreError("the samples of a store have rows of one shape", where=self.folder, found=found)
        left_out = {**self.manifest.unreadable, **(unreadable or {})}
        there = {i for shard in shards for i in shard.ids}
        self.manifest = replace(
            self.manifest,
            complete=True,
            shape=next(iter(shapes)),
            shards=tuple(shards),
            unreadable={i: why for i, why in left_out.items() if i not in there},
        )
        self._write_manifest(self.manifest)
        self._clear(order)
        self.release()

    # Inside.

    def _pieces(self, split: Split) -> list[_Piece]:
        """Whole files with samples of the split: shards of a store that was complete before, and pieces."""
        paths = sorted((self.folder / PARTS).glob(f"{split}-*.safetensors"))
        return [*self._shard_pieces(split), *(_Piece(path, read_header(path, _AGAIN), self) for path in paths)]

    def _shard_files(self, split: Split) -> list[Path]:
        return sorted(self.folder.glob(f"{split}-?????-of-?????.safetensors"))

    def _shard_pieces(self, split: Split) -> list[_Piece]:
        return [_Piece(path, read_header(path, _AGAIN), self) for path in self._shard_files(split)]

    def _shards(self, split: Split, ids: list[str]) -> list[_Piece]:
        """Make the shards of a split; those that are there already and hold what they should stay as they are."""
        old = self._shard_pieces(split)
        if [i for piece in old for i in piece.rows] == ids and _named_whole(old):
            return old
        for piece in old:  # its samples are going to be in shards of other names or content
            kept = self.folder / PARTS / f"{split}-{uuid.uuid4().hex}.safetensors"
            kept.parent.mkdir(exist_ok=True)
            piece.path.replace(kept)
        home = {i: piece for piece in self._pieces(split) for i in piece.rows}
        groups = _packed([(i, home[i].bytes_of(i)) for i in ids], self.shard_size)
        made: list[_Piece] = []
        for number, group in enumerate(groups, start=1):
            path = self.folder / f"{split}-{number:05d}-of-{len(groups):05d}.safetensors"
            self.write(path, [home[i].record(i) for i in group])
            made.append(_Piece(path, read_header(path, _AGAIN), self))
        return made

    def _remove(self) -> None:
        """Delete the store, and nothing else that lies in its folder."""
        for split in SPLITS:
            for path in self._shard_files(split):
                path.unlink()
        self._clear(SPLITS)
        (self.folder / MANIFEST).unlink()

    def _clear(self, done: Iterable[Split]) -> None:
        """Remove the pieces of splits that are in shards now, and what was half written."""
        folder = self.folder / PARTS
        for pattern in (*(f"{split}-*.safetensors" for split in done), ".*.tmp"):
            for path in folder.glob(pattern):
                path.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def _write_manifest(self, manifest: StoreManifest) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / MANIFEST, manifest.to_text())


@dataclass(eq=False)
class _Piece:
    """A file with samples: which rows each has."""

    path: Path
    header: Header
    builder: StoreBuilder
    rows: dict[str, tuple[int, int]] = field(init=False)
    bytes: dict[str, tuple[int, int]] = field(init=False)
    numbers: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        made, note = self.builder.manifest.made_by, self.header.note
        wanted = {
            "id": made.id,
            "weights": made.weights,
            "annotation": self.builder.manifest.annotations.get(note.get("split", "")),
        }
        for name, value in wanted.items():
            if note.get(name) != value:
                raise StoreError(
                    "a piece of another extraction lies in the store",
                    where=self.path,
                    expected=f"{name} {value!r}",
                    found=f"{name} {note.get(name)!r}",
                    todo=_AGAIN,
                )
        self.rows = _ranges(note["ids"], note["rows"])
        self.bytes = _ranges(note["ids"], note["jpeg"] or [0] * len(note["ids"]))
        self.numbers = {sample_id: number for number, sample_id in enumerate(note["ids"])}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a row."""
        kind = self.builder.manifest.made_by.kind
        return () if kind == "frames" else self.header.tensors[kind].shape[1:]

    def bytes_of(self, sample_id: str) -> int:
        """Size of a sample."""
        return sum(place.row_bytes * (stop - first) for place, first, stop in self._parts(sample_id).values())

    def record(self, sample_id: str) -> Record:
        """A sample, read."""
        note, number = self.header.note, self.numbers[sample_id]
        handle = os.open(self.path, os.O_RDONLY)
        try:
            tensors = {
                name: read_rows(handle, place, first, stop, self.path)
                for name, (place, first, stop) in self._parts(sample_id).items()
            }
        finally:
            os.close(handle)
        return Record(sample_id, note["split"], tensors, note["frames"][number], note["fps"][number])

    def shard(self) -> Shard:
        """Its entry in the manifest."""
        note = self.header.note
        lists = {name: tuple(note[name]) for name in ("ids", "rows", "frames", "fps", "jpeg")}
        return Shard(file=self.path.name, split=note["split"], size=self.path.stat().st_size, **lists)

    def _parts(self, sample_id: str) -> dict[str, tuple[Any, int, int]]:
        return {
            name: (place, *(self.bytes if name == "jpeg" else self.rows)[sample_id])
            for name, place in self.header.tensors.items()
        }


def _ranges(ids: Sequence[str], counts: Sequence[int]) -> dict[str, tuple[int, int]]:
    ranges, begin = {}, 0
    for sample_id, count in zip(ids, counts, strict=True):
        ranges[sample_id] = (begin, begin + count)
        begin += count
    return ranges


def _named_whole(shards: Sequence[_Piece]) -> bool:
    """Whether the files are called 1 of n to n of n."""
    count = len(shards)
    return [p.path.stem[-14:] for p in shards] == [f"{i:05d}-of-{count:05d}" for i in range(1, count + 1)]


def _packed(sizes: Iterable[tuple[str, int]], limit: int) -> list[list[str]]:
    """Neighbours in groups of at most ``limit`` bytes."""
    groups: list[list[str]] = []
    total = 0
    for name, size in sizes:
        if not groups or total + size > limit:
            groups.append([])
            total = 0
        groups[-1].append(name)
        total += size
    return groups


def _stored(record: Record, made: Extraction) -> Record:
    """A record in the store's number format.

    Raises:
        MediaError: no rows, numbers that are not finite, or too large for the format.
    """
    where, names = f"sample {record.id}", TENSORS[made.kind]
    if set(record.tensors) != set(names):
        raise ConfigError(f"a record of {made.kind} holds {', '.join(names)}", where=where, found=list(record.tensors))
    if 0 in record.tensors[names[0]].shape:
        raise MediaError(f"0 rows of {made.kind}", where=where, found=tuple(record.tensors[names[0]].shape))
    if made.kind == "frames":
        return record
    dtype: torch.dtype = getattr(torch, made.dtype)
    tensors = {}
    for name, values in record.tensors.items():
        bad = int((~torch.isfinite(values)).sum())
        if bad:
            raise MediaError(
                f"{bad} of {values.numel()} numbers of the {name} are NaN or infinite",
                where=where,
                todo="look at the media of this sample, and at the encoder's weights and precision",
            )
        tensors[name] = values.to(dtype)
        if not torch.isfinite(tensors[name]).all():
            raise MediaError(
                f"the {name} do not fit into {made.dtype}",
                where=where,
                expected=f"at most {torch.finfo(dtype).max:g}",
                found=f"{float(values.abs().max()):g}",
                todo="extract with --dtype bfloat16 or float32",
            )
    return replace(record, tensors=tensors)


def _same_shape(first: Record, other: Record) -> None:
    for name, values in first.tensors.items():
        if values.shape[1:] != other.tensors[name].shape[1:]:
            raise MediaError(
                f"the rows of two samples have different shapes ({name})",
                where=f"sample {other.id}",
                expected=f"{tuple(values.shape[1:])}, as sample {first.id}",
                found=tuple(other.tensors[name].shape[1:]),
                todo="for poses: name a point set with --points, or leave out the files of another layout",
            )
