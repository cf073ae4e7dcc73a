"""``slt-zoo fit | validate | test | predict``: LightningCLI as it is, plus guards.

The run folder is ``trainer.default_root_dir``; everything of a run lies there.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import re
import sys
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

import slt_zoo
from slt_zoo import recipes
from slt_zoo.callbacks import NonFiniteLossGuard, PredictionWriter, SampleTable, SaveOnInterrupt
from slt_zoo.data.base import SLTDataModule
from slt_zoo.errors import ConfigError, UnknownNameError, nearest
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
        hints = []
        for option in re.findall(r"(--[\w.]+)", message) if "nrecognized" in message else []:
            hints += [f"{option}: did you mean {' or '.join(near)}?" if (near := nearest(option, known)) else option]
        for path, option in re.findall(r"class_path '([\w.]+)':\s+Option '(\w+)' is not accepted", message):
            near = nearest(option, _arguments_of(path))
            hints += [f"{path} has no argument {option!r}" + (f"; did you mean {' or '.join(near)}?" if near else "")]
        raise ConfigError(
            message.strip() if not hints else hints[0],
            found=message.strip().splitlines()[-1].strip() if hints else None,
            todo="; ".join(hints[1:])
            or f"`slt-zoo {self.prog.split()[-1]} --help` lists the options, "
            "`--model.help CLASS` and `--data.help CLASS` those of a class",
        ) from ex


def _arguments_of(path: str) -> list[str]:
    """Names of a class's arguments, those of its bases included."""
    module, _, name = path.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    return [n for base in inspect.getmro(cls) for n in inspect.signature(base).parameters if base is not object]


class SaveRunConfig(SaveConfigCallback):
    """Writes the parsed configuration of a fit into the run folder."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit" and trainer.is_global_zero and not self.already_saved:
            folder = Path(trainer.default_root_dir)
            folder.mkdir(parents=True, exist_ok=True)
            self.parser.save(self.config, str(folder / self.config_filename), skip_unset=False, overwrite=True)
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
        config.weights_only = True  # a checkpoint is data: nothing in it is run
        config.checkpoint.dirpath = str(run)
        if trainer.fast_dev_run:
            config.checkpoint.save_last = False  # Lightning would write it even then
        if trainer.max_steps == -1 and trainer.max_epochs is None and trainer.max_time is None:
            trainer.max_epochs = 100
        if self.subcommand == "fit":
            self._guard_run_folder(run, config)
        elif config.ckpt_path is None:
            config.ckpt_path = str(weights_of(run))

    def _guard_run_folder(self, run: Path, config: Any) -> None:
        if config.trainer.fast_dev_run:
            return
        held = [name for name in ("config.yaml", "best.ckpt", "last.ckpt") if (run / name).exists()]
        if held and config.ckpt_path is None and not config.overwrite and _first_process():
            raise ConfigError(
                "the run folder holds a run already",
                where=run,
                found=", ".join(held),
                todo=f"go on with it: --ckpt_path {run / 'last.ckpt'}; replace it: --overwrite true; "
                "or choose another: --trainer.default_root_dir DIR",
            )
        if not _first_process():
            return  # one process moves files
        if config.ckpt_path is not None:
            if (run / "metrics.csv").is_file():  # the logger would empty it
                (run / "metrics.csv").rename(run / f"metrics.{len(list(run.glob('metrics.*.csv'))) + 1}.csv")
        elif held:
            for name in [*held, "metrics.csv", "scores.json", "finished.json"]:
                (run / name).unlink(missing_ok=True)

    def instantiate_classes(self) -> None:
        """Then let the model take the vocabulary of the checkpoint that is going to be loaded."""
        super().instantiate_classes()
        assert self.subcommand is not None
        path = self.config[self.subcommand].get("ckpt_path")
        if path is not None:
            self.model.adopt(read_checkpoint(path))

    def after_fit(self) -> None:
        """Lightning renews ``last.ckpt`` only beside a new best one; at the end it is the end's."""
        if not getattr(self.trainer, "fast_dev_run", False):
            self.trainer.save_checkpoint(Path(self.trainer.default_root_dir) / "last.ckpt")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The CSV logger is always there: the run's curves come from it."""
        settings = self._get(self.config_init, "trainer")
        chosen = settings.get("logger")
        if chosen is not False and not settings.get("fast_dev_run"):
            others = [] if chosen in (None, True) else chosen if isinstance(chosen, list) else [chosen]
            if self.subcommand == "fit" and not any(isinstance(one, CSVLogger) for one in others):
                others = [CSVLogger(settings["default_root_dir"], name="", version=""), *others]
            kwargs["logger"] = others or False
        callbacks = [PredictionWriter(), NonFiniteLossGuard(), SaveOnInterrupt(), SampleTable()]
        kwargs["callbacks"] = [*(settings.get("callbacks") or []), *callbacks]
        return super().instantiate_trainer(**kwargs)


def main(argv: Sequence[str]) -> int:
    """Run a LightningCLI command; ``zoo:`` names become files, short class names full ones."""
    words = _expand(list(argv))
    with _quiet_tips(), _own_argv(words):
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
_CLASS_OPTIONS = ("--model", "--data", "--model.help", "--data.help")


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


class _NoTips(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "Tip:" not in record.getMessage()


@contextmanager
def _quiet_tips() -> Any:
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
def _own_argv(words: list[str]) -> Any:
    """LightningCLI reads ``sys.argv``, and so do the processes that Lightning starts."""
    old = sys.argv
    sys.argv = [old[0] if old and old[0] else "slt-zoo", *words]
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        yield
    finally:
        sys.argv = old
