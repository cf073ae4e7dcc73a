"""Real recordings through the whole path, from files to strings: what was seen is said again, exactly.

Overfitting on purpose: nothing here is a translation result.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from slt_zoo.cli import main
from slt_zoo.metrics import load_predictions


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
