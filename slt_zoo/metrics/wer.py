"""Word error rate with its three kinds of error, and exact match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slt_zoo.errors import ScoreError

__all__ = ["Edits", "ExactMatch", "WordErrorRate", "count_edits", "token_ids"]


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


def token_ids(*sequences: Sequence[str]) -> list[NDArray[np.int64]]:
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
    rows, columns = token_ids(reference, hypothesis)
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


@dataclass(frozen=True)
class WordErrorRate:
    """Corpus word error rate in percent: all edits over all reference tokens, split at white space, unit costs.

    ``wer = wer_sub + wer_ins + wer_del``, each over the same denominator; it passes 100 where insertions abound. How
    the three are told apart: :func:`count_edits`. Of several references the one with the fewest edits counts (of
    equals the first), with its own length. The SignJoey scorer aligns with costs 3/3/4 and can differ slightly.

    Raises:
        ScoreError: no reference has a token, so there is nothing to divide by.
    """

    names: ClassVar[tuple[str, ...]] = ("wer", "wer_sub", "wer_ins", "wer_del")

    def __call__(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[dict[str, float], str]:
        """Values by name, and what they are."""
        counts = np.zeros(4, dtype=np.int64)
        for hypothesis, references_of_one in zip(hypotheses, references, strict=True):
            tokens = hypothesis.split()
            edits = [count_edits(tokens, r.split()) for r in references_of_one]
            counts += np.array(min(edits, key=lambda e: e.errors))
        substitutions, insertions, deletions, length = counts.tolist()
        if length == 0:
            raise ScoreError(
                "a word error rate needs at least one word in the references, and all of them are empty",
                found=f"{len(references)} samples",
                todo="check that the references come from the annotation of this split",
            )
        parts = {"wer_sub": substitutions, "wer_ins": insertions, "wer_del": deletions}
        values = {"wer": 100.0 * sum(parts.values()) / length} | {k: 100.0 * v / length for k, v in parts.items()}
        return values, "WER costs:1/1/1|tok:whitespace|refs:min|ties:most-correct"


@dataclass(frozen=True)
class ExactMatch:
    """Sentences in percent whose tokens (split at white space) are those of one of the references."""

    names: ClassVar[tuple[str, ...]] = ("exact",)

    def __call__(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[dict[str, float], str]:
        """Value by name, and what it is."""
        right = sum(
            any(hypothesis.split() == r.split() for r in references_of_one)
            for hypothesis, references_of_one in zip(hypotheses, references, strict=True)
        )
        return {"exact": 100.0 * right / len(hypotheses)}, "exact tok:whitespace"
