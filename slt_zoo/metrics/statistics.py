"""Scores as functions of sums over sentences: what makes resampling a thousand times cheap.

Every score here is ``values(sum of a row a sentence)``. A bootstrap sample is another weighting of the same rows, so no
sentence is looked at twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Score", "Statistics", "interval", "resample"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Statistics:
    """What a score needs to know of each sentence.

    Attributes:
        rows: ``(N, K)``, additive: the score of some sentences is a function of the sum of their rows.
        signature: how they were made.
    """

    rows: Array
    signature: str


class Score(ABC):
    """One measure with its parameters."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Keys of the values."""

    @abstractmethod
    def statistics(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
        """Rows of ``N`` prepared hypotheses against the references of each."""

    @abstractmethod
    def values(self, totals: Array) -> Array:
        """Sums of rows ``(S, K)`` -> values in percent ``(S, len(names))``; NaN where one is not defined."""

    def __call__(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[dict[str, float], str]:
        """Defined values by name, and the signature."""
        found = self.statistics(hypotheses, references)
        return named(self.names, self.values(found.rows.sum(0, keepdims=True))[0]), found.signature


def named(names: Sequence[str], values: Array) -> dict[str, float]:
    """Values by name, without those that are not defined."""
    return {name: float(value) for name, value in zip(names, values, strict=True) if not np.isnan(value)}


def resample(rows: Array, samples: int, seed: int) -> Array:
    """Sums of rows over bootstrap samples.

    Args:
        rows: ``(N, K)``.
        samples: how many times N sentences are drawn with replacement.
        seed: equal seeds draw equal sentences, whatever the rows: two systems are compared on the same ones.

    Returns:
        ``(samples, K)``.
    """
    return np.concatenate([weights @ rows for weights in _weights(len(rows), samples, seed)])


def _weights(sentences: int, samples: int, seed: int) -> Iterator[Array]:
    """How often each sentence was drawn: parts ``(some, N)`` of ``(samples, N)``, so that memory stays small."""
    generator = np.random.default_rng(seed)
    part = max(1, 2_000_000 // sentences)
    for begin in range(0, samples, part):
        count = min(part, samples - begin)
        drawn = generator.integers(sentences, size=(count, sentences))
        drawn += sentences * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * sentences).reshape(count, sentences)
        yield weights.astype(np.float64)


def interval(values: Array, confidence: float = 0.95) -> tuple[float, float]:
    """Percentile interval of resampled values; NaN (not defined in a sample) left out."""
    outside = 50 * (1 - confidence)
    low, high = np.nanpercentile(values, [outside, 100 - outside])
    return float(low), float(high)
