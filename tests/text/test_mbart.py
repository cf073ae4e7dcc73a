"""mBART: sizes, counts of the published ones on the meta device, and weights of a folder."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from mbart_folders import own_model, tiny_mbart
from safetensors.torch import load_file, save_file

from slt_zoo.errors import CheckpointError, CheckpointMismatchError, ConfigError, UnknownNameError
from slt_zoo.text import SubwordCodec, WordCodec
from slt_zoo.text.mbart import MBART_LARGE, MBartSizes, build_mbart, load_mbart, sizes_of

SMALL = MBartSizes(d_model=16, encoder_heads=2, decoder_heads=2, encoder_ffn=24, decoder_ffn=24, max_positions=64)


def words(count: int) -> WordCodec:
    return WordCodec([f"w{i}" for i in range(count - 4)])


def count(*modules: torch.nn.Module) -> int:
    return sum({p: p.numel() for module in modules for p in module.parameters()}.values())


@pytest.fixture(scope="module")
def large():
    with torch.device("meta"):
        return build_mbart(MBART_LARGE, words(2172))


def test_published_parameter_counts(large):
    """Specification of SAGE, section 2.7."""
    encoder, decoder = large.model.encoder, large.model.decoder
    tokens = large.model.shared.weight.numel()
    assert count(encoder) - tokens == 152_209_408 and count(decoder) - tokens == 202_614_784
    assert count(encoder.layers[0]) == 12_596_224 and count(decoder.layers[0]) == 16_796_672
    assert count(large) == 357_048_320 == 354_824_192 + 1024 * 2172
    assert {p.device.type for p in large.parameters()} == {"meta"}


def test_published_counts_of_the_other_vocabulary_and_the_small_encoder():
    mytran = dataclasses.replace(
        MBART_LARGE, encoder_layers=3, decoder_layers=0, encoder_heads=8, decoder_heads=8, activation="relu"
    )
    with torch.device("meta"):
        assert count(build_mbart(MBART_LARGE, words(2454))) == 357_337_088
        encoder = build_mbart(mytran, words(10)).model.encoder
    assert count(encoder) - 1024 * 10 == 38_843_392


def test_the_real_configurations_are_read(shared_data):
    folder = shared_data / "mbart" / "MBart_trimmed"
    sizes = sizes_of(folder)
    assert sizes == dataclasses.replace(MBART_LARGE, dropout=0.3, attention_dropout=0.1)
    small = sizes_of(shared_data / "mbart" / "mytran")
    assert (small.encoder_layers, small.encoder_heads, small.activation) == (3, 8, "relu")
    codec = SubwordCodec.from_pretrained(folder, "de")
    with torch.device("meta"):
        network = build_mbart(sizes, codec)
    assert count(network) == 357_337_088
    with pytest.raises(ConfigError, match=r"has no model\.safetensors") as error:
        load_mbart(network, folder, codec)
    assert "slt-zoo tokenizer trim" in str(error.value)


def test_ids_and_size_are_the_codecs():
    codec = SubwordCodec(own_model(), "de")
    config = build_mbart(SMALL, codec).config
    assert config.vocab_size == len(codec) and config.decoder_start_token_id == codec.language_ids["de_DE"]
    assert (config.pad_token_id, config.eos_token_id) == (1, 2)
    assert getattr(config, "forced_eos_token_id", None) is None
    config = build_mbart(SMALL, words(20)).config
    assert (config.vocab_size, config.pad_token_id, config.eos_token_id, config.bos_token_id) == (20, 0, 3, 2)


def test_a_seed_gives_the_same_weights_and_leaves_the_runs_generator_alone():
    seeded = dataclasses.replace(SMALL, seed=7)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first = build_mbart(seeded, words(20)).state_dict()
    assert torch.equal(torch.rand(3), expected)
    second, other = build_mbart(seeded, words(20)).state_dict(), build_mbart(SMALL, words(20)).state_dict()
    name = "model.encoder.layers.0.fc1.weight"
    assert all(torch.equal(first[n], second[n]) for n in first) and not torch.equal(first[name], other[name])


def test_init_std_is_that_of_the_sizes():
    network = build_mbart(dataclasses.replace(SMALL, init_std=0.5, d_model=64), words(200))
    assert network.model.shared.weight[1:].std().item() == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("kind", ["sdpa", "eager"])
def test_attention_is_the_one_asked_for(kind):
    assert build_mbart(SMALL, words(9), attention=kind).config._attn_implementation == kind


def test_plain_data_come_back_as_sizes():
    sizes = MBartSizes(d_model=32, seed=3)
    assert sizes_of(dataclasses.asdict(sizes)) == sizes and sizes_of(sizes) is sizes
    with pytest.raises(UnknownNameError, match="did you mean 'd_model'"):
        sizes_of({"d_modell": 3})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"d_model": 10, "encoder_heads": 4}, "divisible"),
        ({"encoder_layers": -1}, "encoder_layers=-1"),
        ({"decoder_ffn": 0}, "decoder_ffn=0"),
        ({"dropout": 1.0}, r"dropout is in \[0, 1\)"),
    ],
)
def test_sizes_that_cannot_be_are_told(wrong, message):
    with pytest.raises(ConfigError, match=message):
        MBartSizes(**wrong)


def test_an_unknown_activation_is_told():
    with pytest.raises(UnknownNameError, match="'gelu'"):
        build_mbart(dataclasses.replace(SMALL, activation="gellu"), words(9))


# Weights of a folder.


@pytest.fixture
def folder(tmp_path):
    return tiny_mbart(tmp_path / "mbart", own_model())


def load(folder, codec=None):
    codec = codec or SubwordCodec(own_model(), "de")
    network = build_mbart(sizes_of(folder), codec)
    return network, load_mbart(network, folder, codec)


def test_weights_of_a_folder_are_those_that_transformers_reads(folder):
    from transformers import MBartForConditionalGeneration

    network, record = load(folder)
    theirs = MBartForConditionalGeneration.from_pretrained(folder).state_dict()
    own = network.state_dict()
    assert own.keys() == theirs.keys() and all(torch.equal(own[n], theirs[n]) for n in own)
    assert own["final_logits_bias"].abs().sum() > 0
    assert network.lm_head.weight is network.model.shared.weight is network.model.decoder.embed_tokens.weight
    assert record["path"] == str(folder) and len(record["sha256"]) == 64


def test_shards_and_the_older_form_give_the_same(folder, tmp_path):
    weights = load_file(folder / "model.safetensors")
    expected = load(folder)[0].state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    older = load(folder)[0].state_dict()
    (folder / "pytorch_model.bin").unlink()
    names = sorted(weights)
    parts = {"model-1.safetensors": names[:20], "model-2.safetensors": names[20:]}
    for file, part in parts.items():
        save_file({n: weights[n] for n in part}, folder / file)
    index = {"weight_map": {n: file for file, part in parts.items() for n in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    sharded = load(folder)[0].state_dict()
    assert all(torch.equal(expected[n], older[n]) and torch.equal(expected[n], sharded[n]) for n in expected)


def test_another_vocabulary_is_refused(folder):
    with pytest.raises(ConfigError, match="different sizes") as error:
        load(folder, words(30))
    assert "30 rows" in str(error.value) and "trim" in str(error.value)
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    with pytest.raises(ConfigError, match="special tokens differently"):
        load(folder, words(rows))


def change(folder, **changes):
    weights = load_file(folder / "model.safetensors")
    weights |= {name.replace("__", "."): value for name, value in changes.items()}
    save_file({n: v for n, v in weights.items() if v is not None}, folder / "model.safetensors")


def test_weights_that_do_not_fit_are_refused(folder):
    change(folder, **{"model__encoder__layers__0__fc1__weight": torch.zeros(3, 3)})
    with pytest.raises(CheckpointMismatchError, match="1 weights do not fit") as error:
        load(folder)
    assert "(3, 3) in the files, (24, 16) in the network" in str(error.value)
    change(folder, **{"model__encoder__layers__0__fc1__weight": None, "model__surplus": torch.zeros(1)})
    with pytest.raises(CheckpointMismatchError, match="2 weights do not fit"):
        load(folder)


def test_an_untied_mbart_is_refused(tmp_path):
    folder = tiny_mbart(tmp_path / "untied", own_model(), tied=False)
    with pytest.raises(CheckpointError, match="different matrices"):
        load(folder)


def test_damaged_files_are_told(folder):
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(folder)
    for content, message in (("{", "damaged"), ("[]", "another model"), ('{"model_type": "t5"}', "another model")):
        (folder / "config.json").write_text(content)
        with pytest.raises(CheckpointError, match=message):
            sizes_of(folder)


def test_a_pickle_that_runs_code_is_not_run(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (type(tmp_path).touch, (tmp_path / "sprung",))

    (folder / "model.safetensors").unlink()
    torch.save({"model.shared.weight": Trap()}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("source", ["nowhere/at/all", "facebook/mbart-large-cc25"])
def test_without_folder_and_network_one_error_says_what_to_do(source, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError) as error:
        sizes_of(source)
    for part in (source, "config.json", "slt-zoo tokenizer trim", "d_model", "overlays", "TextPretraining"):
        assert part in str(error.value)
