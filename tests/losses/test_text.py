"""Cross-entropy over the tokens of a batch: specification of SAGE, sections 3.5 and 12 (test 12)."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from slt_zoo.errors import ConfigError
from slt_zoo.losses import teacher_forcing, token_accuracy, token_cross_entropy
from slt_zoo.types import Ragged


def ragged(*rows: list[int]) -> Ragged:
    return Ragged.pack([torch.tensor(row) for row in rows])


@pytest.mark.parametrize(("vocabulary", "expected"), [(2172, 7.683404), (2454, 7.805475)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2, 1.0])
def test_uniform_logits_cost_the_logarithm_of_the_vocabulary(vocabulary, expected, smoothing):
    total, count = token_cross_entropy(
        torch.full((2, 4, vocabulary), 3.0), ragged([5, 6, 2], [7]), label_smoothing=smoothing
    )
    assert count == 4 and (total / count).item() == pytest.approx(expected, abs=1e-5)
    assert expected == pytest.approx(math.log(vocabulary), abs=1e-6)


def test_padding_has_no_say_whatever_stands_there():
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 5, 9, requires_grad=True), ragged([1, 1, 4], [8, 2, 1, 1, 3])
    total, count = token_cross_entropy(logits, targets, label_smoothing=0.2)
    changed = logits.detach().clone()
    changed[0, 3:] = torch.nan
    assert torch.equal(total, token_cross_entropy(changed, targets, label_smoothing=0.2)[0]), (
        "one id of padding is a token"
    )
    longer = F.pad(logits, (0, 0, 0, 3), value=100.0)
    assert torch.equal(total, token_cross_entropy(longer, targets, label_smoothing=0.2)[0]) and count == 8
    total.backward()
    assert (logits.grad[0, 3:] == 0).all() and (logits.grad[0, :3] != 0).all()


def test_sum_and_count_of_halves_are_those_of_the_whole():
    torch.manual_seed(0)
    logits, rows = torch.randn(3, 4, 7), ([1, 2], [3, 4, 5, 6], [0])
    whole, count = token_cross_entropy(logits, ragged(*rows), label_smoothing=0.1)
    parts = [token_cross_entropy(logits[i : i + 1], ragged(row), label_smoothing=0.1) for i, row in enumerate(rows)]
    torch.testing.assert_close(whole, sum(total for total, _ in parts))
    assert count == sum(int(c) for _, c in parts) == 7


def test_smoothing_mixes_the_token_with_all_ids():
    logits, target = torch.tensor([[[2.0, 0.0, -1.0]]]), ragged([0])
    log_probs = logits[0, 0].log_softmax(-1)
    total, _ = token_cross_entropy(logits, target, label_smoothing=0.3)
    assert total.item() == pytest.approx(-(0.7 * log_probs[0] + 0.1 * log_probs.sum()).item(), abs=1e-6)


def test_half_precision_is_summed_in_float32():
    logits = torch.randn(2, 3, 50)
    half, _ = token_cross_entropy(logits.bfloat16(), ragged([1, 2, 3], [4, 5]))
    exact, _ = token_cross_entropy(logits.bfloat16().double(), ragged([1, 2, 3], [4, 5]))
    assert half.dtype == torch.float32 and half.item() == pytest.approx(exact.item(), abs=1e-5)


@pytest.mark.parametrize("shape", [(2, 2, 9), (1, 3, 9), (6, 9)])
def test_shapes_that_do_not_fit_are_told(shape):
    with pytest.raises(ConfigError, match="do not fit"):
        token_cross_entropy(torch.zeros(shape), ragged([1, 2, 3], [4]))


def test_smoothing_outside_of_its_range_is_told():
    with pytest.raises(ConfigError, match="between 0 and 1"):
        token_cross_entropy(torch.zeros(1, 1, 9), ragged([1]), label_smoothing=1.5)


def test_the_decoder_reads_all_but_the_last_and_says_all_but_the_first():
    read, say = teacher_forcing(ragged([9, 5, 2], [9, 2], [9, 5, 6, 7, 2]))
    assert [r.tolist() for r in read.split()] == [[9, 5], [9], [9, 5, 6, 7]]
    assert [r.tolist() for r in say.split()] == [[5, 2], [2], [5, 6, 7, 2]]
    with pytest.raises(ConfigError, match="something to say"):
        teacher_forcing(ragged([9, 2], [9]))


def test_mbart_says_the_language_after_the_end():
    ids = ragged([9, 5, 2], [9, 2], [9, 5, 6, 7, 2])
    read, say = teacher_forcing(ids, rotate=True)
    assert [r.tolist() for r in read.split()] == [[9, 5, 2], [9, 2], [9, 5, 6, 7, 2]]
    assert [r.tolist() for r in say.split()] == [[5, 2, 9], [2, 9], [5, 6, 7, 2, 9]]


def test_accuracy_leaves_the_language_out_and_sees_no_padding():
    say = ragged([5, 2, 9], [2, 9])
    logits = torch.zeros(2, 4, 10)
    logits[0, [0, 1, 2], [5, 3, 0]] = 1.0  # right, wrong, wrong language
    logits[1, [0, 1, 2, 3], [2, 0, 9, 9]] = 1.0  # right, wrong language, and padding
    assert token_accuracy(logits, say, rotated=True).item() == pytest.approx(2 / 3)
    assert token_accuracy(logits, say).item() == pytest.approx(2 / 5)
