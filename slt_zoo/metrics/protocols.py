"""Scoring protocols by name: how strings are prepared, and which scores are taken from them.

The same hypotheses can differ by several BLEU under the conventions found in the field, so that a score without its
protocol says little. Values are comparable within one protocol and never between two.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from slt_zoo.errors import UnknownNameError
from slt_zoo.metrics.bleu import Bleu, ChrF, SentenceBleuMean
from slt_zoo.metrics.rouge import RougeL
from slt_zoo.metrics.wer import ExactMatch, WordErrorRate

__all__ = ["PROTOCOLS", "Protocol", "Score", "get_protocol", "lower_with_final_dot", "untouched"]


class Score(typing.Protocol):
    """One measure with its parameters."""

    @property
    def names(self) -> tuple[str, ...]:
        """Keys of the values."""

    def __call__(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[dict[str, float], str]:
        """``N`` prepared hypotheses against the references of each -> values in percent, and a signature."""


def untouched(text: str) -> str:
    """The string as it is."""
    return text


def lower_with_final_dot(text: str) -> str:
    """Lower case, and `` .`` at the end unless the last word is a dot already.

    A dot glued to a word (``regen.``) is part of that word, as for every scorer that splits at white space.
    """
    text = text.lower().rstrip()
    return text if text.split()[-1:] == ["."] else f"{text} ."


@dataclass(frozen=True)
class Protocol:
    """How strings become scores.

    Attributes:
        name: under which it is found.
        scores: what is computed from the prepared strings, in the order of report.
        note: what a person should know before comparing its values.
        prepare_hypothesis: applied to every hypothesis before all scores.
        prepare_reference: applied to every reference.
        unit: ``"word"``: tokens are what stands between white space; ``"character"``: each character is a token.
    """

    name: str
    scores: tuple[Score, ...]
    note: str
    prepare_hypothesis: Callable[[str], str] = untouched
    prepare_reference: Callable[[str], str] = untouched
    unit: Literal["word", "character"] = "word"

    @property
    def score_names(self) -> tuple[str, ...]:
        """Keys of a report's values under this protocol."""
        return tuple(name for score in self.scores for name in score.names)

    def hypothesis(self, text: str) -> str:
        """A hypothesis as it is scored."""
        return self._in_units(self.prepare_hypothesis(text))

    def reference(self, text: str) -> str:
        """A reference as it is scored."""
        return self._in_units(self.prepare_reference(text))

    def _in_units(self, text: str) -> str:
        return text if self.unit == "word" else " ".join("".join(text.split()))


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="strict",
            scores=(Bleu(), ChrF(), ExactMatch()),
            note="the annotation's strings as they are, sacreBLEU's defaults (13a, cased); the headline for text",
        ),
        Protocol(
            name="phoenix14t/signjoey",
            scores=(
                Bleu(tokenize="none", smooth="none", lowercase=True),
                RougeL("rouge_l_b12", beta=1.2),
                ChrF(lowercase=True),
                ExactMatch(),
            ),
            note=(
                "comparable with tables made by the SignJoey scorer: lower case, no tokenizer, no smoothing, and ' .' "
                "at the end of both sides, which lifts every score"
            ),
            prepare_hypothesis=lower_with_final_dot,
            prepare_reference=lower_with_final_dot,
        ),
        Protocol(
            name="gloss",
            scores=(WordErrorRate(), ExactMatch(), Bleu(tokenize="none", smooth="none"), SentenceBleuMean()),
            note="glosses between white space, untouched; in a word error rate low is good; glosses are no translation",
        ),
    )
}


def get_protocol(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        UnknownNameError: there is none; the message holds the nearest names.
    """
    if name not in PROTOCOLS:
        raise UnknownNameError("protocol", name, PROTOCOLS, todo="`slt-zoo list protocols` describes each.")
    return PROTOCOLS[name]
