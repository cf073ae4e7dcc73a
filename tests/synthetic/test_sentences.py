"""Grammars, and how sentences are divided into splits."""

import re

import pytest

from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.synthetic.grammars import GRAMMARS, spelling
from slt_zoo.synthetic.sentences import SPLITS, draw

GERMAN = GRAMMARS["de"]


def phrases(grammar):
    return [phrase for family in grammar.sentences().values() for phrase in family]


@pytest.mark.parametrize(
    "grammar", [*GRAMMARS.values(), spelling("de")], ids=lambda g: f"{g.language}-{len(g.families)}"
)
def test_glosses_and_text_determine_each_other(grammar):
    every = phrases(grammar)
    assert len(every) > 2000
    assert len({gloss for gloss, _ in every}) == len({text for _, text in every}) == len(every)
    assert all(gloss == " ".join(gloss.split()) and text == " ".join(text.split()) for gloss, text in every)


def test_german_is_as_rich_as_promised_and_looks_like_the_corpus():
    every = phrases(GERMAN)
    glosses = {g for gloss, _ in every for g in gloss.split()}
    assert len(every) > 30_000 and 60 <= len(glosses) <= 90
    assert all(re.fullmatch("[A-Z]+", g) for g in glosses)
    assert all(re.fullmatch("[a-zäöüß ]+", text) for _, text in every)
    assert {len(gloss.split()) for gloss, _ in every} == {3, 4, 5, 6, 7}


def test_german_text_is_no_relabelling_of_the_glosses():
    """Word order, inflection and compounds: words follow the glosses' order in few sentences, and forms vary."""
    by_gloss = dict(phrases(GERMAN))
    assert (
        by_gloss["NORD MONTAG REGEN DANN SONNE"]
        == "am montag regnet es im norden zunächst und später scheint die sonne"
    )
    assert by_gloss["HEUTE SUED OST REGEN STARK"] == "heute gibt es im südosten starken regen"
    assert by_gloss["HEUTE SUED OST SCHAUER STARK"] == "heute gibt es im südosten starke schauer"


def test_splits_share_words_and_no_sentence():
    drawn = draw(GERMAN, (300, 60, 60), seed=1)
    assert [len(drawn[s]) for s in SPLITS] == [300, 60, 60]
    every = [phrase for split in SPLITS for phrase in drawn[split]]
    assert len({g for g, _ in every}) == len({t for _, t in every}) == 420
    glosses = {g for gloss, _ in drawn["train"] for g in gloss.split()}
    words = {w for _, text in drawn["train"] for w in text.split()}
    for split in ("dev", "test"):
        assert glosses >= {g for gloss, _ in drawn[split] for g in gloss.split()}
        assert words >= {w for _, text in drawn[split] for w in text.split()}


def test_families_are_drawn_evenly():
    drawn = draw(GERMAN, (130, 0, 0), seed=0)["train"]
    counts = [len(set(family) & set(drawn)) for family in GERMAN.sentences().values()]
    assert counts == [10] * 13


@pytest.mark.parametrize("seed", range(5))
def test_small_corpora_have_held_out_sentences_too(seed):
    drawn = draw(GERMAN, (6, 3, 3), seed)
    assert len(drawn["test"]) == 3 and not set(drawn["test"]) & set(drawn["train"])


def test_too_many_samples_say_how_many_sentences_there_are():
    with pytest.raises(ConfigError, match="at most 31044 in all") as error:
        draw(GERMAN, (40_000, 1, 1), seed=0)
    assert "40000 + 1 + 1 = 40002" in str(error.value)


def test_one_training_sentence_cannot_say_others():
    with pytest.raises(ConfigError, match="too few to say other sentences"):
        draw(GERMAN, (1, 4, 4), seed=0)


def test_words_to_spell_are_known_for_german_only():
    with pytest.raises(UnknownNameError, match="language to spell 'fr'"):
        spelling("fr")
