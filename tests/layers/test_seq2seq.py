"""`Seq2Seq`: padding, decoding, attention, precision, freezing, LoRA and names of weights."""

from __future__ import annotations

import copy
import sys

import pytest
import torch

from slt_zoo.errors import ConfigError
from slt_zoo.layers.seq2seq import Seq2Seq
from slt_zoo.loading import InitFrom
from slt_zoo.text import WordCodec
from slt_zoo.text.mbart import MBartSizes, build_mbart

WIDTH, START, END = 32, 2, 3
SIZES = MBartSizes(
    d_model=WIDTH,
    encoder_heads=4,
    decoder_heads=2,
    encoder_ffn=48,
    decoder_ffn=40,
    max_positions=24,
    init_std=0.3,
    seed=1,
)
CODEC = WordCodec([f"w{i}" for i in range(29)])


def make(**changes) -> Seq2Seq:
    attention = changes.pop("attention", "sdpa")
    mbart = build_mbart(SIZES, CODEC, attention=attention)
    with torch.no_grad():  # a random network with a tied head says what it reads; positions let it say something else
        mbart.model.decoder.embed_positions.weight.mul_(10)
    return Seq2Seq(mbart, **changes).eval()


def batch(*lengths: int, width: int | None = WIDTH) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(sum(lengths))
    shape = (len(lengths), max(lengths))
    inputs = torch.randint(4, len(CODEC), shape) if width is None else torch.randn(*shape, width)
    return inputs, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


DECODER = torch.tensor([[START, 5, 6, 7], [START, 8, 0, 0]])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("width", [WIDTH, None], ids=["embeddings", "ids"])
def test_a_clip_alone_equals_itself_in_a_padded_batch(attention, width):
    """Specification of SAGE, section 12 (test 11)."""
    model, (inputs, mask) = make(attention=attention), batch(9, 4, width=width)
    together = model.logits(inputs, mask, DECODER)
    assert together.shape == (2, 4, len(CODEC))
    alone = model.logits(inputs[1:, :4], mask[1:, :4], DECODER[1:, :2])
    torch.testing.assert_close(together[1:, :2], alone, atol=1e-4, rtol=0)
    settings = {"start_id": START, "num_beams": 3, "max_new_tokens": 8}
    ids, single = (
        model.generate(inputs, mask, **settings)[1],
        model.generate(inputs[1:, :4], mask[1:, :4], **settings)[0],
    )
    assert CODEC.decode(ids[None]) == CODEC.decode(single[None])


def test_padding_changes_nothing_whatever_it_holds():
    model, (inputs, mask) = make(), batch(9, 4)
    plain = model.logits(inputs, mask, DECODER)
    longer = torch.cat([inputs, torch.full((2, 5, WIDTH), 1e3)], 1)
    longer[1, 4:] = -1e3
    longer_mask = torch.cat([mask, torch.zeros(2, 5, dtype=torch.bool)], 1)
    torch.testing.assert_close(model.logits(longer, longer_mask, DECODER), plain, atol=1e-4, rtol=0)
    changed = inputs.clone()
    changed[1, 3] += 1
    assert not torch.allclose(model.logits(changed, mask, DECODER)[1], plain[1]), "what is valid counts"


def greedy(model: Seq2Seq, inputs: torch.Tensor, mask: torch.Tensor, start: int, steps: int) -> list[list[int]]:
    """The most probable token, again and again, everything computed anew each time."""
    rows = []
    for i in range(len(inputs)):
        ids = [start]
        while len(ids) <= steps and ids[-1] != END:
            logits = model.logits(inputs[i : i + 1], mask[i : i + 1], torch.tensor([ids]))
            ids.append(int(logits[0, -1].argmax()))
        rows.append(ids)
    return rows


@pytest.mark.parametrize("width", [WIDTH, None], ids=["embeddings", "ids"])
def test_greedy_decoding_takes_the_most_probable_token_each_time(width):
    model, (inputs, mask) = make(), batch(9, 4, 6, 7, 3, 8, 5, 2, width=width)
    with torch.no_grad():
        model.mbart.final_logits_bias[0, END] = 1.0  # so that some rows end early
        expected = greedy(model, inputs, mask, START, 10)
        found = model.generate(inputs, mask, start_id=START, max_new_tokens=10).tolist()
    lengths = [len(row) for row in expected]
    assert min(lengths) < max(lengths) == 11, "rows that end and rows that are cut, which get no end"
    for row, truth in zip(found, expected, strict=True):
        assert row[: len(truth)] == truth and set(row[len(truth) :]) <= {CODEC.pad_id}


def test_beams_with_cache_equal_beams_without():
    model, (inputs, mask) = make(), batch(9, 4, 6)
    settings = {"start_id": START, "num_beams": 4, "max_new_tokens": 9}
    cached, plain = (model.generate(inputs, mask, **settings, use_cache=cache) for cache in (True, False))
    assert torch.equal(cached, plain)
    assert not torch.equal(cached[:, :5], model.generate(inputs, mask, start_id=START, max_new_tokens=9)[:, :5])


def test_a_beam_finds_no_less_probable_sentence_than_greedy():
    model, (inputs, mask) = make(), batch(9, 4, 6)

    def log_probability(ids: torch.Tensor) -> torch.Tensor:
        log_probs = model.logits(inputs, mask, ids[:, :-1]).log_softmax(-1)
        return log_probs.gather(-1, ids[:, 1:, None]).squeeze(-1).sum(1)

    with torch.no_grad():
        model.mbart.final_logits_bias[0, END] = -1e3  # all as long: probabilities can be compared
        settings = {"start_id": START, "max_new_tokens": 5, "length_penalty": 0.0}
        scores = [log_probability(model.generate(inputs, mask, num_beams=n, **settings)) for n in (1, 30)]
    assert (scores[1] >= scores[0] - 1e-4).all() and (scores[1] > scores[0] + 0.1).any()


def test_the_decoder_begins_with_the_id_that_was_given():
    model, (inputs, mask) = make(), batch(9, 4)
    outputs = []
    for start in (START, 7, 11):
        ids = model.generate(inputs, mask, start_id=start, max_new_tokens=6)
        assert (ids[:, 0] == start).all()
        outputs.append(ids[:, 1:].tolist())
        assert outputs[-1] == [row[1:] for row in greedy(model, inputs, mask, start, 6)]
    assert outputs[0] != outputs[1] != outputs[2]


def test_memory_can_be_shared_between_logits_and_search():
    model, (inputs, mask) = make(), batch(9, 4)
    memory = model.encode(inputs, mask)
    assert memory.shape == (2, 9, WIDTH)
    assert torch.equal(model.decode(memory, mask, DECODER), model.logits(inputs, mask, DECODER))
    settings = {"start_id": START, "num_beams": 2, "max_new_tokens": 5}
    assert torch.equal(model.search(memory, mask, **settings), model.generate(inputs, mask, **settings))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_attention_on_request(attention):
    model, (inputs, mask) = make(attention=attention), batch(9, 4)
    maps = model.attention(inputs, mask, DECODER)
    assert maps.encoder.shape == (2, 2, 4, 9, 9)
    assert maps.decoder.shape == (2, 2, 2, 4, 4) and maps.cross.shape == (2, 2, 2, 4, 9)
    for kind in (maps.encoder, maps.decoder, maps.cross):
        torch.testing.assert_close(kind.sum(-1), torch.ones(kind.shape[:-1]))
    assert (maps.cross[:, 1, :, :, 4:] == 0).all() and (maps.cross[:, 1, :, :, :4] > 0).all()
    assert (maps.decoder.triu(1) == 0).all(), "nobody looks ahead"
    assert model.mbart.config._attn_implementation == attention, "as it was before"
    by_ids = model.attention(torch.full((2, 9), 5), mask, DECODER)
    assert by_ids.cross.shape == maps.cross.shape


def test_inputs_are_scaled_where_that_is_asked_for():
    inputs, mask = batch(9, 4)
    plain, scaled = make(), make(scale_embeddings=WIDTH**0.5)
    torch.testing.assert_close(scaled.encode(inputs, mask), plain.encode(inputs * WIDTH**0.5, mask))
    assert not torch.allclose(scaled.encode(inputs, mask), plain.encode(inputs, mask))
    ids = batch(9, 4, width=None)[0]
    for model in (plain, scaled):  # mBART multiplies its own tokens by the square root of D itself
        torch.testing.assert_close(model.embed(ids), model.mbart.model.shared.weight[ids] * WIDTH**0.5)
        torch.testing.assert_close(plain.encode(model.embed(ids), mask), model.encode(ids, mask))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_bfloat16(attention):
    model, (inputs, mask) = make(attention=attention).train(), batch(9, 4)
    exact = model.eval().logits(inputs, mask, DECODER).detach()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model.train().logits(inputs, mask, DECODER)
        half = model.eval().logits(inputs, mask, DECODER).float()
        ids = model.generate(inputs, mask, start_id=START, num_beams=2, max_new_tokens=5)
    logits.float().logsumexp(-1).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters()) and ids.shape[0] == 2
    error = (half - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert 0 < error < 0.1


def test_checkpointed_gradients_equal_the_others():
    inputs, mask = batch(9, 4)
    plain, frugal = make(), make()
    frugal.checkpoint_gradients()
    calls = []
    frugal.mbart.model.encoder.layers[0].fc1.register_forward_hook(lambda *_: calls.append(1))
    for model in (plain, frugal):
        for dropout in (m for m in model.modules() if hasattr(m, "dropout")):
            dropout.dropout = 0.0
        model.train().logits(inputs, mask, DECODER).square().mean().backward()
    assert len(calls) == 2, "once, and once more in the backward pass"
    for (name, a), b in zip(plain.named_parameters(), frugal.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=lambda m, name=name: f"{name}: {m}")


def trained(model: Seq2Seq) -> set[str]:
    return {name.removeprefix("mbart.model.") for name, p in model.named_parameters() if p.requires_grad}


def test_parts_are_frozen():
    everything = trained(make())
    positions = {"encoder.embed_positions.weight", "decoder.embed_positions.weight"}
    for parts, left in (
        (("all",), set()),
        (("embeddings",), everything - {"shared.weight"} - positions),
        (("encoder",), {n for n in everything if not n.startswith("encoder.")} | {"encoder.embed_positions.weight"}),
        (("encoder", "decoder"), {"shared.weight"} | positions),
    ):
        model = make()
        model.freeze(*parts)
        assert trained(model) == left
    with pytest.raises(ConfigError, match="no such part"):
        make().freeze("head")


def test_ties_survive_saving_and_loading(tmp_path):
    model, other = make(), make()
    with torch.no_grad():
        model.mbart.model.shared.weight.add_(1)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    network = other.mbart
    tied = (network.model.encoder.embed_tokens, network.model.decoder.embed_tokens, network.lm_head)
    assert all(module.weight is network.model.shared.weight for module in tied)
    inputs, mask = batch(9, 4)
    assert torch.equal(other.logits(inputs, mask, DECODER), model.logits(inputs, mask, DECODER))


# LoRA.


def test_lora_begins_as_nothing_and_trains_itself_alone():
    plain, model = make(), make()
    model.add_lora(rank=2, targets=("q_proj", "fc1"))
    inputs, mask = batch(9, 4)
    torch.testing.assert_close(model.logits(inputs, mask, DECODER), plain.logits(inputs, mask, DECODER))
    assert all("lora_" in name for name in trained(model))
    # two matrices for q_proj (one in an encoder layer, two in a decoder layer) and fc1, in two layers a side
    assert len(trained(model)) == 2 * (2 * 2 + 2 * 3)
    model.logits(inputs, mask, DECODER).square().mean().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.sub_(0 if parameter.grad is None else parameter.grad)
    assert not torch.allclose(model.logits(inputs, mask, DECODER), plain.logits(inputs, mask, DECODER))
    assert model.generate(inputs, mask, start_id=START, num_beams=2, max_new_tokens=4).shape[0] == 2


def test_lora_leaves_the_names_of_the_weights_alone():
    plain, model = make(), make()
    names = set(plain.state_dict())
    model.add_lora(rank=2)
    state = model.state_dict()
    assert {n for n in state if not n.startswith("lora.")} == names and len(state) > len(names)
    holder, other = torch.nn.ModuleDict({"seq2seq": model}), torch.nn.ModuleDict({"seq2seq": make()})
    other["seq2seq"].add_lora(rank=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    before = {n: v.clone() for n, v in holder.state_dict().items()}
    assert any(n.startswith("seq2seq.lora.mbart.") for n in before)
    other.load_state_dict(holder.state_dict())
    after = other.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[n], after[n]) for n in before)
    result = model.load_state_dict(plain.state_dict(), strict=False)
    assert not result.unexpected_keys and all("lora_" in n for n in result.missing_keys)
    assert all(torch.equal(model.state_dict()[n], plain.state_dict()[n]) for n in names)


def test_weights_of_a_run_without_lora_are_the_start_of_one_with_it(tmp_path):
    plain, model = (torch.nn.ModuleDict({"seq2seq": make()}) for _ in range(2))
    model["seq2seq"].add_lora(rank=2)
    with torch.no_grad():
        plain["seq2seq"].mbart.model.shared.weight.add_(1)
        plain["seq2seq"].mbart.model.encoder.layers[0].self_attn.q_proj.weight.add_(1)
    torch.save({"state_dict": plain.state_dict()}, tmp_path / "plain.ckpt")
    source = InitFrom(str(tmp_path / "plain.ckpt"), {"seq2seq.": "seq2seq."}, fresh=["seq2seq.lora."])
    source.load_into(model)
    inputs, mask = batch(9, 4)
    torch.testing.assert_close(*(m["seq2seq"].logits(inputs, mask, DECODER) for m in (plain, model)))


def test_lora_where_it_cannot_be(monkeypatch):
    model = make()
    with pytest.raises(ConfigError, match="q_proj"):
        model.add_lora(targets=("query",))
    with pytest.raises(ConfigError, match="at least 1"):
        model.add_lora(rank=0)
    model.add_lora(rank=1)
    with pytest.raises(ConfigError, match="already"):
        model.add_lora(rank=1)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"slt-zoo\[lora\]"):
        make().add_lora()


# Inputs that cannot be.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, m: (x[..., :5], m), "do not fit"),
        (lambda x, m: (x, m.long()), "do not fit"),
        (lambda x, m: (x, m[:, :3]), "do not fit"),
        (lambda x, m: (x, m & torch.tensor([[True], [False]])), r"rows \[1\]"),
        (lambda x, m: (x.repeat(1, 3, 1), m.repeat(1, 3)), "longer than the positions"),
    ],
)
def test_inputs_that_cannot_be_are_told(change, message):
    with pytest.raises(ConfigError, match=message):
        make().encode(*change(*batch(9, 4)))


def test_outputs_longer_than_the_positions_are_told():
    model, (inputs, mask) = make(), batch(9, 4)
    assert model.generate(inputs, mask, start_id=START, max_new_tokens=24).shape[1] <= 25
    with pytest.raises(ConfigError, match="max_new_tokens"):
        model.generate(inputs, mask, start_id=START, max_new_tokens=25)
    with pytest.raises(ConfigError, match="decoder's sequence"):
        model.logits(inputs, mask, torch.full((2, 25), 5))
    with pytest.raises(ConfigError, match="num_beams"):
        model.generate(inputs, mask, start_id=START, num_beams=0)


def test_a_copy_is_independent():
    model, (inputs, mask) = make(), batch(9, 4)
    before = model.logits(inputs, mask, DECODER)
    twin = copy.deepcopy(model)
    twin.add_lora(rank=1)
    assert torch.equal(model.logits(inputs, mask, DECODER), before) and "lora" not in str(list(model.state_dict()))
