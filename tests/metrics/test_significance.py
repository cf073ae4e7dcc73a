"""Intervals and comparisons: against sacreBLEU's own significance tests, and against what must hold."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
import sacrebleu
from sacrebleu.significance import PairedTest

from slt_zoo.errors import ConfigError, ScoreError, UnknownNameError
from slt_zoo.metrics import PROTOCOLS, ScoreReport, compare, rank, score
from slt_zoo.metrics.statistics import interval, resample

WORDS = [f"wort{i}" for i in range(60)]


def corpus(n=120, seed=0):
    rng = random.Random(seed)
    return {f"s{i:05d}": " ".join(rng.choices(WORDS, k=rng.randint(4, 18))) for i in range(n)}


def noisy(references, share, seed):
    rng = random.Random(seed)
    return {
        i: " ".join(w if rng.random() > share else rng.choice(WORDS) for w in text.split())
        for i, text in references.items()
    }


REFERENCES = corpus()
GOOD, BAD = noisy(REFERENCES, 0.2, 1), noisy(REFERENCES, 0.3, 2)


def lists(*systems):
    return [[s[i] for i in sorted(REFERENCES)] for s in systems]


def test_a_resample_is_a_corpus_of_its_own():
    """What comes out of sums of rows is what sacreBLEU says of the drawn sentences."""
    measure = PROTOCOLS["strict"].score_of("bleu4")
    good, references = lists(GOOD, REFERENCES)
    rows = measure.statistics(good, [[r] for r in references]).rows
    drawn = np.random.default_rng(5).integers(len(rows), size=(1, len(rows)))[0]
    expected = sacrebleu.corpus_bleu([good[k] for k in drawn], [[references[k] for k in drawn]]).score
    assert measure.values(resample(rows, 3, seed=5))[0, 3] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_value_has_an_interval_around_it(protocol):
    report = score(GOOD, REFERENCES, protocol, samples=200)
    assert report.intervals.keys() == report.values.keys()
    for name, (low, high) in report.intervals.items():
        assert low <= report.values[name] <= high, name
        assert low < high or name not in ("bleu4", "chrf", "rouge_l_f1", "wer"), name
    assert not score(GOOD, REFERENCES, protocol, samples=0).intervals
    assert score(GOOD, REFERENCES, protocol, samples=200) == report, "a seed, an interval"
    assert ScoreReport.from_json(report.to_json()) == report
    assert "[" in report.table()


def test_intervals_are_sacrebleus_but_for_the_draw():
    good, references = lists(GOOD, REFERENCES)
    theirs = sacrebleu.BLEU().corpus_score(good, [references], n_bootstrap=2000)
    low, high = score(GOOD, REFERENCES, "strict", samples=2000).intervals["bleu4"]
    assert (high - low) / 2 == pytest.approx(theirs._ci, rel=0.1)
    assert (high + low) / 2 == pytest.approx(theirs._mean, abs=0.3)


@pytest.mark.parametrize("method", ["bs", "ar"])
def test_p_values_are_sacrebleus_but_for_the_draw(method):
    a = noisy(REFERENCES, 0.27, 3)
    first, second, references = lists(a, BAD, REFERENCES)
    test = PairedTest(
        [("a", first), ("b", second)],
        {"BLEU": sacrebleu.BLEU(references=[references])},
        references=None,
        test_type=method,
        n_samples=4000,
    )
    theirs = test()[1]["BLEU"][1].p_value
    ours = compare(a, BAD, REFERENCES, "strict", samples=4000)
    # its bootstrap counts one direction, ours both
    assert (ours.p_bootstrap / 2 if method == "bs" else ours.p_randomisation) == pytest.approx(theirs, abs=0.02)


def test_what_is_clearly_better_and_what_is_the_same():
    found = compare(GOOD, BAD, REFERENCES, "strict")
    assert found.difference == pytest.approx(
        score(GOOD, REFERENCES, "strict").values["bleu4"] - score(BAD, REFERENCES, "strict").values["bleu4"]
    )
    assert found.real and found.interval[0] > 0 and max(found.p_bootstrap, found.p_randomisation) <= 0.01
    back = compare(BAD, GOOD, REFERENCES, "strict")
    assert back.difference == -found.difference and back.interval == pytest.approx([-x for x in found.interval[::-1]])
    same = compare(GOOD, GOOD, REFERENCES, "strict")
    assert same.difference == 0 and same.interval == (0, 0)
    assert same.p_bootstrap == same.p_randomisation == 1 and not same.real


def test_p_values_of_equal_systems_are_spread_evenly():
    """Two systems of the same make differ by chance alone: one comparison in twenty may look real."""
    values = []
    for seed in range(60):
        references = corpus(40, seed)
        a, b = noisy(references, 0.3, 1000 + seed), noisy(references, 0.3, 2000 + seed)
        values.append(compare(a, b, references, "gloss", "wer", samples=100).p_randomisation)
    assert 0.3 < np.mean(values) < 0.7 and np.mean(np.array(values) < 0.05) < 0.15


def test_wrong_requests():
    with pytest.raises(UnknownNameError, match="bleu4"):
        compare(GOOD, BAD, REFERENCES, "strict", "blue4")
    with pytest.raises(ConfigError, match="bootstrap needs samples"):
        compare(GOOD, BAD, REFERENCES, "strict", samples=0)
    with pytest.raises(ScoreError, match="not those of the split"):
        compare(GOOD, {"x": "y"}, REFERENCES, "strict")
    with pytest.raises(ScoreError, match="not defined"):
        compare(GOOD, BAD, REFERENCES, "phoenix14t/nodot", "recall_name")


def test_ranks_are_shared_by_what_cannot_be_told_apart():
    twin = {i: " ".join(GOOD[i].split()) for i in GOOD}
    twin["s00003"] = "wort1"
    ranks = rank({"bad": BAD, "good": GOOD, "twin": twin}, REFERENCES, "strict")
    assert [r.name for r in ranks][-1] == "bad" and {r.name for r in ranks[:2]} == {"good", "twin"}
    assert [r.rank for r in ranks] == [1, 1, 3]
    assert ranks[2].to_previous is not None and ranks[2].to_previous.real and ranks[1].to_best is not None
    low = rank({"bad": BAD, "good": GOOD}, REFERENCES, "gloss", "wer")
    assert [r.name for r in low] == ["good", "bad"], "of an error rate the low one is best"


def test_an_interval_leaves_out_what_is_not_defined():
    assert interval(np.array([1.0, np.nan, 3.0]), 0.0) == (2, 2)


def timed(count: int) -> float:
    references = corpus(count, 7)
    hypotheses = noisy(references, 0.4, 8)
    began = time.process_time()
    score(hypotheses, references, "strict", samples=1000)
    return time.process_time() - began


def test_six_hundred_sentences_take_two_seconds():
    assert timed(642) < 2


@pytest.mark.slow
def test_eighteen_thousand_sentences_take_twenty_seconds():
    seconds = timed(18_000)
    print({"seconds": seconds})
    assert seconds < 20
