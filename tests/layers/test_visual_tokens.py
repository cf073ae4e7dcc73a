"""Visual tokens against torch's own convolution on each sequence alone, and the lengths of the published schemes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from slt_zoo.layers.visual_tokens import FrameTokens, MaxPoolTokens, SegmentTokens
from slt_zoo.types import Ragged

LENGTHS = (1, 2, 5, 10)


def rows_of(*lengths, width=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Ragged.pack([torch.randn(n, width, generator=generator) for n in lengths])


def one_each(rows):
    """A segment a clip, all of it."""
    ends = rows.lengths[:, None]
    return Ragged(torch.cat([torch.zeros_like(ends), ends], 1), torch.ones_like(rows.lengths))


def settled(module, seed=0):
    """In eval mode, with statistics that are not those of the start."""
    torch.manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean.normal_(), layer.running_var.uniform_(0.5, 2)
    return module.eval()


def convolved(layer, sequence, left, right):
    """``(T, D)`` by torch's own convolution."""
    padded = torch.cat([sequence[:1].expand(left, -1), sequence, sequence[-1:].expand(right, -1)])
    return F.relu(layer.norm(layer.conv(padded.T[None])))[0].T


def test_segments_equal_each_one_alone():
    rows, layer = rows_of(12, 7), settled(SegmentTokens(6, 8))
    segments = Ragged(torch.tensor([[0, 1], [1, 3], [2, 12], [0, 7]]), torch.tensor([3, 1]))
    tokens = layer(rows, segments)
    assert tokens.lengths.tolist() == [3, 1]
    first, second = rows.split()
    parts = [first[0:1], first[1:3], first[2:12], second]
    for token, part in zip(tokens.values, parts, strict=True):
        torch.testing.assert_close(token, convolved(layer.temporal, part, 2, 2).mean(0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("n", LENGTHS)
def test_a_segment_of_n_rows_has_n_positions(n):
    rows, layer = rows_of(n), settled(FrameTokens(6, 8))
    tokens = layer(rows, one_each(rows))
    assert tokens.lengths.tolist() == [n]
    torch.testing.assert_close(tokens.values, convolved(layer.temporal, rows.values, 2, 2), rtol=0, atol=1e-5)


def test_a_constant_segment_has_the_same_token_whatever_its_length():
    frame, layer = torch.randn(6), settled(SegmentTokens(6, 8))
    rows = Ragged.pack([frame.expand(n, -1) for n in LENGTHS])
    tokens = layer(rows, one_each(rows)).values
    torch.testing.assert_close(tokens, tokens[:1].expand_as(tokens), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("frames", "tokens"), [(1, 2), (4, 2), (5, 3), (100, 26), (300, 76)])
def test_max_pooling_has_the_published_lengths(frames, tokens):
    rows, layer = rows_of(frames), settled(MaxPoolTokens(6, 8))
    assert layer(rows, one_each(rows)).lengths.tolist() == [tokens]


def test_max_pooling_equals_each_clip_alone():
    rows, layer = rows_of(9, 4, 30), settled(MaxPoolTokens(6, 8))
    tokens = layer(rows, one_each(rows))
    for ours, clip in zip(tokens.split(), rows.split(), strict=True):
        right = -(-len(clip) // 4) * 4 + 16 - 8 - len(clip)
        once = F.max_pool1d(convolved(layer.first, clip, 8, right).T[None], 2)[0].T
        twice = F.max_pool1d(convolved(layer.second, once, 0, 0).T[None], 2)[0].T
        torch.testing.assert_close(ours, twice, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [SegmentTokens, FrameTokens, MaxPoolTokens])
def test_a_clip_alone_equals_the_clip_in_a_batch(kind):
    rows, layer = rows_of(9, 3, 14), settled(kind(6, 8))
    together = layer(rows, one_each(rows)).split()
    for clip, expected in zip(rows.split(), together, strict=True):
        alone = Ragged.pack([clip])
        torch.testing.assert_close(layer(alone, one_each(alone)).values, expected, rtol=0, atol=1e-5)


def test_statistics_of_batch_norm_see_valid_positions_alone():
    rows = rows_of(3, 10)
    layers = [SegmentTokens(6, 8, bn_over_padding=padding) for padding in (False, True)]
    layers[1].load_state_dict(layers[0].state_dict())
    for layer in layers:
        layer.temporal.norm.momentum = 1.0
        layer.train()(rows, one_each(rows))
    clips = [layers[0].temporal.conv(F.pad(c.T[None], (2, 2), "replicate"))[0].T for c in rows.split()]
    torch.testing.assert_close(layers[0].temporal.norm.running_mean, torch.cat(clips).mean(0), rtol=0, atol=1e-5)
    padding = torch.ones(1, 6, 5), 7  # positions that lack to the longest, each the convolution of ones
    published = torch.cat([*clips, layers[0].temporal.conv(padding[0])[0].T.expand(padding[1], -1)])
    torch.testing.assert_close(layers[1].temporal.norm.running_mean, published.mean(0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [SegmentTokens, FrameTokens, MaxPoolTokens])
def test_gradients_reach_every_row(kind):
    rows = rows_of(9, 3)
    rows.values.requires_grad_()
    kind(6, 64)(rows, one_each(rows)).values.square().sum().backward()
    assert (rows.values.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize("make", [SegmentTokens, FrameTokens, MaxPoolTokens], ids=lambda make: make.__name__)
@pytest.mark.parametrize("n", [1, 2, 6, 9, 16, 21])
def test_a_token_reads_the_rows_that_it_says_and_no_others(make, n):
    layer = settled(make(6, 8))
    segments = torch.tensor([[0, (n + 1) // 2], [n // 2, n]]) if make is SegmentTokens else torch.tensor([[0, n]])
    rows = rows_of(n).values.requires_grad_()
    tokens = layer(Ragged(rows, torch.tensor([n])), Ragged(segments, torch.tensor([len(segments)]))).values
    reads = layer.reads(segments)
    assert reads.shape == (len(tokens), 2) and (reads[:, 0] < reads[:, 1]).all()
    for token, (first, last) in zip(tokens, reads.tolist(), strict=True):
        (slope,) = torch.autograd.grad(token.sum(), rows, retain_graph=True)
        seen = set(torch.nonzero(slope.abs().sum(1)).flatten().tolist())
        assert seen <= set(range(first, last)), "a row outside changes the token"
        # of maxima some rows lose everywhere; convolutions and means lose none
        assert make is MaxPoolTokens or len(seen) >= (last - first) // 2
