"""``slt-zoo demo``: everything once, small: simulate, train twice, decode, score, report."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slt_zoo.cli.messages import Words
from slt_zoo.errors import ConfigError

if TYPE_CHECKING:
    from slt_zoo.analysis.figures import HeatMap
    from slt_zoo.metrics import ScoreReport

__all__ = ["RECIPES", "main"]

RECIPES = {"text": "zoo:sign_attention/synthetic", "gloss": "zoo:sign_attention/synthetic_gloss"}

NOTES = [
    "Make it harder: `slt-zoo demo --difficulty 0.6 --out runs/demo-0.6`.",
    "Change the model: `slt-zoo fit --config zoo:sign_attention/synthetic --data.root runs/demo/data "
    "--model.d_model 32 --trainer.default_root_dir runs/narrow`, then `slt-zoo test --config runs/narrow/config.yaml`.",
    "See every setting of a recipe: `slt-zoo show zoo:sign_attention/synthetic/translate`.",
    "Go to real signing: `slt-zoo fit --config zoo:sign_attention/phoenix14t --data.root DIR --data.poses DIR`.",
    "Draw the attention of other sentences in Python: `examples/demo.ipynb`.",
]


def main(argv: Sequence[str]) -> int:
    """Run the demo; prints a table and the path of the report."""
    options = _parse(argv[1:])
    out = Path(options.out)
    if ((out / "text").exists() or (out / "gloss").exists()) and not options.overwrite:
        raise ConfigError("the demo's folder holds a run already", where=out, todo="pass --overwrite, or another --out")
    began = time.monotonic()
    from slt_zoo.cli import simulate

    sizes = [str(n) for n in options.samples]
    status = simulate.main(
        [
            *("simulate", "--corpus", "Phoenix14T", "--root", str(out / "data"), "--seed", str(options.seed)),
            *("--difficulty", str(options.difficulty), "--samples", *sizes, "--overwrite"),
        ]
    )
    if status:
        return status
    runs = {target: out / target for target in options.targets}
    maps: dict[str, HeatMap] = {}
    reports: dict[str, ScoreReport] = {}
    for target, run in runs.items():
        print(f"\n{target}: training {RECIPES[target]} into {run}", flush=True)
        reports[target] = _train(target, run, out / "data", options)
        maps[target] = _heat_map(run, out / "data")
    from slt_zoo.analysis.report import write_report

    title = f"slt_zoo demo: SignAttention on simulated signing, difficulty {options.difficulty:g}, seed {options.seed}"
    report = write_report(out, runs, title=title, heat_maps=maps, notes=NOTES)
    _table(reports, time.monotonic() - began)
    print(f"report: {report}")
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(
        prog="slt-zoo demo",
        description="Simulate a small signing corpus, train SignAttention to text and to glosses, write a report. "
        "Simulated signing is no sign language; no score of the demo is a translation result.",
    )
    parser.add_argument("--out", default="runs/demo", help="folder of data, runs and report (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of corpus and training (%(default)s)")
    parser.add_argument("--difficulty", type=float, default=0.3, help="of the signing, 0 to 1 (%(default)s)")
    parser.add_argument("--samples", type=int, nargs=3, default=(4000, 100, 100), metavar=("TRAIN", "DEV", "TEST"))
    parser.add_argument("--targets", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--max-steps", type=int, help="fewer optimizer steps than the recipe's, for a quick look")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier demo wrote")
    return parser.parse_args(words)


def _train(target: str, run: Path, data: Path, options: argparse.Namespace) -> ScoreReport:
    from slt_zoo.cli import training
    from slt_zoo.metrics import load_scores

    steps: list[str] = []
    if options.max_steps is not None:
        warmup = str(min(100, options.max_steps // 10))
        given = ("--trainer.max_steps", "--model.init_args.lr_scheduler.init_args.total_steps")
        steps = [word for option in given for word in (option, str(options.max_steps))]
        steps += ["--model.init_args.lr_scheduler.init_args.warmup_steps", warmup]
        steps += ["--trainer.val_check_interval", str(min(250, options.max_steps))]
    training.main(
        [
            *("fit", "--config", RECIPES[target], "--data.root", str(data), "--seed_everything", str(options.seed)),
            *("--trainer.default_root_dir", str(run), "--overwrite", "true", "--trainer.devices", "1", *steps),
        ]
    )
    training.main(["test", "--config", str(run / "config.yaml")])
    return load_scores(run / "scores.json")["test"]


def _heat_map(run: Path, root: Path) -> HeatMap:
    """Attention over the first test sentence that came out right, or over the first."""
    import slt_zoo
    from slt_zoo.analysis.attention import cross_attention_map
    from slt_zoo.loading import weights_of
    from slt_zoo.metrics import load_predictions

    predictions = load_predictions(run / "predictions" / "test.jsonl")
    right = [p for p in predictions if p.hypothesis in p.references]
    model: Any = slt_zoo.load(weights_of(run))
    return cross_attention_map(model, slt_zoo.Phoenix14T(str(root), segments="labels"), (right or predictions)[0].id)


def _table(reports: dict[str, ScoreReport], seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"test split, simulated signing (no sign language), {seconds:.0f} s")
    for heading in ("target", "protocol", "BLEU-4", "WER", "exact"):
        table.add_column(heading, justify="left" if heading in ("target", "protocol") else "right")
    for target, report in reports.items():
        values = [f"{report.values[k]:.2f}" if k in report.values else "" for k in ("bleu4", "wer", "exact")]
        table.add_row(target, report.protocol, *values)
    Console().print(table)
