"""ROUGE-L by hand."""

from __future__ import annotations

import itertools

import pytest

from slt_zoo.metrics.rouge import RougeL, lcs_length, rouge_l_f


def subsequences(tokens):
    return {c for n in range(len(tokens) + 1) for c in itertools.combinations(tokens, n)}


@pytest.mark.parametrize(("n", "m"), list(itertools.product(range(5), range(5))))
def test_lcs_of_every_small_case(n, m):
    for a in itertools.product("ab", repeat=n):
        for b in itertools.product("abc", repeat=m):
            assert lcs_length(a, b) == max(len(s) for s in subsequences(a) & subsequences(b))


def test_values_of_the_specification():
    # sage, section 12, test 14
    half_precision = (["a", "x"], ["a"])
    half_recall = (["a"], ["a", "x"])
    assert rouge_l_f(*half_precision, beta=1.2) == pytest.approx(0.709302, abs=1e-6)
    assert rouge_l_f(*half_recall, beta=1.2) == pytest.approx(0.628866, abs=1e-6)
    assert rouge_l_f(*half_recall, beta=1.0) == pytest.approx(2 / 3)


def test_mean_over_sentences_by_hand():
    # LCS of the first pair: "der wind weht", P = 3/4, R = 3/5; of the second nothing is common
    p, r = 3 / 4, 3 / 5
    first = 2.44 * p * r / (r + 1.44 * p)
    hypotheses = ["der wind weht stark", "sonne"]
    references = [["der kalte wind weht heute"], ["regen"]]
    values, signature = RougeL()(hypotheses, references)
    assert values == {"rouge_l_b12": pytest.approx(100 * first / 2)}
    assert "beta:1.2" in signature


def test_of_several_references_the_best_counts():
    assert RougeL()(["a b"], [["c", "a b", "a"]])[0]["rouge_l_b12"] == 100


def test_empty_strings_give_zero():
    assert RougeL()(["", "a", ""], [["a"], [""], [""]])[0]["rouge_l_b12"] == 0
