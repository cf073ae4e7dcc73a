"""Retrieval against a plain loop, and against what the numbers must be where they are known."""

from __future__ import annotations

import numpy as np
import pytest

from slt_zoo.errors import ScoreError
from slt_zoo.metrics.retrieval import ranks, retrieval_scores


def by_loop(similarity, keys):
    found = []
    for i, row in enumerate(similarity):
        best = {}
        for value, key in zip(row, keys, strict=True):
            best[key] = max(value, best.get(key, -np.inf))
        found.append(1 + sum(v >= best[keys[i]] for k, v in best.items() if k != keys[i]))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_ranks_equal_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    similarity = rng.integers(0, 6, (12, 12)).astype(float)  # many are equal
    keys = [f"text {n}" for n in rng.integers(0, 8, 12)]
    assert ranks(similarity, keys).tolist() == by_loop(similarity, keys)


def test_what_is_found_and_what_is_not():
    assert retrieval_scores(np.eye(20), range(20)) == {
        **{f"{side}_r{k}": 1.0 for side in ("v2t", "t2v") for k in (1, 5, 10)},
        "v2t_median_rank": 1.0,
        "t2v_median_rank": 1.0,
    }
    constant = retrieval_scores(np.zeros((20, 20)), range(20))
    assert constant["v2t_r10"] == constant["t2v_r10"] == 0 and constant["v2t_median_rank"] == 20


def test_the_two_ways_differ():
    similarity = np.array([[0.5, 0.9, 0.0], [0.4, 0.8, 0.0], [0.3, 0.1, 0.7]])
    scores = retrieval_scores(similarity, "abc")
    assert scores["v2t_r1"] == pytest.approx(2 / 3)  # the first video is nearer to the second text
    assert scores["t2v_r1"] == pytest.approx(2 / 3)  # and the second text to the first video
    turned = retrieval_scores(similarity.T, "abc")
    assert turned["v2t_r1"] == scores["t2v_r1"] and turned["t2v_r5"] == scores["v2t_r5"]


def test_a_text_that_occurs_twice_is_right_in_either_place():
    similarity = np.array([[0.1, 0.9, 0.2], [0.9, 0.1, 0.2], [0.0, 0.0, 1.0]])
    assert ranks(similarity, ["same", "same", "other"]).tolist() == [1, 1, 1]
    assert ranks(similarity, ["one", "two", "other"]).tolist() == [3, 3, 1]


@pytest.mark.parametrize(
    ("similarity", "keys"),
    [(np.zeros((2, 3)), "ab"), (np.zeros((2, 2)), "abc"), (np.zeros((0, 0)), ""), (np.full((2, 2), np.nan), "ab")],
)
def test_what_cannot_be_ranked(similarity, keys):
    with pytest.raises(ScoreError):
        ranks(similarity, list(keys))
