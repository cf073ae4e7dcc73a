"""Curves of a run from the ``metrics.csv`` that Lightning's CSVLogger writes."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slt_zoo.metrics.files import ResultFileError, read_result

__all__ = ["Curve", "choose_curves", "describe_curve", "read_curves"]

Points = list[tuple[int, float]]

SCORES = ("bleu4", "chrf", "rouge_l_b12", "wer", "exact")


@dataclass(frozen=True)
class Curve:
    """One line of a figure.

    Attributes:
        name: of the column (``"dev/bleu4"``).
        points: step and value, in the order of steps.
    """

    name: str
    points: Sequence[tuple[int, float]]


def read_curves(metrics_csv: str | os.PathLike[str]) -> dict[str, Points]:
    """Every logged column as (step, value) points.

    Args:
        metrics_csv: columns ``step``, ``epoch`` and one a metric; empty cells (a metric not logged at that step) give
            no point.

    Returns:
        Points by column name in the order of the file, by ascending step, columns without a value left out. Values
        may be infinite or NaN where the run logged that.

    Raises:
        ResultFileError: the file is missing, has no ``step`` column, or a cell is no number (names line and column).
    """
    text = read_result(
        metrics_csv,
        "train with a CSVLogger that writes into the run folder: CSVLogger(save_dir=run, name='', version='')",
    )
    reader = csv.DictReader(text.splitlines())
    columns = list(reader.fieldnames or [])
    if "step" not in columns:
        raise ResultFileError(
            "metrics without a column 'step'",
            where=metrics_csv,
            expected="a CSVLogger's file",
            found=columns or "no line",
        )
    names = [c for c in columns if c not in ("step", "epoch")]
    curves: dict[str, Points] = {name: [] for name in names}
    for row in reader:
        for name in names:
            if row[name]:
                step, value = (
                    _number(row[c], f"{metrics_csv}, line {reader.line_num}, column {c}") for c in ("step", name)
                )
                curves[name].append((int(step), value))
    return {name: sorted(points, key=lambda p: p[0]) for name, points in curves.items() if points}


def _number(cell: str | None, where: str) -> float:
    try:
        return float(cell or "")
    except ValueError as error:
        raise ResultFileError("a metric is no number", where=where, found=repr(cell)) from error


def choose_curves(curves: dict[str, Points]) -> tuple[list[Curve], list[Curve]]:
    """The losses (training and dev) and the dev scores that a figure shows, as far as they were logged.

    Lightning appends ``_step`` or ``_epoch`` where a metric is logged both ways; the finer one is taken.
    """

    def first(names: Iterable[str]) -> list[Curve]:
        return next(([Curve(n, curves[n])] for n in names if n in curves), [])

    losses = [c for split in ("train", "dev") for c in first(f"{split}/loss{end}" for end in ("", "_step", "_epoch"))]
    scores = [c for name in SCORES for c in first([f"dev/{name}"])]
    return losses, scores


def describe_curve(curve: Curve) -> str:
    """The course of a curve in one sentence, for those who do not see it."""
    finite = [(s, v) for s, v in curve.points if math.isfinite(v)]
    if not finite:
        return f"{curve.name} has no finite value."
    (first_step, first), (last_step, last) = finite[0], finite[-1]
    low, high = min(finite, key=lambda p: p[1]), max(finite, key=lambda p: p[1])
    return (
        f"{curve.name} goes from {first:.3g} at step {first_step} to {last:.3g} at step {last_step} "
        f"(lowest {low[1]:.3g} at step {low[0]}, highest {high[1]:.3g} at step {high[0]})."
    )
