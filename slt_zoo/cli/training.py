"""``slt-zoo fit | validate | test | predict``: LightningCLI as it is, plus guards.

The run folder is ``trainer.default_root_dir``; everything of a run lies there.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

import slt_zoo
from slt_zoo import recipes
from slt_zoo.callbacks import (
    NonFiniteLossGuard,
    PredictionWriter,
    SampleTable,
    SaveOnInterrupt,
    SkippedSamples,
    StepsProgressBar,
)
from slt_zoo.cli.messages import explain, parse_error
from slt_zoo.data.base import SLTDataModule
from slt_zoo.errors import CheckpointError, ConfigError, SLTError, UnknownNameError
from slt_zoo.loading import read_checkpoint, weights_of
from slt_zoo.models.base import SLTModule

__all__ = ["Card", "main"]


@dataclass
class Card:
    """What a recipe stands for: published numbers and how to compare with them.

    Attributes:
        paper: arXiv id.
        reported: published scores by name (``test/bleu4``); empty where the paper has none for this corpus.
        protocol: how they were computed, as far as it is known.
        effective_batch: devices x batch x accumulation of the published run.
        seeds: number of seeds behind the published numbers, or asked of ours.
        note: anything that a reader of the numbers must know.
    """

    paper: str | None = None
    reported: dict[str, float] = field(default_factory=dict)
    protocol: str | None = None
    effective_batch: int | None = None
    seeds: int | None = None
    note: str | None = None


class _Parser(LightningArgumentParser):
    """Tells an error of use in a few lines, with the nearest option, instead of all options and their types."""

    def error(self, message: str, ex: Exception | None = None) -> Any:
        """Raise what jsonargparse would print and exit on.

        Raises:
            ConfigError: always.
        """
        if not self.exit_on_error:  # a parser inside the parser: its caller wraps what it says
            return super().error(message, ex)
        known = {option for action in self._actions for option in action.option_strings}
        command = sys.argv[1] if len(sys.argv) > 1 else "fit"
        raise parse_error(message.strip(), command, known) from ex


class SaveRunConfig(SaveConfigCallback):
    """Writes the parsed configuration of a fit into the run folder."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit" and trainer.is_global_zero and not self.already_saved:
            folder = Path(trainer.default_root_dir)
            folder.mkdir(parents=True, exist_ok=True)
            config = self.config.clone()
            # what was true of this command alone: run again, the file trains anew, and is tested with its own weights
            config["ckpt_path"], config["overwrite"] = None, False
            self.parser.save(config, str(folder / self.config_filename), skip_unset=False, overwrite=True)
            self.already_saved = True


class ZooCLI(LightningCLI):
    """LightningCLI in subclass mode with a run folder, a checkpoint guard and our callbacks."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """``card``, ``overwrite`` and ``checkpoint``."""
        parser.add_argument("--card", type=Card | None, default=None, help="published numbers of the recipe")
        parser.add_argument(
            "--overwrite", type=bool, default=False, help="fit into a run folder that holds a run; the old one goes"
        )
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "checkpoint.filename": "best",
                "checkpoint.monitor": "dev/loss",
                "checkpoint.save_last": True,
                "checkpoint.auto_insert_metric_name": False,
                "checkpoint.enable_version_counter": False,
            }
        )

    def _parse_ckpt_path(self) -> None:
        """LightningCLI would train the checkpoint's class whatever the recipe says; the model itself refuses."""

    def before_instantiate_classes(self) -> None:
        """Run folder, logger and checkpoint of this command."""
        assert self.subcommand is not None
        config = self.config[self.subcommand]
        trainer = config.trainer
        if trainer.default_root_dir is None:
            names = [config.model.class_path.rpartition(".")[2], config.data.class_path.rpartition(".")[2]]
            trainer.default_root_dir = str(Path("runs", *(name.lower() for name in names)))
        run = Path(trainer.default_root_dir)
        config.checkpoint.dirpath = str(run)
        if trainer.fast_dev_run:
            config.checkpoint.save_last = False  # Lightning would write it even then
        for logger in trainer.logger if isinstance(trainer.logger, list) else [trainer.logger]:
            if isinstance(logger, Namespace) and logger.get("init_args", {}).get("save_dir") == ".":
                logger.init_args.save_dir = str(run)  # what a logger writes belongs to the run
        if trainer.max_steps == -1 and trainer.max_epochs is None and trainer.max_time is None:
            trainer.max_epochs = 100
        if self.subcommand == "fit":
            self._guard_run_folder(run, config)
        elif config.ckpt_path is None:
            config.ckpt_path = str(weights_of(run))

    def _guard_run_folder(self, run: Path, config: Any) -> None:
        monitor = config.checkpoint.monitor
        if monitor is not None and monitor.startswith("test"):
            raise ConfigError(
                "the best checkpoint cannot be chosen on the test split: its score would be no test result",
                found=f"checkpoint.monitor={monitor}",
                todo=f"use {monitor.replace('test', 'dev', 1)}",
            )
        if config.ckpt_path is not None and config.overwrite:
            raise ConfigError(
                "to go on with a run and to replace it cannot both be meant",
                found=f"--ckpt_path {config.ckpt_path} and --overwrite true",
                todo="leave out one of the two",
            )
        if config.trainer.fast_dev_run or not _first_process():  # one process moves files
            return
        held = [name for name in ("best.ckpt", "last.ckpt") if (run / name).exists()]
        if held and config.ckpt_path is None and not config.overwrite:
            raise ConfigError(
                "the run folder holds a run already",
                where=run,
                found=", ".join(held),
                todo=f"go on with it: --ckpt_path {run / held[-1]}; replace it: --overwrite true; "
                "or choose another: --trainer.default_root_dir DIR",
            )
        if held and config.ckpt_path is None:
            for name in [*held, "config.yaml", "metrics.csv", "scores.json", "skipped.jsonl", "finished.json"]:
                (run / name).unlink(missing_ok=True)

    def _run_subcommand(self, subcommand: str) -> None:
        """A resume that is refused leaves the run as it was."""
        resumed = subcommand == "fit" and self.config[subcommand].get("ckpt_path") is not None
        metrics = Path(self.trainer.default_root_dir) / "metrics.csv"
        kept = _set_aside(metrics) if resumed else None
        try:
            super()._run_subcommand(subcommand)
        except SLTError:
            if kept is not None and not metrics.is_file():
                kept.rename(metrics)
            raise

    def instantiate_classes(self) -> None:
        """Then let the model take the vocabulary of the checkpoint that is going to be loaded."""
        super().instantiate_classes()
        assert self.subcommand is not None
        path = self.config[self.subcommand].get("ckpt_path")
        if path is not None:
            checkpoint = read_checkpoint(path)
            if self.subcommand == "test":
                _refuse_selected_on_test(checkpoint, path)
            self.model.adopt(checkpoint)

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """A checkpoint is data: nothing in it is run."""
        return {**super()._prepare_subcommand_kwargs(subcommand), "weights_only": True}

    def after_fit(self) -> None:
        """Lightning renews ``last.ckpt`` only beside a new best one; at the end it is the end's."""
        if not getattr(self.trainer, "fast_dev_run", False):
            last = Path(self.trainer.default_root_dir) / "last.ckpt"
            self.trainer.save_checkpoint(last, weights_only=False)  # with all that a fit goes on from

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The CSV logger is always there: the run's curves come from it."""
        settings = self._get(self.config_init, "trainer")
        chosen = settings.get("logger")
        if chosen is not False and not settings.get("fast_dev_run"):
            others = [] if chosen in (None, True) else chosen if isinstance(chosen, list) else [chosen]
            run = Path(settings["default_root_dir"])
            if self.subcommand == "fit" and not any(
                isinstance(o, CSVLogger) and Path(o.log_dir) == run for o in others
            ):
                others = [CSVLogger(run, name="", version=""), *others]
            kwargs["logger"] = others or False
        callbacks = [PredictionWriter(), NonFiniteLossGuard(), SaveOnInterrupt(), SkippedSamples(), SampleTable()]
        bars = [] if settings.get("enable_progress_bar") is False else [StepsProgressBar()]
        kwargs["callbacks"] = [*(settings.get("callbacks") or []), *callbacks, *bars]
        return super().instantiate_trainer(**kwargs)


def main(argv: Sequence[str]) -> int:
    """Run a LightningCLI command; ``zoo:`` names become files, short class names full ones."""
    words = _expand(list(argv))
    with quiet_tips(), _own_argv(words), explained():
        ZooCLI(
            SLTModule,
            SLTDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=SaveRunConfig,
            parser_class=_Parser,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # hyper-parameters are recorded by the models, as plain data
        )
    return 0


def _expand(words: list[str]) -> list[str]:
    """Resolve ``zoo:`` names, and ``--model SignAttention`` to ``slt_zoo.SignAttention`` (imports that class only)."""
    out: list[str] = []
    phase = None  # of the newest recipe: what an overlay is put on
    for i, word in enumerate(words):
        option, _, value = word.partition("=")
        before = words[i - 1] if i else ""
        if word.startswith(recipes.PREFIX) and before in _CONFIG_OPTIONS:
            path, phase = _recipe(word, phase)
            out.append(path)
        elif option in _CONFIG_OPTIONS and value.startswith(recipes.PREFIX):
            path, phase = _recipe(value, phase)
            out.append(f"{option}={path}")
        elif before in _CLASS_OPTIONS and not word.startswith("-"):
            out.append(_class_path(before, word))
        elif option in _CLASS_OPTIONS and value:
            out.append(f"{option}={_class_path(option, value)}")
        else:
            out.append(word)
    return out


def _recipe(name: str, phase: str | None) -> tuple[str, str | None]:
    """The file of a ``zoo:`` name, and the phase that a following overlay is for."""
    path, full = recipes.resolve(name, phase)
    if full != name:
        logging.getLogger(__name__).warning("%s: taking its last phase, %s", name, full)
    return str(path), full.split("/")[2] if full.count("/") == 2 else phase


_CONFIG_OPTIONS = ("--config", "-c")
_CLASS_OPTIONS = tuple(f"--{group}{end}" for group in ("model", "data") for end in ("", ".help", ".class_path"))


def _class_path(option: str, name: str) -> str:
    known = slt_zoo._MODELS if option.startswith("--model") else slt_zoo._CORPORA
    if name in known:
        return f"slt_zoo.{name}"
    if "." not in name and "/" not in name:
        raise UnknownNameError("model" if option.startswith("--model") else "corpus", name, known)
    return name


_NOISE = (
    r"(?s).*JsonargparseDeprecationWarning.*|.*instantiate_classes.*was deprecated.*",  # lightning's own use of it
    r"Experiment logs directory .* exists and is not empty",
    r".*isinstance\(treespec, LeafSpec\).*",  # lightning's own use of torch
    r"Checkpoint directory .* exists and is not empty",  # the run folder is guarded by us
    r"The number of training batches .* is smaller than the logging interval",
    r"The '.*_dataloader' does not have many workers",  # poses and features are read faster than a worker starts
)


def _first_process() -> bool:
    """Whether this is the process that moves files; Lightning reads the rank from the environment."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def _refuse_selected_on_test(checkpoint: Mapping[str, Any], path: str) -> None:
    """A checkpoint that was chosen by its test score has no test score."""
    for state in checkpoint.get("callbacks", {}).values():
        monitor = state.get("monitor") if isinstance(state, Mapping) else None
        if isinstance(monitor, str) and monitor.startswith("test"):
            raise CheckpointError(
                "the checkpoint was selected on the test split, so its score there would be no test result",
                where=path,
                found=f"chosen by {monitor}",
                todo="select on the development split: --checkpoint.monitor dev/bleu4",
            )


def _set_aside(metrics: Path) -> Path | None:
    """Rename the metrics of the run before, which the logger of a resumed one would empty."""
    if not metrics.is_file() or not _first_process():
        return None
    kept = metrics.with_name(f"metrics.{len(list(metrics.parent.glob('metrics.*.csv'))) + 1}.csv")
    metrics.rename(kept)
    return kept


class _NoTips(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "Tip:" not in record.getMessage()


@contextmanager
def quiet_tips() -> Any:
    """Lightning's advertising is no message of ours."""
    loggers = [logging.getLogger(f"lightning.pytorch{name}") for name in ("", ".utilities.rank_zero")]
    silencer = _NoTips()
    for about in _NOISE:
        warnings.filterwarnings("ignore", message=about)
    for logger in loggers:
        logger.addFilter(silencer)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(silencer)


@contextmanager
def explained() -> Any:
    """Errors of use that others raise become ours; faults of the program keep their traceback."""
    try:
        yield
    except Exception as error:
        told = explain(error)
        if told is None or told is error:
            raise
        raise told from error


@contextmanager
def _own_argv(words: list[str]) -> Any:
    """LightningCLI reads ``sys.argv``, and so do the processes that Lightning starts."""
    old = sys.argv
    sys.argv = [old[0] if old and old[0] else "slt-zoo", *words]
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        yield
    finally:
        sys.argv = old
