"""TextPretraining: the contract of all models, its noise, its vocabularies, and what later phases need of it."""

from __future__ import annotations

import dataclasses
import shutil
from typing import ClassVar

import pytest
import torch
from torch import nn

import slt_zoo
from slt_zoo import InputSpec, Phoenix14T, SLTModule, TextPretraining
from slt_zoo.data.draws import draws
from slt_zoo.errors import ConfigError
from slt_zoo.layers.seq2seq import Seq2Seq
from slt_zoo.loading import InitFrom
from slt_zoo.testing import ModelContract, quick_trainer, simulated
from slt_zoo.text import SubwordCodec
from slt_zoo.text.mbart import MBartSizes, build_mbart, sizes_of
from slt_zoo.text.subword import MBART_LANGUAGES, MODEL_FILE
from slt_zoo.types import Batch

__all__ = ["simulated"]  # a fixture

SIZES = MBartSizes(
    d_model=32,
    encoder_layers=1,
    decoder_layers=1,
    encoder_ffn=64,
    decoder_ffn=64,
    dropout=0.0,
    max_positions=64,
    init_std=0.1,
    seed=1,
)


class TestContract(ModelContract):
    model_class = TextPretraining
    # little noise: what is lost cannot be restored, not even by heart
    arguments: ClassVar = {"mbart": SIZES, "max_tokens": 40, "drop": 0.05, "mask": 0.05}
    overfit_rate = 2e-3
    overfit_steps = 500  # a tenth of the targets is the language's token, which teaches nothing


@pytest.fixture
def data(simulated):
    return TestContract().make_data(simulated)


def make(data, **arguments) -> TextPretraining:
    torch.manual_seed(0)
    return TextPretraining(**{"mbart": SIZES, "max_tokens": 40, **arguments}).prepare(data).eval()


def dev_batch(data) -> Batch:
    data.bind(InputSpec(modality="none", needs=frozenset({"text"})), ["dev"])
    return next(iter(data.loader("dev")))


def test_no_medium_is_needed(data, simulated, tmp_path):
    """The annotation alone is enough, whatever else of the corpus is not on the disk."""
    root = tmp_path / "texts"
    shutil.copytree(TestContract().make_data(simulated).root, root, ignore=shutil.ignore_patterns("poses", "*.npy"))
    assert not list(root.rglob("*.npy")) and not (root / "poses").exists()
    alone = Phoenix14T(str(root), batch_size=4, bucket=True)
    trainer = quick_trainer(tmp_path, max_steps=2, limit_val_batches=1)
    trainer.fit(TextPretraining(mbart=SIZES, max_tokens=40), datamodule=alone)
    assert torch.isfinite(trainer.callback_metrics["train/loss"])
    batch = dev_batch(alone)
    assert batch.pose is batch.frames is batch.features is batch.segments is None
    assert batch.text == dev_batch(data).text and batch.to("cpu").text == batch.text


def test_the_encoder_reads_tokens_end_and_language(data):
    model, batch = make(data), dev_batch(data)
    ids, mask = model._sentences(batch, noised=False)
    assert isinstance(model.codec, SubwordCodec)
    expected = [row.tolist() for row in model.codec.encode_source(batch.text).split()]
    assert [row[valid].tolist() for row, valid in zip(ids, mask, strict=True)] == expected
    noised, noised_mask = model._sentences(batch, noised=True)
    assert [row[valid][-2:].tolist() for row, valid in zip(noised, noised_mask, strict=True)] == [
        [model.codec.eos_id, model.codec.bos_id]
    ] * 4


def test_noise_of_an_evaluation_depends_on_the_id_and_of_training_on_the_epoch(data, monkeypatch):
    model, batch = make(data, drop=0.3, mask=0.3, swap=0.3), dev_batch(data)

    def read() -> list[list[int]]:
        ids, mask = model._sentences(batch, noised=True)
        return [row[valid].tolist() for row, valid in zip(ids, mask, strict=True)]

    first = read()
    assert first == read() != [r.tolist() for r in model.codec.encode_source(batch.text).split()]
    assert model.codec.mask_id in {i for row in first for i in row}
    epochs = []
    model.train()
    for epoch in (0, 1):
        monkeypatch.setattr(TextPretraining, "current_epoch", epoch)
        epochs.append(read())
        assert epochs[-1] == read()
    assert len({str(found) for found in (first, *epochs)}) == 3
    other = make(data, drop=0.3, mask=0.3, swap=0.3, noise_seed=1)
    ids, mask = other._sentences(batch, noised=True)
    assert [row[valid].tolist() for row, valid in zip(ids, mask, strict=True)] != first


def test_noise_is_the_same_in_any_batch(data, monkeypatch):
    model, batch = make(data, drop=0.3, mask=0.3, swap=0.3), dev_batch(data)

    def rows(batch: Batch) -> dict[str, list[int]]:
        ids, mask = model._sentences(batch, noised=True)
        return {i: row[valid].tolist() for i, row, valid in zip(batch.id, ids, mask, strict=True)}

    def part(*places: int) -> Batch:
        lists = {n: [getattr(batch, n)[k] for k in places] for n in ("id", "text", "language", "gloss", "question")}
        return dataclasses.replace(batch, **lists, fps=[None] * len(places))

    for training, epoch in ((False, 0), (True, 0), (True, 1)):
        model.train(training)
        monkeypatch.setattr(TextPretraining, "current_epoch", epoch)
        assert rows(part(2, 0)) | rows(part(3)) | rows(part(1)) == rows(batch)


def test_a_model_draws_by_seed_epoch_and_id(data, monkeypatch):
    model = make(data)

    def first(seed: int = 5, sample_id: str = "a") -> float:
        return model.draws(seed, sample_id).random()

    monkeypatch.setattr(TextPretraining, "current_epoch", 2)
    assert first() == draws(5, 0, "a").random(), "an evaluation draws the same in every epoch"
    model.train()
    assert first() == draws(5, 3, "a").random() and len({first(), first(6), first(5, "b")}) == 3


def test_without_noise_restoring_is_copying(data):
    model, batch = make(data, drop=0.0, mask=0.0, swap=0.0), dev_batch(data)
    assert model.translate(batch) == model.extra_hypotheses(batch)["copied"]
    noisy = make(data, drop=0.5)
    assert noisy.losses(batch).total != model.losses(batch).total


def test_both_scores_are_logged(data, tmp_path):
    trainer = quick_trainer(tmp_path, max_steps=2)
    trainer.fit(TextPretraining(mbart=SIZES, max_tokens=40), datamodule=data)
    assert {"dev/bleu4", "dev/copied/bleu4", "dev/loss", "dev/token_accuracy"} <= set(trainer.callback_metrics)


@pytest.mark.parametrize("tokenizer", ["subword", "word", "char"])
def test_the_vocabulary_is_that_of_the_training_sentences(data, tokenizer):
    codec = make(data, tokenizer=tokenizer, vocabulary=90).codec
    texts = data.manifest("train").column("text")
    assert not codec.unknown(texts) and codec.closed == (tokenizer == "word")
    whole = ["".join(t.split()) for t in texts] if tokenizer == "char" else texts
    assert codec.decode(codec.encode(texts).padded(codec.pad_id)[0]) == whole
    assert len(codec) == 90 or tokenizer != "subword"


def test_beams_and_greedy_are_both_reached(data):
    batch = dev_batch(data)
    for beams in (1, 3):
        model = make(data, beam_size=beams, max_tokens=8)
        assert all(len(model.codec.subwords(text)) <= 7 for text in model.translate(batch))
        assert model.decoding_settings()["beam_size"] == beams


def test_a_folder_of_weights_goes_on(data, tmp_path):
    codec = SubwordCodec.fit(data.manifest("train").column("text"), 200, "de", languages=MBART_LANGUAGES)
    build_mbart(SIZES, codec).save_pretrained(folder := tmp_path / "mbart")
    (folder / MODEL_FILE).write_bytes(codec.model)
    model = make(data, mbart=str(folder), max_tokens=30)
    assert model.hparams["mbart"] == dataclasses.asdict(sizes_of(folder)), "a checkpoint does not need the folder"
    assert [record["path"] for record in model.hparams["initialised_from"]] == [str(folder)]
    from transformers import MBartForConditionalGeneration

    theirs = MBartForConditionalGeneration.from_pretrained(folder).state_dict()
    own = model.network.seq2seq.mbart.state_dict()
    assert all(torch.equal(own[name], theirs[name]) for name in theirs)
    batch = dev_batch(data)
    expected, saved = model.translate(batch), model.save_pretrained(tmp_path / "saved")
    shutil.rmtree(folder)
    assert TextPretraining.from_pretrained(saved).translate(batch) == expected


@pytest.mark.parametrize("source", ["nowhere/at/all", "facebook/mbart-large-cc25"])
def test_without_weights_and_network_one_error_says_what_may_stand_there(data, source, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError) as error:
        make(data, mbart=source)
    assert "slt-zoo tokenizer trim" in str(error.value) and "sizes (d_model" in str(error.value)


class Later(SLTModule):
    """A later phase with the same mBART and something of its own."""

    input_spec = InputSpec(modality="pose", needs=frozenset({"text"}))

    def build(self) -> nn.Module:
        net = nn.Module()
        net.seq2seq = Seq2Seq(build_mbart(dataclasses.replace(SIZES, seed=9), self.codecs["text"]))
        net.embedder = nn.Linear(3, 32)
        return net


def test_a_later_phase_takes_weights_and_vocabulary_over(data, tmp_path):
    trainer = quick_trainer(tmp_path, max_steps=2, limit_val_batches=0)
    model = TextPretraining(mbart=SIZES, max_tokens=40)
    trainer.fit(model, datamodule=data)
    trainer.save_checkpoint(tmp_path / "text.ckpt")
    source = InitFrom(str(tmp_path / "text.ckpt"), {"net.seq2seq.": "net.seq2seq."})
    later = Later(init_from=[source]).prepare(data)
    own, theirs = later.state_dict(), model.state_dict()
    shared = [name for name in own if name.startswith("net.seq2seq.")]
    assert set(shared) == set(theirs) and all(torch.equal(own[name], theirs[name]) for name in shared)
    assert later.codecs["text"].to_dict() == model.codec.to_dict()


def test_checkpointed_gradients_are_reached(data):
    model, batch = make(data, checkpoint_gradients=True).train(), dev_batch(data)
    calls = []
    model.network.seq2seq.mbart.model.encoder.layers[0].fc1.register_forward_hook(lambda *_: calls.append(1))
    model.losses(batch).total.backward()
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_tokens": 2}, "at least 3"),
        ({"drop": 1.5}, r"drop in \[0, 1\]"),
        ({"noise_seed": -1}, "noise_seed=-1"),
        ({"label_smoothing": 2.0}, "label_smoothing=2.0"),
    ],
)
def test_arguments_that_cannot_be_are_told(wrong, message):
    with pytest.raises(ConfigError, match=message):
        TextPretraining(**wrong)


def test_a_sequence_longer_than_the_positions_is_told(data):
    with pytest.raises(ConfigError, match="positions"):
        make(data, max_tokens=65)


def test_sub_words_are_of_one_language(data):
    samples = list(data.manifest("train"))
    mixed = [dataclasses.replace(samples[0], language="el"), *samples[1:]]
    with pytest.raises(ConfigError, match="one language"):
        TextPretraining(mbart=SIZES).make_codecs(mixed)
    assert slt_zoo.TextPretraining(mbart=SIZES, tokenizer="word").make_codecs(mixed)["text"]
