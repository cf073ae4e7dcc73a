"""Words to spell with a lexicon of letters; two words a text, so that new texts can be made of known words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import permutations

from slt_zoo.errors import UnknownNameError
from slt_zoo.synthetic.grammars.grammar import Grammar, Phrase

__all__ = ["WORDS", "spelling"]

_GERMAN = """
    haus baum tag weg berg fuß weiß süß tür grün fünf über schön öl vögel bär käse spät quark quer taxi hexe yoga typ
    jahr jung zug zwei luft wind meer sand brot milch kind mond nacht licht feld wolke regen auge hand stuhl tisch lampe
    pilz clown jagd axt
"""

WORDS: dict[str, tuple[str, ...]] = {"de": tuple(_GERMAN.split())}
"""By language (BCP 47)."""


@cache
def spelling(language: str) -> Grammar:
    """All pairs of different words, with their letters as glosses.

    Raises:
        UnknownNameError: there are no words of this language.
    """
    if language not in WORDS:
        raise UnknownNameError("language to spell", language, WORDS, todo="give `annotations` with texts of your own")

    def pairs() -> Iterator[Phrase]:
        for pair in permutations(WORDS[language], 2):
            letters = "".join(pair)
            yield " ".join(c.upper() if len(c.upper()) == 1 else c for c in letters), " ".join(pair)

    return Grammar(language=language, sign_language="", families={"pairs": pairs})
