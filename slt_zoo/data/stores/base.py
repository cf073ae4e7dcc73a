"""`Store`: what its manifest tells, whatever the container of its samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.stores.manifest import Shard, StoreManifest
from slt_zoo.errors import StoreError, first_few, nearest
from slt_zoo.types import Media, Split

__all__ = ["Place", "Rows", "Store"]


class Place(NamedTuple):
    """Where a sample lies: number of its shard, and its own number in it."""

    shard: int
    number: int


class Rows(Protocol):
    """Rows of a sample; behaves like an array along its first axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""

    @property
    def ndim(self) -> int:
        """Number of axes."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice | NDArray[np.int64]) -> Any:
        """A slice is a part of the same kind; row numbers are read, as float32."""

    def tensor(self, first: int = 0, stop: int | None = None) -> Tensor:
        """Rows ``[first, stop)`` as they are stored."""

    def numpy(self) -> NDArray[Any]:
        """All rows, numbers as float32."""


class Store(ABC):
    """An opened store; see `open_store`.

    Args:
        name: folder or address.
        manifest: of it.
        advice: what a person can do when samples are not in it.

    Attributes:
        name: as given.
        manifest: what it says of itself.
        advice: as given.

    Raises:
        StoreError: the manifest has a sample twice.
    """

    def __init__(self, name: str, manifest: StoreManifest, advice: str) -> None:
        self.name, self.manifest, self.advice = name, manifest, advice
        self.places: dict[str, Place] = {}
        for shard, content in enumerate(manifest.shards):
            for number, sample_id in enumerate(content.ids):
                if self.places.setdefault(sample_id, Place(shard, number)) != (shard, number):
                    raise StoreError("a sample is in the store twice", where=name, found=sample_id, todo=advice)

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[str]:
        """The ids, in order."""
        return iter(self.places)

    def __contains__(self, sample_id: object) -> bool:
        return sample_id in self.places

    def ids(self, split: Split) -> list[str]:
        """Ids of a split, in the order of its annotation."""
        return [i for shard in self.manifest.shards_of(split) for i in shard.ids]

    def media(self, sample_id: str) -> Media | None:
        """Where a sample lies, with all that the manifest knows of it; None: the store has it not.

        No shard is opened for that.
        """
        place = self.places.get(sample_id)
        if place is None:
            return None
        made, shard = self.manifest.made_by, self.manifest.shards[place.shard]
        return Media(
            self.name,
            fps=shard.fps[place.number],
            num_frames=shard.frames[place.number],
            stride=made.stride,
            window=made.window,
            extractor=made.id,
            item=sample_id,
        )

    def num_rows(self, sample_id: str) -> int:
        """Rows of a sample, as the manifest has them: vectors, poses or frames. Nothing is opened or fetched.

        Raises:
            StoreError: the store has no such sample.
        """
        place = self.place(sample_id)
        return self.manifest.shards[place.shard].rows[place.number]

    def place(self, sample_id: str) -> Place:
        """Where a sample lies.

        Raises:
            StoreError: the store has no such sample.
        """
        if sample_id not in self.places:
            near = nearest(sample_id, self.places, cutoff=0.8)
            raise StoreError(
                f"the store has no sample {sample_id!r}",
                where=self.name,
                found=f"{len(self)} samples" + (f"; similar: {first_few(near)}" if near else ""),
                todo=self.advice,
            )
        return self.places[sample_id]

    def described(self, ids: Sequence[str], split: Split, file: str, size: int) -> Shard:
        """The entry of a file with some of the samples, for another manifest."""
        places = [self.place(i) for i in ids]

        def column(name: str) -> tuple[Any, ...]:
            return tuple(getattr(self.manifest.shards[p.shard], name)[p.number] for p in places)

        lists = {name: column(name) for name in ("rows", "frames", "fps")}
        jpeg = column("jpeg") if self.manifest.made_by.kind == "frames" else ()
        return Shard(file=file, split=split, size=size, ids=tuple(ids), jpeg=jpeg, **lists)

    def chunk_of(self, sample_id: str) -> int | None:
        """Which file a sample is fetched with; None: nothing is fetched."""
        return None

    @abstractmethod
    def rows(self, sample_id: str, tensor: str) -> Rows:
        """The rows of a sample in one of its tensors (`slt_zoo.data.stores.manifest.TENSORS`).

        Raises:
            StoreError: the store has no such sample.
        """

    @abstractmethod
    def read(self, sample_id: str) -> dict[str, Tensor]:
        """All tensors of a sample as they are stored, by name.

        Raises:
            StoreError: the store has no such sample.
        """
