"""Input that does not fit SAGE, by command: a clear error, or what docs/papers/sage.md says."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from slt_zoo import SAGE, SAGEPretraining
from slt_zoo.cli import main
from slt_zoo.errors import ConfigError, MediaError, UnknownNameError
from slt_zoo.models.sage_net import VisualEncoder
from slt_zoo.testing import simulated
from slt_zoo.text.mbart import MBartSizes
from slt_zoo.types import Ragged

__all__ = ["simulated"]  # a fixture

RECIPES = {"first": "zoo:sage/synthetic/pretrain", "second": "zoo:sage/synthetic/translate"}
ALONE = {"first": [], "second": ["--model.init_from", "null", "--model.pretraining", "null"]}
BOTH = pytest.mark.parametrize("stage", ["first", "second"])


@pytest.fixture
def corpus(simulated, tmp_path, monkeypatch) -> Path:
    """Simulated poses with their boundaries, and an empty folder to be in."""
    monkeypatch.chdir(tmp_path)
    return simulated("Phoenix14T", samples=(8, 4, 4), seed=3)


def fit(stage: str, root: Path, *words: str) -> int:
    """Two steps and an evaluation of a stage, small, from poses; the exit code."""
    start = ["fit", "--config", RECIPES[stage], "--config", "zoo:sage/tiny", *ALONE[stage], "--data.root", str(root)]
    poses = ["--model.modality", "pose", "--model.embed_dim", "32", "--trainer.enable_progress_bar", "false"]
    steps = ["--trainer.max_steps", "2", "--trainer.val_check_interval", "2", "--trainer.log_every_n_steps", "1"]
    return main([*start, *poses, *steps, "--trainer.default_root_dir", "run", *words])


def rows() -> list[dict[str, float]]:
    """What the run has logged."""
    with Path("run/metrics.csv").open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def without_segments(root: Path, which: slice) -> str:
    """A folder of boundaries in which some clips of each split begin a sign every second frame: all are too short."""
    labels = next(p for p in root.rglob("labels") if p.is_dir())
    for folder in {p.parent for p in Path(shutil.copytree(labels, "short")).rglob("*.npy")}:
        for path in sorted(folder.glob("*.npy"))[which]:
            np.save(path, np.resize(np.array([2, 1], np.int8), len(np.load(path))))
    return "short"


@BOTH
def test_a_clip_without_a_segment_is_left_out_of_training_alone(stage, corpus):
    assert fit(stage, corpus, "--data.segments", without_segments(corpus, slice(1))) == 0
    (skipped,) = map(json.loads, Path("run/skipped.jsonl").read_text(encoding="utf-8").splitlines())
    assert "no segment" in skipped["why"]
    assert any("dev/loss" in row for row in rows()), "dev has such a clip too"


def test_a_split_without_any_segment(corpus, capsys):
    short = without_segments(corpus, slice(None))
    assert fit("first", corpus, "--data.segments", short) == 2
    assert "the clip has no segment and is left out of training" in capsys.readouterr().err
    assert fit("first", corpus, "--data.segments", short, "--model.max_segments", "null") == 0


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("first", ["--model.max_positions", "4"]),
        ("second", ["--model.mbart.max_positions", "4", "--model.max_new_tokens", "4", "--model.max_tokens", "4"]),
    ],
)
def test_a_clip_longer_than_the_positions_is_named(stage, words, corpus, capsys):
    assert fit(stage, corpus, *words) == 2
    told = capsys.readouterr().err
    assert "visual tokens; the network has 4 positions" in told and "sample " in told


@pytest.mark.parametrize(
    ("stage", "words", "what"),
    [
        ("first", ["--model.teacher.max_positions", "4"], "the input is longer than the positions"),
        (
            "second",
            ["--model.mbart.max_positions", "8", "--model.max_len", "40", "--model.max_new_tokens", "4"],
            "max_tokens is more than the mBART has positions",
        ),
        (
            "second",
            ["--model.mbart.max_positions", "90", "--model.max_new_tokens", "99", "--model.max_tokens", "9"],
            "the output (max_new_tokens) is longer than the positions",
        ),
    ],
    ids=["teacher", "target", "output"],
)
def test_a_text_longer_than_the_positions(stage, words, what, corpus, capsys):
    assert fit(stage, corpus, *words) == 2
    assert what in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cls", "wrong", "near"),
    [
        (SAGEPretraining, {"text_target": "gloss"}, "pseudo_gloss"),
        (SAGEPretraining, {"loss": "clpi"}, "clip"),
        (SAGE, {"stage2_init": "vlee"}, "vle"),
        (SAGE, {"tokenization": "segments"}, "segment"),
        (SAGE, {"protocol": "strict", "attention": "egaer"}, "eager"),
    ],
    ids=["text_target", "loss", "stage2_init", "tokenization", "attention"],
)
def test_a_misspelt_switch_is_told_with_the_nearest(cls, wrong, near):
    with pytest.raises(UnknownNameError, match="unknown model") as error:
        cls(**{"teacher" if cls is SAGEPretraining else "mbart": MBartSizes()}, **wrong)
    assert near in str(error.value)


@pytest.mark.parametrize(("cls", "name"), [(SAGEPretraining, "teacher"), (SAGE, "mbart")], ids=["stage 1", "stage 2"])
def test_no_language_model_is_told_with_the_ways_out(cls, name):
    with pytest.raises(ConfigError, match="needs a") as error:
        cls(**{name: None})
    assert "folder" in str(error.value) and "tiny" in str(error.value)


def test_texts_outside_the_vocabulary(simulated, corpus, capsys, recwarn):
    """A text side of German reads Chinese: stage 1 says that nothing is known, stage 2 refuses."""
    text = ["fit", "--config", "zoo:sage/synthetic/text", "--config", "zoo:sage/tiny", "--data.root", str(corpus)]
    few = ["--trainer.max_steps", "1", "--trainer.limit_val_batches", "1", "--trainer.val_check_interval", "1"]
    assert main([*text, *few, "--trainer.default_root_dir", "text", "--trainer.enable_progress_bar", "false"]) == 0
    other = simulated("CSLDaily", samples=(8, 4, 4), seed=3)
    chinese = ["--data", "slt_zoo.CSLDaily", "--data.root", str(other), "--data.segments", "labels"]
    assert fit("first", other, *chinese, "--model.teacher", "text/best.ckpt") == 0
    assert any("hold nothing of the teacher's vocabulary" in str(warning.message) for warning in recwarn)
    weights = "[{path: text/best.ckpt, map: {net.seq2seq.: net.seq2seq.}}]"
    assert fit("second", other, *chinese, "--model.init_from", weights, "--overwrite", "true") == 2
    assert "the tokenizer cannot represent" in capsys.readouterr().err


def test_batches_of_one_clip_teach_nothing_and_are_told(corpus, recwarn):
    assert fit("first", corpus, "--data.batch_size", "1") == 0
    assert any("a batch of one clip has no negatives" in str(warning.message) for warning in recwarn)
    assert {row["train/loss"] for row in rows() if "train/loss" in row} == {0.0}


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--model.pretraining", "nowhere.ckpt"], "nowhere.ckpt"),
        (["--model.width", "64", "--model.mbart.d_model", "64"], "shapes"),
        (["--model.embed_dim", "16"], "shapes"),
        (["--model.mapper", "paper"], "net.visual.mapper"),
        (["--model.modality", "features"], "features"),
    ],
    ids=["absent", "width", "embed_dim", "mapper", "modality"],
)
def test_a_first_stage_that_does_not_fit(words, what, corpus, capsys):
    assert fit("first", corpus, "--trainer.default_root_dir", "before") == 0
    given = [] if words[0] == "--model.pretraining" else ["--model.pretraining", "before/best.ckpt"]
    assert fit("second", corpus, *given, *words) == 2
    assert what in capsys.readouterr().err


@pytest.mark.parametrize("tokenization", ["segment", "maxpool", "stride", "uniform", "window"])
@pytest.mark.parametrize("freeze_norm", [False, True])
def test_a_clip_of_one_frame(tokenization, freeze_norm):
    encoder = VisualEncoder(None, 6, width=8, tokenization=tokenization, freeze_norm=freeze_norm)
    one, whole = Ragged.pack([torch.randn(1, 6)]), Ragged.pack([torch.tensor([[0, 1]])])
    tokens = encoder.eval()(one, whole)
    assert len(tokens.values) == (2 if tokenization == "maxpool" else 1) and bool(tokens.values.isfinite().all())
    encoder.train()
    if freeze_norm:
        encoder(one, whole)
    else:
        with pytest.raises(MediaError, match="a training batch of a single frame"):
            encoder(one, whole)
    two = Ragged.pack([torch.randn(1, 6), torch.randn(1, 6)]), Ragged.pack([whole.values, whole.values])
    assert bool(encoder(*two).values.isfinite().all())
