"""BLEU, reduced BLEU and chrF; sacreBLEU does all the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, ClassVar

import numpy as np
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from slt_zoo.metrics.blacklist import HOW2SIGN
from slt_zoo.metrics.statistics import Array, Score, Statistics

__all__ = ["Bleu", "ChrF", "ReducedBleu", "SentenceBleuMean"]

ORDERS = (1, 2, 3, 4)


def _rows(metric: Metric, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Array:
    """SacreBLEU's own statistics of each sentence, ``(N, K)``, as its significance tests use them."""
    # streams of N strings; None where a sample has fewer references than another
    streams: list[Any] = [list(stream) for stream in zip_longest(*references)]
    return np.array(metric._extract_corpus_statistics(hypotheses, streams), dtype=np.float64)


def _default_tokenizer(references: Sequence[Sequence[str]]) -> str:
    letters = [c for some in references for text in some for c in text if c.isalpha()]
    chinese = sum("\u4e00" <= c <= "\u9fff" for c in letters)
    return "zh" if 2 * chinese > len(letters) else "13a"


@dataclass(frozen=True)
class Bleu(Score):
    """Corpus BLEU-1 to BLEU-4 in percent; BLEU-n is sacreBLEU's with ``max_ngram_order=n``.

    A corpus without one matching n-gram of the highest order gives 0 unless smoothed, so a corpus of sentences under
    four words has BLEU-4 0 even where every sentence is right: read ``exact`` beside it.

    Attributes:
        tokenize: sacreBLEU's name of the tokenizer; ``"none"`` splits at white space. ``"default"`` is what sacreBLEU
            takes for the language: ``zh`` where more than half of the references' characters are Chinese, else
            ``13a``; the signature says which.
        smooth: sacreBLEU 2's name of the smoothing. Its ``"none"`` is what sacreBLEU 1.4 did as ``floor`` with value 0
            (as in the SignJoey scorer); sacreBLEU 2's own ``floor`` adds 0.1.
        lowercase: whether sacreBLEU folds case, which its signature then says.
    """

    tokenize: str = "13a"
    smooth: str = "exp"
    lowercase: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """``bleu1`` to ``bleu4``."""
        return tuple(f"bleu{n}" for n in ORDERS)

    def statistics(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
        """Rows ``(N, 10)``: lengths of hypothesis and nearest reference, matches and totals of each order."""
        # force: the texts of PHOENIX14T end in " ." by annotation, of which sacreBLEU would warn at every validation
        tokenize = _default_tokenizer(references) if self.tokenize == "default" else self.tokenize
        metric = BLEU(lowercase=self.lowercase, tokenize=tokenize, smooth_method=self.smooth, force=True)
        rows = _rows(metric, hypotheses, references)
        return Statistics(rows, f"BLEU {metric.get_signature()}")

    def values(self, totals: Array) -> Array:
        """See `Score.values`."""
        return np.array([[self._bleu(row, n) for n in ORDERS] for row in totals.astype(np.int64).tolist()])

    def _bleu(self, row: list[int], order: int) -> float:
        hypothesis, reference, counts = row[0], row[1], row[2:]
        right, all_ = counts[:order], counts[4 : 4 + order]
        return float(BLEU.compute_bleu(right, all_, hypothesis, reference, self.smooth, None, False, order).score)


@dataclass(frozen=True)
class ReducedBleu(Bleu):
    """BLEU-4 after words that carry little meaning are removed from both sides ("reduced BLEU", How2Sign).

    Tarrés, Gállego, Duarte, Torres, Giró-i-Nieto, "Sign Language Translation from Instructional Videos", CVPRW 2023.
    A word is what stands between white space; case does not matter. Sentences whose reference becomes empty are left
    out of this score and of no other.
    """

    words: frozenset[str] = HOW2SIGN

    @property
    def names(self) -> tuple[str, ...]:
        """``rbleu``."""
        return ("rbleu",)

    def statistics(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
        """As `Bleu.statistics`; a sentence that is left out has zeros."""
        reduced = [[self._reduce(r) for r in some] for some in references]
        found = super().statistics([self._reduce(h) for h in hypotheses], reduced)
        found.rows[[not all(some) for some in reduced]] = 0
        return Statistics(found.rows, f"rBLEU {found.signature.removeprefix('BLEU ')}|words:{len(self.words)}")

    def values(self, totals: Array) -> Array:
        """See `Score.values`."""
        values: Array = super().values(totals)[:, 3:]
        values[totals[:, 1] == 0] = np.nan  # no reference has a word left
        return values

    def _reduce(self, text: str) -> str:
        return " ".join(word for word in text.split() if word.lower() not in self.words)


@dataclass(frozen=True)
class ChrF(Score):
    """chrF2 in percent with sacreBLEU's defaults: character n-grams to 6, no words, white space ignored.

    Attributes:
        lowercase: whether sacreBLEU folds case, which its signature then says.
    """

    lowercase: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """``chrf``."""
        return ("chrf",)

    def statistics(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
        """Rows ``(N, 18)``: for each order the n-grams of the hypothesis, of the best reference, and the matches."""
        metric = CHRF(lowercase=self.lowercase)
        rows = _rows(metric, hypotheses, references)
        return Statistics(rows, f"chrF {metric.get_signature()}")

    def values(self, totals: Array) -> Array:
        """See `Score.values`."""
        metric = CHRF(lowercase=self.lowercase)
        return np.array([[metric._compute_f_score(row)] for row in totals.astype(np.int64).tolist()])


@dataclass(frozen=True)
class SentenceBleuMean(Score):
    """Mean of each sentence's own BLEU-4 in percent: no smoothing, split at white space.

    Only for comparison with code that reports it (SignAttention's does, by torchmetrics): a right sentence of under
    four words counts 0 here.
    """

    bleu: ClassVar[Bleu] = Bleu(tokenize="none", smooth="none")

    @property
    def names(self) -> tuple[str, ...]:
        """``sentence_bleu_mean``."""
        return ("sentence_bleu_mean",)

    def statistics(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
        """Rows ``(N, 2)``: the sentence's BLEU-4, and 1."""
        own = self.bleu.values(self.bleu.statistics(hypotheses, references).rows)[:, 3]
        return Statistics(np.stack([own, np.ones_like(own)], 1), "sentence BLEU-4 tok:none|smooth:none|mean:sentences")

    def values(self, totals: Array) -> Array:
        """See `Score.values`."""
        return totals[:, :1] / totals[:, 1:]
