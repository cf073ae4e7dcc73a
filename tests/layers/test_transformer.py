"""Layers against torch's own, masks, and what `capture` keeps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from slt_zoo.errors import ConfigError
from slt_zoo.layers.decoding import beam_search, greedy_search
from slt_zoo.layers.positions import SinusoidalPositions
from slt_zoo.layers.transformer import DecoderLayer, EncoderLayer, capture, causal_mask, window_mask


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("norm_first", [False, True])
def test_layers_equal_torch(norm_first):
    x, memory = torch.randn(2, 5, 16), torch.randn(2, 7, 16)
    padding, memory_padding = torch.zeros(2, 5, dtype=torch.bool), torch.zeros(2, 7, dtype=torch.bool)
    padding[1, 3:], memory_padding[0, 5:] = True, True
    ours = EncoderLayer(16, 4, 32, 0.0, norm_first)
    theirs = nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True, norm_first=norm_first)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(x, padding=padding)[~padding], theirs(x, src_key_padding_mask=padding)[~padding])
    ours_d = DecoderLayer(16, 4, 32, 0.0, norm_first)
    theirs_d = nn.TransformerDecoderLayer(16, 4, 32, 0.0, batch_first=True, norm_first=norm_first)
    theirs_d.load_state_dict(ours_d.state_dict())
    torch.testing.assert_close(
        ours_d(x, memory, causal_mask(5), padding, memory_padding),
        theirs_d(x, memory, causal_mask(5), None, padding, memory_padding),
    )


def test_capture_keeps_every_head_and_changes_nothing():
    layer = DecoderLayer(16, 4, 32, 0.0, False)
    x, memory = torch.randn(2, 5, 16), torch.randn(2, 7, 16)
    padding = torch.zeros(2, 7, dtype=torch.bool)
    padding[0, 4:] = True
    plain = layer(x, memory, causal_mask(5), memory_padding=padding)
    with capture(nn.ModuleList([layer])) as records:
        looked_at = layer(x, memory, causal_mask(5), memory_padding=padding)
    torch.testing.assert_close(plain, looked_at)
    own, cross = records["0"]["self"], records["0"]["cross"]
    assert own.weights.shape == (2, 4, 5, 5) and cross.weights.shape == (2, 4, 5, 7)
    torch.testing.assert_close(cross.weights.sum(-1), torch.ones(2, 4, 5))
    assert (cross.weights[0, :, :, 4:] == 0).all() and (own.weights.triu(1) == 0).all()
    # the kept outputs rebuild the post-norm layer: LN1(x + s), then LN2(. + c)
    s = layer.norm1(x + own.output)
    torch.testing.assert_close(layer.norm3((h := layer.norm2(s + cross.output)) + layer._ff_block(h)), plain)
    assert not layer.recorder.on and not layer.recorder.records


def test_masks_and_positions():
    assert causal_mask(3).tolist() == [[False, True, True], [False, False, True], [False, False, False]]
    assert window_mask(4, 3).int().sum(1).tolist() == [2, 1, 1, 2]
    table = SinusoidalPositions(4, 10, 0.0)(torch.zeros(1, 2, 4))
    torch.testing.assert_close(
        table[0], torch.tensor([[0, 1, 0, 1], [0.8414710, 0.5403023, 0.0099998, 0.9999500]]), atol=1e-6, rtol=0
    )
    with pytest.raises(ConfigError, match="longer than the known positions"):
        SinusoidalPositions(4, 10)(torch.zeros(1, 11, 4))


class Chain:
    """Next token by a table; token 1 ends."""

    def __init__(self, table):
        self.log_probs = torch.tensor(table).log()

    def __call__(self, prefixes, rows):
        return self.log_probs[prefixes[:, -1]]


def test_beam_finds_what_greedy_misses():
    # from 0: token 2 looks best (0.6), but behind token 3 (0.4) the end is certain
    chain = Chain([[1e-9, 1e-9, 0.6, 0.4], [0, 1.0, 0, 0], [0.3, 0.3, 0.2, 0.2], [1e-9, 1.0, 1e-9, 1e-9]])
    ends = {"bos_id": 0, "eos_id": 1, "max_len": 3, "device": torch.device("cpu")}
    assert greedy_search(chain, 1, **ends)[0].tolist()[:2] == [0, 2]
    assert beam_search(chain, 2, beam_size=4, **ends).tolist() == [[0, 3, 1], [0, 3, 1]]


def test_a_beam_of_one_is_greedy():
    weights = torch.rand(6, 9)

    def next_log_probs(prefixes, rows):
        return (weights[prefixes.sum(1) % 6] + rows[:, None] * torch.arange(9)).log_softmax(-1)

    ends = {"bos_id": 2, "eos_id": 3, "max_len": 7, "device": torch.device("cpu")}
    greedy = greedy_search(next_log_probs, 3, **ends)
    assert torch.equal(greedy, beam_search(next_log_probs, 3, beam_size=1, **ends))
