"""Callbacks that every recipe can use: result files, guards of training, a table of samples."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from slt_zoo.errors import ConfigError, SLTError, first_few
from slt_zoo.files import write_atomically
from slt_zoo.metrics.collector import gather_by_id, gather_first
from slt_zoo.metrics.files import load_predictions, merge_measures, merge_scores, save_predictions
from slt_zoo.metrics.report import ScoredSplit
from slt_zoo.types import Prediction

__all__ = [
    "NonFiniteLossError",
    "NonFiniteLossGuard",
    "PredictionWriter",
    "SampleTable",
    "SaveOnInterrupt",
    "SkippedSamples",
    "StepsProgressBar",
    "load_predictions",
]

log = logging.getLogger(__name__)


class NonFiniteLossError(SLTError):
    """The training loss became infinite or not a number."""


class StepsProgressBar(RichProgressBar):
    """Lightning's bar, which names steps where a fit is counted in steps: its own says ``Epoch 0/-2`` then."""

    def _get_train_description(self, current_epoch: int) -> str:
        if self.trainer.max_epochs != -1:
            return super()._get_train_description(current_epoch)
        text = f"Epoch {current_epoch}, step {self.trainer.global_step}/{self.trainer.max_steps}"
        return f"{text:{len(self.validation_description)}}"


def _run_folder(folder: str | None, trainer: Trainer) -> Path:
    return Path(folder or trainer.default_root_dir)


def _dry(trainer: Trainer) -> bool:
    return bool(trainer.fast_dev_run)  # type: ignore[attr-defined]  # Lightning sets it outside of the class


def _scored(pl_module: LightningModule, split: str) -> ScoredSplit | None:
    """Newest result of a split; None: this module does not translate (a pretraining phase)."""
    scored: dict[str, ScoredSplit] | None = getattr(pl_module, "scored", None)
    if scored is None:
        raise ConfigError(
            f"{type(pl_module).__name__} keeps no scored predictions",
            expected="a module with `scored: dict[str, ScoredSplit]`, as slt_zoo.models.base.SLTModule has",
            todo="derive the model from SLTModule, or leave this callback out",
        )
    return scored.get(split)


class PredictionWriter(Callback):
    """Writes ``predictions/<split>.jsonl``, ``scores.json`` and ``measures.json`` into the run folder.

    After each validation (split ``dev``) and test (split ``test``) the predictions of that split are replaced, its
    report in ``scores.json``, and in ``measures.json`` its losses and what else was measured on the whole of it, which
    is all that there is of a phase that translates nothing; other splits stay. Files change atomically. After
    ``predict`` only predictions are written, those of ``datamodule.predict_split``. Nothing is written by the sanity
    check and by ``fast_dev_run``.

    Args:
        folder: run folder; the trainer's ``default_root_dir`` by default.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder
        self._predicted: dict[str, Prediction] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the dev split; within training the report's ``extra["step"]`` says when."""
        if not trainer.sanity_checking:
            # a checkpoint loaded for validation does not set global_step
            fitting = trainer.state.fn == TrainerFn.FITTING
            self._write(trainer, pl_module, "dev", {"step": trainer.global_step} if fitting else {})

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the test split."""
        self._write(trainer, pl_module, "test", {})

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget earlier predictions."""
        self._predicted = {}

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep what ``predict_step`` returned."""
        if not isinstance(outputs, Sequence) or not all(isinstance(p, Prediction) for p in outputs):
            raise ConfigError(
                "predictions of a batch have the wrong type",
                where=f"{type(pl_module).__name__}.predict_step",
                expected="a list of slt_zoo.types.Prediction",
                found=type(outputs).__name__,
            )
        self._predicted |= {p.id: p for p in outputs}

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Join the processes' predictions by id and write them."""
        joined = gather_by_id(self._predicted)
        self._predicted = {}
        if trainer.is_global_zero and not _dry(trainer):
            # datamodule is set where one is used; own dataloaders have no split
            split = getattr(getattr(trainer, "datamodule", None), "predict_split", None) or "predict"
            save_predictions(_run_folder(self.folder, trainer) / "predictions" / f"{split}.jsonl", joined.values())

    def _write(self, trainer: Trainer, pl_module: LightningModule, split: str, extra: dict[str, Any]) -> None:
        result = _scored(pl_module, split)
        if not trainer.is_global_zero or _dry(trainer):
            return
        folder = _run_folder(self.folder, trainer)
        if measured := getattr(pl_module, "measured", {}).get(split):
            merge_measures(folder / "measures.json", {split: {**measured, **extra}})
        if result is None:
            return
        save_predictions(folder / "predictions" / f"{split}.jsonl", result.predictions)
        report = replace(result.report, extra=result.report.extra | {"complete": result.complete} | extra)
        merge_scores(folder / "scores.json", {split: report})


class NonFiniteLossGuard(Callback):
    """Stops training at the first loss that is infinite or not a number, before it reaches the weights.

    The step, the logged loss terms and the ids of the batch are written to ``nonfinite.json`` in the run folder, so
    that the batch can be found. Costs one read of a scalar a step.

    Args:
        folder: run folder; the trainer's ``default_root_dir`` by default.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder
        self._ids: list[str] = []
        self._batch_idx = 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Remember which samples the loss will be of."""
        self._ids = list(getattr(batch, "id", []))
        self._batch_idx = batch_idx

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Check the loss.

        Raises:
            NonFiniteLossError: it is not finite.
        """
        if bool(torch.isfinite(loss).all()):
            return
        terms = {k: v.item() for k, v in trainer.callback_metrics.items() if k.startswith("train/") and v.numel() == 1}
        record = {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "batch": self._batch_idx,
            "rank": trainer.global_rank,
            "loss": str(loss.item()),  # as words: JSON has no number for these
            "terms": {name: str(value) for name, value in terms.items()},
            "ids": self._ids,
        }
        path = _run_folder(self.folder, trainer) / "nonfinite.json"
        write_atomically(path, json.dumps(record, ensure_ascii=False, indent=2) + "\n")
        raise NonFiniteLossError(
            f"the training loss is {record['loss']}",
            where=f"step {record['step']}, epoch {record['epoch']}, batch {self._batch_idx}",
            found=f"terms {record['terms'] or 'not logged'}; samples {first_few(self._ids) or 'unknown'}",
            todo=f"look at these samples (all are in {path}); try a lower learning rate, trainer.gradient_clip_val, "
            "or trainer.precision=32-true",
        )


class SaveOnInterrupt(Callback):
    """Ctrl-C in training leaves ``last.ckpt``, from which training goes on.

    Lightning's own ``save_on_exception`` would write it as the best checkpoint, and after every error.

    Args:
        folder: run folder; the trainer's ``default_root_dir`` by default.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save if a person interrupted training that had begun."""
        fitting = trainer.state.fn == TrainerFn.FITTING and trainer.global_step > 0 and not _dry(trainer)
        if isinstance(exception, KeyboardInterrupt) and fitting:
            path = _run_folder(self.folder, trainer) / "last.ckpt"
            trainer.save_checkpoint(path, weights_only=False)
            log.warning("interrupted at step %d; to go on: --ckpt_path %s", trainer.global_step, path)


class SkippedSamples(Callback):
    """Writes ``skipped.jsonl`` into the run folder: training samples that were left out, each once, and why.

    They were missing at setup, or could not be read later (``on_bad_sample="skip"``); without any there is no file.
    It changes after each epoch and validation of a fit; those of all processes are in it.

    Args:
        folder: run folder; the trainer's ``default_root_dir`` by default.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write those of the setup."""
        self._write(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write those of the time before."""
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._write(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write those of the epoch."""
        self._write(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write those of an epoch that ended early."""
        self._write(trainer, pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write what this process knows: the others may be gone."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._write(trainer, pl_module, gather=False)

    def _write(self, trainer: Trainer, pl_module: LightningModule, gather: bool = True) -> None:
        skipped: dict[str, str] = getattr(pl_module, "skipped", {})
        if gather:
            skipped = gather_first(skipped)
        if skipped and trainer.is_global_zero and not _dry(trainer):
            lines = [{"id": i, "split": "train", "why": why} for i, why in sorted(skipped.items())]
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            write_atomically(_run_folder(self.folder, trainer) / "skipped.jsonl", text)


class SampleTable(Callback):
    """Logs a table of id, reference and hypothesis at each validation, always of the same samples.

    To Weights & Biases as a table, to TensorBoard as text; other loggers cannot hold one.

    Args:
        num_samples: the first so many by id, so that progress shows from one validation to the next.
        console: print it too.
    """

    COLUMNS = ("id", "reference", "hypothesis")

    def __init__(self, num_samples: int = 8, console: bool = False) -> None:
        if num_samples < 1:
            raise ConfigError("a sample table needs samples", where="num_samples", expected=">= 1", found=num_samples)
        self.num_samples, self.console = num_samples, console

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the table."""
        if trainer.sanity_checking:
            return
        result = _scored(pl_module, "dev")
        if result is None or not trainer.is_global_zero:
            return
        chosen = sorted(result.predictions, key=lambda p: p.id)[: self.num_samples]
        rows = [[p.id, " / ".join(p.references), p.hypothesis] for p in chosen]
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_table("dev/samples", columns=list(self.COLUMNS), data=rows)
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text("dev/samples", self._markdown(rows), trainer.global_step)
        if self.console:
            self._show(rows, f"dev samples at step {trainer.global_step}")

    def _markdown(self, rows: list[list[str]]) -> str:
        lines = [list(self.COLUMNS), ["---"] * len(self.COLUMNS)]
        lines += [[_markdown_cell(cell) for cell in row] for row in rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def _show(self, rows: list[list[str]], title: str) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table(*self.COLUMNS, title=title)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        Console().print(table)


def _markdown_cell(text: str) -> str:
    """Text as it is shown, whatever it holds: no cell, line, markup or HTML may begin in it."""
    for sign in "\\`*_[]|":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\r", " ").replace("\n", " ")
