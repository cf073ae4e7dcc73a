"""German weather forecasts in the manner of PHOENIX14T: lower case, no punctuation, glosses in capitals.

Glosses go time, place, topic, comment; the text follows German word order: the verb in second place, at the end of a
subordinate clause, or in two parts. Adjectives and articles agree with their nouns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations, product

from slt_zoo.synthetic.grammars.grammar import Asking, Grammar, Kind, Phrase

__all__ = ["GERMAN"]

_TIMES = {
    "HEUTE": "heute",
    "MORGEN": "morgen",
    "UEBERMORGEN": "übermorgen",
    "NACHT": "in der nacht",
    "ABEND": "am abend",
    "MONTAG": "am montag",
    "DIENSTAG": "am dienstag",
    "MITTWOCH": "am mittwoch",
    "DONNERSTAG": "am donnerstag",
    "FREITAG": "am freitag",
    "SAMSTAG": "am samstag",
    "SONNTAG": "am sonntag",
    "WOCHENENDE": "am wochenende",
}
_PLACES = {  # where, and where to
    "NORD": ("im norden", "in den norden"),
    "SUED": ("im süden", "in den süden"),
    "WEST": ("im westen", "in den westen"),
    "OST": ("im osten", "in den osten"),
    "SUED OST": ("im südosten", "in den südosten"),
    "NORD WEST": ("im nordwesten", "in den nordwesten"),
    "MITTE": ("in der mitte", "in die mitte"),
    "KUESTE": ("an der küste", "an die küste"),
    "NORDSEE": ("an der nordsee", "an die nordsee"),
    "ALPEN": ("in den alpen", "in die alpen"),
    "BERG": ("auf den bergen", "auf die berge"),
    "BAYERN": ("in bayern", "nach bayern"),
}
_WHERE = {gloss: where for gloss, (where, _) in _PLACES.items()}
_STATES = {
    "SONNE": "sonnig",
    "KALT": "kalt",
    "WARM": "warm",
    "TROCKEN": "trocken",
    "NASS": "nass",
    "MILD": "mild",
    "HEISS": "heiß",
    "FREUNDLICH": "freundlich",
    "WECHSELHAFT": "wechselhaft",
}
_MORE = {
    "KALT": "kälter",
    "WARM": "wärmer",
    "TROCKEN": "trockener",
    "NASS": "nasser",
    "MILD": "milder",
    "FREUNDLICH": "freundlicher",
}
_NOUNS = {  # the noun, and the ending of an adjective or "kein" before it in the accusative
    "REGEN": ("regen", "en"),
    "SCHNEE": ("schnee", "en"),
    "NEBEL": ("nebel", "en"),
    "HAGEL": ("hagel", "en"),
    "FROST": ("frost", "en"),
    "SCHAUER": ("schauer", "e"),
    "GEWITTER": ("gewitter", "e"),
    "WOLKE": ("wolken", "e"),
}
_DEGREES = {"STARK": "stark", "LEICHT": "leicht"}
_EVENTS = {  # main clause after its first member, and subordinate clause; the place goes into the braces
    "REGEN": ("regnet es {}", "es {} regnet"),
    "SCHNEE": ("schneit es {}", "es {} schneit"),
    "SONNE": ("scheint {} die sonne", "{} die sonne scheint"),
    "NEBEL": ("bildet sich {} nebel", "sich {} nebel bildet"),
    "GEWITTER": ("gewittert es {}", "es {} gewittert"),
}
_NUMBERS = {
    "ZWEI": "zwei",
    "DREI": "drei",
    "FUENF": "fünf",
    "ACHT": "acht",
    "ZEHN": "zehn",
    "ZWOELF": "zwölf",
    "FUENFZEHN": "fünfzehn",
    "ZWANZIG": "zwanzig",
    "DREISSIG": "dreißig",
}
_FORCES = {"SCHWACH": "schwach", "MAESSIG": "mäßig", "STARK": "stark"}
_WINDS = {"NORD": "nord", "SUED": "süd", "WEST": "west", "OST": "ost", "SUED OST": "südost", "NORD WEST": "nordwest"}
_DANGERS = {
    "STURM": "sturm",
    "HAGEL": "hagel",
    "GEWITTER": "gewittern",
    "REGEN STARK": "starkem regen",
    "SCHNEE STARK": "starkem schnee",
    "GLATT": "glätte",
}


def _when_where() -> Iterator[tuple[str, str, str, str]]:
    """Gloss and text of a time, gloss and text of a place."""
    for (t, time), (p, place) in product(_TIMES.items(), _WHERE.items()):
        yield t, time, p, place


def _state() -> Iterator[Phrase]:
    for (t, time, p, place), (s, state) in product(_when_where(), _STATES.items()):
        yield f"{t} {p} {s}", f"{time} wird es {place} {state}"


def _stays() -> Iterator[Phrase]:
    for (t, time, p, place), (s, state) in product(_when_where(), _STATES.items()):
        yield f"{p} {t} {s} BLEIBEN", f"{place} bleibt es {time} {state}"


def _more() -> Iterator[Phrase]:
    for (t, time, p, place), (s, more) in product(_when_where(), _MORE.items()):
        yield f"{t} {p} {s} MEHR", f"{time} wird es {place} etwas {more} als zuletzt"


def _amount() -> Iterator[Phrase]:
    for (t, time, p, place), (n, (noun, ending)), (d, degree) in product(
        _when_where(), _NOUNS.items(), _DEGREES.items()
    ):
        yield f"{t} {p} {n} {d}", f"{time} gibt es {place} {degree}{ending} {noun}"


def _none() -> Iterator[Phrase]:
    for (t, time, p, place), (n, (noun, ending)) in product(_when_where(), _NOUNS.items()):
        yield f"{n} {t} {p} KEIN", f"{time} gibt es {place} kein{ending} {noun} mehr"


def _contrast() -> Iterator[Phrase]:
    places = ("NORD", "SUED", "WEST", "OST", "KUESTE", "ALPEN")
    for (t, time), (p, q), (a, b) in product(_TIMES.items(), permutations(places, 2), permutations(_EVENTS, 2)):
        here, there = _EVENTS[a][0].format(_WHERE[p]), _EVENTS[b][1].format(_WHERE[q])
        yield f"{t} {p} {a} {q} {b}", f"{time} {here} während {there}"


def _then() -> Iterator[Phrase]:
    for (t, time, p, place), (a, b) in product(_when_where(), permutations(_EVENTS, 2)):
        first, second = _EVENTS[a][0].format(f"{place} zunächst"), " ".join(_EVENTS[b][0].format("").split())
        yield f"{p} {t} {a} DANN {b}", f"{time} {first} und später {second}"


def _temperature() -> Iterator[Phrase]:
    for (t, time, p, place), (m, n) in product(_when_where(), combinations(_NUMBERS, 2)):
        yield (
            f"{t} TEMPERATUR {p} {m} BIS {n}",
            f"die temperaturen liegen {time} {place} zwischen {_NUMBERS[m]} und {_NUMBERS[n]} grad",
        )


def _below_zero() -> Iterator[Phrase]:
    for (t, time, p, place), (n, number) in product(_when_where(), _NUMBERS.items()):
        yield f"{p} {t} MINUS {n} GRAD", f"{time} sinken die werte {place} auf minus {number} grad"


def _wind() -> Iterator[Phrase]:
    for (t, time), (f, force), (w, wind) in product(_TIMES.items(), _FORCES.items(), _WINDS.items()):
        yield f"WIND {t} {f} {w}", f"der wind weht {time} {force} aus {wind}"
    for (t, time), (f, g), (w, wind) in product(_TIMES.items(), combinations(_FORCES, 2), _WINDS.items()):
        yield f"WIND {t} {f} BIS {g} {w}", f"der wind weht {time} {_FORCES[f]} bis {_FORCES[g]} aus {wind}"


def _clears() -> Iterator[Phrase]:
    for (t, time, p, place), (s, state) in product(_when_where(), _STATES.items()):
        yield f"{p} {t} WOLKE WEG {s}", f"{time} lösen sich die wolken {place} auf und es wird {state}"
        yield f"{p} {t} NEBEL WEG {s}", f"{time} löst sich der nebel {place} auf und es wird {state}"


def _pressure() -> Iterator[Phrase]:
    for (t, time), (p, (_, target)), (n, (noun, _)) in product(_TIMES.items(), _PLACES.items(), _NOUNS.items()):
        yield f"TIEF {t} {p} KOMMEN {n}", f"ein tief zieht {time} {target} und bringt {noun}"
    for (t, time), (p, (_, target)) in product(_TIMES.items(), _PLACES.items()):
        yield f"HOCH {t} {p} KOMMEN", f"ein hoch zieht {time} {target} und bringt sonne"


def _warning() -> Iterator[Phrase]:
    for (t, time, p, place), (d, danger) in product(_when_where(), _DANGERS.items()):
        yield f"{t} {p} {d} WARNUNG", f"wir warnen {time} {place} vor {danger}"


_NOUNS_AS_WRITTEN = {  # the texts are in lower case, questions are not
    *("nacht", "abend", "montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag", "wochenende"),
    *("norden", "süden", "westen", "osten", "südosten", "nordwesten", "mitte", "küste", "nordsee", "alpen", "bergen"),
    *("berge", "bayern", "nord", "süd", "west", "ost", "südost", "nordwest", "regen", "schnee", "nebel", "hagel"),
    *("frost", "schauer", "gewitter", "gewittern", "wolken", "sonne", "sturm", "glätte", "wind", "tief", "hoch"),
    *("temperaturen", "werte", "grad"),
}


def _ask(cues: Sequence[str | None], kept: Sequence[str]) -> str:
    """``Welche Temperatur hat das Wetter schon bald im Norden``: cased, and no question mark, as in the corpus."""
    when, what = cues
    opening = f"{what} hat das Wetter" if what else "Wie ist das Wetter"
    words = [word.capitalize() if word in _NOUNS_AS_WRITTEN else word for word in kept]
    return " ".join([opening, *([when] if when else []), *words])


_ASKING = Asking(
    slots=(
        (
            Kind("schon bald", ("HEUTE", "MORGEN", "UEBERMORGEN", "NACHT", "ABEND")),
            Kind(
                "laut Wochenplan",
                ("MONTAG", "DIENSTAG", "MITTWOCH", "DONNERSTAG", "FREITAG", "SAMSTAG", "SONNTAG", "WOCHENENDE"),
            ),
        ),
        (
            Kind("Welche Temperatur", ("KALT", "WARM", "MILD", "HEISS")),
            Kind("Welchen Charakter", ("TROCKEN", "NASS", "FREUNDLICH", "WECHSELHAFT")),
        ),
    ),
    homonyms={  # a state that has a comparative goes with one that has one
        "MONTAG": "HEUTE",
        "MITTWOCH": "MORGEN",
        "FREITAG": "NACHT",
        "SONNTAG": "ABEND",
        "NASS": "KALT",
        "TROCKEN": "WARM",
        "FREUNDLICH": "MILD",
        "WECHSELHAFT": "HEISS",
    },
    words=str.split,
    ask=_ask,
)

GERMAN = Grammar(
    language="de",
    sign_language="gsg",
    families={
        "state": _state,
        "stays": _stays,
        "more": _more,
        "amount": _amount,
        "none": _none,
        "contrast": _contrast,
        "then": _then,
        "temperature": _temperature,
        "below zero": _below_zero,
        "wind": _wind,
        "clears": _clears,
        "pressure": _pressure,
        "warning": _warning,
    },
    asking=_ASKING,
)
