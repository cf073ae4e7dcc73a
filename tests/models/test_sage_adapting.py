"""What of SAGE's second stage is trained: frozen parts, low-rank updates beside mBART."""

from __future__ import annotations

import copy
import sys
from typing import Any

import pytest
import torch
from lightning.pytorch.utilities.model_summary import ModelSummary

import slt_zoo
from slt_zoo import SAGE, Phoenix14T
from slt_zoo.errors import CheckpointMismatchError, ConfigError, UnknownNameError
from slt_zoo.layers.lora import LoRA
from slt_zoo.testing import quick_trainer, simulated
from slt_zoo.text import SubwordCodec
from slt_zoo.text.mbart import MBartSizes, build_mbart
from slt_zoo.text.subword import MBART_LANGUAGES, MODEL_FILE
from slt_zoo.types import Batch

__all__ = ["simulated"]  # a fixture

SIZES = MBartSizes(
    d_model=32,
    encoder_layers=1,
    decoder_layers=1,
    encoder_heads=2,
    decoder_heads=2,
    encoder_ffn=64,
    decoder_ffn=64,
    dropout=0.0,
)
TINY: dict[str, Any] = {
    "modality": "pose",
    "embed_dim": 32,
    "width": 32,
    "mapper_dropout": 0.0,
    "augment": 0.0,
    "mbart": SIZES,
    "dropout": 0.0,
    "max_new_tokens": 30,
    "beam_size": 1,
    "optimizer": lambda p: torch.optim.SGD(p, lr=0.5, momentum=0.9, weight_decay=0.1),
}
UPDATES = {"rank": 2, "alpha": 4, "dropout": 0.0, "targets": ["q_proj", "fc1"]}
PARTS = {
    "visual": lambda name: name.startswith("net.visual."),
    "embeddings": lambda name: ".shared." in name or ".embed_" in name,
    "encoder": lambda name: ".encoder." in name and ".embed_" not in name,
    "decoder": lambda name: ".decoder." in name and ".embed_" not in name,
}


@pytest.fixture
def data(simulated):
    return Phoenix14T(str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3)), batch_size=4, segments="labels")


def fitted(data, folder, steps=2, **arguments):
    torch.manual_seed(0)
    model = SAGE(**{**TINY, **arguments}).prepare(data)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainer = quick_trainer(folder, max_steps=steps, limit_val_batches=0)
    trainer.fit(model, datamodule=data)
    return model, trainer, before


def changed(model, before):
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize(
    "freeze", [[], ["visual"], ["encoder"], ["decoder", "embeddings"], ["embeddings", "visual"]], ids=str
)
def test_what_is_frozen_stays_as_it_was_and_the_rest_learns(freeze, data, tmp_path):
    model, _, before = fitted(data, tmp_path, freeze=freeze)
    moved = changed(model, before)
    for part, belongs in PARTS.items():
        names = {name for name in before if belongs(name)}
        assert names and (not names & moved if part in freeze else names & moved), part
    for name, parameter in model.named_parameters():
        frozen = any(PARTS[part](name) for part in freeze)
        assert parameter.requires_grad != frozen and (parameter.grad is None) == frozen, name


def test_lora_trains_its_updates_and_the_visual_encoder(data, tmp_path):
    model, _, before = fitted(data, tmp_path, lora=UPDATES)
    moved = changed(model, before)
    assert moved and all(name.startswith(("net.visual.", "net.seq2seq.lora.")) for name in moved)
    # q_proj once in the encoder, twice in the decoder, and fc1: two matrices each
    trained = [name for name, p in model.named_parameters() if p.requires_grad and not name.startswith("net.visual.")]
    assert len(trained) == 2 * (2 + 3) and all(".lora_" in name for name in trained)
    torch.manual_seed(0)
    plain = SAGE(**TINY).prepare(data).state_dict()
    assert {name for name in before if ".lora." not in name} == set(plain), "names as without LoRA"
    assert all(torch.equal(before[name], value) for name, value in plain.items())


def test_a_frozen_side_gets_no_updates(data, tmp_path):
    model, _, before = fitted(data, tmp_path, lora=UPDATES, freeze=["visual", "encoder"])
    updates = {name for name in before if ".lora." in name}
    assert len(updates) == 2 * 3 and all(".decoder." in name for name in updates)
    assert changed(model, before) <= updates
    assert {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None} == set()


def test_the_summary_counts_what_is_trained(data, tmp_path):
    for arguments in ({}, {"freeze": ["decoder"]}, {"lora": {"rank": 2}}, {"lora": {}, "freeze": ["visual"]}):
        model = SAGE(**{**TINY, **arguments}).prepare(data)
        summary = ModelSummary(model)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        assert summary.trainable_parameters == trained
        assert summary.total_parameters == sum(p.numel() for p in model.parameters())
        # rank times what goes in and out, of q_proj and v_proj in three attentions
        if arguments.get("freeze") == ["visual"]:
            assert trained == 16 * (32 + 32) * 2 * 3
        elif "lora" in arguments:
            visual = sum(p.numel() for p in model.network.visual.parameters())
            assert trained == visual + 2 * (32 + 32) * 2 * 3


def test_a_checkpoint_with_lora_comes_back(data, tmp_path):
    arguments = {"lora": LoRA(rank=2, targets=("v_proj", "fc2")), "freeze": ["encoder"]}
    model, trainer, _ = fitted(data, tmp_path, **arguments)
    trainer.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    batch = Batch.collate([data.loader("dev").dataset[i] for i in range(4)])
    model.eval()
    folder = model.save_pretrained(tmp_path / "pretrained")
    said = model.translate(batch)
    for again in (slt_zoo.load(tmp_path / "a.ckpt"), SAGE.from_pretrained(folder)):
        assert again.hparams["lora"] == {"rank": 2, "alpha": 32, "dropout": 0.0, "targets": ["v_proj", "fc2"]}
        assert again.translate(batch) == said
        assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
        kinds = [{n for n, p in m.named_parameters() if p.requires_grad} for m in (model, again)]
        assert kinds[0] == kinds[1]
    # going on, optimizer and all
    more = quick_trainer(tmp_path, max_steps=4, limit_val_batches=0)
    more.fit(SAGE(**{**TINY, **arguments}), datamodule=data, ckpt_path=tmp_path / "a.ckpt", weights_only=True)
    assert more.global_step == 4
    with pytest.raises(CheckpointMismatchError, match="lora"):
        more.fit(SAGE(**TINY), datamodule=data, ckpt_path=tmp_path / "a.ckpt", weights_only=True)


def test_lora_beside_weights_of_earlier_phases(data, tmp_path):
    """``init_from`` and folders of mBART fill the weights by the names that they have without LoRA."""
    first, trainer, _ = fitted(data, tmp_path)
    trainer.save_checkpoint(tmp_path / "first.ckpt", weights_only=False)
    source = {"path": str(tmp_path / "first.ckpt"), "map": {"net.seq2seq.": "net.seq2seq."}}
    second = SAGE(**{**TINY, "init_from": [source], "lora": UPDATES}).prepare(data)
    state = second.state_dict()
    assert all(torch.equal(v, state[n]) for n, v in first.state_dict().items() if n.startswith("net.seq2seq."))
    codec = SubwordCodec.fit([s.text for s in data.manifest("train")], 300, "de", languages=MBART_LANGUAGES)
    (mbart := build_mbart(SIZES, codec)).save_pretrained(tmp_path / "mbart")
    (tmp_path / "mbart" / MODEL_FILE).write_bytes(codec.model)
    third = SAGE(**{**TINY, "mbart": str(tmp_path / "mbart"), "lora": UPDATES}).prepare(data).state_dict()
    assert all(torch.equal(v, third[f"net.seq2seq.mbart.{n}"]) for n, v in mbart.state_dict().items())
    assert any(name.startswith("net.seq2seq.lora.") for name in third)


def test_frozen_batch_norm_keeps_its_statistics(data, tmp_path):
    for freeze in (None, ["visual"]):
        model, _, before = fitted(data, tmp_path, freeze=freeze)
        moved = {name for name in changed(model, before) if "running_" in name}
        assert bool(moved) == (freeze is None)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"freeze": ["encodr"]}, UnknownNameError, "encoder"),
        ({"freeze": list(PARTS)}, ConfigError, "everything is frozen"),
        ({"freeze": ["decoder", "encoder"], "lora": {}}, ConfigError, "LoRA has no place"),
        ({"lora": {"rank": 0}}, ConfigError, "at least 1"),
        ({"lora": {"dropout": 1.0}}, ConfigError, r"in \[0, 1\)"),
        ({"lora": {"targets": []}}, ConfigError, "a list of layers"),
        ({"lora": {"r": 8}}, UnknownNameError, "rank"),
    ],
    ids=str,
)
def test_what_cannot_be(wrong, error, message):
    with pytest.raises(error, match=message):
        SAGE(**{**TINY, **wrong})


def test_a_failure_leaves_no_network_that_is_half_of_what_was_asked_for(data, monkeypatch):
    model = SAGE(**TINY, lora={"targets": ["query"]})
    with pytest.raises(ConfigError, match="q_proj"):
        model.prepare(data)
    assert not hasattr(model, "net") and model.hparams["initialised_from"] is None
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"slt-zoo\[lora\]"):
        SAGE(**TINY, lora={}).prepare(data)


def test_released_weights_with_updates_of_our_own(simulated):
    root = simulated("Phoenix14T", samples=(8, 4, 4), seed=3, render=("frames",), frame_size=(48, 48))
    data = Phoenix14T(str(root), batch_size=4, segments="labels")
    arguments = {**TINY, "modality": "frames", "encoder": "resnet34", "frame_size": 48, "crop": 40}
    plain = SAGE(**arguments).prepare(data)
    given = {"codec": plain.codec, "facts": plain.facts, **copy.copy(arguments)}
    model = SAGE.from_official(plain.to_official(), lora=UPDATES, **given)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in plain.state_dict().items())
    with pytest.raises(CheckpointMismatchError, match="no LoRA"):
        model.to_official()
