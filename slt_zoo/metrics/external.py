"""Scores that another program gave each sentence: their mean, with an interval, in our reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from slt_zoo.metrics.statistics import Array, Score, Statistics

__all__ = ["External"]


@dataclass(frozen=True, eq=False)
class External(Score):
    """Mean of numbers that another program gave each sentence, times 100.

    Attributes:
        name: of the score.
        sentences: a number by id.
        ids: of the scored sentences, in the order of `statistics`.
    """

    name: str
    sentences: Mapping[str, float]
    ids: Sequence[str]

    @property
    def names(self) -> tuple[str, ...]:
        """The one name."""
        return (self.name,)

    def statistics(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
        """Rows ``(N, 2)``: the number, and 1."""
        own = np.array([self.sentences[i] for i in self.ids], np.float64)
        return Statistics(np.stack([own, np.ones_like(own)], 1), f"{self.name} external|x100|mean:sentences")

    def values(self, totals: Array) -> Array:
        """See `Score.values`."""
        return 100 * totals[:, :1] / totals[:, 1:]
