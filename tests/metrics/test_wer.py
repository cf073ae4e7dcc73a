"""Word error rate: the specification's values, every small case against a search, and torchmetrics."""

from __future__ import annotations

import itertools
import random

import jiwer
import pytest
from torchmetrics.functional.text import word_error_rate

from slt_zoo.metrics import score
from slt_zoo.metrics.wer import Edits, ExactMatch, WordErrorRate, count_edits, count_edits_334


def wer(hypotheses, references):
    return WordErrorRate()(hypotheses, [[r] if isinstance(r, str) else r for r in references])[0]


def all_alignments(hypothesis, reference):
    """Every (substitutions, insertions, deletions) that some alignment has."""
    if not hypothesis or not reference:
        return {(0, len(hypothesis), len(reference))}
    diagonal = int(hypothesis[0] != reference[0])
    return (
        {(s + diagonal, i, d) for s, i, d in all_alignments(hypothesis[1:], reference[1:])}
        | {(s, i + 1, d) for s, i, d in all_alignments(hypothesis[1:], reference)}
        | {(s, i, d + 1) for s, i, d in all_alignments(hypothesis, reference[1:])}
    )


def test_values_of_the_specification():
    # sign_attention, section 12, test 12
    assert wer(["a x c"], ["a b c d"])["wer"] == 50
    assert wer(["a x c", "e"], ["a b c d", "e"])["wer"] == 40  # the mean of the sentences would be 25
    assert wer([""], ["a b c d"])["wer"] == 100


def test_kinds_of_errors():
    assert wer(["a x c"], ["a b c d"]) == {"wer": 50, "wer_sub": 25, "wer_ins": 0, "wer_del": 25}
    assert wer(["a b c"], ["a b"]) == {"wer": 50, "wer_sub": 0, "wer_ins": 50, "wer_del": 0}


def test_of_equal_alignments_the_most_correct_one_counts():
    assert count_edits(["b", "c"], ["a", "b"]) == Edits(0, 1, 1, 2)  # not two substitutions


@pytest.mark.parametrize(("n", "m"), list(itertools.product(range(5), range(5))))
def test_every_small_case_against_a_search(n, m):
    for reference in itertools.product("ab", repeat=n):
        for hypothesis in itertools.product("abc", repeat=m):
            best = min(all_alignments(hypothesis, reference), key=lambda a: (sum(a), a[0]))
            assert count_edits(hypothesis, reference) == Edits(*best, n)


def test_equals_torchmetrics():
    rng = random.Random(0)
    references = [" ".join(rng.choices("abcdefgh", k=rng.randint(1, 20))) for _ in range(100)]
    hypotheses = [" ".join(w if rng.random() < 0.6 else rng.choice("xyz") for w in r.split()[1:]) for r in references]
    assert wer(hypotheses, references)["wer"] == pytest.approx(100 * word_error_rate(hypotheses, references).item())


@pytest.mark.parametrize("seed", range(3))
def test_equals_jiwer(seed):
    rng = random.Random(seed)
    references = [" ".join(rng.choices("abcdefgh", k=rng.randint(1, 20))) for _ in range(100)]
    hypotheses = [" ".join(rng.choices("abcdefgh", k=rng.randint(0, 20))) for _ in references]
    theirs = jiwer.process_words(references, hypotheses)
    ours = wer(hypotheses, references)
    assert ours["wer"] == pytest.approx(100 * theirs.wer, abs=1e-9)
    # its alignments may have fewer correct words, so that its kinds differ; insertions less deletions are settled
    words = sum(len(r.split()) for r in references)
    assert ours["wer_ins"] - ours["wer_del"] == pytest.approx(100 * (theirs.insertions - theirs.deletions) / words)


@pytest.mark.parametrize(("n", "m"), list(itertools.product(range(5), range(5))))
def test_costs_of_3_3_4_against_a_search(n, m):
    for reference in itertools.product("ab", repeat=n):
        for hypothesis in itertools.product("abc", repeat=m):
            cheapest = min(4 * s + 3 * (i + d) for s, i, d in all_alignments(hypothesis, reference))
            s, i, d, length = count_edits_334(hypothesis, reference)
            assert (s, i, d) in all_alignments(hypothesis, reference)
            assert 4 * s + 3 * (i + d) == cheapest and length == n


def test_costs_of_3_3_4_can_take_more_edits_than_needed():
    hypothesis, reference = ["b", "c", "a"], ["a", "b", "c"]
    assert count_edits(hypothesis, reference).errors == count_edits_334(hypothesis, reference).errors == 2
    hypothesis, reference = ["b", "x"], ["a", "b"]  # two substitutions cost 8, a deletion and an insertion 6
    assert count_edits_334(hypothesis, reference) == Edits(0, 1, 1, 2)
    long = [str(i) for i in range(86)]
    assert count_edits_334([], long) == Edits(0, 0, 86, 86), "8-bit numbers would wrap round here"


def test_long_sentences():
    reference = [str(i % 97) for i in range(10_000)]
    assert count_edits(reference[5:], reference) == Edits(0, 0, 5, 10_000)


def test_of_several_references_the_nearest_counts_with_its_own_length():
    assert wer(["a b"], [["a b c d", "a x"]]) == {"wer": 50, "wer_sub": 50, "wer_ins": 0, "wer_del": 0}
    assert wer(["a b"], [["x b", "a b c"]])["wer"] == 50  # one edit each: the first


def test_one_empty_reference_is_a_sample_and_only_empty_ones_are_an_error():
    assert wer(["a", "b"], ["", "b"])["wer"] == 100
    assert wer(["a"], [" "]) == {}, "nothing to divide by"


def test_the_mean_of_sentence_bleu_misleads_where_exact_match_does_not():
    # sign_attention, section 12, test 13
    report = score({"1": "HEUTE NORD REGEN"}, {"1": "HEUTE NORD REGEN"}, "gloss")
    assert report.values["sentence_bleu_mean"] == 0
    assert report.values["exact"] == 100


def test_exact_match_looks_at_tokens_and_at_every_reference():
    value, _ = ExactMatch()(["a  b ", "a b", "A b"], [["a b"], ["x", "a b"], ["a b"]])
    assert value["exact"] == pytest.approx(200 / 3)
