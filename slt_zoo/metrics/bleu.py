"""BLEU and chrF; sacreBLEU does all the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, ClassVar

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

__all__ = ["Bleu", "ChrF", "SentenceBleuMean"]

ORDERS = (1, 2, 3, 4)


def _streams(references: Sequence[Sequence[str]]) -> list[Any]:
    """References by sample -> sacreBLEU's streams of ``N`` strings; None where a sample has fewer than another."""
    return [list(stream) for stream in zip_longest(*references)]


@dataclass(frozen=True)
class Bleu:
    """Corpus BLEU-1 to BLEU-4 in percent; BLEU-n is sacreBLEU's with ``max_ngram_order=n``.

    A corpus without one matching n-gram of the highest order gives 0 unless smoothed, so a corpus of sentences under
    four words has BLEU-4 0 even where every sentence is right: read ``exact`` beside it.

    Attributes:
        tokenize: sacreBLEU's name of the tokenizer; ``"none"`` splits at white space.
        smooth: sacreBLEU 2's name of the smoothing. Its ``"none"`` is what sacreBLEU 1.4 did as ``floor`` with value 0
            (as in the SignJoey scorer); sacreBLEU 2's own ``floor`` adds 0.1.
        lowercase: whether sacreBLEU folds case, which its signature then says.
    """

    tokenize: str = "13a"
    smooth: str = "exp"
    lowercase: bool = False
    names: ClassVar[tuple[str, ...]] = tuple(f"bleu{n}" for n in ORDERS)

    def __call__(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[dict[str, float], str]:
        """Values by name, and sacreBLEU's signature."""
        # force: the texts of PHOENIX14T end in " ." by annotation, of which sacreBLEU would warn at every validation
        metric = BLEU(lowercase=self.lowercase, tokenize=self.tokenize, smooth_method=self.smooth, force=True)
        full = metric.corpus_score(list(hypotheses), _streams(references))
        values = {}
        for n in ORDERS:  # one pass over the corpus serves all orders
            part = BLEU.compute_bleu(
                full.counts[:n], full.totals[:n], full.sys_len, full.ref_len, self.smooth, None, False, n
            )
            values[f"bleu{n}"] = float(part.score)
        return values, f"BLEU {metric.get_signature()}"


@dataclass(frozen=True)
class ChrF:
    """chrF2 in percent with sacreBLEU's defaults: character n-grams to 6, no words, white space ignored.

    Attributes:
        lowercase: whether sacreBLEU folds case, which its signature then says.
    """

    lowercase: bool = False
    names: ClassVar[tuple[str, ...]] = ("chrf",)

    def __call__(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[dict[str, float], str]:
        """Value by name, and sacreBLEU's signature."""
        metric = CHRF(lowercase=self.lowercase)
        value = float(metric.corpus_score(list(hypotheses), _streams(references)).score)
        return {"chrf": value}, f"chrF {metric.get_signature()}"


@dataclass(frozen=True)
class SentenceBleuMean:
    """Mean of each sentence's own BLEU-4 in percent: no smoothing, split at white space.

    Only for comparison with code that reports it (SignAttention's does, by torchmetrics): a right sentence of under
    four words counts 0 here.
    """

    names: ClassVar[tuple[str, ...]] = ("sentence_bleu_mean",)

    def __call__(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[dict[str, float], str]:
        """Value by name, and what it is."""
        # effective_order keeps sacreBLEU from warning at every sentence; the score is made below, without it
        metric = BLEU(tokenize="none", smooth_method="none", effective_order=True)
        total = 0.0
        for hypothesis, references_of_one in zip(hypotheses, references, strict=True):
            s = metric.sentence_score(hypothesis, list(references_of_one))
            total += BLEU.compute_bleu(s.counts, s.totals, s.sys_len, s.ref_len, "none").score
        return {"sentence_bleu_mean": total / len(hypotheses)}, "sentence BLEU-4 tok:none|smooth:none|mean:sentences"
