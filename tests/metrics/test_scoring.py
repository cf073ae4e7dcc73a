"""score(): protocols, signatures, agreement with sacreBLEU called directly, bad input."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys

import pytest
import sacrebleu
import torch
from torchmetrics.functional.text import bleu_score

from slt_zoo.errors import ScoreError, SLTError, UnknownNameError
from slt_zoo.metrics import PROTOCOLS, Protocol, ScoreReport, get_protocol, reference_hash, score
from slt_zoo.metrics.bleu import Bleu, SentenceBleuMean
from slt_zoo.metrics.preparation import lower_with_final_dot
from slt_zoo.metrics.wer import WordErrorRate

REFERENCES = {
    "c": "Am Montag regnet es im Norden, im Süden scheint die Sonne .",
    "a": "Der Wind weht schwach bis mäßig aus Osten .",
    "b": "In der Nacht sinken die Werte auf minus drei Grad .",
}
HYPOTHESES = {
    "a": "der Wind weht mäßig aus Osten .",
    "b": "In der Nacht sinken die Werte auf vier Grad .",
    "c": "Am Montag regnet es im Norden, und im Süden die Sonne .",
}
IDS = sorted(REFERENCES)


def random_corpus(n=60, seed=0):
    rng = random.Random(seed)
    words = [f"wort{i}" for i in range(40)]
    references = {f"s{i:03d}": " ".join(rng.choices(words, k=rng.randint(1, 15))) for i in range(n)}
    hypotheses = {
        k: " ".join(w if rng.random() < 0.7 else rng.choice(words) for w in v.split()[: rng.randint(0, 15)])
        for k, v in references.items()
    }
    return hypotheses, references


def test_strict_is_sacrebleu_with_its_defaults():
    hypotheses, references = [HYPOTHESES[i] for i in IDS], [REFERENCES[i] for i in IDS]
    report = score(HYPOTHESES, REFERENCES, "strict")
    assert report.values["bleu4"] == sacrebleu.corpus_bleu(hypotheses, [references]).score
    assert report.values["chrf"] == sacrebleu.corpus_chrf(hypotheses, [references]).score
    for n in (1, 2, 3):
        metric = sacrebleu.BLEU(max_ngram_order=n)
        assert report.values[f"bleu{n}"] == pytest.approx(metric.corpus_score(hypotheses, [references]).score, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("tokenize", "smooth"), [("13a", "exp"), ("none", "none")])
def test_bleu_of_every_order_is_sacrebleus(tokenize, smooth, seed):
    hypotheses, references = (list(d.values()) for d in random_corpus(n=5, seed=seed))
    values, _ = Bleu(tokenize, smooth)(hypotheses, [[r] for r in references])
    for n in (1, 2, 3, 4):
        metric = sacrebleu.BLEU(tokenize=tokenize, smooth_method=smooth, max_ngram_order=n)
        assert values[f"bleu{n}"] == pytest.approx(metric.corpus_score(hypotheses, [references]).score, abs=1e-9)


def test_the_command_sacrebleu_says_the_same(tmp_path):
    hypotheses, references = random_corpus()
    for name, texts in (("h", hypotheses), ("r", references)):
        (tmp_path / name).write_text("".join(texts[i] + "\n" for i in sorted(references)), encoding="utf-8")
    words = ["r", "-i", "h", "-m", "bleu", "chrf", "-b", "-w", "12"]
    shown = subprocess.run(
        [sys.executable, "-m", "sacrebleu", *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    theirs = [float(x) for x in json.loads(shown.stdout)]
    ours = score(hypotheses, references, "strict", samples=0).values
    assert [ours["bleu4"], ours["chrf"]] == pytest.approx(theirs, abs=1e-9)


def test_chinese_is_cut_as_sacrebleu_cuts_it():
    hypotheses, references = ["今天下雨，我没有伞。"], ["今天下雨，我没有带伞。"]
    report = score({"1": hypotheses[0]}, {"1": references[0]}, "strict", samples=0)
    assert report.values["bleu4"] == sacrebleu.corpus_bleu(hypotheses, [references], tokenize="zh").score > 50
    assert "tok:zh" in report.signature


def test_signatures():
    version = sacrebleu.__version__
    strict = score(HYPOTHESES, REFERENCES, "strict").signature.split("; ")
    assert f"BLEU nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}" in strict
    assert f"chrF nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}" in strict
    signjoey = score(HYPOTHESES, REFERENCES, "phoenix14t/signjoey").signature.split("; ")
    assert f"BLEU nrefs:1|case:lc|eff:no|tok:none|smooth:none|version:{version}" in signjoey
    assert any(s.startswith("ROUGE-L beta:1.2") for s in signjoey)
    gloss = score(HYPOTHESES, REFERENCES, "gloss").signature.split("; ")
    assert f"BLEU nrefs:1|case:mixed|eff:no|tok:none|smooth:none|version:{version}" in gloss
    assert any(s.startswith("WER costs:1/1/1") for s in gloss)


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("Es regnet", "es regnet ."),
        ("es regnet .", "es regnet ."),
        ("es regnet . ", "es regnet ."),  # the annotation has trailing blanks
        ("es regnet.", "es regnet. ."),
        (".", "."),
        ("", " ."),
    ],
)
def test_signjoey_preparation(text, prepared):
    assert lower_with_final_dot(text) == prepared
    assert lower_with_final_dot(prepared) == prepared


def test_signjoey_adds_the_dot_on_both_sides_and_it_lifts_the_score():
    hypotheses = {"1": "morgen regnet es im osten kräftig", "2": "am tag sonne und wolken"}
    references = {"1": "morgen regnet es im westen kräftig", "2": "am tag wechseln sonne und wolken"}
    dotted = [{k: f"{v} ." for k, v in side.items()} for side in (hypotheses, references)]
    bare = score(hypotheses, references, "phoenix14t/signjoey").values
    assert bare == score(*dotted, "phoenix14t/signjoey").values  # once, not twice
    assert bare == score(dotted[0], references, "phoenix14t/signjoey").values  # whichever side lacks it
    with_dot = sacrebleu.corpus_bleu(
        list(dotted[0].values()), [list(dotted[1].values())], tokenize="none", smooth_method="none", force=True
    ).score
    without = sacrebleu.corpus_bleu(
        list(hypotheses.values()), [list(references.values())], tokenize="none", smooth_method="none"
    ).score
    assert bare["bleu4"] == with_dot > without


def test_signjoey_folds_case():
    report = score({"1": "ES REGNET HEUTE NACHT"}, {"1": "es regnet heute nacht"}, "phoenix14t/signjoey")
    assert report.values["bleu4"] == pytest.approx(100)
    assert report.values["chrf"] == pytest.approx(100)
    assert report.values["exact"] == 100
    assert score({"1": "ES REGNET"}, {"1": "es regnet"}, "strict").values["exact"] == 0


def test_smoothing_none_is_floor_with_value_zero():
    # the old scorer's name for it; a corpus without one 4-gram in common
    hypotheses, references = ["a b c x d e f"], ["a b c y d e f"]
    floor = sacrebleu.BLEU(tokenize="none", smooth_method="floor", smooth_value=0.0)
    assert Bleu("none", "none")(hypotheses, [references])[0]["bleu4"] == 0
    assert floor.corpus_score(hypotheses, [references]).score == 0
    assert sacrebleu.corpus_bleu(hypotheses, [references], tokenize="none", smooth_method="floor").score > 0


def test_sentence_bleu_mean_is_torchmetrics():
    hypotheses, references = (list(d.values()) for d in random_corpus())
    expected = torch.stack([bleu_score([h], [[r]]) for h, r in zip(hypotheses, references, strict=True)]).mean()
    value = SentenceBleuMean()(hypotheses, [[r] for r in references])[0]["sentence_bleu_mean"]
    assert value == pytest.approx(100 * expected.item(), abs=1e-4)
    assert value > 0


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_says_what_it_gives(name):
    report = score(HYPOTHESES, REFERENCES, name)
    expected = [n for n in get_protocol(name).score_names if not n.startswith("recall_")]
    assert [n for n in report.values if not n.startswith("recall_")] == expected
    assert "bleu4" in report.values and ("exact" in report.values or get_protocol(name).legacy)
    assert all(0 <= v <= 100 for v in report.values.values())
    assert report.protocol == name
    assert report.num_samples == 3


@pytest.mark.parametrize("name", PROTOCOLS)
def test_equal_strings_are_perfect(name):
    values = score(REFERENCES, REFERENCES, name).values
    for key, value in values.items():
        assert value == pytest.approx(0 if key.startswith("wer") else 100), key


@pytest.mark.parametrize("name", PROTOCOLS)
def test_order_does_not_matter(name):
    hypotheses, references = random_corpus()
    shuffled = dict(random.Random(1).sample(list(hypotheses.items()), len(hypotheses)))
    assert score(shuffled, references, name) == score(hypotheses, references, name)


ODD_STRINGS = [
    "",
    " ",
    "\n",
    "\u00a0",
    "今天下雨",
    "Σήμερα βρέχει",
    "🌧️ 🤟🏽",
    "e\u0301 é",
    "\u202eabc",
    "\x00",
    "$ \\ | <b>",
    "a" * 9999,
]


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("text", ODD_STRINGS)
def test_odd_strings_give_numbers(name, text):
    values = score({"1": text, "2": "x"}, {"1": "es regnet", "2": text}, name).values
    assert all(v == v and v >= 0 for v in values.values())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_only_empty_hypotheses_give_numbers(name):
    values = score({"1": "", "2": ""}, {"1": "es regnet", "2": "es schneit"}, name).values
    assert values["bleu4"] == 0
    assert values.get("exact", 0) == 0


def test_several_references_of_unequal_number():
    hypotheses = {"1": "der wind weht aus osten", "2": "heute scheint die sonne"}
    references = {"1": ("ein wind kommt", "der wind weht aus osten"), "2": "heute scheint die sonne"}
    report = score(hypotheses, references, "gloss")
    assert report.values["bleu4"] == pytest.approx(100)
    assert report.values["wer"] == 0
    assert report.values["exact"] == 100
    assert "nrefs:var" in report.signature
    expected = sacrebleu.corpus_bleu(
        ["der wind weht aus osten", "es regnet"],
        [["ein wind kommt", "heute regnet es"], ["der wind weht", None]],
    ).score
    strict = score(
        {"1": "der wind weht aus osten", "2": "es regnet"},
        {"1": ["ein wind kommt", "der wind weht"], "2": ["heute regnet es"]},
        "strict",
    )
    assert strict.values["bleu4"] == expected


def test_characters_as_units():
    protocol = Protocol("zeichen", (WordErrorRate(),), "", unit="character")
    assert protocol.hypothesis("今天 下雨") == "今 天 下 雨"
    assert protocol.reference("ab") == "a b"


def test_reference_hash_is_of_the_raw_strings_in_the_order_of_ids():
    expected = hashlib.sha256(b'["Es regnet. "]\n["x", "\\u00fc"]\n').hexdigest()
    assert reference_hash({"b": ("x", "ü"), "a": "Es regnet. "}) == expected
    assert score({"a": "", "b": ""}, {"b": ["x", "ü"], "a": "Es regnet. "}, "strict").reference_hash == expected
    assert reference_hash({"a": "x", "b": "y"}) != reference_hash({"a": ("x", "y")})


def test_report_round_trip_and_table():
    report = score(HYPOTHESES, REFERENCES, "strict", extra={"beam": 5, "simulated": True, "complete": False, "ü": None})
    assert ScoreReport.from_json(report.to_json()) == report
    assert report.versions["sacrebleu"] == sacrebleu.__version__
    table = report.table()
    assert f"{report.values['bleu4']:.2f}" in table
    assert "tok:13a" in table
    assert "no sign language" in table
    assert "part of the split" in table
    assert score(HYPOTHESES, REFERENCES, "strict").caveats() == []


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"values": {}}'])
def test_what_is_no_report(text):
    with pytest.raises(ScoreError):
        ScoreReport.from_json(text)


def test_a_report_of_a_newer_version_says_so():
    data = score(HYPOTHESES, REFERENCES, "strict").to_dict() | {"aura": 1}
    with pytest.raises(ScoreError, match=r"(?s)aura.*update slt_zoo"):
        ScoreReport.from_dict(data)


def test_extra_must_be_plain():
    with pytest.raises(ScoreError, match=r"(?s)extra.*Tensor"):
        score(HYPOTHESES, REFERENCES, "strict", extra={"loss": torch.zeros(())}).to_json()


def test_missing_and_surplus_ids_are_named():
    with pytest.raises(ScoreError, match=r"(?s)1 missing \(c\) and 1 surplus \(x\)"):
        score({"a": "", "b": "", "x": ""}, REFERENCES, "strict")


def test_unknown_protocol_names_the_nearest():
    with pytest.raises(UnknownNameError, match="phoenix14t/signjoey"):
        score(HYPOTHESES, REFERENCES, "phoenix14t/sign-joey")


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ({}, {}, "nothing to score"),
        ({}, {"a": "x"}, r"1 missing \(a\)"),
        ({"a": None}, {"a": "x"}, "NoneType"),
        ({"a": ["x"]}, {"a": "x"}, "must be a string"),
        ({"a": "x"}, {"a": []}, "at least one reference"),
        ({"a": "x"}, {"a": [None]}, "must be a string"),
        ({"a": "x"}, {"a": " "}, "empty"),
    ],
)
def test_bad_input(hypotheses, references, message):
    with pytest.raises(ScoreError, match=message):
        score(hypotheses, references, "strict")


@pytest.mark.parametrize(
    ("hypotheses", "references", "settings", "message"),
    [
        (["x"], ["x"], {}, "by sample id"),
        ({1: "x"}, {1: "x"}, {}, "ids that are no strings"),
        ({"a": "x"}, {"a": 5}, {}, "a list of strings"),
        ({"a": "x"}, {"a": {"x"}}, {}, "a list of strings"),
        ({"a": "x"}, {"a": (x for x in "x")}, {}, "a list of strings"),
        ({"a": "x"}, {"a": "x"}, {"samples": -1}, "samples at least 0"),
        ({"a": "x"}, {"a": "x"}, {"samples": 1.5}, "whole numbers"),
        ({"a": "x"}, {"a": "x"}, {"seed": -1}, "seed at least 0"),
        ({"a": "x"}, {"a": "x"}, {"external": {"comet": {}}}, "numbers of comet"),
        ({"a": "x"}, {"a": "x"}, {"external": {"comet": {"a": float("nan")}}}, "finite number"),
        ({"a": "x"}, {"a": "x"}, {"external": {"bleu4": {"a": 1.0}}}, "name of one of the protocol"),
    ],
)
def test_wrong_types_are_told(hypotheses, references, settings, message):
    with pytest.raises(SLTError, match=message):
        score(hypotheses, references, "strict", **settings)


@pytest.mark.parametrize("name", [None, ["strict"]])
def test_a_protocol_is_a_name(name):
    with pytest.raises(UnknownNameError, match="unknown protocol"):
        score({"a": "x"}, {"a": "x"}, name)


def test_damaged_reports_are_told():
    data = score(HYPOTHESES, REFERENCES, "strict", samples=5).to_dict()
    for damage in ({"values": 5}, {"intervals": {"bleu4": [1]}}, {"intervals": 3}):
        with pytest.raises(ScoreError, match="no score report"):
            ScoreReport.from_dict(data | damage)
    with pytest.raises(ScoreError, match="not valid JSON"):
        ScoreReport.from_json(None)
