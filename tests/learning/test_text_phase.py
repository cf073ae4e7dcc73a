"""A small mBART learns to copy and to restore simulated sentences: a check of seconds, and of minutes marked slow.

No signing is read, and no score here is a translation result.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from slt_zoo.cli import main
from slt_zoo.synthetic import simulate


def fit(root: Path, seed: int, samples: tuple[int, int, int], *more: str) -> list[dict[str, float]]:
    """Run the recipe; the rows of its metrics."""
    simulate("Phoenix14T", root / "data", samples, seed=seed)
    words = ["fit", "--config", "zoo:sage/synthetic/text", *more, "--data.root", str(root / "data")]
    words += ["--seed_everything", str(seed), "--trainer.default_root_dir", str(root / "run")]
    assert main([*words, "--trainer.enable_progress_bar", "false"]) == 0
    with (root / "run/metrics.csv").open(encoding="utf-8") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def test_the_loss_falls_and_the_recipe_leaves_its_weights(tmp_path):
    steps = ("--trainer.max_steps", "120", "--trainer.val_check_interval", "60", "--model.max_tokens", "30")
    rows = fit(tmp_path, 0, (60, 4, 4), "--config", "zoo:sage/tiny", *steps)
    losses = [row["train/loss"] for row in rows if "train/loss" in row]
    assert losses[0] > 0.8 * math.log(300) and sum(losses[-3:]) / 3 < 0.8 * losses[0]
    assert sum("dev/copied/bleu4" in row for row in rows) == 2
    assert (tmp_path / "run/best.ckpt").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sentences_that_were_never_seen_are_copied(seed, tmp_path, record_property):
    rows = [row for row in fit(tmp_path, seed, (1500, 100, 100)) if "dev/copied/bleu4" in row]
    found = {int(row["step"]) + 1: [round(row[name], 1) for name in ("dev/copied/bleu4", "dev/bleu4")] for row in rows}
    print(json.dumps({"seed": seed, "copied, restored by step": found}))
    record_property("scores", found)
    assert rows[-1]["dev/copied/bleu4"] > 80 and rows[-1]["dev/bleu4"] > 60
