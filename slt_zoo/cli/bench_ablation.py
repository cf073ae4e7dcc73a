"""``slt-zoo bench ablation sage``: what the parts of SAGE bring, on simulated signing, from frames."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slt_zoo.cli.messages import Words
from slt_zoo.errors import ConfigError, SLTError

__all__ = ["main"]

RECIPE = "zoo:sage/synthetic"
BASE = "segment"
LONGER = "no_stage1_longer"


@dataclass(frozen=True)
class Row:
    """One way to train.

    Attributes:
        what: in words.
        options: of both stages.
        stage1: options of the first stage alone; None: there is none.
    """

    what: str
    options: tuple[str, ...] = ()
    stage1: tuple[str, ...] | None = ()


ROWS: Mapping[str, Row] = {
    BASE: Row("the recipe: segments, CLCL, both stages"),
    "no_stage1": Row("stage 2 alone, as many steps", stage1=None),
    LONGER: Row("stage 2 alone, as much time as the recipe's two stages", stage1=None),
    "clip": Row("CLIP: one vector a side", stage1=("--model.loss", "clip")),
    "hidden_only": Row("no dual supervision: L_HS alone", stage1=("--model.dual_supervision", "false")),
    "maxpool": Row("max pooling by 4", ("--model.tokenization", "maxpool")),
    "stride": Row("every 4th frame", ("--model.tokenization", "stride")),
    "uniform": Row("a quarter of the frames, evenly", ("--model.tokenization", "uniform")),
    "window": Row("windows of 13 frames, every 4th", ("--model.tokenization", "window")),
}


def main(argv: Sequence[str]) -> int:
    """Train what is not trained yet, measure, print a table; 0, or the status of a training that failed."""
    options = _parse(argv[1:])
    if options.root is not None and len(options.seeds) > 1:
        raise ConfigError("with --root all seeds would share one corpus", todo="leave --root out, or name one seed")
    options.rows = [name for name in ROWS if name in options.rows]  # a row comes behind those that it needs
    if LONGER in options.rows and not {BASE, "no_stage1"} <= set(options.rows):
        raise ConfigError(f"{LONGER} takes its time from others", todo=f"--rows {BASE} no_stage1 {LONGER}")
    found: dict[str, Any] = {"simulated": True, "rows": {name: ROWS[name].what for name in options.rows}, "seeds": {}}
    for seed in options.seeds:
        folder = Path(options.out) / f"seed{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        _Seed(seed, folder.resolve(), options).train()
        from slt_zoo.analysis.ablation import measure_runs, show_runs

        root = Path(options.root).resolve() if options.root else folder / "data"
        found["seeds"][seed] = measure_runs(folder, options.rows, root, BASE)
        print(f"\nseed {seed}\n" + show_runs(found["seeds"][seed], found["rows"], BASE), flush=True)
        (Path(options.out) / "ablation.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(f"\n{Path(options.out) / 'ablation.json'}")
    print("Simulated signing is no sign language; no score is a translation result.")
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(
        prog="slt-zoo bench ablation",
        description="Train SAGE's synthetic recipe with one part changed a row, and print what becomes of "
        "retrieval and translation: contrast of tokens (CLCL) or of one vector a side (CLIP), segments or fixed "
        "schemes, with the first stage or without. All rows share the corpus and the text phase of their seed. What "
        "is trained already is not trained again. Simulated signing is no sign language; rows are compared with each "
        "other and with nothing else.",
    )
    parser.add_argument("what", choices=["sage"])
    parser.add_argument("--out", default="runs/ablation/sage", metavar="DIR", help="folder of all runs (%(default)s)")
    parser.add_argument("--root", metavar="DIR", help="a simulated PHOENIX14T with frames (one is simulated a seed)")
    parser.add_argument(
        "--samples", type=int, nargs=3, default=(1600, 100, 100), metavar=("TRAIN", "DEV", "TEST"), help="of these"
    )
    parser.add_argument(
        "--signers", type=int, nargs=3, default=(21, 1, 2), metavar=("TRAIN", "DEV", "TEST"), help="likewise"
    )
    parser.add_argument("--frame-size", type=int, default=48, metavar="N", help="of these, height and width (48)")
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=list(ROWS),
        default=list(ROWS),
        metavar="ROW",
        help=f"some of {', '.join(ROWS)} (all)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="of corpus and training (0)")
    parser.add_argument("--text-steps", type=int, metavar="N", help="(the recipe's)")
    parser.add_argument("--stage1-steps", type=int, metavar="N", help="(the recipe's)")
    parser.add_argument("--stage2-steps", type=int, metavar="N", help="(the recipe's)")
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="FILE", help="laid over the recipes, as SAGE's overlay tiny"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="trainings at a time, a thread each (1)")
    options = parser.parse_args(words)
    steps = (options.text_steps, options.stage1_steps, options.stage2_steps)
    if any(count is not None and count < 1 for count in (options.jobs, *steps)):
        raise ConfigError("--jobs and steps are at least 1", found=" ".join(words))
    return options


def _recipe(phase: str) -> dict[str, Any]:
    from slt_zoo import recipes

    return next(r.read() for r in recipes.phases_of(RECIPE) if r.phase == phase)


def _steps(phase: str, steps: int) -> list[str]:
    """Options of so many steps, with the schedule and the evaluations that belong to them."""
    recipe = _recipe(phase)
    every = min(recipe["trainer"]["val_check_interval"], steps)
    given = ["--trainer.max_steps", str(steps), "--trainer.val_check_interval", str(every)]
    if schedule := recipe["model"]["init_args"].get("lr_scheduler"):
        warmup = min(schedule["init_args"]["warmup_steps"], steps // 5)
        given += ["--model.lr_scheduler.init_args.total_steps", str(steps)]
        given += ["--model.lr_scheduler.init_args.warmup_steps", str(warmup)]
    return given


class _Seed:
    """All trainings of a seed: phases in the order of what they need, some at a time."""

    def __init__(self, seed: int, folder: Path, options: argparse.Namespace) -> None:
        self.seed, self.folder, self.options = seed, folder, options
        self.root = Path(options.root).resolve() if options.root else folder / "data"
        self.seconds: dict[str, float] = {}

    def train(self) -> None:
        """Every phase of every row.

        Raises:
            SLTError: one failed; what it said stands in its log.
        """
        if not self.options.root and not (self.root / "SIMULATED.json").is_file():
            sizes = [str(n) for n in self.options.samples]
            signers = [str(n) for n in self.options.signers]
            pixels = [str(self.options.frame_size)] * 2
            words = ["simulate", "--corpus", "Phoenix14T", "--root", str(self.root), "--seed", str(self.seed)]
            self._command(
                [*words, "--samples", *sizes, "--signers", *signers, "--render", "frames", "--frame-size", *pixels],
                "data",
            )
        self._fit("text", "text", [], self.options.text_steps)
        rows: list[str] = self.options.rows
        with ThreadPoolExecutor(self.options.jobs) as pool:
            first = {name: pool.submit(self._stage1, name) for name in rows[:1] if ROWS[name].stage1 is not None}
            done: dict[str, Future[None]] = {}
            for name in sorted(rows, key=lambda name: ROWS[name].stage1 is not None):  # stage 2 alone waits for nothing
                if name not in first and ROWS[name].stage1 is not None:
                    first[name] = pool.submit(self._stage1, name)
                needs = [first[name]] if name in first else []
                if name == LONGER:
                    needs = [first[BASE], done["no_stage1"]]
                done[name] = pool.submit(self._stage2, name, needs)
            for future in (*first.values(), *done.values()):
                future.result()

    def _stage1(self, name: str) -> None:
        row, steps = ROWS[name], self.options.stage1_steps
        teacher = ["--model.teacher", str(self.folder / "text/best.ckpt")]
        self._fit("pretrain", f"{name}/pretrain", [*teacher, *row.options, *(row.stage1 or ())], steps)

    def _stage2(self, name: str, needs: Sequence[Future[None]]) -> None:
        for future in needs:
            future.result()
        row, steps = ROWS[name], self.options.stage2_steps
        text = f"[{{path: {self.folder / 'text/best.ckpt'}, map: {{net.seq2seq.: net.seq2seq.}}}}]"
        if row.stage1 is None:
            start = ["--model.stage2_init", "none", "--model.pretraining", "null"]
        else:
            start = ["--model.pretraining", str(self.folder / name / "pretrain/best.ckpt")]
        if name == LONGER:
            base = steps or _recipe("translate")["trainer"]["max_steps"]
            alone = self.seconds["no_stage1/translate"]
            steps = round(base * (self.seconds[f"{BASE}/pretrain"] + alone) / alone)
        self._fit("translate", f"{name}/translate", ["--model.init_from", text, *start, *row.options], steps)
        config = self.folder / name / "translate/config.yaml"
        scores = config.with_name("scores.json")
        if "test" not in json.loads(scores.read_text("utf-8")):
            self._command(["test", "--config", str(config)], f"{name}/test")

    def _fit(self, phase: str, name: str, words: Sequence[str], steps: int | None) -> None:
        """Train a phase unless it is finished; how long it took lies beside it."""
        run = self.folder / name
        record = run / "seconds.json"
        if not record.is_file():
            print(f"seed {self.seed}: {name}", file=sys.stderr, flush=True)
            if run.exists():  # interrupted: its time would not be whole
                shutil.rmtree(run)
            given = ["fit", "--config", f"{RECIPE}/{phase}"]
            for overlay in self.options.config:
                given += ["--config", overlay]
            given += ["--data.root", str(self.root), "--trainer.default_root_dir", str(run)]
            given += ["--seed_everything", str(self.seed), "--trainer.enable_progress_bar", "false", *words]
            if steps is not None:
                given += _steps(phase, steps)
            began = time.monotonic()
            self._command(given, name)
            record.write_text(json.dumps(time.monotonic() - began), encoding="utf-8")
        self.seconds[name] = json.loads(record.read_text("utf-8"))

    def _command(self, words: Sequence[str], name: str) -> None:
        log = self.folder / f"{name.replace('/', '.')}.log"
        threads = {} if self.options.jobs == 1 else {"OMP_NUM_THREADS": "1"}
        with log.open("w", encoding="utf-8") as file:
            done = subprocess.run(
                [sys.executable, "-m", "slt_zoo", *words],
                check=False,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **threads},
            )
        if done.returncode:
            raise SLTError(
                f"`slt-zoo {words[0]}` of {name} failed with status {done.returncode}",
                where=log,
                found=log.read_text("utf-8", errors="replace").strip()[-800:],
                todo="mend it and run the command again: what is finished is kept",
            )
