"""Codecs with a rule of normalisation: models see one form of a text, references keep theirs."""

from __future__ import annotations

import json
import logging

import pytest

from slt_zoo import CSLDaily
from slt_zoo.errors import ConfigError
from slt_zoo.text import Normaliser, SubwordCodec, WordCodec, check_reachable, codec_from_dict
from slt_zoo.text.normalise import TextRules, check_rule
from slt_zoo.text.subword import MODEL_FILE

GERMAN = Normaliser("de", final_stop=" .")
CHINESE = Normaliser("zh", half_width=True, final_stop="。")
TEXTS = {"de": ["am tag regen", "im norden  schnee"], "zh": ["今天，天气好", "你来吗？"]}


def codecs(rule):
    texts = TEXTS[rule.language]
    level = "char" if rule.language == "zh" else "word"
    return [
        WordCodec.fit(texts, level, normaliser=rule),
        SubwordCodec.fit(texts, 60, rule.language, normaliser=rule),
    ]


@pytest.mark.parametrize("rule", [GERMAN, CHINESE], ids=["de", "zh"])
@pytest.mark.parametrize("kind", [0, 1], ids=["words", "subwords"])
def test_what_is_encoded_is_normalised_and_what_is_decoded_restored(rule, kind):
    codec, texts = codecs(rule)[kind], TEXTS[rule.language]
    again = codec_from_dict(json.loads(json.dumps(codec.to_dict())))
    plain = codec_from_dict({**codec.to_dict(), "normaliser": None})
    assert again.normaliser == rule and plain.normaliser is None and "normaliser" not in plain.to_dict()
    ids = again.encode(texts)
    assert ids.values.tolist() == plain.encode([rule.apply(t) for t in texts]).values.tolist()
    rows = [row.tolist() for row in ids.split()]
    assert again.decode(rows) == [Normaliser(rule.language).apply(t) for t in texts], "the form of references"
    assert plain.decode(rows) == [rule.apply(t) for t in texts], "what the model saw"
    assert not again.unknown(texts) and codec.unk_id not in ids.values
    if kind == 1:
        rows = list(range(len(codec)))
        assert codec.trimmed(rows).normaliser == rule, "rows are another matter"


def test_a_codec_without_a_rule_is_recorded_as_before():
    for codec in (WordCodec.fit(["a b"]), SubwordCodec.fit(["a b"], 20, "de")):
        assert "normaliser" not in codec.to_dict() and codec_from_dict(codec.to_dict()).normaliser is None


def test_lengths_and_unknown_words_are_those_of_what_is_seen():
    codec = WordCodec.fit(["am Tag"], normaliser=Normaliser("de", lower=True, final_stop=" ."))
    assert codec.tokens == [".", "am", "tag"] and codec.length("AM TAG") == 5
    assert codec.unknown(["Am Tag", "am Nachmittag"]) == {"nachmittag": 1}


def test_references_that_do_not_come_back_are_told(caplog):
    codec = WordCodec.fit(["am Tag"], "char", normaliser=Normaliser("de", lower=True))
    with caplog.at_level(logging.INFO, "slt_zoo"):
        check_reachable(codec, {"dev": ["am Tag", "am tag"]})
    assert "dev: 1 of 2 references do not come back from Normaliser(language='de', lower=True" in caplog.text


def test_rules_that_cannot_be():
    with pytest.raises(ConfigError, match="without spaces"):
        WordCodec.fit(["regen"], "char", normaliser=GERMAN)
    with pytest.raises(ConfigError, match="signs of Chinese"):
        TextRules.of({"half_width": True}, "de")
    with pytest.raises(ConfigError, match="unknown rules"):
        TextRules.of({"uper": True}, "de")
    assert TextRules.of(TextRules(final_stop=" ."), "de") == GERMAN
    check_rule(GERMAN, {"text": WordCodec.fit(["a"], normaliser=GERMAN).to_dict()})
    with pytest.raises(ConfigError, match="other rules"):
        check_rule(GERMAN, {"text": WordCodec.fit(["a"]).to_dict()})
    with pytest.raises(ConfigError, match="no vocabulary of texts"):
        check_rule(GERMAN, {"gloss": {}})


@pytest.mark.filterwarnings("ignore:CSLDaily")
def test_the_signs_of_csl_daily_survive_mbart_s_tokenizer(shared_data):
    """Its model writes full-width signs in ASCII: without a rule most references could never be written."""
    folder = shared_data / "mbart/MBart_trimmed"
    data = CSLDaily(str(shared_data / "csl_daily"))
    texts = [s.text for split in ("train", "dev", "test") for s in data.manifest(split)]
    # the rows of the folder are German ones; what its model makes of characters does not depend on them
    model = SubwordCodec((folder / MODEL_FILE).read_bytes(), "zh")._pieces
    rule = Normaliser("zh", half_width=True)

    assert SubwordCodec.from_pretrained(folder, "zh", normaliser=rule).normaliser == rule

    def through(text):
        return model.normalize(text).replace("\u2581", " ").strip()

    assert sum(through(text) == text for text in texts) == 9_105 and len(texts) == 20_653
    assert all(rule.restore(through(rule.apply(text))) == text for text in texts)
