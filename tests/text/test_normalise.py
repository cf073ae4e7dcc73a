"""What models see of a text, and the way back."""

from __future__ import annotations

import csv
import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slt_zoo.data.official import read_official
from slt_zoo.errors import ConfigError
from slt_zoo.text import Normaliser

RULES = (
    *(Normaliser(language) for language in ("de", "zh", "zh-TW", "en", "el", "fr")),
    *(Normaliser(language, lower=True, final_stop=" .") for language in ("de", "el", "tr")),
    Normaliser("zh", half_width=True, final_stop="。"),
    Normaliser("zh", lower=True, half_width=True),
)
PIECES = st.sampled_from("aB3 ，,？?！：:。（).、\u00a0\u200b\u3000\u00ad\u0308uΣσİＡ９今天=\u0338")
TEXT = st.one_of(st.text(max_size=30), st.text(PIECES, max_size=30))


@pytest.mark.parametrize(
    ("rule", "text", "seen"),
    [
        (Normaliser("de"), " das\u00a0Wetter  \u200bmorgen ", "das Wetter morgen"),
        (Normaliser("de"), "u\u0308ber\u00adall", "\u00fcberall"),
        (Normaliser("de"), "Wie ist das Wetter？", "Wie ist das Wetter?"),
        (Normaliser("de", lower=True), "Wie ist das Wetter？", "wie ist das wetter?"),
        (Normaliser("de", final_stop=" ."), "am tag regen", "am tag regen ."),
        (Normaliser("de", final_stop=" ."), "am tag regen .", "am tag regen ."),
        (Normaliser("de", final_stop=" ."), " ", ""),
        (Normaliser("zh"), "今天 天气\u3000好 ，是吗 ？", "今天天气好，是吗？"),
        (Normaliser("zh"), "我 用 Ａ４ paper 纸 １２ 张", "我用A4 paper纸12张"),
        (Normaliser("zh", half_width=True), "今天，３：００（下午）来！", "今天,3：00(下午)来!"),
        (Normaliser("zh", half_width=True, final_stop="。"), "他来吗？", "他来吗?。"),
        (Normaliser("el"), "\ufeffΚαλημέρα  σας\u2060", "Καλημέρα σας"),
    ],
)
def test_what_models_see(rule, text, seen):
    assert rule.apply(text) == seen


@pytest.mark.parametrize("rule", RULES, ids=str)
@settings(max_examples=150, deadline=None)
@given(text=TEXT)
def test_applied_twice_is_applied_once(rule, text):
    seen = rule.apply(text)
    assert rule.apply(seen) == seen


@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_what_the_plain_rule_leaves_comes_back(text):
    for rule in (Normaliser("de", final_stop=" ."), Normaliser("zh", half_width=True, final_stop="。")):
        plain = Normaliser(rule.language).apply(text)
        if rule.half_width:
            plain = "".join(c for c in plain if c not in ",?!:;()")
        plain = plain.rstrip(" .。")
        assert rule.restores(Normaliser(rule.language).apply(plain))


def test_what_does_not_come_back_is_told():
    half = Normaliser("zh", half_width=True)
    assert half.restores("今天，３：００来".replace("３", "3").replace("００", "00")), "a sign between digits stays"
    assert half.restores("一共1,000元") and not half.restores("今天,来"), "its comma was in half width"
    assert half.restore("今天,来") == "今天，来"
    assert not Normaliser("de").restores("a  b") and not Normaliser("de", lower=True).restores("Das")
    assert not Normaliser("de", final_stop=" .").restores("das .")


def test_plain_data_and_faults():
    rule = Normaliser("zh", half_width=True, final_stop="。")
    assert Normaliser.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule
    with pytest.raises(ConfigError, match="signs of Chinese"):
        Normaliser("de", half_width=True)
    for language, stop in (("zh", " ."), ("de", " . "), ("de", "？")):
        with pytest.raises(ConfigError, match="taken off again"):
            Normaliser(language, final_stop=stop)
    with pytest.raises(ConfigError, match="newer slt_zoo"):
        Normaliser.from_dict({"language": "de", "magic": True})


def test_the_texts_of_phoenix_come_back(shared_data):
    folder = shared_data / "phoenix14t/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/annotations/manual"
    texts = [e.text for s in ("train", "dev", "test") for e in _entries(folder / f"PHOENIX-2014-T.{s}.corpus.csv")]
    assert len(texts) == 8257
    for rule in (Normaliser("de"), Normaliser("de", lower=True), Normaliser("de", final_stop=" .")):
        assert all(map(rule.restores, texts)), rule


def test_the_texts_of_csl_daily_come_back_from_half_width(shared_data):
    with gzip.open(shared_data / "csl_daily/annotations_cvpr21_text.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    assert len(texts) == 20654
    plain, half = Normaliser("zh"), Normaliser("zh", half_width=True)
    assert [t for t in texts if not plain.restores(t)] == [] == [t for t in texts if not half.restores(t)]
    assert sum(half.apply(t) != t for t in texts) > 10_000, "and it is seen in another form"


def test_of_gsl_and_how2sign_only_texts_with_odd_spaces_do_not_come_back(shared_data):
    greek = [e.text for e in _entries(shared_data / "gsl/GSL_continuous/annotations.csv")]
    lost = [text for text in greek if not Normaliser("el").restores(text)]
    assert lost == [text for text in greek if text != " ".join(text.split())] and len(lost) == 600
    english: list[str] = []
    for split in ("val", "test"):
        name = f"How2Sign/sentence_level/{split}/text/en/raw_text/re_aligned/how2sign_realigned_{split}.csv"
        with (shared_data / "how2sign" / name).open(encoding="utf-8", newline="") as file:
            english += [row["SENTENCE"] for row in csv.DictReader(file, delimiter="\t")]
    assert len(english) == 4098 and all(map(Normaliser("en").restores, english))


def _entries(path):
    return read_official(path).entries
