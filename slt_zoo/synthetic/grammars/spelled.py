"""Words to spell with a lexicon of letters; two words a text, so that new texts can be made of known words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import permutations

from slt_zoo.errors import UnknownNameError
from slt_zoo.synthetic.grammars.grammar import Grammar, Phrase

__all__ = ["WORDS", "spelling"]

_GERMAN = """
    abend ärger affe ahorn axt bär bahn baum berg bett birne blau block blume boot brief brot brücke buch bühne busch
    chor clown dach dame dampf decke dom dorf draht drei düne durst ecke eiche eimer eis elch ente erbse esel eule fass
    faust feder fisch flöte flug fluß frage frosch fuchs fünf fuß gabel gans garten gast geige gelb glas gold gras grün
    gruß hafen hahn hals hand harfe haus heft hemd herbst hexe hof holz honig hund hut igel insel jagd jahr jung kabel
    käfer kahn käse kerze kind kirsche klee knopf koch korb krone küche kuh lampe laub leiter licht löffel löwe luft
    mantel markt maus meer milch möhre mond moos motor müll mund nacht nadel nagel nebel nest nuß obst öl ofen ohr onkel
    oper orgel park pfau pferd pilz platz puppe quark quer quelle rabe rad regen reh ring rock rose rübe sand schaf
    schiff schön see seil sieb sofa sohn spät stern stuhl süß tafel tag tanne taxi teich tisch tor tür turm typ über
    ufer uhr vase vater vier vögel vogel wald wand weg wein weiß welle wiese wind wolke wolle wort wurm xaver yak yeti
    yoga zahl zange zaun zebra zelt ziege zimt zoo zucker zug zwei zwölf
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
