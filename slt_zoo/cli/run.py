"""``slt-zoo run``: all phases of a recipe in order, then the test split; what is finished is not done again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from slt_zoo import recipes
from slt_zoo.errors import ConfigError

__all__ = ["main"]

USAGE = """usage: slt-zoo run zoo:<model>/<corpus> --data.root DIR [options of `slt-zoo fit`]

Trains every phase of the recipe in order, each into its own run folder, and scores the last on the test split.
A finished phase is skipped, an interrupted one goes on from its last.ckpt; delete its folder to train it anew."""

FINISHED = "finished.json"


def main(argv: Sequence[str]) -> int:
    """Train the phases, then test."""
    words = list(argv[1:])
    if not words or words[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if words else 2
    name, rest = words[0], words[1:]
    if not name.startswith(recipes.PREFIX):
        raise ConfigError("`slt-zoo run` takes the name of a recipe first", found=name, expected="zoo:<model>/<corpus>")
    if any(w.partition("=")[0] == "--trainer.default_root_dir" for w in rest):
        raise ConfigError(
            "the phases of a recipe have a run folder each, so `run` takes no --trainer.default_root_dir",
            todo="start it in the folder that is to hold `runs/`",
        )
    phases = recipes.phases_of(name)
    for phase in phases:
        run = Path(phase.read()["trainer"]["default_root_dir"])
        if (run / FINISHED).is_file():
            print(f"{phase.name}: finished already, {run}")
            continue
        _fit(phase, run, rest)
    run = Path(phases[-1].read()["trainer"]["default_root_dir"])
    if not (run / "scores.json").is_file() or "test" not in json.loads((run / "scores.json").read_text("utf-8")):
        _test(run)
    return 0


def _fit(phase: recipes.Recipe, run: Path, rest: list[str]) -> None:
    from slt_zoo.cli import training

    print(f"{phase.name}: training into {run}")
    words = ["fit", "--config", phase.name, *rest]
    if (run / "last.ckpt").is_file():
        words += ["--ckpt_path", str(run / "last.ckpt")]
    training.main(words)
    (run / FINISHED).write_text(json.dumps({"recipe": phase.name, "options": rest}), encoding="utf-8")


def _test(run: Path) -> None:
    from slt_zoo.cli import training

    config: dict[str, Any] = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    from slt_zoo.models.base import SLTModule

    module, _, cls = str(config["model"]["class_path"]).rpartition(".")
    model = getattr(__import__(module, fromlist=[cls]), cls)
    if issubclass(model, SLTModule) and model.translates:
        training.main(["test", "--config", str(run / "config.yaml")])
