"""``normalise_text``: from a recipe into the vocabulary, the checkpoint and later phases; references stay raw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import slt_zoo
from slt_zoo import SAGE, Phoenix14T, SAGEPretraining, SignAttention, TextPretraining
from slt_zoo.cli import main
from slt_zoo.errors import ConfigError
from slt_zoo.models.sage_text import TextTeacher
from slt_zoo.testing import quick_trainer, simulated
from slt_zoo.text import Normaliser, SubwordCodec
from slt_zoo.text.mbart import MBartSizes

__all__ = ["simulated"]  # a fixture

STOP = {"final_stop": " ."}
RULE = Normaliser("de", final_stop=" .")
SIZES = MBartSizes(
    d_model=16,
    encoder_layers=1,
    decoder_layers=1,
    encoder_heads=2,
    decoder_heads=2,
    encoder_ffn=16,
    decoder_ffn=16,
    seed=0,
)
VISUAL: dict[str, Any] = {"modality": "pose", "embed_dim": 16, "width": 16}


@pytest.fixture
def data(simulated):
    return Phoenix14T(str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3)), batch_size=4, segments="labels")


def test_a_checkpoint_has_the_rule_and_references_are_raw(data, tmp_path):
    model = SignAttention(target="text", points="upper_hands48", normalise_text=STOP)
    trainer = quick_trainer(tmp_path, max_steps=1)
    trainer.fit(model, datamodule=data)
    trainer.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    for again in (model, slt_zoo.load(tmp_path / "a.ckpt")):
        codec = again.codecs["text"]
        assert codec.normaliser == RULE and "." in codec.tokens
        assert again.hparams["normalise_text"] == STOP
        texts = [s.text for s in data.manifest("train")]
        assert codec.decode([row.tolist() for row in codec.encode(texts).split()]) == texts
        assert not any(text.endswith(".") for text in texts)
    trainer.validate(model, datamodule=data, verbose=False)
    raw = {s.id: s.references for s in data.manifest("dev")}
    assert {p.id: p.references for p in model.scored["dev"].predictions} == raw


def test_models_without_texts_and_rules_of_another_language(data):
    with pytest.raises(ConfigError, match="no texts to normalise"):
        SignAttention(points="upper_hands48", normalise_text=STOP).prepare(data)
    with pytest.raises(ConfigError, match="signs of Chinese"):
        SignAttention(target="text", points="upper_hands48", normalise_text={"half_width": True}).prepare(data)


def test_later_phases_take_the_rule_over_and_refuse_another(data, tmp_path):
    first = TextPretraining(mbart=SIZES, vocabulary=120, normalise_text=STOP)
    trainer = quick_trainer(tmp_path, max_steps=1, limit_val_batches=0)
    trainer.fit(first, datamodule=data)
    trainer.save_checkpoint(path := tmp_path / "text.ckpt", weights_only=False)
    assert first.codec.normaliser == RULE
    source = {"path": str(path), "map": {"net.seq2seq.": "net.seq2seq."}}
    for given in (None, STOP):
        model = SAGE(**VISUAL, mbart=SIZES, init_from=[source], normalise_text=given)
        assert model.prepare(data).codec.normaliser == RULE
        stage1 = SAGEPretraining(**VISUAL, teacher=str(path), te_layers=0, normalise_text=given).prepare(data)
        assert stage1.codecs["text"].normaliser == RULE
    with pytest.raises(ConfigError, match="other rules"):
        SAGE(**VISUAL, mbart=SIZES, init_from=[source], normalise_text={"lower": True}).prepare(data)
    with pytest.raises(ConfigError, match="other rules"):
        SAGEPretraining(**VISUAL, teacher=str(path), te_layers=0, normalise_text={"lower": True}).prepare(data)


def test_pseudo_glosses_get_no_stop_and_sentences_do():
    texts = ["morgen regnet es im norden", "und es"]
    codec = SubwordCodec.fit(texts, 60, "de", normaliser=RULE)
    said = {}
    for target in ("sentence", "pseudo_gloss"):
        teacher = TextTeacher(SIZES, codec, target=target, language="de", tagger="stopwords")
        said[target] = ["".join(teacher.pieces(text)) for text in texts]
    assert all(text.endswith(".") for text in said["sentence"])
    assert not said["pseudo_gloss"][0].endswith(".") and said["pseudo_gloss"][1] == "undes.", "none: the sentence"


def test_by_command(simulated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3))
    quick = ["--trainer.max_steps", "2", "--trainer.enable_progress_bar", "false", "--trainer.limit_val_batches", "1"]
    words = ["--config", "zoo:sign_attention/synthetic", "--config", "zoo:sign_attention/tiny", "--data.root", root]
    more = ["--model.normalise_text.final_stop", " .", "--trainer.default_root_dir", "run"]
    assert main(["fit", *words, *quick, *more]) == 0
    config = yaml.safe_load(Path("run/config.yaml").read_text())["model"]["init_args"]
    assert config["normalise_text"] == {"lower": False, "half_width": False, "final_stop": " ."}
    recorded = torch.load("run/last.ckpt", weights_only=True)["hyper_parameters"]["codecs"]["text"]
    assert recorded["normaliser"] == RULE.to_dict()
    assert main(["test", "--config", "run/config.yaml"]) == 0
