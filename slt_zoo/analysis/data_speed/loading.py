"""Batches of a corpus through worker processes: throughput, memory over epochs, and how long a model would wait."""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from slt_zoo.analysis.data_speed.measure import Amount, interleave, pss_mib, ratio, table_of
from slt_zoo.data.base import SLTDataModule
from slt_zoo.types import Batch, InputSpec

__all__ = ["bench_memory", "bench_waiting", "bench_workers", "cores"]

MakeData = Callable[[int], SLTDataModule]
"""A data module with so many workers."""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Epochs:
    """A loader of training batches that is gone through again and again, its workers kept."""

    def __init__(self, make: MakeData, workers: int, spec: InputSpec) -> None:
        self.data = make(workers)
        self.data.bind(spec, ["train"], "the benchmark")
        self._loader: Any = self.data.loader("train", training=True)
        self._epoch = 0

    def __call__(self, turn: int) -> Amount:
        """One epoch."""
        samples = frames = size = 0
        for batch in self.batches():
            samples, frames, size = samples + len(batch), frames + _rows(batch), size + _bytes(batch)
        return Amount(samples, frames, size)

    def batches(self) -> Any:
        """The batches of the next epoch."""
        self._loader.batches.set_epoch(self._epoch)
        self._epoch += 1
        return iter(self._loader)

    def close(self) -> None:
        """End the workers."""
        del self._loader
        gc.collect()


def _packed(batch: Batch) -> Any:
    return next(r for r in (batch.frames, batch.features, batch.pose) if r is not None)


def _rows(batch: Batch) -> int:
    return len(_packed(batch).values)


def _bytes(batch: Batch) -> int:
    return sum(r.values.nbytes for r in (batch.frames, batch.features, batch.pose, batch.pose_conf) if r is not None)


def bench_workers(make: MakeData, spec: InputSpec, seconds: float) -> dict[str, Any]:
    """Epochs with one worker and with two, in turn; two need two free cores."""
    loaders = {"1": _Epochs(make, 1, spec), "2": _Epochs(make, 2, spec)}
    try:
        times = interleave(loaders, seconds)
    finally:
        for loader in loaders.values():
            loader.close()
    found: dict[str, Any] = {key: table_of(value) for key, value in times.items()}
    for row in found.values():
        del row["samples_per_cpu_s"], row["cpu_ms_per_frame"]  # the workers did the work, not this process
    return found | {"cores": cores(), "ratio": ratio(times, "2", "1")}


def bench_memory(make: MakeData, spec: InputSpec, epochs: int = 5, workers: int = 2) -> dict[str, Any]:
    """Memory of this process and its workers in each epoch: the median over its batches, in MiB.

    What processes share counts once (PSS). An epoch comes before, in which the workers fill their buffers; ``growth``
    is from the first epoch counted to the highest of the others.
    """
    loader, medians = _Epochs(make, workers, spec), []
    try:
        for _ in range(epochs + 1):
            seen = []
            for _ in loader.batches():
                children = [c.pid for c in multiprocessing.active_children() if c.pid is not None]
                mib = pss_mib([os.getpid(), *children])
                if mib is None:
                    return {"mib": None, "growth": None, "why": "the system does not say (/proc/<pid>/smaps_rollup)"}
                seen.append(mib)
            medians.append(median(seen))
    finally:
        loader.close()
    filling, *counted = medians
    growth = max(counted) / counted[0] - 1
    return {"epochs": epochs, "workers": workers, "filling_mib": filling, "mib": counted, "growth": growth}


def bench_waiting(make: MakeData, spec: InputSpec, step_ms: float, workers: int = 2) -> dict[str, Any]:
    """One epoch before a model that takes so long a step (here: that sleeps): which share of the time it waits."""
    loader = _Epochs(make, workers, spec)
    try:
        loader(0)
        steps, waited, begin = 0, 0.0, time.perf_counter()
        batches, last = loader.batches(), time.perf_counter()
        for _ in batches:
            waited += time.perf_counter() - last
            time.sleep(step_ms / 1000)
            steps, last = steps + 1, time.perf_counter()
        whole = time.perf_counter() - begin
    finally:
        loader.close()
    return {"step_ms": step_ms, "workers": workers, "steps": steps, "share": waited / whole}
