"""A card for every corpus: what a person must know before using it, in agreement with the class."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import slt_zoo
from slt_zoo.types import SPLITS

CARDS = Path(__file__).parents[1] / "docs/corpora"
FILES = {
    "Phoenix14T": "phoenix14t",
    "Phoenix14TQA": "phoenix14t_qa",
    "CSLDaily": "csl_daily",
    "CSLDailyQA": "csl_daily_qa",
    "How2Sign": "how2sign",
    "GSL": "gsl",
}
LANGUAGES = {
    "gsg": "German Sign Language",
    "csl": "Chinese Sign Language",
    "ase": "American Sign Language",
    "gss": "Greek Sign Language",
}
PARTS = {
    "domain": r"\| domain \|",
    "signers": r"\| signers \|",
    "licence": r"\| licence \|",
    "consent": r"\| consent \||\*\*Consent\.\*\*",
    "how to ask for access": r"\| access \||\*\*How to (ask for access|get it)\.\*\*",
    "no download": r"nothing is downloaded here|downloads nothing",
    "default protocol": r"\| default protocol \|",
    "splits": r"^## Splits$",
    "known defects": r"^## Known defects$",
    "citation": r"^## Citation$",
}


def card(corpus: str) -> str:
    return (CARDS / f"{FILES[corpus]}.md").read_text("utf-8")


def test_every_corpus_has_a_card():
    assert set(FILES) == set(slt_zoo._CORPORA)
    assert {p.stem for p in CARDS.glob("*.md")} == set(FILES.values())


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("corpus", FILES)
def test_a_card_has_its_parts(corpus, part):
    assert re.search(PARTS[part], card(corpus), re.MULTILINE), f"{corpus}: no {part}"


@pytest.mark.parametrize("corpus", FILES)
def test_a_card_agrees_with_its_class(corpus):
    data = getattr(slt_zoo, corpus)("nowhere")
    text = card(corpus)
    assert LANGUAGES[data.sign_language] in text and data.sign_language in text and data.language in text
    assert f"`{data.protocol}`" in text
    for split in SPLITS:
        expected = data.published(split)
        assert expected is not None and f"{expected.samples:,}" in text, f"{split}: {expected}"
    assert data.licence and data.access


def test_the_card_of_gsl_has_both_schemes_and_what_is_left_of_them():
    text = card("GSL")
    for number in ("587", "880", "1,062", "1,038", "8,189", "1,063", "1,043"):
        assert number in text


def test_the_card_of_csl_daily_says_which_version_papers_use():
    assert "Papers use `cvpr21`" in card("CSLDaily") and "text_version" in card("CSLDaily")
