"""The order of training batches: the same for the same seed and epoch, on any number of processes and workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, DistributedSampler

__all__ = ["Key", "TrainBatches", "TrainLoader"]

Key = tuple[int, int]
"""``(index of the sample, epoch)``: what a dataset is asked for in training, so that random draws can be repeated."""


Indices = NDArray[np.int64]

CHUNKS_AT_ONCE = 8
"""Files whose samples are mixed where they are fetched from afar."""


class TrainBatches(DistributedSampler[list[Key]]):
    """Yields the keys of whole batches, shuffled anew each epoch; each process gets as many batches as the others.

    It is a ``DistributedSampler`` so that Lightning leaves it alone and tells it the epoch. Give it to
    ``DataLoader(dataset, sampler=..., batch_size=None)``.

    Args:
        num_samples: size of the split.
        batch_size: samples a batch (the last of an epoch may be smaller).
        frames_per_batch: budget of rows instead: a batch is full when its longest sample times their number
            would pass it.
        lengths: rows of each sample (frames, or vectors of features); needed for a budget and for buckets.
        bucket: sort samples of like length into the same batch (within a window of 50 batches).
        chunks: which file each sample comes from, where files are fetched from afar: samples of a few files are then
            mixed with each other, so that a file is fetched once an epoch and may go.
        limit: how many batches of an epoch are used: a number, or a share (Lightning's ``limit_train_batches``).
        seed: of the order.
        num_replicas: processes.
        rank: of this process.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        batch_size: int,
        frames_per_batch: int | None = None,
        lengths: Sequence[int] | None = None,
        bucket: bool = False,
        chunks: Sequence[int] | None = None,
        limit: float = 1.0,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
    ) -> None:
        super().__init__(
            range(num_samples),  # type: ignore[arg-type]  # only its length is used
            num_replicas=num_replicas,
            rank=rank,
            shuffle=True,
            seed=seed,
        )
        if (bucket or frames_per_batch is not None) and lengths is None:
            raise ValueError("buckets and a budget of frames need the lengths of the samples")
        self.size, self.batch_size, self.budget, self.bucket = num_samples, batch_size, frames_per_batch, bucket
        self.lengths = None if lengths is None else np.asarray(lengths)
        self.chunks = None if chunks is None else np.asarray(chunks)

        self.position: int | None = None
        """Batches of this process that were had since the first epoch, where a run goes on; None: `epoch` decides."""
        # Lightning plans validation by the first epoch's number of batches: a budget must not change it
        self._count = len(self._cut(0))
        used = min(limit, len(self)) if isinstance(limit, int) else int(limit * len(self))
        self.per_epoch = used or len(self)
        """Batches of an epoch that this process uses."""

    def __iter__(self) -> Iterator[list[Key]]:
        begin = self.epoch * self.per_epoch if self.position is None else self.position
        last, batches = -1, []
        for position in range(begin, begin + len(self)):
            epoch, number = divmod(position, self.per_epoch)
            if epoch != last:
                last, batches = epoch, self._batches(epoch)[self.rank :: self.num_replicas]
            yield [(int(i), epoch) for i in batches[number]]

    def __len__(self) -> int:
        return -(-self._count // self.num_replicas)

    def _batches(self, epoch: int) -> list[Indices]:
        """As many batches in every epoch, and as many for each process.

        Where a budget cuts fewer, the largest are halved; where it cuts more, the last of a random order wait for
        another epoch.
        """
        batches = self._cut(epoch)
        while len(batches) < self._count:
            largest = max(range(len(batches)), key=lambda i: len(batches[i]))
            batch = batches.pop(largest)
            batches += [batch[::2], batch[1::2]]
        batches = batches[: self._count]
        missing = -len(batches) % self.num_replicas  # every process must take part in every step
        return batches + (batches * self.num_replicas)[:missing]

    def _cut(self, epoch: int) -> list[Indices]:
        rng = np.random.default_rng([self.seed, epoch])
        order, window = rng.permutation(self.size), 50 * self.batch_size
        bounds = [*range(window, self.size, window)]
        if self.chunks is not None:  # files in random order, the samples of a few of them mixed
            place = rng.permutation(int(self.chunks.max()) + 1)[self.chunks[order]] // CHUNKS_AT_ONCE
            order = order[np.argsort(place, kind="stable")]
            bounds = (np.flatnonzero(np.diff(np.sort(place))) + 1).tolist()
        if self.bucket and self.lengths is not None:
            parts = np.split(order, bounds)
            order = np.concatenate([part[np.argsort(self.lengths[part], kind="stable")] for part in parts])
        ends = self._ends(order)
        batches = [order[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        if self.bucket or self.budget is not None:
            batches = [batches[i] for i in self._shuffled(len(batches), rng)]
        return batches

    def _shuffled(self, count: int, rng: np.random.Generator) -> Indices:
        """An order of batches; where files are fetched, only batches of the same files change places."""
        if self.chunks is None:
            return rng.permutation(count)
        files = int(self.chunks.max()) + 1
        step = max(1, count * CHUNKS_AT_ONCE // files)
        return np.concatenate([b + rng.permutation(min(step, count - b)) for b in range(0, count, step)])

    def _ends(self, order: Indices) -> list[int]:
        if self.budget is None or self.lengths is None:
            return [*range(self.batch_size, self.size, self.batch_size), self.size]
        ends: list[int] = []
        begin, longest = 0, 0
        for position, index in enumerate(order):
            longest = max(longest, int(self.lengths[index]))
            if position > begin and longest * (position - begin + 1) > self.budget:
                ends.append(position)
                begin, longest = position, int(self.lengths[index])
        return [*ends, self.size]


class TrainLoader(DataLoader[Any]):
    """A loader of `TrainBatches` that goes on where a run was stopped, also in the middle of an epoch.

    Lightning asks for `state_dict` when it saves a checkpoint and gives it back before the first batch. From then on
    batches follow each other as in a run that was never stopped, whatever Lightning calls an epoch (one that
    ``max_steps`` ended counts as whole there). Batches count when they are handed out, not when a worker reads them
    ahead; every process has handed out equally many.
    """

    def __init__(self, dataset: Any, batches: TrainBatches, **settings: Any) -> None:
        super().__init__(dataset, batch_size=None, sampler=batches, **settings)
        self.batches = batches
        self._had = 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # DataLoader promises its own private iterator
        if self.batches.position is None:
            self._had = self.batches.epoch * self.batches.per_epoch
        else:
            self.batches.position = self._had
        for batch in super().__iter__():
            self._had += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """How many batches were handed out since the first epoch began."""
        return {"batches": self._had}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on there."""
        self._had = self.batches.position = int(state["batches"])
