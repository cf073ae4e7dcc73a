"""Is one system better than another, or is it the sample of sentences?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from slt_zoo.errors import ScoreError
from slt_zoo.metrics.report import check_samples, prepare
from slt_zoo.metrics.statistics import Array, Score, interval, resample

__all__ = ["Comparison", "Rank", "compare", "is_better_low", "rank"]

LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same sentences.

    Attributes:
        metric: that was compared.
        protocol: its protocol.
        value_a, value_b: in percent.
        difference: ``value_a - value_b``.
        interval: 95 % bootstrap interval of the difference.
        p_bootstrap: paired bootstrap (Koehn 2004), two-sided: how often resampling moves the difference, up or down, by
            as much as it is. sacreBLEU counts how often the absolute value grows that much, and gives a smaller p.
        p_randomisation: approximate randomisation (Riezler and Maxwell 2005): how often exchanging the two systems'
            outputs at random, sentence by sentence, gives as large a difference.
        samples: of each test; no p is under ``1 / (samples + 1)``.
        seed: of both.
        num_samples: sentences.
    """

    metric: str
    protocol: str
    value_a: float
    value_b: float
    difference: float
    interval: tuple[float, float]
    p_bootstrap: float
    p_randomisation: float
    samples: int
    seed: int
    num_samples: int

    @property
    def real(self) -> bool:
        """Whether both tests call the difference significant at 5 %."""
        return max(self.p_bootstrap, self.p_randomisation) < LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"real": self.real}


def is_better_low(metric: str) -> bool:
    """Whether a low value is the good one: error rates."""
    return metric.startswith("wer")


def compare(
    a: Mapping[str, str],
    b: Mapping[str, str],
    references: Mapping[str, str | Sequence[str]],
    protocol: str,
    metric: str = "bleu4",
    samples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two systems' hypotheses of the same sentences.

    Args:
        a: hypotheses by sample id.
        b: those of the other system.
        references: by sample id.
        protocol: name of a protocol.
        metric: name of one of its values.
        samples: of the bootstrap and of the randomisation.
        seed: of both.

    Raises:
        UnknownNameError: no such protocol, or it has no such value.
        ScoreError: as `slt_zoo.metrics.score`, or the value is not defined on these references.
    """
    check_samples(samples, seed, least=1)
    sides = [prepare(hypotheses, references, protocol) for hypotheses in (a, b)]
    measure = sides[0].protocol.score_of(metric)
    rows_a, rows_b = (measure.statistics(side.hypotheses, side.references).rows for side in sides)
    return _compare(measure, metric, rows_a, rows_b, sides[0].protocol.name, samples, seed)


def _compare(
    measure: Score, metric: str, rows_a: Array, rows_b: Array, protocol: str, samples: int, seed: int
) -> Comparison:
    column = measure.names.index(metric)

    def values(totals: Array) -> Array:
        return measure.values(totals)[:, column]

    value_a, value_b = (float(values(rows.sum(0, keepdims=True))[0]) for rows in (rows_a, rows_b))
    difference = value_a - value_b
    if np.isnan(difference):
        raise ScoreError(f"{metric} is not defined on these references", where=f"protocol {protocol}")
    # the same seed draws the same sentences for both systems
    drawn = values(resample(rows_a, samples, seed)) - values(resample(rows_b, samples, seed))
    moved = np.abs(drawn - np.nanmean(drawn))
    exchanged = _exchanged(rows_a, rows_b, samples, seed)
    apart = np.abs(values(exchanged[0]) - values(exchanged[1]))
    tolerance = 1e-9  # exchanging everything gives the same difference but for rounding
    return Comparison(
        metric=metric,
        protocol=protocol,
        value_a=value_a,
        value_b=value_b,
        difference=difference,
        interval=interval(drawn),
        p_bootstrap=(1 + int((moved > abs(difference) - tolerance).sum())) / (samples + 1),
        p_randomisation=(1 + int((apart > abs(difference) - tolerance).sum())) / (samples + 1),
        samples=samples,
        seed=seed,
        num_samples=len(rows_a),
    )


def _exchanged(rows_a: Array, rows_b: Array, samples: int, seed: int) -> tuple[Array, Array]:
    """Sums ``(samples, K)`` of two systems after each sentence was exchanged between them with probability 1/2."""
    generator = np.random.default_rng(seed)
    change = rows_b - rows_a
    part = max(1, 8_000_000 // len(rows_a))
    sums = [
        generator.integers(0, 2, size=(min(part, samples - begin), len(rows_a)), dtype=np.int8).astype(np.float64)
        @ change
        for begin in range(0, samples, part)
    ]
    moved = np.concatenate(sums)
    return rows_a.sum(0) + moved, rows_b.sum(0) - moved


@dataclass(frozen=True)
class Rank:
    """A system among others.

    Attributes:
        rank: from 1; systems that cannot be told apart from the best of their rank share it.
        name: of the system.
        value: in percent.
        to_best: comparison with the best system of its rank; None for that system itself.
        to_previous: comparison with the best system of the rank above; None in the first rank.
    """

    rank: int
    name: str
    value: float
    to_best: Comparison | None
    to_previous: Comparison | None


def rank(
    systems: Mapping[str, Mapping[str, str]],
    references: Mapping[str, str | Sequence[str]],
    protocol: str,
    metric: str = "bleu4",
    samples: int = 1000,
    seed: int = 0,
) -> list[Rank]:
    """Order systems, best first; a system opens a new rank when it is really worse than the best of the one above.

    Being alike is not transitive: two systems of one rank are each like the best of it, not always like each other.

    Raises:
        UnknownNameError, ScoreError: as :func:`compare`.
    """
    check_samples(samples, seed, least=1)
    if not systems:
        raise ScoreError("there is no system to rank")
    prepared = {name: prepare(hypotheses, references, protocol) for name, hypotheses in systems.items()}
    chosen = next(iter(prepared.values())).protocol
    measure = chosen.score_of(metric)
    column = measure.names.index(metric)
    rows = {name: measure.statistics(side.hypotheses, side.references).rows for name, side in prepared.items()}
    value = {name: float(measure.values(r.sum(0, keepdims=True))[0, column]) for name, r in rows.items()}
    if any(np.isnan(v) for v in value.values()):
        raise ScoreError(f"{metric} is not defined on these references", where=f"protocol {chosen.name}")
    sign = 1 if is_better_low(metric) else -1
    ranks: list[Rank] = []
    leaders: list[str] = []
    for place, name in enumerate(sorted(rows, key=lambda n: (sign * value[n], n)), start=1):
        to_leader = (
            _compare(measure, metric, rows[leaders[-1]], rows[name], chosen.name, samples, seed) if leaders else None
        )
        if to_leader is None or to_leader.real:
            leaders.append(name)
            ranks.append(Rank(place, name, value[name], None, to_leader))
        else:
            above = (
                _compare(measure, metric, rows[leaders[-2]], rows[name], chosen.name, samples, seed)
                if len(leaders) > 1
                else None
            )
            ranks.append(Rank(ranks[-1].rank, name, value[name], to_leader, above))
    return ranks
