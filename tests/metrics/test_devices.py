"""Scores of one, two and four processes: the same bits."""

from __future__ import annotations

import json

import pytest

from slt_zoo import Phoenix14T, SignAttention
from slt_zoo.callbacks import PredictionWriter
from slt_zoo.testing import quick_trainer, simulated

__all__ = ["simulated"]  # a fixture


@pytest.mark.parametrize("devices", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("count", [7, 8])
def test_any_number_of_processes_gives_the_same_bits(devices, count, simulated, tmp_path):
    root = str(simulated("Phoenix14T", samples=(8, 4, count), seed=3))
    model = SignAttention(target="text", d_model=16, nhead=2, dim_feedforward=16, points="upper_hands48")
    model.prepare(Phoenix14T(root))
    found = []
    for settings in ({}, {"devices": devices, "strategy": "ddp_fork"}):
        folder = tmp_path / str(settings.get("devices", 1))
        trainer = quick_trainer(folder, callbacks=[PredictionWriter()], **settings)
        # one clip a batch: a clip's own numbers do not depend on which others are beside it
        trainer.test(model, datamodule=Phoenix14T(root, eval_batch_size=1), verbose=False)
        report = json.loads((folder / "scores.json").read_text())["test"]
        found.append((report["values"], report["intervals"], (folder / "predictions/test.jsonl").read_bytes()))
        assert report["num_samples"] == count and report["extra"]["complete"] is True
    assert found[0] == found[1]
