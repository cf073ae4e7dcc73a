"""SignAttention against its specification (numbers of its section 12) and the contract of all models."""

from __future__ import annotations

import math
from typing import ClassVar

import pytest
import torch

import slt_zoo
from slt_zoo import SignAttention
from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.models.sign_attention import FrameEmbedder, SignAttentionNet
from slt_zoo.testing import ModelContract, simulated
from slt_zoo.text import WordCodec
from slt_zoo.types import Batch, Ragged

__all__ = ["simulated"]  # a fixture


class TestContract(ModelContract):
    model_class = SignAttention
    arguments: ClassVar = {
        "d_model": 32,
        "nhead": 4,
        "dim_feedforward": 64,
        "dropout": 0.0,
        "pos_dropout": 0.0,
        "points": "upper_hands48",
        "norm_first": True,
        "max_tokens": 30,
        "sampling": "none",
    }

    def test_weighted_losses_do_not_depend_on_batches_either(self, simulated, tmp_path, monkeypatch):
        monkeypatch.setattr(type(self), "arguments", {**self.arguments, "class_weights": True, "label_smoothing": 0.1})
        self.test_scores_do_not_depend_on_how_a_split_is_cut_into_batches(simulated, tmp_path)


class TestContractOfText(TestContract):
    arguments: ClassVar = {**TestContract.arguments, "target": "text", "norm_first": False, "encoder_window": 11}


def test_chinese_texts_are_made_of_characters_and_glosses_of_words(simulated):
    data = slt_zoo.CSLDaily(str(simulated("CSLDaily", samples=(12, 2, 2), seed=3)))
    texts, glosses = (data.manifest("train").column(kind) for kind in ("text", "gloss"))
    sizes = {"d_model": 16, "nhead": 4, "dim_feedforward": 32, "points": "upper_hands48", "level": "char"}
    codec = SignAttention(target="text", **sizes).prepare(data).codec
    assert set(codec.tokens) == {c for text in texts for c in text} and not codec.closed
    assert codec.decode(codec.encode(texts).padded()[0]) == texts
    words = SignAttention(target="gloss", **sizes).prepare(data).codec
    assert set(words.tokens) == {g for gloss in glosses for g in gloss} and max(map(len, words.tokens)) > 1


FEATURES, VOCABULARY = 6, 11


def make(input_dim: int = FEATURES, **arguments) -> SignAttention:
    """A small model on features, without data."""
    torch.manual_seed(0)
    tokens = [f"W{i}" for i in range(VOCABULARY - 4)]
    facts = {"corpus": "Mine", "language": "de", "sign_language": "gsg", "feature_dim": input_dim}
    sizes = {"d_model": 16, "nhead": 4, "dim_feedforward": 32, **arguments}
    model = SignAttention(modality="features", codecs={"gloss": WordCodec(tokens).to_dict()}, facts=facts, **sizes)
    model.configure_model()
    return model.eval()


def batch_of(*clips: torch.Tensor, gloss: str = "W0 W1") -> Batch:
    n = len(clips)
    return Batch(
        id=[str(i) for i in range(n)],
        text=[""] * n,
        language=["de"] * n,
        gloss=[tuple(gloss.split())] * n,
        question=[None] * n,
        fps=[None] * n,
        features=Ragged.pack(clips),
    )


@pytest.mark.parametrize(
    ("width", "gloss", "text", "two_layers"),
    [
        (8, 96_254, 99_093, 166_846),
        (16, 170_310, 175_821, 308_934),
        (32, 323_030, 333_885, 602_326),
        (64, 646_902, 668_445, 1_225_974),
        (128, 1_368_374, 1_411_293, 2_620_726),
    ],
)
def test_parameter_counts_of_the_published_sizes(width, gloss, text, two_layers):
    def count(vocabulary: int, layers: int) -> int:
        with torch.device("meta"):
            net = SignAttentionNet(150, vocabulary, d_model=width, num_encoder_layers=layers, num_decoder_layers=layers)
        return sum(p.numel() for p in net.parameters())

    assert (count(310, 1), count(477, 1), count(310, 2)) == (gloss, text, two_layers)


def test_the_default_arguments_are_the_published_ones():
    hp = SignAttention().hparams
    published = {"d_model": 16, "nhead": 8, "dim_feedforward": 2048, "dropout": 0.2, "pos_dropout": 0.1}
    published |= {"num_encoder_layers": 1, "num_decoder_layers": 1, "embed_hidden": 128, "embed_kernel": 1}
    published |= {"norm_first": False, "max_frames": 220, "max_tokens": 20, "block": 3, "label_smoothing": 0.0}
    assert {name: hp[name] for name in published} == published
    optimizer = SignAttention().optimizer([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(optimizer, torch.optim.Adam) and optimizer.defaults["lr"] == 1e-3


def test_logits_do_not_depend_on_padding():
    net = make().net
    clip, tokens = torch.randn(1, 40, FEATURES), torch.tensor([[2, 5, 6]])
    logits = []
    for length in (40, 100, 220):
        frames = torch.zeros(1, length, FEATURES)
        frames[:, :40] = clip
        logits.append(net(frames, torch.arange(length)[None] < 40, tokens))
    torch.testing.assert_close(logits[0], logits[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits[0], logits[2], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_wide_embedders_see_no_padding(kernel):
    torch.manual_seed(0)
    embedder = FrameEmbedder(FEATURES, 8, 4, kernel)
    frames, mask = torch.randn(1, 9, FEATURES), torch.arange(9)[None] < 6
    alone = embedder(frames[:, :6], mask[:, :6])
    torch.testing.assert_close(embedder(frames, mask)[:, :6], alone)
    assert (alone >= 0).all() and alone.shape == (1, 6, 4)


def test_a_frame_of_zeros_inside_a_clip_counts_unless_legacy():
    clip = torch.randn(12, FEATURES)
    with_zeros = clip.clone()
    with_zeros[5] = 0
    shorter = torch.cat([clip[:5], clip[6:]])
    batch, padded = batch_of(with_zeros), batch_of(shorter)
    ours, legacy = make(), make(legacy=True)
    _, mask = ours._source(batch)
    assert mask.sum() == 12
    _, mask = legacy._source(batch)
    assert mask.sum() == 11 and mask.shape == (1, 220) and not mask[0, 5]
    assert not torch.allclose(ours.losses(batch).total, ours.losses(padded).total)


def test_a_later_token_does_not_change_earlier_logits():
    net = make(num_decoder_layers=2).net
    frames, mask = torch.randn(1, 20, FEATURES), torch.ones(1, 20, dtype=torch.bool)
    tokens = torch.tensor([[2, 5, 6, 7, 8]])
    changed = tokens.clone()
    changed[0, 3] = 9
    before, after = net(frames, mask, tokens), net(frames, mask, changed)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3:], after[:, 3:])


@pytest.mark.parametrize("layers", [1, 2])
def test_decoding_without_the_causal_mask_differs_from_two_layers_on(layers):
    net = make(num_decoder_layers=layers).net
    frames, mask = torch.randn(4, 20, FEATURES), torch.ones(4, 20, dtype=torch.bool)
    memory, tokens = net.encode(frames, mask), torch.tensor([[2, 5, 6, 7]] * 4)
    causal, free = (net.decode(tokens, memory, mask, causal=c)[:, -1] for c in (True, False))
    assert torch.allclose(causal, free, atol=1e-6) == (layers == 1)


@pytest.mark.parametrize("vocabulary", [310, 477])
def test_the_loss_of_an_empty_generator_is_the_log_of_the_vocabulary(vocabulary):
    net = SignAttentionNet(FEATURES, vocabulary)
    torch.nn.init.zeros_(net.generator.weight)
    torch.nn.init.zeros_(net.generator.bias)
    logits = net(torch.randn(1, 5, FEATURES), torch.ones(1, 5, dtype=torch.bool), torch.tensor([[2, 4]]))
    loss = torch.nn.functional.cross_entropy(logits[0], torch.tensor([4, 3]))
    assert loss.item() == pytest.approx(math.log(vocabulary), abs=1e-5)
    assert math.log(310) == pytest.approx(5.736572, abs=1e-6) and math.log(477) == pytest.approx(6.167516, abs=1e-6)


def test_the_loss_is_the_mean_over_tokens_and_counts_no_padding():
    model = make()
    short, long = torch.randn(5, FEATURES), torch.randn(9, FEATURES)
    a, b = batch_of(short, gloss="W0"), batch_of(long, gloss="W1 W2 W3")
    both = batch_of(short, long)
    both.gloss = [a.gloss[0], b.gloss[0]]
    expected = (2 * model.losses(a).total + 4 * model.losses(b).total) / 6  # the end is a token too
    torch.testing.assert_close(model.losses(both).total, expected)


def test_an_identity_encoder_keeps_positions():
    net = make(num_encoder_layers=0).net
    frames, mask = torch.zeros(1, 3, FEATURES), torch.ones(1, 3, dtype=torch.bool)
    memory = net.encode(frames, mask)
    torch.testing.assert_close(memory - memory[:, :1], (net.positions.table[:3] - net.positions.table[:1])[None])


def test_a_window_keeps_far_frames_apart():
    net = make(encoder_window=3).net
    frames, mask = torch.randn(1, 9, FEATURES), torch.ones(1, 9, dtype=torch.bool)
    changed = frames.clone()
    changed[0, 8] += 1
    difference = (net.encode(frames, mask) - net.encode(changed, mask)).abs().amax(-1)[0]
    assert (difference[:7] == 0).all() and (difference[7:] > 0).all()


def test_beam_and_greedy_are_both_reached_and_cut():
    batch = batch_of(torch.randn(9, FEATURES), torch.randn(5, FEATURES))
    for beam in (1, 4, 32):
        model = make(beam_size=beam, max_tokens=7)
        assert all(len(text.split()) <= 6 for text in model.translate(batch))
        assert model.decoding_settings()["beam_size"] == beam


def test_explained_attention_belongs_to_the_hypothesis():
    model = make(num_decoder_layers=2, max_tokens=9)
    batch = batch_of(torch.randn(9, FEATURES), torch.randn(5, FEATURES))
    for maps, text, frames in zip(model.explain(batch), model.translate(batch), (9, 5), strict=True):
        n = len(maps.tokens)
        assert [t for t in maps.tokens if t != "(end)"] == text.split()
        assert maps.cross.shape == (2, 4, n, frames) and maps.own.shape == (2, 4, n, n)
        torch.testing.assert_close(maps.cross.sum(-1), torch.ones(2, 4, n))
    with pytest.raises(ConfigError, match="eval mode"):
        model.train().explain(batch)


def test_class_weights_balance_the_training_tokens(simulated):
    data = TestContract().make_data(simulated)
    model = TestContract().make_model(class_weights=True).prepare(data)
    weights = torch.tensor(model.hparams["class_weights"])
    glosses = [g for s in data.manifest("train") for g in s.gloss] + ["(end)"] * 8
    counts = {g: glosses.count(g) for g in set(glosses)}
    for gloss, count in counts.items():
        number = 3 if gloss == "(end)" else model.codec.encode([gloss]).values[1]
        assert weights[number] == pytest.approx(len(glosses) / len(counts) / count)
    assert weights[[0, 1, 2]].tolist() == [1, 1, 1], "tokens that are never a target"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d_model": 15}, "even and divisible"),
        ({"d_model": 12, "nhead": 8}, "even and divisible"),
        ({"embed_kernel": 2}, "odd"),
        ({"encoder_window": 4}, "odd"),
        ({"num_decoder_layers": 0}, "decoder layer"),
        ({"max_tokens": 2}, "at least 3"),
    ],
)
def test_sizes_that_cannot_be_are_told(arguments, message):
    with pytest.raises(ConfigError, match=message):
        make(**arguments)


def test_a_misspelt_point_set_is_told_at_once():
    with pytest.raises(UnknownNameError, match="holistic75"):
        SignAttention(points="holistic57")
