"""ROUGE-L by the longest common subsequence. Published ROUGEs differ: each variant has its own name here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from slt_zoo.metrics.wer import token_ids

__all__ = ["RougeL", "lcs_length", "rouge_l_f"]


def lcs_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence of two token sequences."""
    if not a or not b:
        return 0
    rows, columns = token_ids(a, b)
    best = np.zeros(len(b) + 1, dtype=np.int64)
    for row in rows:
        diagonal = best[:-1] + (columns == row)
        best[1:] = np.maximum(best[1:], diagonal)
        best = np.maximum.accumulate(best)
    return int(best[-1])


def rouge_l_f(hypothesis: Sequence[str], reference: Sequence[str], beta: float) -> float:
    """``F = (1 + beta^2) P R / (R + beta^2 P)`` in [0, 1], with ``P = LCS / |hypothesis|``, ``R = LCS / |reference|``.

    0 where nothing is common, also where one side is empty.
    """
    common = lcs_length(hypothesis, reference)
    if common == 0:
        return 0.0
    precision, recall = common / len(hypothesis), common / len(reference)
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision)


@dataclass(frozen=True)
class RougeL:
    """Mean over sentences of ROUGE-L's F, in percent, tokens split at white space.

    Of several references the one with the highest F counts (the COCO scorer instead joins the best P of one with the
    best R of another; with one reference they agree).

    Attributes:
        name: under which the value is reported.
        beta: weight of recall; 1.2 in the COCO and SignJoey scorers, where recall weighs 1.44 times precision.
    """

    name: str = "rouge_l_b12"
    beta: float = 1.2
    unit: ClassVar[str] = "tok:whitespace|refs:max|mean:sentences"

    @property
    def names(self) -> tuple[str, ...]:
        """The one name."""
        return (self.name,)

    def __call__(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[dict[str, float], str]:
        """Value by name, and what it is."""
        total = 0.0
        for hypothesis, references_of_one in zip(hypotheses, references, strict=True):
            total += max(rouge_l_f(hypothesis.split(), r.split(), self.beta) for r in references_of_one)
        return {self.name: 100.0 * total / len(hypotheses)}, f"ROUGE-L beta:{self.beta:g}|{self.unit}"
