"""Evaluation of a split: sums, what is measured on the whole of it, hypotheses, and their scores.

Several processes give what one gives: losses are summed with their counts, hypotheses and what was kept are gathered by
id, and every process scores the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.trainer.states import TrainerFn

from slt_zoo import loading
from slt_zoo.metrics import PredictionCollector, ScoredSplit, gather_first, gather_sums, score
from slt_zoo.types import Losses, Prediction, Split

if TYPE_CHECKING:
    from slt_zoo.models.base import SLTModule

__all__ = ["MAIN", "SplitEvaluation"]

MAIN = ""
"""Name of the hypotheses that count; others are named by `SLTModule.extra_hypotheses`."""


class SplitEvaluation:
    """One pass over a split.

    Args:
        model: whose losses and hypotheses these are.
        split: which one.
    """

    def __init__(self, model: SLTModule, split: Split) -> None:
        self.model, self.split = model, split
        self.collectors = {MAIN: PredictionCollector()}
        self.sums: dict[str, Any] = {}
        """By name of a term: ``(2,)``, the sum of what is averaged and its count."""
        self.kept: dict[str, Any] = {}

    def add(self, ids: list[str], losses: Losses, hypotheses: Mapping[str, list[str]]) -> None:
        """Take what a batch gave: its losses and, by name, its hypotheses."""
        device = self.model.device
        exact = torch.float32 if device.type == "mps" else torch.float64  # MPS has no double
        # summed here: Lightning's mean over processes truncates the count of an odd number of things
        for name, (mean, number) in losses.means(len(ids)).items():
            count = torch.as_tensor(number, dtype=exact, device=device).detach()
            total = mean.detach().to(device, exact) * count
            both = torch.stack([total.masked_fill(count == 0, 0), count])  # the mean of nothing is not a number
            self.sums[name] = self.sums.get(name, 0) + both
        self.kept |= losses.kept
        for name, texts in hypotheses.items():
            self.collectors.setdefault(name, PredictionCollector()).add(ids, texts)

    def finish(self) -> ScoredSplit | None:
        """Log means, measures and scores; what was scored, if the model translates."""
        model = self.model
        values: dict[str, Any] = self._means()
        kept = gather_first(self.kept)
        if kept and not model.trainer.sanity_checking:
            values |= model.measure(self.split, kept)
        self._log(values)
        model.measured[self.split] = {name: float(value) for name, value in values.items()}
        return None if model.trainer.sanity_checking or not model.translates else self._score()

    def _log(self, values: Mapping[str, Any], name: str = MAIN) -> None:
        """Under the split's name; every process has the same, so nothing is reduced."""
        prefix = f"{self.split}/{name}/" if name else f"{self.split}/"
        self.model.log_dict({prefix + key: value for key, value in values.items()}, prog_bar=False)

    def _means(self) -> dict[str, float]:
        """Over the whole split, whatever its batches and processes."""
        trainer = self.model.trainer
        # gathered by name: a process may have had no batch, or none with one of the terms
        sums = gather_sums({name: both.tolist() for name, both in self.sums.items()})
        if trainer.sanity_checking:
            return {}
        return {name: total / count if count else math.nan for name, (total, count) in sums.items()}

    def _cut(self) -> bool:
        """Whether the trainer was told to look at a part of the split only."""
        trainer = self.model.trainer
        limit = {"dev": trainer.limit_val_batches, "test": trainer.limit_test_batches}[self.split]
        whole = isinstance(limit, float) and limit == 1.0
        return not whole or bool(trainer.fast_dev_run)  # type: ignore[attr-defined]  # Lightning does not declare it

    def _score(self) -> ScoredSplit:
        model, split, cut = self.model, self.split, self._cut()
        data = model.data()
        manifest = data.manifest(split)
        hypotheses = {}
        for name, collector in self.collectors.items():
            hypotheses[name] = collector.gather()
            collector.check(manifest.ids, complete=not cut)
        whole = not cut and split not in data.partial
        references = {s.id: model.references_of(s) for s in manifest if s.id in hypotheses[MAIN]}
        # intervals where a result is reported, not at each validation of a fit
        samples = 0 if model.trainer.state.fn == TrainerFn.FITTING else 1000
        reports = {n: score(found, references, model.protocol(), samples=samples) for n, found in hypotheses.items()}
        for name, report in reports.items():
            self._log(report.values, name)
        main = replace(reports[MAIN], extra=self._notes(whole, len(manifest)))
        predictions = [
            Prediction(i, h, references[i], {n: found[i] for n, found in hypotheses.items() if n != MAIN})
            for i, h in hypotheses[MAIN].items()
        ]
        return ScoredSplit(predictions, main, whole)

    def _notes(self, whole: bool, size: int) -> dict[str, Any]:
        """What is written beside every score."""
        model = self.model
        facts = asdict(model.data().facts())  # of what is scored, not of what was learnt from
        notes: dict[str, Any] = {"model": type(model).__name__, "target": model.target, **facts}
        notes |= {"trained_on": model.facts.corpus, "trained_on_simulated": model.facts.simulated}
        notes |= {"complete": whole, "split_size": size, "decoding": model.decoding_settings()}
        notes |= {"skipped_in_training": len(model.skipped), **model.data().score_notes(self.split)}
        weights = model.trainer.ckpt_path
        if weights is not None and Path(weights).is_file():
            notes["checkpoint"] = loading.sha256_of(Path(weights))
        return notes
