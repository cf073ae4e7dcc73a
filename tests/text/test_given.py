"""Texts and ids that are none are told, and not read letter by letter or left to an IndexError."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slt_zoo.errors import ConfigError, VocabularyError
from slt_zoo.text import Coverage, Normaliser, SubwordCodec, WordCodec, pseudo_glosses
from slt_zoo.text.normalise import TextRules

TEXTS = ["morgen regnet es", "im norden scheint die sonne"]
CODECS = {
    "word": WordCodec.fit(TEXTS),
    "char": WordCodec.fit(TEXTS, level="char"),
    "subword": SubwordCodec.fit(TEXTS, 60, "de"),
    "rule": SubwordCodec.fit(TEXTS, 60, "de", normaliser=Normaliser("de")),
}


@pytest.fixture(params=sorted(CODECS))
def codec(request):
    return CODECS[request.param]


@pytest.mark.parametrize("of", ["encode", "unknown", "encode_source", "fit", "coverage", "glosses"])
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("hallo", "a list of texts\\n  Found: a string, 'hallo'"),
        (["hallo", None], "text 1, counted from 0"),
        ([TEXTS], "a text is no string"),
        (None, "a list of texts"),
    ],
    ids=["string", "none_inside", "list_inside", "none"],
)
def test_what_is_no_list_of_texts(of, given, says):
    subword = CODECS["subword"]
    calls = {
        "encode": [c.encode for c in CODECS.values()],
        "unknown": [c.unknown for c in CODECS.values()],
        "encode_source": [subword.encode_source],
        "fit": [WordCodec.fit, lambda texts: SubwordCodec.fit(texts, 60, "de")],
        "coverage": [lambda texts: Coverage.of(subword, texts)],
        "glosses": [lambda texts: pseudo_glosses(texts, "de")],
    }
    for call in calls[of]:
        with pytest.raises(ConfigError, match=says):
            call(given)


def test_lists_of_any_kind_are_lists(codec):
    expected = codec.encode(TEXTS).values
    for given in (tuple(TEXTS), np.array(TEXTS), iter(TEXTS)):
        assert torch.equal(codec.encode(given).values, expected)


def test_the_way_there_and_back_as_the_page_has_it(codec):
    spaced = codec.decode(codec.encode(["morgen  regnet"]).padded(codec.pad_id)[0])
    assert spaced == ["morgenregnet" if codec is CODECS["char"] else "morgen regnet"]


@pytest.mark.parametrize("wrong", [99999, -1, -100])
def test_an_id_of_another_vocabulary(codec, wrong):
    for ids in ([[codec.bos_id, wrong]], torch.tensor([[codec.bos_id, wrong]])):
        with pytest.raises(VocabularyError, match=f"0 to {len(codec) - 1}\\n  Found: {wrong}"):
            codec.decode(ids)
    assert codec.decode([[codec.eos_id, wrong]]) == [""], "nothing after the end counts"


@pytest.mark.parametrize("ids", [[1, 5], torch.tensor([1, 5]), "ab", 5], ids=["list", "tensor", "string", "number"])
def test_ids_without_rows(codec, ids):
    with pytest.raises(ConfigError, match="decoded in rows"):
        codec.decode(ids)


def test_a_normaliser_of_what_is_no_text():
    for rule in (Normaliser("de"), Normaliser("zh", half_width=True)):
        for call in (rule.apply, rule.restore, rule.restores):
            with pytest.raises(ConfigError, match="a text is no string"):
                call(None)
    for make in (lambda: Normaliser("zh", final_stop=None), lambda: TextRules.of({"final_stop": None}, "de")):
        with pytest.raises(ConfigError, match="final_stop of a Normaliser is no string"):
            make()
    with pytest.raises(ConfigError, match="language of a Normaliser is no string"):
        pseudo_glosses(TEXTS, None)
    with pytest.raises(ConfigError, match="a string, 'es'"):
        pseudo_glosses(TEXTS, "de", drop="es")
