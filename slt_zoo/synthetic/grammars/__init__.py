"""Small grammars: one module a language, each a table of words and a few families of sentences."""

from __future__ import annotations

from slt_zoo.synthetic.grammars.chinese import CHINESE
from slt_zoo.synthetic.grammars.english import ENGLISH
from slt_zoo.synthetic.grammars.german import GERMAN
from slt_zoo.synthetic.grammars.grammar import Asking, Grammar
from slt_zoo.synthetic.grammars.greek import GREEK
from slt_zoo.synthetic.grammars.spelled import spelling

__all__ = ["GRAMMARS", "Asking", "Grammar", "spelling"]

GRAMMARS: dict[str, Grammar] = {grammar.language: grammar for grammar in (GERMAN, CHINESE, ENGLISH, GREEK)}
"""By the language of the texts (BCP 47)."""
