"""Greek at public services in the manner of GSL: lower case with accents, no punctuation, glosses without accents.

Glosses go time, person, thing, action, negation; the text drops the person into the verb's ending, has articles that
agree with their nouns, and the negation before the verb.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from slt_zoo.synthetic.grammars.grammar import Grammar, Phrase

__all__ = ["GREEK"]

_PEOPLE = {"ΕΓΩ": 0, "ΕΣΥ": 1, "ΑΥΤΟΣ": 2, "ΕΜΕΙΣ": 3, "ΑΥΤΟΙ": 4}
_VERBS = {
    "ΘΕΛΩ": ("θέλω", "θέλεις", "θέλει", "θέλουμε", "θέλουν"),
    "ΕΧΩ": ("έχω", "έχεις", "έχει", "έχουμε", "έχουν"),
    "ΨΑΧΝΩ": ("ψάχνω", "ψάχνεις", "ψάχνει", "ψάχνουμε", "ψάχνουν"),
    "ΦΕΡΝΩ": ("φέρνω", "φέρνεις", "φέρνει", "φέρνουμε", "φέρνουν"),
}
_GO = ("πάω", "πας", "πάει", "πάμε", "πάνε")
_MUST = ("πρέπει να πάω", "πρέπει να πας", "πρέπει να πάει", "πρέπει να πάμε", "πρέπει να πάνε")
_PAIN = ("με", "σε", "τον", "μας", "τους")
_TIMES = {
    "ΣΗΜΕΡΑ": "σήμερα",
    "ΑΥΡΙΟ": "αύριο",
    "ΤΩΡΑ": "τώρα",
    "ΠΡΩΙ": "το πρωί",
    "ΔΕΥΤΕΡΑ": "τη δευτέρα",
    "ΠΑΡΑΣΚΕΥΗ": "την παρασκευή",
}
_THINGS = {  # with "one"
    "ΤΑΥΤΟΤΗΤΑ": "μια ταυτότητα",
    "ΔΙΑΒΑΤΗΡΙΟ": "ένα διαβατήριο",
    "ΦΑΡΜΑΚΟ": "ένα φάρμακο",
    "ΑΙΤΗΣΗ": "μια αίτηση",
    "ΧΑΡΤΙ": "ένα χαρτί",
    "ΦΩΤΟΓΡΑΦΙΑ": "μια φωτογραφία",
    "ΓΙΑΤΡΟΣ": "έναν γιατρό",
}
_PLACES = {  # as subject, and where to
    "ΤΡΑΠΕΖΑ": ("η τράπεζα", "στην τράπεζα"),
    "ΝΟΣΟΚΟΜΕΙΟ": ("το νοσοκομείο", "στο νοσοκομείο"),
    "ΑΣΤΥΝΟΜΙΑ": ("η αστυνομία", "στην αστυνομία"),
    "ΔΗΜΟΣ": ("ο δήμος", "στον δήμο"),
    "ΦΑΡΜΑΚΕΙΟ": ("το φαρμακείο", "στο φαρμακείο"),
    "ΣΧΟΛΕΙΟ": ("το σχολείο", "στο σχολείο"),
}
_HOURS = {"ΕΝΑ": "στη μία", "ΔΥΟ": "στις δύο", "ΤΡΙΑ": "στις τρεις", "ΟΧΤΩ": "στις οκτώ", "ΔΕΚΑ": "στις δέκα"}
_BODY = {"ΚΕΦΑΛΙ": "το κεφάλι", "ΠΛΑΤΗ": "η πλάτη", "ΧΕΡΙ": "το χέρι", "ΔΟΝΤΙ": "το δόντι"}


def _does() -> Iterator[Phrase]:
    for (t, time), (p, who), (o, thing), (v, verb) in product(
        _TIMES.items(), _PEOPLE.items(), _THINGS.items(), _VERBS.items()
    ):
        yield f"{t} {p} {o} {v}", f"{time} {verb[who]} {thing}"


def _does_not() -> Iterator[Phrase]:
    for (t, time), (p, who), (o, thing), (v, verb) in product(
        _TIMES.items(), _PEOPLE.items(), _THINGS.items(), _VERBS.items()
    ):
        yield f"{p} {o} {t} {v} ΟΧΙ", f"{time} δεν {verb[who]} {thing}"


def _goes() -> Iterator[Phrase]:
    for (t, time), (p, who), (x, (_, where)), (h, hour) in product(
        _TIMES.items(), _PEOPLE.items(), _PLACES.items(), _HOURS.items()
    ):
        yield f"{t} {h} {p} {x} ΠΗΓΑΙΝΩ", f"{_GO[who]} {where} {time} {hour}"


def _must() -> Iterator[Phrase]:
    for (t, time), (p, who), (x, (_, where)), (o, thing) in product(
        _TIMES.items(), _PEOPLE.items(), _PLACES.items(), _THINGS.items()
    ):
        yield f"{t} {x} {p} ΠΡΕΠΕΙ {o}", f"{time} {_MUST[who]} {where} για {thing}"


def _opens() -> Iterator[Phrase]:
    for (t, time), (x, (place, _)), (h, hour) in product(_TIMES.items(), _PLACES.items(), _HOURS.items()):
        yield f"{t} {x} ΑΝΟΙΓΩ {h} ΩΡΑ", f"{place} ανοίγει {time} {hour}"
        yield f"{t} {x} ΚΛΕΙΝΩ {h} ΩΡΑ", f"{place} κλείνει {time} {hour}"


def _hurts() -> Iterator[Phrase]:
    for (t, time), (p, who), (b, part) in product(_TIMES.items(), _PEOPLE.items(), _BODY.items()):
        yield f"{p} {b} ΠΟΝΟΣ {t}", f"{time} {_PAIN[who]} πονάει {part}"


GREEK = Grammar(
    language="el",
    sign_language="gss",
    families={
        "does": _does,
        "does not": _does_not,
        "goes": _goes,
        "must": _must,
        "opens": _opens,
        "hurts": _hurts,
    },
)
