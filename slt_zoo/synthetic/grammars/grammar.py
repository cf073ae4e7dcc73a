"""What a grammar is: families of sentences, each with glosses and the text that they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

__all__ = ["Grammar", "Phrase"]

Phrase = tuple[str, str]
"""Glosses with spaces between them, and their text."""


@dataclass(frozen=True, eq=False)
class Grammar:
    """A small language: every sentence once, its glosses and its text determine each other.

    Attributes:
        language: of the text, BCP 47.
        sign_language: whose corpus layout the sentences are for, ISO 639-3. The glosses are names, no more.
        families: generators of sentences of one pattern; sentences are drawn evenly from the families.
        characters: the text's units are characters (Chinese), not words.
    """

    language: str
    sign_language: str
    families: Mapping[str, Callable[[], Iterator[Phrase]]]
    characters: bool = False

    @cache  # noqa: B019 - grammars are a handful of module constants
    def sentences(self) -> dict[str, tuple[Phrase, ...]]:
        """All sentences by family."""
        return {name: tuple(make()) for name, make in self.families.items()}

    def units(self, text: str) -> list[str]:
        """The words or characters that a model must have seen to say this."""
        return [c for c in text if c.strip()] if self.characters else text.split()
