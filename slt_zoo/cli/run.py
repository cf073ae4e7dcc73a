"""``slt-zoo run``: all phases of a recipe in order, then the test split; what is finished is not done again."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from slt_zoo import recipes
from slt_zoo.errors import ConfigError, UnknownNameError, nearest

__all__ = ["main"]

USAGE = """usage: slt-zoo run zoo:<model>/<corpus> --data.root DIR [options of `slt-zoo fit`]

Trains every phase of the recipe in order, each into its own run folder, and scores the last on the test split.
An option holds for all phases; with a phase's name before it, for that one: --translate.trainer.max_epochs 3.
A finished phase is skipped, an interrupted one goes on from its last.ckpt; --overwrite true trains all anew."""

FINISHED = "finished.json"
GROUPS = ("model", "data", "trainer", "checkpoint", "card", "optimizer", "lr_scheduler")
"""First words of options that are no phase."""


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
    rest, anew = _overwrite(rest)
    options = _by_phase(rest, [phase.phase for phase in phases])
    for phase in phases:
        run = Path(phase.read()["trainer"]["default_root_dir"])
        finished = _finished(run)
        if finished is not None and not anew:
            print(f"{phase.name}: finished already, {run}")
            if finished != options[phase.phase]:
                print(f"  with other options: {' '.join(finished) or 'none'}; `--overwrite true` trains it anew")
        elif status := _fit(phase, run, options[phase.phase], anew, phase is phases[-1]):
            return status
    run = Path(phases[-1].read()["trainer"]["default_root_dir"])
    if (
        anew
        or not (run / "scores.json").is_file()
        or "test" not in json.loads((run / "scores.json").read_text("utf-8"))
    ):
        return _test(run)
    return 0


def _finished(run: Path) -> list[str] | None:
    """Options of the finished phase; None: it is not finished."""
    if not (run / FINISHED).is_file():
        return None
    options: list[str] = json.loads((run / FINISHED).read_text(encoding="utf-8"))["options"]
    return options


def _overwrite(words: list[str]) -> tuple[list[str], bool]:
    """The words without ``--overwrite VALUE``, and its value."""
    rest, anew, words = [], False, list(words)
    while words:
        option, equals, value = words.pop(0).partition("=")
        if option != "--overwrite":
            rest.append(option + equals + value)
            continue
        if not equals:
            value = words.pop(0) if words else ""
        if value.lower() not in ("true", "false"):
            raise ConfigError("--overwrite is true or false", found=value or "nothing")
        anew = value.lower() == "true"
    return rest, anew


def _by_phase(words: list[str], phases: list[str]) -> dict[str, list[str]]:
    """Words for each phase: ``--<phase>.<option> value`` is ``--<option> value`` for that one, the rest is for all."""
    options: dict[str, list[str]] = {phase: [] for phase in phases}
    takers = phases  # of the option at hand, so that its values follow it
    for word in words:
        if word.startswith("--") or word == "-c":
            phase, dot, option = word.removeprefix("--").partition(".")
            if dot and phase not in (*phases, *GROUPS) and (near := nearest(phase, phases, 1, cutoff=0.7)):
                raise UnknownNameError("phase", phase, phases, todo=f"{word}: did you mean --{near[0]}.{option}?")
            takers = [phase] if dot and phase in phases else phases
            word = f"--{option}" if takers is not phases else word
        for taker in takers:
            options[taker].append(word)
    return options


def _fit(phase: recipes.Recipe, run: Path, rest: list[str], anew: bool, last: bool) -> int:
    print(f"{phase.name}: training into {run}", flush=True)
    words = ["fit", "--config", phase.name, *rest]
    if anew:
        words += ["--overwrite", "true"]
    elif (run / "last.ckpt").is_file():
        words += ["--ckpt_path", str(run / "last.ckpt")]
    status = _command(words)
    if status == 0 and not last and (run / "last.ckpt").is_file() and not (run / "best.ckpt").is_file():
        raise ConfigError(
            "the phase ended before its first evaluation, so the next one has no best.ckpt to begin with",
            where=run,
            todo="a --trainer.val_check_interval that is no larger than --trainer.max_steps; then run again with "
            "--overwrite true",
        )
    if status == 0 and (run / "last.ckpt").is_file():  # a dry run leaves none
        (run / FINISHED).write_text(json.dumps({"recipe": phase.name, "options": rest}), encoding="utf-8")
    return status


def _test(run: Path) -> int:
    config = run / "config.yaml"
    if not config.is_file():  # a dry run
        return 0
    name = str(yaml.safe_load(config.read_text(encoding="utf-8"))["model"]["class_path"])
    module, _, cls = name.rpartition(".")
    model = getattr(importlib.import_module(module), cls)
    return _command(["test", "--config", str(config)]) if model.translates else 0


def _command(words: list[str]) -> int:
    """Each command is a process of its own: what a run on several devices leaves behind would break the next."""
    return subprocess.run([sys.executable, "-m", "slt_zoo", *words], check=False).returncode
