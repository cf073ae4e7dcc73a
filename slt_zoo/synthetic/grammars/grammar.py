"""What a grammar is: families of sentences, each with glosses and the text that they mean."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

__all__ = ["Asking", "Grammar", "Kind", "Phrase", "cut_words"]

Phrase = tuple[str, str]
"""Glosses with spaces between them, and their text."""


@dataclass(frozen=True)
class Kind:
    """Glosses of one kind.

    Attributes:
        cue: what a question says for all of them; no word of it is a word of a sentence.
        glosses: they stand in the same slot of sentences as those of the other kind.
    """

    cue: str
    glosses: tuple[str, ...]


@dataclass(frozen=True)
class Asking:
    """How a language asks about its sentences.

    Attributes:
        slots: two kinds of glosses that fill the same slot of sentences; a question says which of them fills it.
        homonyms: gloss of a slot's second kind to the gloss of its first kind whose sign it shares.
        words: the words of a text that a question may repeat, in order, without punctuation.
        ask: a question from the cue of each slot (None: the sentence has no such slot) and repeated words.
    """

    slots: tuple[tuple[Kind, Kind], ...]
    homonyms: Mapping[str, str]
    words: Callable[[str], list[str]]
    ask: Callable[[Sequence[str | None], Sequence[str]], str]


@dataclass(frozen=True, eq=False)
class Grammar:
    """A small language: every sentence once, its glosses and its text determine each other.

    Attributes:
        language: of the text, BCP 47.
        sign_language: whose corpus layout the sentences are for, ISO 639-3. The glosses are names, no more.
        families: generators of sentences of one pattern; sentences are drawn evenly from the families.
        characters: the text's units are characters (Chinese), not words.
        asking: what its questions are made from; None: it has none.
        homonyms: gloss to the gloss whose sign it shares; empty where no questions are asked.
    """

    language: str
    sign_language: str
    families: Mapping[str, Callable[[], Iterator[Phrase]]]
    characters: bool = False
    asking: Asking | None = None
    homonyms: Mapping[str, str] = field(default_factory=dict)

    @cache  # noqa: B019 - grammars are a handful of module constants
    def sentences(self) -> dict[str, tuple[Phrase, ...]]:
        """All sentences by family."""
        return {name: tuple(make()) for name, make in self.families.items()}

    def signs(self, gloss: Iterable[str]) -> tuple[str, ...]:
        """The glosses by which they are signed: of two homonyms always the same one."""
        return tuple(self.homonyms.get(g, g) for g in gloss)

    def units(self, text: str) -> list[str]:
        """The words or characters that a model must have seen to say this."""
        return [c for c in text if c.strip()] if self.characters else text.split()


def cut_words(text: str, known: Collection[str]) -> list[str]:
    """Cut a text without spaces into the longest known words from the left; what is unknown is cut into characters."""
    longest, words, rest = max(map(len, known), default=1), list[str](), "".join(text.split())
    while rest:
        size = next((n for n in range(longest, 1, -1) if rest[:n] in known), 1)
        words.append(rest[:size])
        rest = rest[size:]
    return words
