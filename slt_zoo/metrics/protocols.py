"""Scoring protocols by name: how strings are prepared, and which scores are taken from them.

The same hypotheses can differ by several BLEU under the conventions found in the field, so that a score without its
protocol says little. Values are comparable within one protocol and never between two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from slt_zoo.errors import UnknownNameError
from slt_zoo.metrics import preparation as prepare
from slt_zoo.metrics.bleu import Bleu, ChrF, ReducedBleu, SentenceBleuMean
from slt_zoo.metrics.recall import Recall
from slt_zoo.metrics.rouge import RougeL, RougePackage
from slt_zoo.metrics.statistics import Score
from slt_zoo.metrics.wer import ExactMatch, WordErrorRate

__all__ = ["PROTOCOLS", "Protocol", "Score", "get_protocol"]

Prepare = Callable[[str], str]


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
        legacy: it repeats one published scorer, defects included, and serves for comparison with old tables alone.
    """

    name: str
    scores: tuple[Score, ...]
    note: str
    prepare_hypothesis: Prepare = prepare.untouched
    prepare_reference: Prepare = prepare.untouched
    unit: Literal["word", "character"] = "word"
    legacy: bool = False

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

    def score_of(self, metric: str) -> Score:
        """The score that a value comes from.

        Raises:
            UnknownNameError: the protocol has no such value; the message holds the nearest names.
        """
        for score in self.scores:
            if metric in score.names:
                return score
        raise UnknownNameError(f"score of protocol {self.name!r}", str(metric), self.score_names)

    def _in_units(self, text: str) -> str:
        return text if self.unit == "word" else prepare.characters(text)


RAW = Bleu(tokenize="none", smooth="none")
"""BLEU as most scorers of the field compute it: split at spaces, no smoothing."""

REST = (RougeL(), RougePackage(), WordErrorRate(), ExactMatch())
"""Scores that every protocol for text has after its own BLEU and chrF."""


_OURS = (
    Protocol(
        name="strict",
        scores=(Bleu(tokenize="default"), ChrF(), *REST),
        note="the annotation's strings as they are, sacreBLEU's defaults (13a, zh for Chinese; cased); the headline "
        "for text. In Chinese only BLEU and chrF mean something: its words are not separated",
    ),
    Protocol(
        name="phoenix14t/signjoey",
        scores=(Bleu(tokenize="none", smooth="none", lowercase=True), ChrF(lowercase=True), *REST, Recall("de")),
        note="comparable with tables made by the SignJoey scorer: lower case, no tokenizer, no smoothing, and ' .' at "
        "the end of both sides, which lifts most scores",
        prepare_hypothesis=prepare.lower_with_final_dot,
        prepare_reference=prepare.lower_with_final_dot,
    ),
    Protocol(
        name="phoenix14t/nodot",
        scores=(Bleu(tokenize="none", smooth="none", lowercase=True), ChrF(lowercase=True), *REST, Recall("de")),
        note="as phoenix14t/signjoey without the dot: what the sentences themselves score",
        prepare_hypothesis=prepare.lower,
        prepare_reference=prepare.lower,
    ),
    Protocol(
        name="csl-daily/char-fold",
        scores=(RAW, ChrF(), *REST, Recall("zh")),
        note="characters, Chinese punctuation as ASCII on both sides, so that the width of a comma costs nothing",
        unit="character",
        prepare_hypothesis=prepare.fold_punctuation,
        prepare_reference=prepare.fold_punctuation,
    ),
    Protocol(
        name="csl-daily/char-raw",
        scores=(RAW, ChrF(), *REST, Recall("zh")),
        note="characters, untouched: a half-width comma is wrong where the annotation has a full-width one",
        unit="character",
    ),
    Protocol(
        name="how2sign/sacrebleu",
        scores=(Bleu(), ReducedBleu(), ChrF(), *REST, Recall("en")),
        note="strings as they are, sacreBLEU's defaults (13a, cased), and reduced BLEU without words of little meaning",
    ),
    Protocol(
        name="gsl/word",
        scores=(RAW, ChrF(), *REST, Recall("el")),
        note="words between spaces, accents kept; outer and doubled spaces of the annotation do not count",
        prepare_hypothesis=prepare.one_space,
        prepare_reference=prepare.one_space,
    ),
    Protocol(
        name="gloss",
        scores=(WordErrorRate(), ExactMatch(), RAW, SentenceBleuMean()),
        note="glosses between white space, untouched; in a word error rate low is good; glosses are no translation",
    ),
)

_LEGACY = (
    Protocol(
        name="legacy/neccam-slt",
        scores=(RAW, RougeL(), WordErrorRate(legacy_costs=True)),
        note="SignJoey on its own data, in lower case and ending in ' .'; word error rate aligned with costs 3/3/4",
        prepare_hypothesis=prepare.lower_with_final_dot,
        prepare_reference=prepare.lower_with_final_dot,
        legacy=True,
    ),
    Protocol(
        name="legacy/rzhao-zhsq-CV-SLT",
        scores=(RAW, RougeL()),
        note="CV-SLT and SLRT on German: strings as they are; their ROUGE is rouge_l_pr",
        legacy=True,
    ),
    Protocol(
        name="legacy/rzhao-zhsq-CV-SLT-zh",
        scores=(RAW, RougeL()),
        note="CV-SLT and SLRT on Chinese: characters, references through NFKC as their tokenizer does, hypotheses not; "
        "their ROUGE is rouge_l_pr",
        prepare_reference=prepare.fold_widths,
        unit="character",
        legacy=True,
    ),
    Protocol(
        name="legacy/zhoubenjia-GFSLT-VLP",
        scores=(RAW, RougeL()),
        note="its final tables (nlg-eval): split at spaces, no smoothing; their ROUGE is rouge_l_b12. Its references "
        "were decoded from token ids, which no protocol can undo: give it the annotation's",
        legacy=True,
    ),
    Protocol(
        name="legacy/JianHe0628-SAGE",
        scores=(Bleu(), RougeL()),
        note="sacreBLEU's 13a with smoothing exp, ' .' appended to both sides; their ROUGE is rouge_l_b12",
        prepare_hypothesis=prepare.append_dot,
        prepare_reference=prepare.append_dot,
        legacy=True,
    ),
    Protocol(
        name="legacy/ZechengLi19-Uni-Sign",
        scores=(Bleu(), RougePackage()),
        note="Uni-Sign on Chinese: characters, full-width comma and question mark folded in the references only; their "
        "ROUGE is rouge_l_pkg",
        prepare_reference=prepare.fold_comma_and_question_mark,
        unit="character",
        legacy=True,
    ),
)

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in (*_OURS, *_LEGACY)}


def get_protocol(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        UnknownNameError: there is none; the message holds the nearest names.
    """
    if not isinstance(name, str) or name not in PROTOCOLS:
        raise UnknownNameError("protocol", str(name), PROTOCOLS, todo="`slt-zoo list protocols` describes each.")
    return PROTOCOLS[name]
