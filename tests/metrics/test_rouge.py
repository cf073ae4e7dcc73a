"""ROUGE-L by hand, and against the packages that compute it."""

from __future__ import annotations

import itertools
import random

import pytest
import rouge as rouge_package
from rouge_score import rouge_scorer, tokenizers

from slt_zoo.metrics.rouge import RougeL, RougePackage, f_beta, f_precision_over_recall, lcs_length


def subsequences(tokens):
    return {c for n in range(len(tokens) + 1) for c in itertools.combinations(tokens, n)}


@pytest.mark.parametrize(("n", "m"), list(itertools.product(range(5), range(5))))
def test_lcs_of_every_small_case(n, m):
    for a in itertools.product("ab", repeat=n):
        for b in itertools.product("abc", repeat=m):
            assert lcs_length(a, b) == max(len(s) for s in subsequences(a) & subsequences(b))


def rouge(hypothesis: str, *references: str) -> dict[str, float]:
    return RougeL()([hypothesis], [references])[0]


def test_values_of_the_specification():
    # sage, section 12, test 14
    assert rouge("a x", "a")["rouge_l_b12"] == pytest.approx(70.9302, abs=1e-4)
    assert rouge("a", "a x")["rouge_l_b12"] == pytest.approx(62.8866, abs=1e-4)
    assert rouge("a", "a x")["rouge_l_f1"] == pytest.approx(200 / 3)
    # cv_slt, section 12, test 15
    hypotheses = ["heute regnet es im norden .", "morgen scheint die sonne ."]
    references = [["heute regnet es im norden und westen ."], ["morgen scheint oft die sonne ."]]
    values, _ = RougeL()(hypotheses, references)
    assert values == pytest.approx({"rouge_l_pr": 85.930, "rouge_l_b12": 86.502, "rouge_l_f1": 88.312}, abs=5e-4)


def test_beta_of_precision_over_recall():
    for precision, recall in [(0.3, 0.7), (0.9, 0.2), (1.0, 1.0)]:
        expected = f_beta(precision / recall)(precision, recall)
        assert f_precision_over_recall(precision, recall) == pytest.approx(expected, abs=1e-12)


def test_mean_over_sentences_by_hand():
    # LCS of the first pair: "der wind weht", P = 3/4, R = 3/5; of the second nothing is common
    p, r = 3 / 4, 3 / 5
    first = 2.44 * p * r / (r + 1.44 * p)
    hypotheses = ["der wind weht stark", "sonne"]
    references = [["der kalte wind weht heute"], ["regen"]]
    values, signature = RougeL()(hypotheses, references)
    assert values["rouge_l_b12"] == pytest.approx(100 * first / 2)
    assert "beta:1.2" in signature


def test_of_several_references_the_best_counts():
    assert set(rouge("a b", "c", "a b", "a").values()) == {100}


def test_empty_strings_give_zero():
    for measure in (RougeL(), RougePackage()):
        assert set(measure(["", "a", ""], [["a"], [""], [""]])[0].values()) == {0}


WORDS = ["der", "wind", "weht", "heute", ".", "..", "regen.", "a.b", "im", "norden"]


@pytest.mark.parametrize("seed", range(5))
def test_the_package_rouge_gives_the_same(seed):
    rng = random.Random(seed)
    for _ in range(60):
        hypothesis, reference = (" ".join(["und", *rng.choices(WORDS, k=rng.randint(0, 14))]) for _ in range(2))
        theirs = rouge_package.Rouge(["rouge-l"]).get_scores([hypothesis], [reference])[0]["rouge-l"]["f"]
        ours = RougePackage()([hypothesis], [[reference]])[0]["rouge_l_pkg"]
        assert ours == pytest.approx(100 * theirs, abs=1e-9), (hypothesis, reference)


class Spaces(tokenizers.Tokenizer):
    def tokenize(self, text):
        return text.split()


@pytest.mark.parametrize("seed", range(5))
def test_rouge_score_with_our_tokens_gives_the_same_f1(seed):
    rng = random.Random(seed)
    scorer = rouge_scorer.RougeScorer(["rougeL"], tokenizer=Spaces())
    for _ in range(60):
        hypothesis, reference = (" ".join(rng.choices(WORDS, k=rng.randint(1, 14))) for _ in range(2))
        theirs = scorer.score(reference, hypothesis)["rougeL"].fmeasure
        assert rouge(hypothesis, reference)["rouge_l_f1"] == pytest.approx(100 * theirs, abs=1e-9)
