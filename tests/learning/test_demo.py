"""The demo as a person runs it: what it writes (seconds), and how well it learns (minutes, ``make test-slow``).

Simulated signing is no sign language; no score here is a translation result.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from slt_zoo import Phoenix14T, SignAttention
from slt_zoo.cli import main
from slt_zoo.data.transforms import InterpolateFrames
from slt_zoo.metrics import load_predictions, load_scores, score
from slt_zoo.types import ClipPipeline, InputSpec


def test_what_the_demo_writes(tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out), "--samples", "40", "4", "4", "--max-steps", "20"]) == 0
    shown = capsys.readouterr().out
    assert f"report: {out / 'report.html'}" in shown and "no sign language" in shown
    for target, protocol in {"text": "phoenix14t/signjoey", "gloss": "gloss"}.items():
        names = {p.name for p in (out / target).iterdir()}
        assert names >= {"config.yaml", "best.ckpt", "last.ckpt", "metrics.csv", "predictions", "scores.json"}
        report = load_scores(out / target / "scores.json")["test"]
        assert report.protocol == protocol and report.extra["simulated"] and report.extra["complete"]
        assert len(load_predictions(out / target / "predictions/test.jsonl")) == 4
    page = (out / "report.html").read_text("utf-8")
    assert page.count("<img") >= 4, "curves and attention of both targets"
    assert "Simulated signing is no sign language" in page
    assert main(["demo", "--out", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err


def run_demo(out: Path, seed: int, *more: str) -> dict[str, float]:
    assert main(["demo", "--out", str(out), "--seed", str(seed), *more]) == 0
    scores = {t: load_scores(out / t / "scores.json")["test"].values for t in ("text", "gloss") if (out / t).is_dir()}
    return {"bleu4": scores["text"]["bleu4"], "wer": scores.get("gloss", {}).get("wer", float("nan"))}


def nearest_clip(root: Path) -> float:
    """BLEU-4 of the text of the training clip whose points are nearest, clips stretched to one length."""
    model = SignAttention(points="upper_hands48")
    stretch = InterpolateFrames(20)

    def transform(clip, rng):
        return stretch(model.input_spec.evaluation.transform(clip, rng), rng)

    data = Phoenix14T(str(root), batch_size=100)
    data.bind(InputSpec(modality="pose", evaluation=ClipPipeline(transform=transform)), ["train", "test"])

    def points(split: str) -> torch.Tensor:
        return torch.cat([b.pose.padded()[0].flatten(1) for b in data.loader(split)])

    nearest = torch.cdist(points("test"), points("train")).argmin(1).tolist()
    texts = data.manifest("train").column("text")
    said = {s.id: texts[i] for s, i in zip(data.manifest("test"), nearest, strict=True)}
    references = {s.id: s.references for s in data.manifest("test")}
    return score(said, references, data.protocol).values["bleu4"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_held_out_sentences_of_held_out_signers_are_learnt(seed, tmp_path, record_property):
    found = run_demo(tmp_path / "demo", seed) | {"nearest": nearest_clip(tmp_path / "demo/data")}
    print(json.dumps({"seed": seed, **found}))
    assert found["bleu4"] > 80 and found["wer"] < 10
    assert found["bleu4"] - found["nearest"] >= 30


@pytest.mark.slow
def test_each_step_of_difficulty_costs_something(tmp_path):
    steps = (0.0, 0.3, 0.6, 1.0)
    found = {
        d: run_demo(tmp_path / f"demo-{d}", 0, "--difficulty", str(d), "--targets", "text")["bleu4"] for d in steps
    }
    print(json.dumps(found))
    assert np.all(np.diff([found[d] for d in steps]) < 0)
    assert found[1.0] < 0.5 * found[0.0]
