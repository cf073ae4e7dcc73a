"""Real recordings through both stages of SAGE, from files to strings: what was seen is said again, exactly.

Overfitting on purpose: nothing here is a retrieval or translation result. Nobody has marked signs in these recordings;
they are cut every 8 frames.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
import torch
import yaml

import slt_zoo
from slt_zoo import load
from slt_zoo.cli import main
from slt_zoo.metrics import load_predictions, load_scores

QUIET = ["--trainer.enable_progress_bar", "false"]
SPLITS = ("train", "dev", "test")


def rows(run: Path) -> list[dict[str, float]]:
    """What a run has logged."""
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def retrieval(run: Path) -> dict[str, float]:
    """Of a first stage, among the clips that it was trained on, in eval mode."""
    made = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["data"]
    model = load(run / "best.ckpt").eval()
    data = getattr(slt_zoo, made["class_path"].rpartition(".")[2])(**made["init_args"])
    data.bind(model.input_spec, ["train"])
    with torch.no_grad():
        kept = {i: clip for batch in data.loader("train") for i, clip in model.losses(batch).kept.items()}
    found: dict[str, float] = model.measure("train", kept)
    return found


def said(run: Path, split: str = "train") -> dict[str, tuple[str, str]]:
    """Hypothesis and reference of each clip of a split, predicted by command."""
    words = ["--config", str(run / "config.yaml"), *QUIET, "--data.predict_split", split]
    assert main(["predict", *words]) == 0
    return {p.id: (p.hypothesis, p.references[0]) for p in load_predictions(run / f"predictions/{split}.jsonl")}


def stages(corpus: str, words: list[str], second: tuple[str, ...] = ()) -> tuple[Path, Path]:
    """Train both stages; their run folders."""
    for phase, more in (("pretrain", ()), ("translate", second)):
        assert main(["fit", "--config", f"zoo:sage/{corpus}/{phase}", *QUIET, *words, *more]) == 0
    runs = tuple(Path(f"runs/sage/{corpus}/{phase}") for phase in ("pretrain", "translate"))
    assert all(math.isfinite(value) for run in runs for row in rows(run) for value in row.values())
    return runs[0], runs[1]


def test_real_phoenix_skeletons_pass_both_stages(shared_data, tmp_path, monkeypatch):
    """All 15 are read by both stages; the five of train are found, and said, exactly."""
    monkeypatch.chdir(tmp_path)
    folder = str(shared_data / "poses/phoenix14t_skels")
    words = ["--data.root", str(shared_data / "phoenix14t"), "--data.poses", folder, "--data.subset", folder]
    first, second = stages("phoenix14t_skels", words)
    found = retrieval(first)
    assert found["v2t_r1"] == found["t2v_r1"] == 1
    pairs = said(second)
    assert len(pairs) == 5 and all(hypothesis == reference for hypothesis, reference in pairs.values())
    for run, logged in ((first, "dev/v2t_r1"), (second, "dev/bleu4")):
        assert any(logged in row for row in rows(run)), "the five sequences of dev were evaluated"
        assert main(["test", "--config", str(run / "config.yaml"), *QUIET]) == 0
    assert load_scores(second / "scores.json")["test"].num_samples == 5
    assert len(load_predictions(second / "predictions/test.jsonl")) == 5


@pytest.mark.slow
def test_thirteen_real_clips_pass_both_stages(how2sign_clips, how2sign_tree, tmp_path, monkeypatch, record_property):
    """From the frames of mp4 files: all are found, and said, exactly."""
    monkeypatch.chdir(tmp_path)
    root = how2sign_tree(tmp_path / "data", {"train": how2sign_clips, "val": {}})
    first, second = stages("how2sign_clips", ["--data.root", str(root)])
    found = retrieval(first)
    print(json.dumps({"retrieval": found, "last": rows(second)[-1]}))
    record_property("retrieval", found)
    assert found["v2t_r1"] == found["t2v_r1"] == 1
    assert {i: hypothesis for i, (hypothesis, _) in said(second).items()} == {
        name: sentence for name, (sentence, _) in how2sign_clips.items()
    }


def test_three_real_clips_take_a_few_steps_of_both_stages(how2sign_clips, how2sign_tree, tmp_path, monkeypatch):
    """The short ones; dev is another. Losses fall, and every split's strings are written."""
    monkeypatch.chdir(tmp_path)
    short = sorted(how2sign_clips, key=lambda name: how2sign_clips[name][1].stat().st_size)[:5]
    tree = {"train": short[:3], "val": short[3:4], "test": short[4:]}
    laid = {split: {name: how2sign_clips[name] for name in names} for split, names in tree.items()}
    root = how2sign_tree(tmp_path / "data", laid)
    few = ["--trainer.max_steps", "6", "--trainer.log_every_n_steps", "1", "--trainer.limit_val_batches", "1"]
    schedule = ("total_steps=6", "warmup_steps=1")
    first, second = stages(
        "how2sign_clips",
        ["--data.root", str(root), *few, *(f"--model.lr_scheduler.init_args.{n}" for n in schedule)],
        second=(
            "--model.max_new_tokens",
            "10",
            "--model.allow_unreachable",
            "true",
        ),  # three sentences have few letters
    )
    for run in (first, second):
        losses = [row["train/loss"] for row in rows(run) if "train/loss" in row]
        assert len(losses) == 6 and losses[-1] < losses[0]
    assert {split: sorted(said(second, split)) for split in SPLITS} == {
        split: sorted(names) for split, names in zip(SPLITS, tree.values(), strict=True)
    }
