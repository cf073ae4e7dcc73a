"""Pseudo-glosses: what is kept of a sentence, by whom, and what is kept on the disk."""

from __future__ import annotations

import csv
import gzip
import json
import multiprocessing
import os
import subprocess
import sys
import warnings
from collections import Counter

import pytest

from slt_zoo.data.official import read_official
from slt_zoo.errors import ConfigError
from slt_zoo.text import pseudo_gloss, pseudo_glosses
from slt_zoo.text.taggers import HanTaTagger

GERMAN = (
    "am tag drei grad im osten und minus zehn grad an den alpen",
    "regen und schauer und noch einmal regen",
    "es regnet und die sonne zeigt sich nicht",
    "und wie",
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SLT_ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pseudo_gloss"


@pytest.fixture
def counted(monkeypatch):
    """Sentences that HanTa was asked for."""
    asked: list[str] = []
    content_words = HanTaTagger.content_words

    def ask(tagger, text):
        asked.append(text)
        return content_words(tagger, text)

    monkeypatch.setattr(HanTaTagger, "content_words", ask)
    return asked


def test_order_of_the_sentence_repeats_and_empty_ones():
    found = pseudo_glosses([*GERMAN, ""], "de")
    assert found.glosses == (
        ("tag", "drei", "grad", "osten", "minus", "zehn", "grad", "alpen"),
        ("regen", "schauer", "noch", "einmal", "regen"),
        ("regnen", "sonne", "zeigen"),
        (),
        (),
    )
    assert found.empty == (3, 4) and found.dropped == () and not found.fallback
    assert (found.tagger["tagger"], found.tagger["model"]) == ("hanta", "morphmodel_ger.pgz")
    assert json.loads(json.dumps(found.tagger)) == found.tagger and found.tagger["version"]


def test_texts_are_normalised_first():
    plain, odd = pseudo_glosses(
        ["schöne schauer im norden", " scho\u0308ne\u00a0schauer  im \u200bnorden"], "de"
    ).glosses
    assert plain == odd == ("schön", "schauer", "norden")


def test_frequent_words_are_dropped_by_the_share_of_distinct_sentences():
    texts = ["regen im norden", "regen im norden", "regen im süden", "regen und regen im westen", "sonne im westen"]
    found = pseudo_glosses(texts, "de", max_share=0.75)
    assert found.dropped == ("regen",), "in 3 of 4 distinct sentences"
    assert found.glosses == (("norden",), ("norden",), ("süden",), ("westen",), ("sonne", "westen"))
    assert pseudo_glosses(texts, "de", max_share=0.76).dropped == ()
    half = pseudo_glosses(texts, "de", max_share=0.5, drop=["norden", "regen"])
    assert half.dropped == ("regen", "westen", "norden") and half.empty == (0, 1, 3)
    assert pseudo_glosses(["regen im osten"], "de", drop=found.dropped).glosses == (("osten",),)
    assert pseudo_glosses([], "de", max_share=0.4).glosses == ()
    for share in (0, 1.1, -1, float("nan")):
        with pytest.raises(ConfigError, match="share of the sentences"):
            pseudo_glosses(texts, "de", max_share=share)


def test_made_once_and_kept(counted, cache):
    first = pseudo_glosses(GERMAN, "de")
    assert sorted(counted) == sorted(GERMAN) and len(list(cache.iterdir())) == 1
    again = pseudo_glosses([*reversed(GERMAN), GERMAN[0]], "de", max_share=0.9)
    assert len(counted) == len(GERMAN), "another order, repeats and a share are made of the same file"
    assert again.glosses[:4] == tuple(reversed(first.glosses))
    pseudo_glosses(GERMAN, "de", cache=False)
    assert len(counted) == 2 * len(GERMAN)
    pseudo_glosses(GERMAN[:2], "de")
    assert len(list(cache.iterdir())) == 2, "another set of sentences"


def test_another_rule_or_version_is_made_again(counted, cache, monkeypatch):
    assert pseudo_glosses(GERMAN, "de").glosses[0][1] == "drei"
    monkeypatch.setitem(HanTaTagger._models, "de", ("morphmodel_ger.pgz", "NN|NE"))
    assert pseudo_glosses(GERMAN, "de").glosses[0] == ("tag", "grad", "osten", "grad", "alpen")
    monkeypatch.setattr("slt_zoo.text.taggers.metadata.version", lambda name: "99")
    assert pseudo_glosses(GERMAN, "de").tagger["version"] == "99"
    assert len(counted) == 3 * len(GERMAN) and len(list(cache.iterdir())) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: "[]",
        lambda text: "[" * 100_000,
        lambda text: text.replace("regnen", "schneien"),
        lambda text: text.replace('"key": "', '"key": "0'),
        lambda text: json.dumps(json.loads(text) | {"glosses": 3}),
    ],
)
def test_a_damaged_file_is_made_again(counted, cache, damage):
    whole = pseudo_glosses(GERMAN, "de")
    (path,) = cache.iterdir()
    text = path.read_text()
    path.write_text(damage(text))
    assert path.read_text() != text
    assert pseudo_glosses(GERMAN, "de") == whole and len(counted) == 2 * len(GERMAN)
    assert path.read_text() == text


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLT_ZOO_CACHE", str(tmp_path / "file"))
    assert pseudo_glosses(GERMAN, "de").glosses[2] == ("regnen", "sonne", "zeigen")


def _make(texts):
    return pseudo_glosses(texts, "de")


def test_several_processes_at_once(cache):
    with multiprocessing.get_context("fork").Pool(3) as pool:
        found = pool.map(_make, [GERMAN] * 6, chunksize=1)
    assert found == [pseudo_glosses(GERMAN, "de", cache=False)] * 6
    assert [path.suffix for path in cache.iterdir()] == [".json"], "one whole file and no pieces"


def test_greek_says_that_no_tagger_was_there():
    with pytest.warns(UserWarning, match="list of stop words"):
        found = pseudo_glosses(["Πού είναι το μαγαζί; δεν έχω ταυτότητα"], "el")
    assert found.glosses == (("πού", "μαγαζί", "δεν", "έχω", "ταυτότητα"),)
    assert found.fallback and found.tagger["tagger"] == "stopwords"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pseudo_glosses(["το μαγαζί"], "el", tagger="stopwords").fallback, "asked for: nothing to warn of"


# Real corpora.


def phoenix(shared_data, *splits):
    folder = shared_data / "phoenix14t/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/annotations/manual"
    return [e.text for s in splits for e in read_official(folder / f"PHOENIX-2014-T.{s}.corpus.csv").entries]


def test_phoenix(shared_data):
    texts = phoenix(shared_data, "dev", "test")
    found = pseudo_glosses(texts, "de")
    assert len(found.glosses) == 1161 and found.empty == ()
    assert 7.2 < sum(map(len, found.glosses)) / 1161 < 8
    some = texts[::12]
    assert pseudo_glosses(some[::-1], "de", cache=False).glosses[::-1] == found.glosses[::12], "whatever is beside"
    assert _in_another_process(some) == [list(glosses) for glosses in found.glosses[::12]]


@pytest.mark.slow
def test_all_of_phoenix(shared_data):
    found = pseudo_glosses(phoenix(shared_data, "train", "dev", "test"), "de", max_share=0.4)
    assert len(found.glosses) == 8257 and found.empty == () and found.dropped == ()
    assert 8.0 < sum(map(len, found.glosses)) / 8257 < 8.6
    count = Counter(word for glosses in found.glosses for word in glosses)
    assert 1900 < len(count) < 2300 and not set(count) & {"es", "sich", "und", "im", "."}
    assert count["regen"] > 900 and count["rege"] < 40, "a form of an adjective in few sentences alone"


def _in_another_process(texts):
    program = (
        "import json, sys; from slt_zoo.text import pseudo_glosses\n"
        "print(json.dumps(pseudo_glosses(json.load(sys.stdin), 'de', cache=False).glosses))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "1"},
    )
    return json.loads(done.stdout)


def test_csl_daily(shared_data):
    with gzip.open(shared_data / "csl_daily/annotations_cvpr21_text.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    found = pseudo_glosses(texts, "zh")
    assert len(found.glosses) == 20654 and found.tagger["tagger"] == "jieba"
    assert {texts[i] for i in found.empty} >= {"你好！", "对不起！"} and len(found.empty) < 50, (
        "phrases have other tags"
    )
    assert 5.7 < sum(map(len, found.glosses)) / 20654 < 6.3
    assert not {c for glosses in found.glosses for word in glosses for c in word} & set("，。？！、 ")
    for text, glosses in zip(texts[::50], found.glosses[::50], strict=True):
        at = 0
        for word in glosses:  # in the order of the sentence
            at = text.index(word, at) + len(word)


def test_gsl_and_how2sign(shared_data):
    greek = [e.text for e in read_official(shared_data / "gsl/GSL_continuous/annotations.csv").entries]
    found = pseudo_glosses(greek, "el", tagger="stopwords")
    assert len(greek) == 10295
    assert [greek[i].strip() for i in found.empty] == [""] * 12, "the empty texts of the release and no other"
    english: list[str] = []
    for split in ("val", "test"):
        name = f"How2Sign/sentence_level/{split}/text/en/raw_text/re_aligned/how2sign_realigned_{split}.csv"
        with (shared_data / "how2sign" / name).open(encoding="utf-8", newline="") as file:
            english += [row["SENTENCE"] for row in csv.DictReader(file, delimiter="\t")]
    found = pseudo_glosses(english, "en")
    assert len(found.glosses) == 4098 and 0 < len(found.empty) < 90
    assert not {w for glosses in found.glosses for w in glosses} & {"the", "n't", "i", "'m", "be", "have"}


@pytest.mark.slow
def test_how2sign_train(shared_data):
    name = "how2sign/converted/how2sign_realigned_train.no_times.tsv.gz"
    with gzip.open(shared_data / name, "rt", encoding="utf-8", newline="") as file:
        texts = [row["SENTENCE"] for row in csv.DictReader(file, delimiter="\t")]
    found = pseudo_glosses(texts, "en")
    assert len(found.glosses) == 31086 and 0.01 < len(found.empty) / 31086 < 0.015
    assert pseudo_gloss.pseudo_glosses(texts, "en") == found
