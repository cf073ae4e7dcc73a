"""Word error rate with its three kinds of error, and exact match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from slt_zoo.metrics.statistics import Array, Score, Statistics

__all__ = ["Edits", "ExactMatch", "WordErrorRate", "count_edits", "count_edits_334"]


class Edits(NamedTuple):
    """Errors of one hypothesis, and the tokens of the reference they are counted against."""

    substitutions: int
    insertions: int
    deletions: int
    reference_length: int

    @property
    def errors(self) -> int:
        """All edits."""
        return self.substitutions + self.insertions + self.deletions


def _token_ids(*sequences: Sequence[str]) -> list[NDArray[np.int64]]:
    """Each sequence as numbers: equal tokens have equal numbers."""
    ids: dict[str, int] = {}
    return [np.array([ids.setdefault(t, len(ids)) for t in tokens], dtype=np.int64) for tokens in sequences]


def count_edits(hypothesis: Sequence[str], reference: Sequence[str]) -> Edits:
    """Fewest substitutions, insertions and deletions (each costs 1) that make the reference into the hypothesis.

    Often several alignments need equally few edits and differ in their kinds: "a b" heard as "b c" is two
    substitutions, or one deletion and one insertion with "b" correct. Of these the one with the most correct tokens is
    taken, hence with the fewest substitutions; that settles all three numbers, whatever the order of the search.
    """
    n, m = len(reference), len(hypothesis)
    # One integer holds both aims: edits first, substitutions second (there are fewer of them than `edit`).
    edit = n + m + 1
    rows, columns = _token_ids(reference, hypothesis)
    inserted = edit * np.arange(m + 1, dtype=np.int64)
    cost = inserted.copy()
    for row in rows:
        new = cost + edit  # the reference token deleted
        new[1:] = np.minimum(new[1:], cost[:-1] + np.where(columns == row, 0, edit + 1))
        # insertions run along the row: min over k <= j of new[k] + (j - k) * edit
        cost = np.minimum.accumulate(new - inserted) + inserted
    errors, substitutions = divmod(int(cost[-1]), edit)
    insertions = (errors - substitutions + m - n) // 2  # as insertions - deletions = m - n
    return Edits(substitutions, insertions, errors - substitutions - insertions, n)


def count_edits_334(hypothesis: Sequence[str], reference: Sequence[str]) -> Edits:
    """Edits of the alignment that costs least when a deletion or insertion costs 3 and a substitution 4.

    Of equally cheap alignments the one found from the end, preferring a match, then a substitution, an insertion, a
    deletion, as in the SignJoey scorer. Its table there is of 8-bit numbers, so that long sequences come out wrong;
    this one is not.
    """
    n, m = len(reference), len(hypothesis)
    rows, columns = _token_ids(reference, hypothesis)
    steps = 3 * np.arange(m + 1, dtype=np.int64)
    cost = np.empty((n + 1, m + 1), dtype=np.int32)
    cost[0] = steps
    for i, row in enumerate(rows):
        new = cost[i].astype(np.int64) + 3
        new[1:] = np.minimum(new[1:], cost[i, :-1] + np.where(columns == row, 0, 4))
        cost[i + 1] = np.minimum.accumulate(new - steps) + steps
    i, j, substitutions, insertions, deletions = n, m, 0, 0, 0
    while i or j:
        if i and j and rows[i - 1] == columns[j - 1] and cost[i, j] == cost[i - 1, j - 1]:
            i, j = i - 1, j - 1
        elif i and j and cost[i, j] == cost[i - 1, j - 1] + 4:
            substitutions += 1
            i, j = i - 1, j - 1
        elif j and cost[i, j] == cost[i, j - 1] + 3:
            insertions += 1
            j -= 1
        else:
            deletions += 1
            i -= 1
    return Edits(substitutions, insertions, deletions, n)


@dataclass(frozen=True)
class WordErrorRate(Score):
    """Corpus word error rate in percent: all edits over all reference tokens, split at white space, unit costs.

    ``wer = wer_sub + wer_ins + wer_del``, each over the same denominator; it passes 100 where insertions abound. How
    the three are told apart: :func:`count_edits`. Of several references the one with the fewest edits counts (of
    equals the first), with its own length. Where no reference has a token there is nothing to divide by, and no value.

    Attributes:
        legacy_costs: align with costs 3 for a deletion or insertion and 4 for a substitution, as the SignJoey scorer
            does, which can take more edits than needed; the name is then ``wer_334``.
    """

    legacy_costs: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """``wer`` and its parts."""
        stem = "wer_334" if self.legacy_costs else "wer"
        return (stem, f"{stem}_sub", f"{stem}_ins", f"{stem}_del")

    def statistics(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
        """Rows ``(N, 4)``: substitutions, insertions, deletions, reference tokens."""
        count = count_edits_334 if self.legacy_costs else count_edits
        rows = np.zeros((len(hypotheses), 4))
        for row, hypothesis, references_of_one in zip(rows, hypotheses, references, strict=True):
            tokens = hypothesis.split()
            row[:] = min((count(tokens, r.split()) for r in references_of_one), key=lambda e: e.errors)
        costs = "3/3/4|ties:sub,ins,del" if self.legacy_costs else "1/1/1|ties:most-correct"
        return Statistics(rows, f"WER costs:{costs}|tok:whitespace|refs:min")

    def values(self, totals: Array) -> Array:
        """See `Score.values`."""
        length = np.where(totals[:, 3:] > 0, totals[:, 3:], np.nan)
        parts = 100 * totals[:, :3] / length
        return np.concatenate([100 * totals[:, :3].sum(1, keepdims=True) / length, parts], 1)


@dataclass(frozen=True)
class ExactMatch(Score):
    """Sentences in percent whose tokens (split at white space) are those of one of the references."""

    @property
    def names(self) -> tuple[str, ...]:
        """``exact``."""
        return ("exact",)

    def statistics(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
        """Rows ``(N, 2)``: 1 where right, and 1."""
        rows = np.ones((len(hypotheses), 2))
        for row, hypothesis, references_of_one in zip(rows, hypotheses, references, strict=True):
            row[0] = any(hypothesis.split() == r.split() for r in references_of_one)
        return Statistics(rows, "exact tok:whitespace")

    def values(self, totals: Array) -> Array:
        """See `Score.values`."""
        return 100 * totals[:, :1] / totals[:, 1:]
