"""ROUGE-L by the longest common subsequence. Published ROUGEs differ: each variant has its own name here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from slt_zoo.metrics.statistics import Array, Score, Statistics

__all__ = ["RougeL", "RougePackage", "f_beta", "f_precision_over_recall", "lcs_length"]

Rows = list[int]


def _lcs_rows(a: Sequence[str], b: Sequence[str]) -> Rows:
    """The table of common subsequences, a row a token of ``a`` (and one before), as bits.

    Bit j of row i is 0 where the longest common subsequence of ``a[:i]`` and ``b[:j + 1]`` is one longer than that with
    ``b[:j]``. Hyyrö, "Bit-parallel LCS-length computation revisited", 2004: a few operations on whole numbers a row.
    """
    places: dict[str, int] = {}
    for j, token in enumerate(b):
        places[token] = places.get(token, 0) | 1 << j
    all_ones = (1 << len(b)) - 1
    rows = [all_ones]
    for token in a:
        row = rows[-1]
        met = row & places.get(token, 0)
        rows.append(((row + met) | (row - met)) & all_ones)
    return rows


def lcs_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence of two token sequences."""
    return len(b) - _lcs_rows(a, b)[-1].bit_count()


def f_beta(beta: float) -> Callable[[float, float], float]:
    """``(1 + beta^2) P R / (R + beta^2 P)`` of precision and recall."""

    def f(precision: float, recall: float) -> float:
        return (1 + beta**2) * precision * recall / (recall + beta**2 * precision)

    return f


def f_precision_over_recall(precision: float, recall: float) -> float:
    """`f_beta` with beta = P / R, another one for each sentence: ``P R (P^2 + R^2) / (P^3 + R^3)``.

    What the scorers of SLRT and CV-SLT compute; it leans to precision.
    """
    return precision * recall * (precision**2 + recall**2) / (precision**3 + recall**3)


@dataclass(frozen=True)
class RougeL(Score):
    """Mean over sentences of ROUGE-L's F, in percent, in three variants; tokens split at white space.

    ``rouge_l_b12``: beta 1.2, recall weighs 1.44 times precision (the scorers of COCO, SignJoey, nlg-eval).
    ``rouge_l_f1``: beta 1. ``rouge_l_pr``: beta P/R. All three are 0 where nothing is common, also where one side is
    empty. Of several references the one with the highest F counts (the COCO scorer instead joins the best P of one with
    the best R of another; with one reference they agree).
    """

    variants: ClassVar[dict[str, Callable[[float, float], float]]] = {
        "rouge_l_b12": f_beta(1.2),
        "rouge_l_f1": f_beta(1.0),
        "rouge_l_pr": f_precision_over_recall,
    }

    @property
    def names(self) -> tuple[str, ...]:
        """One a variant."""
        return tuple(self.variants)

    def statistics(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
        """Rows ``(N, 4)``: F of each variant, and 1."""
        rows = np.ones((len(hypotheses), len(self.variants) + 1))
        for row, hypothesis, references_of_one in zip(rows, hypotheses, references, strict=True):
            tokens = hypothesis.split()
            pairs = [self._precision_recall(tokens, r.split()) for r in references_of_one]
            row[:-1] = [max(f(*pair) if pair[0] else 0.0 for pair in pairs) for f in self.variants.values()]
        return Statistics(rows, "ROUGE-L beta:1.2,1,P/R|tok:whitespace|refs:max|mean:sentences")

    def values(self, totals: Array) -> Array:
        """See `Score.values`."""
        return 100 * totals[:, :-1] / totals[:, -1:]

    @staticmethod
    def _precision_recall(hypothesis: list[str], reference: list[str]) -> tuple[float, float]:
        common = lcs_length(hypothesis, reference)
        return (common / len(hypothesis), common / len(reference)) if common else (0.0, 0.0)


@dataclass(frozen=True)
class RougePackage(Score):
    """``rouge_l_pkg``: what the Python package ``rouge`` 1.0 calls ROUGE-L, in percent; to compare with old tables.

    Each text is cut into pieces at full stops. Of every pair of pieces one longest common subsequence is taken, the
    words of all of them are joined into a set, and its size is divided by the number of *distinct* words of hypothesis
    and reference: a word that is said twice counts once, and dots do not count. The F of the two, mean over sentences.
    Where a side has no word the package stops with an error; here it counts 0.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """``rouge_l_pkg``."""
        return ("rouge_l_pkg",)

    def statistics(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
        """Rows ``(N, 2)``: F, and 1."""
        rows = np.ones((len(hypotheses), 2))
        for row, hypothesis, references_of_one in zip(rows, hypotheses, references, strict=True):
            row[0] = max(self._f(_pieces(hypothesis), _pieces(r)) for r in references_of_one)
        return Statistics(rows, "ROUGE-L package:rouge-1.0|refs:max|mean:sentences")

    def values(self, totals: Array) -> Array:
        """See `Score.values`."""
        return 100 * totals[:, :1] / totals[:, 1:]

    @staticmethod
    def _f(hypothesis: list[list[str]], reference: list[list[str]]) -> float:
        said, wanted = ({word for piece in text for word in piece} for text in (hypothesis, reference))
        if not said - {""} or not wanted - {""}:
            return 0.0
        common = {word for r in reference for h in hypothesis for word in _one_lcs(r, h)}
        precision, recall = len(common) / len(said), len(common) / len(wanted)
        return 2 * precision * recall / (precision + recall + 1e-8)


def _pieces(text: str) -> list[list[str]]:
    """The package's sentences: between full stops, empty ones dropped; a piece of white space is one empty word."""
    return [" ".join(piece.split()).split(" ") for piece in text.split(".") if piece]


def _one_lcs(a: list[str], b: list[str]) -> list[str]:
    """The longest common subsequence that the package finds, from the end.

    Where dropping a token of ``a`` or one of ``b`` leads as far, that of ``b`` is dropped.
    """
    rows, found = _lcs_rows(a, b), []
    i, j = len(a), len(b)
    while i and j:
        below = (1 << j) - 1
        if a[i - 1] == b[j - 1]:
            found.append(a[i - 1])
            i, j = i - 1, j - 1
        elif (~rows[i - 1] & below).bit_count() > (~rows[i] & (below >> 1)).bit_count():
            i -= 1
        else:
            j -= 1
    return found
