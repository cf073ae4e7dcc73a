"""English instructions in the manner of How2Sign: cased, with punctuation.

Glosses put the thing before what is done with it; the text has imperatives, articles, plurals and auxiliary verbs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations, product

from slt_zoo.synthetic.grammars.grammar import Grammar, Phrase

__all__ = ["ENGLISH"]

_STUFF = {
    "WATER": "water",
    "MILK": "milk",
    "FLOUR": "flour",
    "SUGAR": "sugar",
    "SALT": "salt",
    "OIL": "oil",
    "BUTTER": "butter",
}
_DISHES = {"CAKE": "a cake", "BREAD": "bread", "SOUP": "soup", "OMELETTE": "an omelette", "PIE": "a pie"}
_ONE, _MANY = ("is", "it", "it"), ("are", "they", "them")  # what agrees: verb, pronoun as subject and as object
_THINGS = {
    "DOUGH": ("dough", _ONE),
    "POTATO": ("potatoes", _MANY),
    "ONION": ("onions", _MANY),
    "SAUCE": ("sauce", _ONE),
    "APPLE": ("apples", _MANY),
    "CHEESE": ("cheese", _ONE),
}
_ORDER = {"": "", "FIRST ": "first, ", "NOW ": "now ", "LAST ": "finally, "}
_PLACES = {"OVEN": "in the oven", "PAN": "in the pan", "TABLE": "on the table", "FRIDGE": "in the fridge"}
_NUMBERS = {"ONE": ("one", ""), "TWO": ("two", "s"), "THREE": ("three", "s"), "FIVE": ("five", "s")}
_UNITS = {"CUP": "cup", "SPOON": "spoon"}
_TIMES = {"MINUTE": "minute", "HOUR": "hour"}
_DEEDS = {"CUT": "cut", "WASH": "wash", "MIX": "mix", "COOK": "cook", "TOUCH": "touch"}
_STATES = {"HOT": "hot", "COLD": "cold", "SOFT": "soft", "READY": "ready"}


def _said(order: str, text: str) -> str:
    """A sentence that begins with a word of order and a capital."""
    whole = order + text
    return whole[0].upper() + whole[1:]


def _add() -> Iterator[Phrase]:
    amounts = product(_ORDER.items(), _NUMBERS.items(), _UNITS.items())
    for (o, order), (n, (number, plural)), (u, unit) in amounts:
        for s, stuff in _STUFF.items():
            yield f"{o}{s} {u} {n} ADD", _said(order, f"add {number} {unit}{plural} of {stuff}.")
        for a, b in permutations(_STUFF, 2):
            text = f"add {number} {unit}{plural} of {_STUFF[a]} and as much {_STUFF[b]}."
            yield f"{o}{a} {u} {n} ADD {b} SAME", _said(order, text)


def _need() -> Iterator[Phrase]:
    for (d, dish), trio in product(_DISHES.items(), combinations(_STUFF, 3)):
        first, second, third = (_STUFF[s] for s in trio)
        yield f"{' '.join(trio)} {d} NEED", f"To make {dish}, you need {first}, {second} and {third}."


def _put() -> Iterator[Phrase]:
    everything = product(_ORDER.items(), _THINGS.items(), _PLACES.items(), _NUMBERS.items(), _TIMES.items())
    for (o, order), (t, (thing, _)), (p, place), (n, (number, plural)), (u, time) in everything:
        yield f"{o}{p} {t} {u} {n} LEAVE", _said(order, f"leave the {thing} {place} for {number} {time}{plural}.")


def _do() -> Iterator[Phrase]:
    for (o, order), (t, (thing, (_, _, them))), (a, b) in product(
        _ORDER.items(), _THINGS.items(), permutations(_DEEDS, 2)
    ):
        yield f"{o}{t} {a} FINISH {b}", _said(order, f"{_DEEDS[a]} the {thing} before you {_DEEDS[b]} {them}.")


def _dont() -> Iterator[Phrase]:
    for (t, (thing, (be, they, _))), (s, state), (d, deed) in product(_THINGS.items(), _STATES.items(), _DEEDS.items()):
        yield f"{t} {s} {d} NOT", f"Don't {deed} the {thing} while {they} {be} {state}."


def _ask() -> Iterator[Phrase]:
    for (t, (thing, (be, _, _))), (s, state), (p, place) in product(_THINGS.items(), _STATES.items(), _PLACES.items()):
        yield f"{p} {t} {s} QUESTION", f"{be.capitalize()} the {thing} {place} {state}?"


def _show() -> Iterator[Phrase]:
    for (d, dish), (t, (thing, _)), (s, stuff) in product(_DISHES.items(), _THINGS.items(), _STUFF.items()):
        yield f"ME {d} {t} {s} WITH SHOW", f"I'm going to show you how to make {dish} with {thing} and {stuff}."


ENGLISH = Grammar(
    language="en",
    sign_language="ase",
    families={
        "add": _add,
        "need": _need,
        "put": _put,
        "do": _do,
        "don't": _dont,
        "ask": _ask,
        "show": _show,
    },
)
