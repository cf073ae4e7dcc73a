"""Recall of numbers, negations and names: what the plain rule finds."""

from __future__ import annotations

import pytest

from slt_zoo.metrics.recall import Recall, mentions


@pytest.mark.parametrize(
    ("text", "language", "numbers", "negations", "names"),
    [
        ("am zwölften und zwanzigsten minus drei bis hundertfünfzig grad", "de", 4, 0, 0),
        ("ein hoch und kein regen und nicht einundzwanzig grad", "de", 1, 2, 0),
        ("Twenty-five of 1,000,000 people saw the fourth.", "en", 3, 0, 0),
        ("I met Mr. Smith and John's dog. It didn't bark at Mary.", "en", 0, 1, 4),
        ("ένα δύο δεν", "el", 1, 1, 0),
        ("Σήμερα η Μαρία δεν ήρθε", "el", 0, 1, 1),
        ("别人非常好，我不去，一定买三本", "zh", 1, 1, 0),
        ("没有 12 个", "zh", 1, 1, 0),
    ],
)
def test_what_is_found(text, language, numbers, negations, names):
    found = mentions(text, language)
    assert [found[k].total() for k in ("number", "negation", "name")] == [numbers, negations, names], found


def test_recall_by_hand():
    references = [["minus drei bis plus fünf grad"], ["kein regen"], ["sonne"]]
    values, signature = Recall("de")(["drei bis sechs grad", "regen", "nicht"], references)
    assert values == {"recall_number": 50, "recall_negation": 0} and "de" in signature
    values, _ = Recall("en")(
        ["John left Boston", "it is not 3"], [["He saw John's house in Boston."], ["It is not 3 or 3."]]
    )
    assert values == {"recall_number": 50, "recall_negation": 100, "recall_name": 100}
