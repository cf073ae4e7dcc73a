"""Hypotheses of all processes, joined by id, so that N devices give the score of one."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch.distributed as dist

from slt_zoo.errors import ScoreError, first_few
from slt_zoo.metrics.report import check_ids
from slt_zoo.types import Prediction

__all__ = ["PredictionCollector", "gather_by_id", "gather_first", "gather_sums"]

T = TypeVar("T")
logger = logging.getLogger(__name__)


def gather_by_id(local: Mapping[str, Prediction]) -> dict[str, Prediction]:
    """Predictions of all processes in the order of their ids, the same on every process.

    Every process of the group must call it. Where a sample was decoded twice (a sampler that pads), equal hypotheses
    count once; of unequal ones that of the lowest rank stays, and a warning names the samples.
    """
    joined: dict[str, Prediction] = {}
    conflicts = set()
    for shard in _of_all_processes(local):
        for sample_id, prediction in shard.items():
            if joined.setdefault(sample_id, prediction).hypothesis != prediction.hypothesis:
                conflicts.add(sample_id)
    if conflicts:
        logger.warning(
            "%d samples were decoded by several processes with unequal results; the lowest rank's stays: %s",
            len(conflicts),
            first_few(sorted(conflicts)),
        )
    return dict(sorted(joined.items()))


def gather_first(local: Mapping[str, T]) -> dict[str, T]:
    """Entries of all processes in the order of their ids; of an id that several have, the lowest rank's.

    Every process of the group must call it.
    """
    joined: dict[str, T] = {}
    for shard in _of_all_processes(local):
        joined = {**shard, **joined}
    return dict(sorted(joined.items()))


def gather_sums(local: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Numbers by name, summed over all processes, place by place; a process may lack names that others have.

    Every process of the group must call it, and gets the same.
    """
    joined: dict[str, list[float]] = {}
    for shard in _of_all_processes(local):
        for name, numbers in shard.items():
            joined[name] = [a + b for a, b in zip(joined.get(name, [0.0] * len(numbers)), numbers, strict=True)]
    return dict(sorted(joined.items()))


def _of_all_processes(local: Mapping[str, T]) -> list[dict[str, T]]:
    shards: list[Any] = [dict(local)]
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        shards = [None] * dist.get_world_size()
        dist.all_gather_object(shards, dict(local))
    return shards


class PredictionCollector:
    """Holds the hypotheses of one split while it is decoded.

    Use: ``reset()``, ``add(...)`` after each batch, ``gather()`` on every process, ``check(...)``.
    """

    def __init__(self) -> None:
        self._predictions: dict[str, Prediction] = {}

    def reset(self) -> None:
        """Forget everything."""
        self._predictions = {}

    def add(
        self, ids: Sequence[str], hypotheses: Sequence[str], extra: Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        """Store a batch of ``B`` hypotheses.

        An id that is there already keeps its first hypothesis; where the two differ, a warning says so.

        Args:
            ids: of the samples.
            hypotheses: one a sample.
            extra: plain data, one mapping a sample.

        Raises:
            ScoreError: the three are not of one length, or a hypothesis is no string.
        """
        extra = [{}] * len(ids) if extra is None else extra
        if not len(ids) == len(hypotheses) == len(extra):
            raise ScoreError(
                "a batch needs one hypothesis a sample",
                expected=f"{len(ids)} hypotheses and extras",
                found=f"{len(hypotheses)} hypotheses and {len(extra)} extras",
                todo="translate() must return one string for each sample of the batch, in order",
            )
        for sample_id, hypothesis, more in zip(ids, hypotheses, extra, strict=True):
            if not isinstance(hypothesis, str):
                raise ScoreError(
                    "a hypothesis must be a string", where=f"sample {sample_id!r}", found=type(hypothesis).__name__
                )
            kept = self._predictions.setdefault(sample_id, Prediction(sample_id, hypothesis, extra=dict(more)))
            if kept.hypothesis != hypothesis:
                logger.warning("sample %s was decoded twice with unequal results; the first stays", sample_id)

    def gather(self) -> dict[str, str]:
        """Hypotheses of all processes by id, in the order of the ids; every process must call it.

        Afterwards the collector holds the union, on every process.
        """
        self._predictions = gather_by_id(self._predictions)
        return {sample_id: p.hypothesis for sample_id, p in self._predictions.items()}

    @property
    def predictions(self) -> list[Prediction]:
        """What is held: this process's batches, or the union after :meth:`gather`. References are not filled in."""
        return list(self._predictions.values())

    def check(self, expected_ids: Iterable[str], complete: bool = True) -> None:
        """That the union is the split; call it after :meth:`gather`.

        Args:
            expected_ids: of the split.
            complete: False: ids may be missing (a part of the split was decoded on purpose), none may be surplus.

        Raises:
            ScoreError: names the missing and the surplus ids.
        """
        expected = set(expected_ids)
        check_ids(self._predictions, expected if complete else expected & set(self._predictions))
