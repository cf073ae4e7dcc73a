"""Real recordings through the whole path, from files to strings: what was seen is said again, exactly.

Overfitting on purpose: nothing here is a translation result.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slt_zoo.cli import main
from slt_zoo.metrics import load_predictions, load_scores


@pytest.mark.parametrize("target", ["gloss", "text"])
def test_real_phoenix_skeletons_are_learnt_by_heart(target, shared_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = {"gloss": "phoenix14t_skels_gloss", "text": "phoenix14t_skels"}[target]
    folder = str(shared_data / "poses/phoenix14t_skels")
    words = ["--config", f"zoo:sign_attention/{recipe}", "--data.root", str(shared_data / "phoenix14t")]
    words += ["--data.poses", folder, "--data.subset", folder, "--trainer.enable_progress_bar", "false"]
    assert main(["fit", *words]) == 0
    run = Path(f"runs/sign_attention/{recipe}/translate")
    assert main(["predict", "--config", str(run / "config.yaml")]) == 0
    said = load_predictions(run / "predictions/train.jsonl")
    assert len(said) == 5
    assert {p.hypothesis for p in said} == {p.references[0] for p in said}
    assert all(p.hypothesis == p.references[0] for p in said)


LETTERS = "zoo:sign_attention/fingerspelling"
SPELLED = Path("runs/sign_attention/fingerspelling/translate")


def spell(shared_data, samples: tuple[int, int, int]) -> list[str]:
    """Words spelled with the letters of real recordings, in ``data``; the options that train on them."""
    lexicon = str(shared_data / "poses/fingerspelling_gsg")
    sizes = [str(n) for n in samples]
    assert main(["simulate", "--root", "data", "--lexicon", lexicon, "--samples", *sizes]) == 0
    return ["--data.root", "data", "--trainer.enable_progress_bar", "false"]


def test_words_of_recorded_letters_are_learnt_by_heart(shared_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [*spell(shared_data, (8, 1, 1)), "--trainer.max_steps", "300", "--trainer.val_check_interval", "300"]
    words += ["--model.augment", "0", "--model.lr_scheduler.init_args.total_steps", "300", "--data.batch_size", "8"]
    words += [
        "--model.lr_scheduler.init_args.warmup_steps",
        "10",
        "--model.label_smoothing",
        "0",
        "--data.num_workers",
        "0",
    ]
    assert main(["fit", "--config", LETTERS, *words]) == 0
    assert main(["predict", "--config", str(SPELLED / "config.yaml"), "--data.predict_split", "train"]) == 0
    said = load_predictions(SPELLED / "predictions/train.jsonl")
    assert len(said) == 8 and all(p.hypothesis == p.references[0] for p in said)


@pytest.mark.slow
def test_new_words_of_recorded_letters_are_spelled(shared_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--config", LETTERS, *spell(shared_data, (4000, 100, 100))]) == 0
    assert main(["test", "--config", str(SPELLED / "config.yaml")]) == 0
    values = load_scores(SPELLED / "scores.json")["test"].values
    print(json.dumps(values))
    assert values["wer"] < 10, "letters in percent; new pairs of words by signers that were not trained on"
