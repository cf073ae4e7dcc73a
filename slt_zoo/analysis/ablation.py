"""What trained rows of an ablation of SAGE have come to: retrieval, scores, curves, tokens, time; and a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from slt_zoo.analysis.curves import read_curves
from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.readers import open_reader
from slt_zoo.metrics import compare, load_predictions, load_scores
from slt_zoo.models.sage import SAGE, SAGEPretraining

__all__ = ["measure_runs", "reached", "show_runs"]


def measure_runs(folder: Path, rows: Sequence[str], root: Path, base: str) -> dict[str, Any]:
    """Read and measure every row of a seed.

    Args:
        folder: holds ``<row>/pretrain`` and ``<row>/translate`` (run folders, ``seconds.json`` beside each).
        rows: their names; those without a first stage have no ``pretrain``.
        root: the corpus, in the layout of PHOENIX14T with frames and labels.
        base: the row that others are compared with.

    Returns:
        Plain data by row: ``retrieval`` among all test clips (none without a first stage), ``curve`` (dev BLEU-4 by
        step), ``dev_bleu4`` (its last), ``test_bleu4`` with its 95 % interval, ``tokens_per_frame`` (test), ``seconds``
        of the stages, and against the base ``gap`` of test BLEU-4 (this row minus base) with its paired interval.
    """
    from slt_zoo.datamodules.phoenix14t import Phoenix14T

    data = Phoenix14T(str(root), segments="labels", eval_batch_size=50)
    found: dict[str, Any] = {}
    for name in rows:
        run = folder / name / "translate"
        curve = read_curves(run / "metrics.csv")["dev/bleu4"]
        report = load_scores(run / "scores.json")["test"]
        first = folder / name / "pretrain"
        found[name] = {
            "retrieval": _retrieval(first / "best.ckpt", data) if first.is_dir() else None,
            "curve": [[step + 1, value] for step, value in curve],
            "dev_bleu4": curve[-1][1],
            "test_bleu4": report.values["bleu4"],
            "interval": list(report.intervals["bleu4"]),
            "tokens_per_frame": _tokens_per_frame(run / "best.ckpt", data),
            "seconds": {
                part.name: json.loads((part / "seconds.json").read_text("utf-8"))
                for part in (first, run)
                if part.is_dir()
            },
        }
    if base in found:
        said = {name: load_predictions(folder / name / "translate/predictions/test.jsonl") for name in found}
        texts = {name: {p.id: p.hypothesis for p in predictions} for name, predictions in said.items()}
        references = {p.id: p.references for p in said[base]}
        for name in found:
            if name != base:
                gap = compare(texts[name], texts[base], references, data.protocol)
                found[name]["gap"] = {"difference": gap.difference, "interval": list(gap.interval)}
    return found


def reached(curve: Sequence[Sequence[float]], score: float) -> int | None:
    """First step at which a curve of (step, value) is at a score or above; None: never."""
    return next((int(step) for step, value in curve if value >= score), None)


@torch.no_grad()
def _retrieval(checkpoint: Path, data: SLTDataModule) -> dict[str, float]:
    model = SAGEPretraining.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    data.bind(model.input_spec, ["test"])
    kept: dict[str, Any] = {}
    for batch in data.loader("test"):
        kept |= model.losses(batch).kept
    return model.measure("test", kept)


@torch.no_grad()
def _tokens_per_frame(checkpoint: Path, data: SLTDataModule) -> float:
    model = SAGE.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    visual, samples = model.network.visual, list(data.manifest("test"))
    data.bind(model.input_spec, ["test"])
    frames = sum(open_reader("frames", s.media["frames"], sample_id=s.id).num_frames for s in samples)
    tokens = 0
    for batch in data.loader("test"):
        assert batch.segments is not None
        tokens += sum(len(visual.tokens.reads(segments)) for segments in batch.segments.split())
    return tokens / frames


def show_runs(found: Mapping[str, Any], what: Mapping[str, str], base: str) -> str:
    """The table of a seed, and the curves."""
    heads = ["R@1 v>t", "t>v", "tokens/", "dev", "test", "95 %", f"against {base}", "s"]
    below = ["", "", "frame", "BLEU-4", "BLEU-4", "", "", ""]
    widths = [8, 6, 9, 8, 8, 14, 24, 7]
    lines = [" " * 18 + "".join(f"{w:>{n}}" for w, n in zip(words, widths, strict=True)) for words in (heads, below)]
    for name, row in found.items():
        retrieval = row["retrieval"] or {}
        ways = [f"{retrieval[key]:.2f}" if key in retrieval else "-" for key in ("v2t_r1", "t2v_r1")]
        low, high = row["interval"]
        gap = row.get("gap")
        against = "" if gap is None else "{:+.1f} ({:+.1f} to {:+.1f})".format(gap["difference"], *gap["interval"])
        cells = [*ways, f"{row['tokens_per_frame']:.3f}", f"{row['dev_bleu4']:.1f}", f"{row['test_bleu4']:.1f}"]
        cells += [f"{low:.1f} to {high:.1f}", against, f"{sum(row['seconds'].values()):.0f}"]
        lines.append(f"{name:<18}" + "".join(f"{cell:>{n}}" for cell, n in zip(cells, widths, strict=True)))
    lines += [f"  {name}: {what[name]}" for name in found]
    lines.append("dev BLEU-4 by step of stage 2:")
    lines += [f"  {name}: " + ", ".join(f"{int(s)} {v:.1f}" for s, v in row["curve"]) for name, row in found.items()]
    if base in found and "no_stage1" in found:
        half = found[base]["dev_bleu4"] / 2
        steps = [reached(found[name]["curve"], half) for name in (base, "no_stage1")]
        with_it, without = (f"after {s} steps" if s else "never" for s in steps)
        lines.append(f"half of the final dev BLEU-4 ({half:.1f}): {with_it}; without stage 1: {without}")
    return "\n".join(lines)
