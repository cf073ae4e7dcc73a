"""Numbers of an alignment where they are known, and against scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from slt_zoo.analysis.alignment import align, alignment_stats, join_columns, kendall_tau, unmatched
from slt_zoo.errors import ConfigError


def test_matched_tokens():
    basis = np.eye(3)
    found = align("clip", 20 * basis, basis, ["a", "b", "c"])
    np.testing.assert_allclose(found.cosine, basis, atol=1e-12)
    np.testing.assert_allclose(found.weight, basis, atol=1e-8)
    stats = alignment_stats(found)
    assert stats.video_max == stats.text_max == 1
    assert stats.order == 1 and stats.video_entropy < 1e-4
    assert unmatched(found) == []


def test_the_paper_s_view_is_not_normalised():
    found = align("clip", np.array([[2.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 5.0]]), ["a", "b"])
    np.testing.assert_allclose(found.weight, [[math.e**2 / (math.e**2 + 1), 1 / (math.e**2 + 1)]])


def test_text_that_nothing_matches():
    found = align("clip", np.array([[9.0, 0.0], [9.0, 0.0]]), np.eye(2), ["seen", "unseen"])
    assert unmatched(found) == [1]
    assert unmatched(found, threshold=0.0) == []


def test_the_other_way_round_has_the_opposite_order():
    found = align("clip", np.eye(4)[::-1], np.eye(4), "abcd")
    assert alignment_stats(found).order == -1


def test_tokens_that_are_all_the_same_tell_nothing():
    stats = alignment_stats(align("clip", np.ones((5, 2)), np.ones((3, 2)), "abc"))
    assert stats.video_entropy == pytest.approx(math.log(3)) and stats.text_entropy == pytest.approx(math.log(5))
    assert math.isnan(stats.order)


@pytest.mark.parametrize("seed", range(6))
def test_kendall_s_tau_is_scipy_s(seed):
    scipy_stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(seed)
    a, b = np.arange(9), rng.integers(0, 5, 9)
    assert kendall_tau(a, b) == pytest.approx(scipy_stats.kendalltau(a, b).statistic)


def test_words_of_several_columns():
    found = align("clip", np.random.default_rng(0).normal(size=(4, 3)), np.eye(3), ["wol", "ke", "da"])
    joined = join_columns(found, [[0, 1], [2]], ["wolke", "da"])
    np.testing.assert_allclose(joined.weight.sum(1), 1)
    np.testing.assert_allclose(joined.cosine[:, 0], found.cosine[:, :2].mean(1))
    assert joined.text == ("wolke", "da")


def test_what_does_not_fit():
    with pytest.raises(ConfigError, match="do not fit together"):
        align("clip", np.ones((2, 3)), np.ones((2, 4)), "ab")
    with pytest.raises(ConfigError, match="a name a text token"):
        align("clip", np.ones((2, 3)), np.ones((2, 3)), "abc")
