"""Real How2Sign clips from mp4 through a store of features to strings: what was seen is said again, exactly.

Overfitting on purpose: nothing here is a translation result.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from slt_zoo.cli import main
from slt_zoo.data.readers import open_reader
from slt_zoo.data.stores import open_store
from slt_zoo.datamodules import How2Sign
from slt_zoo.metrics import load_predictions

RUN = Path("runs/sign_attention/how2sign_clips/translate")
RECIPE = ["fit", "--config", "zoo:sign_attention/how2sign_clips", "--trainer.enable_progress_bar", "false"]
EXTRACT = ["extract", "--corpus", "How2Sign", "--set", "cut=clips", "--splits", "train", "--no-progress"]
ENCODER = ["--encoder", "timm:test_resnet.r160_in1k", "--seed", "0", "--frame-size"]


def said_by(root, sentences, *words) -> None:
    """Train, predict, and hold what was said against the sentences of the clips."""
    assert main([*RECIPE, "--data.root", str(root), *words]) == 0
    quiet = ["--trainer.enable_progress_bar", "false"]
    assert main(["predict", "--config", str(RUN / "config.yaml"), *quiet]) == 0
    said = {p.id: p.hypothesis for p in load_predictions(RUN / "predictions/train.jsonl")}
    assert said == sentences


@pytest.mark.slow
def test_thirteen_clips_are_learnt_by_heart(how2sign_clips, how2sign_tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = how2sign_tree(tmp_path / "data", {"train": how2sign_clips, "val": {}})
    assert main([*EXTRACT, "--root", str(root), *ENCODER, "112", "112"]) == 0
    said_by(root, {name: sentence for name, (sentence, _) in how2sign_clips.items()})


def test_three_clips_are_learnt_by_heart(how2sign_clips, how2sign_tree, tmp_path, monkeypatch):
    """The short ones, small, with every frame of the file in the store."""
    monkeypatch.chdir(tmp_path)
    chosen = {name: how2sign_clips[name] for name in list(how2sign_clips)[:3]}
    root = how2sign_tree(tmp_path / "data", {"train": chosen, "val": {}})
    assert main([*EXTRACT, "--root", str(root), *ENCODER, "48", "48", "--out", "small"]) == 0
    store = open_store("small")
    for sample in How2Sign(str(root), cut="clips").manifest("train"):
        reader = open_reader("frames", sample.media["frames"], sample_id=sample.id)
        media = store.media(sample.id)
        assert (
            (media.num_frames, media.fps)
            == (reader.num_frames, reader.fps)
            == (len(store.read(sample.id)["features"]), 24)
        )
    words = ["--model.feature_id", store.manifest.made_by.id, "--data.features", "small", "--trainer.max_steps", "60"]
    words += ["--model.lr_scheduler.init_args.total_steps", "60"]
    said_by(root, {name: sentence for name, (sentence, _) in chosen.items()}, *words)


def test_other_features_are_refused_with_the_command_for_the_right_ones(
    how2sign_clips, how2sign_tree, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    name = next(iter(how2sign_clips))
    root = how2sign_tree(tmp_path / "data", {"train": {name: how2sign_clips[name]}, "val": {}})
    assert main([*EXTRACT, "--root", str(root), *ENCODER, "32", "32", "--out", "other"]) == 0
    assert main([*RECIPE, "--data.root", str(root), "--data.features", "other"]) == 2
    told = capsys.readouterr().err
    command = f"slt-zoo extract --corpus How2Sign --root {root} --encoder timm:test_resnet.r160_in1k"
    rest = "--frame-size 112 112 --seed 0 --set cut=clips view=front --splits train"
    assert f"{command} {rest};" in told and "frame-size=32x32" in told
