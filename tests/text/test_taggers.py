"""Taggers: what each keeps of a sentence, which is chosen, and that no text stops one."""

from __future__ import annotations

import pickle
import subprocess
import sys
from functools import cache
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.text import taggers
from slt_zoo.text.taggers import SpacyTagger, StopWordTagger, choose_tagger, split_words

tagger = cache(choose_tagger)


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("de", "der wind weht schwach, im bergland böen um 3,5 grad.", "wind wehen schwach bergland böen 3,5 grad"),
        (
            "de",
            "Morgen scheint in Berlin die Sonne , aber sie zeigt sich nicht .",
            "morgen scheinen berlin sonne zeigen",
        ),
        ("de-AT", "das kann er haben", ""),
        ("en", "I'm going to show you how to tie three knots, don't you think?", "go show tie three knot think"),
        ("en", "The horses’ owner can’t have been there twice.", "horse owner there twice"),
        ("nl", "Morgen schijnt in Amsterdam de zon en er zijn drie honden.", "morgen schijnen amsterdam zon drie hond"),
        ("zh", "今天天气不好，我要去北京买三本书。", "今天天气 我 要 去 北京 买 三 本书"),
        ("zh", "老师 喜欢 他 ， 24 个 学生", "老师 喜欢 他 24 学生"),
        ("el", "Θα σας βοηθήσω από τις 3 μέχρι το πρωί", "βοηθήσω 3 πρωί"),
    ],
)
def test_what_is_kept(language, text, words):
    assert tagger(language).content_words(text) == words.split()


def test_words_and_signs():
    assert split_words("um 10:30 uhr 1.000,5 grad, baden-württemberg.", "de") == (
        ["um", "10:30", "uhr", "1.000,5", "grad", ",", "baden-württemberg", "."]
    )
    assert split_words("They'll can't o'clock 'tis \"so\"", "en") == (
        ["They", "'ll", "ca", "n't", "o'clock", "'", "tis", '"', "so", '"']
    )
    assert split_words("", "en") == []


@pytest.mark.parametrize("language", ["de", "en", "nl", "zh", "el"])
@settings(max_examples=80, deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=25), st.text(st.sampled_from("aßÄİσ'’`´\"-–_.,:0९今天\u0301\ud800 \n"), max_size=25)
    )
)
def test_no_text_stops_a_tagger(language, text):
    for name in ("auto", "stopwords") if language != "zh" else ("auto",):
        words = tagger(language, name).content_words(text)
        assert all(isinstance(word, str) and any(c.isalnum() for c in word) for word in words)


def test_a_model_in_the_working_folder_is_not_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return exec, ("open('sprung', 'w').close()",)

    (tmp_path / "morphmodel_ger.pgz").write_bytes(pickle.dumps(Trap()))
    program = "from slt_zoo.text.taggers import HanTaTagger; print(HanTaTagger('de').content_words('der wind weht'))"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "['wind', 'wehen']\n" and not (tmp_path / "sprung").exists()


def test_jieba_leaves_no_file_that_others_could_replace(tmp_path):
    program = (
        "import tempfile; tempfile.tempdir = '.'\n"
        "from slt_zoo.text.taggers import JiebaTagger; print(JiebaTagger().content_words('今天下雨'))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "['今天', '下雨']\n" and list(tmp_path.iterdir()) == []
    assert done.stderr == ""


# Which one is chosen.


def without(monkeypatch, *gone, have=()):
    known = {"HanTa", "jieba", *have} - set(gone)
    monkeypatch.setattr(taggers, "find_spec", lambda name: name if name in known else None)


@pytest.mark.parametrize(
    ("language", "gone", "have", "name"),
    [
        ("de", (), ("spacy", "de_core_news_lg"), "hanta"),
        ("de", ("HanTa",), ("spacy", "de_core_news_lg"), "spacy"),
        ("zh-CN", (), (), "jieba"),
        ("zh", ("jieba",), ("spacy", "zh_core_web_sm"), "spacy"),
        ("el", (), ("spacy", "el_core_news_sm"), "spacy"),
        ("el", (), ("spacy",), "stopwords"),
    ],
)
def test_auto_takes_what_is_installed(monkeypatch, language, gone, have, name):
    without(monkeypatch, *gone, have=have)
    assert isinstance(choose_tagger(language), taggers.TAGGERS[name])


def test_what_is_not_there_is_told_with_its_remedy(monkeypatch):
    without(monkeypatch, "HanTa", "jieba")
    with pytest.raises(
        ConfigError, match=r"no tagger for 'de'(.|\n)*slt-zoo\[gloss\](.|\n)*de_core_news_lg(.|\n)*stopwords"
    ):
        choose_tagger("de")
    with pytest.raises(ConfigError, match=r"'hanta' is not installed(.|\n)*slt-zoo\[gloss\]"):
        choose_tagger("en", "hanta")
    with pytest.raises(ConfigError, match="no tagger for 'zh'") as error:
        choose_tagger("zh")
    assert "stopwords" not in str(error.value), "no list can find the words of Chinese"
    with pytest.raises(ConfigError, match=r"spacy download zh_core_web_sm"):
        choose_tagger("zh", "spacy")
    with pytest.raises(ConfigError, match=r"does not know the language 'zh'(.|\n)*de, en, nl(.|\n)*'jieba', 'spacy'"):
        choose_tagger("zh", "hanta")
    with pytest.raises(ConfigError, match="no tagger knows the language 'fi'"):
        choose_tagger("fi")
    with pytest.raises(UnknownNameError, match="did you mean 'hanta'"):
        choose_tagger("de", "hannta")
    assert isinstance(choose_tagger("de", "stopwords"), StopWordTagger)


# spaCy.


def test_the_rule_for_spacy(monkeypatch):
    seen: list[str] = []

    def read(text):
        seen.append(text)
        rows = ["Es/PRON/es", "zeigt/VERB/zeigen", "sich/PRON/sich", "der/DET/der", "Wind/NOUN/", "3/NUM/3", "!/NOUN/!"]
        return [SimpleNamespace(**dict(zip(("text", "pos_", "lemma_"), row.split("/"), strict=True))) for row in rows]

    german, chinese = SpacyTagger("de"), SpacyTagger("zh")
    german.__dict__["_read"] = chinese.__dict__["_read"] = read
    assert german.content_words("a，b") == ["zeigen", "wind", "3"]
    assert chinese.content_words("a，b") == ["Es", "zeigt", "sich", "Wind", "3"]
    assert seen == ["a，b", "ab"]


def test_spacy_itself(tmp_path, monkeypatch):
    """A pipeline of spaCy's own components under the name of the real model, which is a download."""
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed")
    nlp = spacy.blank("de")
    ruler = nlp.add_pipe("attribute_ruler")
    for word, pos, lemma in (("regnet", "VERB", "regnen"), ("es", "PRON", "es"), ("Alpen", "PROPN", "Alpen")):
        ruler.add([[{"ORTH": word}]], {"POS": pos, "LEMMA": lemma})
    folder = tmp_path / "de_core_news_lg"
    folder.mkdir()
    nlp.to_disk(folder / "de_core_news_lg-3.0.0")
    (folder / "meta.json").write_text((folder / "de_core_news_lg-3.0.0/meta.json").read_text())
    meta = (folder / "meta.json").read_text().replace('"name":"pipeline"', '"name":"core_news_lg"')
    (folder / "meta.json").write_text(meta.replace('"version":"0.0.0"', '"version":"3.0.0"'))
    (folder / "__init__.py").write_text(
        "from spacy.util import load_model_from_init_py\n"
        "def load(**overrides):\n    return load_model_from_init_py(__file__, **overrides)\n"
    )
    info = tmp_path / "de_core_news_lg-3.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: de_core_news_lg\nVersion: 3.0.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    made = choose_tagger("de", "spacy")
    assert made.content_words("es regnet in den Alpen") == ["regnen", "alpen"]
    assert made.identity["model"] == "de_core_news_lg 3.0.0" and made.identity["version"] == spacy.__version__
