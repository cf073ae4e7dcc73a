"""Questions about simulated sentences: a cue that tells homonyms apart, and a share of the sentence's words.

Some pairs of glosses have one sign. Both members of a pair fit wherever one of them stands, so the rest of the sentence
does not tell them apart; they are of two kinds, and the question says the kind. A kind has several members, so the
question does not name the word either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

from slt_zoo.errors import ConfigError
from slt_zoo.synthetic.grammars import Asking, Grammar
from slt_zoo.synthetic.variation import stream

__all__ = ["OVERLAP", "Asker", "make_asker"]

OVERLAP = 0.3
"""Share of the words that a question repeats, where nothing else is said."""

Gloss = Sequence[str]


@dataclass(frozen=True, eq=False)
class Asker:
    """Asks about the sentences of a grammar.

    Attributes:
        grammar: whose sentences, with homonyms.
        asking: how its language asks.
        overlap: share of a sentence's words that its question may repeat, from 0 to 1. Words that a homonym stands
            for do not count and are never repeated.
        seed: which words a question repeats.
    """

    grammar: Grammar
    asking: Asking
    overlap: float
    seed: int

    def facts(self) -> dict[str, object]:
        """What `ceilings` needs to know, for the mark of the corpus."""
        return {"question_overlap": self.overlap, "homonyms": dict(self.grammar.homonyms)}

    def question(self, gloss: Gloss, text: str) -> str:
        """The question to a sentence of the grammar; equal seeds give equal questions."""
        return self.asking.ask(self.cues(gloss), self.kept(gloss, text))

    def cues(self, gloss: Gloss) -> tuple[str | None, ...]:
        """Of each slot the cue of its kind; None where the sentence has no such slot."""
        return tuple(
            next((kind.cue for kind in slot if set(kind.glosses) & set(gloss)), None) for slot in self.asking.slots
        )

    def kept(self, gloss: Gloss, text: str) -> tuple[str, ...]:
        """The words that the question repeats: a run of the words that no homonym stands for."""
        runs = self.runs(gloss, text)
        key = " ".join(self.grammar.signs(gloss))  # the same run for both homonyms: which one was chosen tells nothing
        return runs[int(stream(self.seed, "question", self.grammar.language, key).integers(len(runs)))]

    def runs(self, gloss: Gloss, text: str) -> list[tuple[str, ...]]:
        """All runs of words that the question may repeat, one as likely as the other."""
        own = {k for _, positions in self.own(gloss, text) for k in positions}
        words = [word for k, word in enumerate(self.asking.words(text)) if k not in own]
        length = math.floor(self.overlap * len(words) + 1e-9)
        return [tuple(words[k : k + length]) for k in range(len(words) - length + 1)]

    def own(self, gloss: Gloss, text: str) -> list[tuple[str, range]]:
        """Each homonym of the sentence, and the places of the words that would be others with its partner."""
        words, found = self.asking.words(text), []
        for k, member in enumerate(gloss):
            if member in self.partners:
                others = self.asking.words(self.texts[" ".join([*gloss[:k], self.partners[member], *gloss[k + 1 :]])])
                first = _equal(words, others)
                last = len(words) - _equal(words[first:][::-1], others[first:][::-1])
                found.append((member, range(first, last)))
        return found

    @cached_property
    def partners(self) -> dict[str, str]:
        """Each homonym to the other one of its pair."""
        pairs = self.grammar.homonyms
        return {**pairs, **{first: second for second, first in pairs.items()}}

    @cached_property
    def texts(self) -> dict[str, str]:
        """The text of each sequence of glosses, which are joined by spaces."""
        return {gloss: text for family in self.grammar.sentences().values() for gloss, text in family}


def make_asker(corpus: str, grammar: Grammar, overlap: float, seed: int) -> Asker:
    """What asks about the sentences of a grammar.

    Args:
        corpus: for messages.
        grammar: whose sentences; the homonyms are those of its ``asking``.
        overlap: see `Asker`.
        seed: of the questions.

    Raises:
        ConfigError: ``overlap`` is outside [0, 1], or nobody can ask about these sentences.
    """
    if not 0 <= overlap <= 1:
        raise ConfigError(
            "question_overlap out of range",
            where="question_overlap",
            expected="a share of the sentence's words, from 0 to 1",
            found=overlap,
        )
    if grammar.asking is None:
        raise ConfigError(
            f"{corpus} needs questions, and there are none about words that are spelt",
            todo="simulate a corpus without questions from this lexicon, or leave the lexicon out",
        )
    return Asker(_with_homonyms(grammar), grammar.asking, overlap, seed)


@cache
def _with_homonyms(grammar: Grammar) -> Grammar:
    assert grammar.asking is not None
    return replace(grammar, homonyms=grammar.asking.homonyms)


def _equal(a: Sequence[str], b: Sequence[str]) -> int:
    """How many members are equal from the begin."""
    return next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
