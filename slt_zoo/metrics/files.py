"""Result files of a run folder: ``predictions/<split>.jsonl``, ``scores.json`` and ``measures.json``."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from slt_zoo.errors import ScoreError, SLTError
from slt_zoo.files import write_atomically
from slt_zoo.metrics.report import ScoreReport
from slt_zoo.types import Prediction

__all__ = [
    "ResultFileError",
    "load_predictions",
    "load_scores",
    "merge_measures",
    "merge_scores",
    "read_result",
    "save_predictions",
]


class ResultFileError(SLTError):
    """A file of a run folder (metrics, predictions, scores) that is missing or cannot be read."""


def read_result(path: str | os.PathLike[str], todo: str) -> str:
    """Text of a result file.

    Args:
        path: the file.
        todo: what a person does when it is missing.

    Raises:
        ResultFileError: missing, or not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ResultFileError("a result file is not there", where=path, found=error.strerror, todo=todo) from error
    except UnicodeDecodeError as error:
        raise ResultFileError("a result file is not UTF-8", where=path, found=error) from error


def save_predictions(path: str | os.PathLike[str], predictions: Iterable[Prediction]) -> None:
    """Write one JSON object a line, atomically.

    Raises:
        ScoreError: a prediction's ``extra`` holds something that is no plain data.
    """
    lines = []
    for prediction in predictions:
        try:
            lines.append(json.dumps(prediction.to_dict(), ensure_ascii=False) + "\n")
        except TypeError as error:
            raise ScoreError(
                "a prediction can hold plain data only", where=f"extra of sample {prediction.id!r}", found=error
            ) from error
    write_atomically(path, "".join(lines))


def load_predictions(path: str | os.PathLike[str]) -> list[Prediction]:
    """Read what :func:`save_predictions` wrote, or what anybody wrote: JSON lines with ``id`` and ``hypothesis``.

    Raises:
        ResultFileError: names file and line: missing, not UTF-8, no line at all, no JSON, a key missing or of the
            wrong type, an id twice.
    """
    text = read_result(path, "`slt-zoo test` and `slt-zoo predict` write predictions/<split>.jsonl into the run folder")
    predictions: dict[str, Prediction] = {}
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 may stand inside a string
        if not line.strip():
            continue
        prediction = _parse_prediction(line, where=f"{path}, line {number}")
        if prediction.id in predictions:
            raise ResultFileError("an id occurs twice", where=f"{path}, line {number}", found=repr(prediction.id))
        predictions[prediction.id] = prediction
    if not predictions:
        raise ResultFileError("the file holds no prediction", where=path, expected="one JSON object a line")
    return list(predictions.values())


def _parse_prediction(line: str, where: str) -> Prediction:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        raise ResultFileError("a line is not valid JSON", where=where, found=error) from error
    expected = '{"id": string, "hypothesis": string} and perhaps "references": list of strings, "extra": object'
    references, extra = (data.get("references", []), data.get("extra", {})) if isinstance(data, dict) else (None, None)
    good = (
        isinstance(data, dict)
        and isinstance(data.get("id"), str)
        and isinstance(data.get("hypothesis"), str)
        and isinstance(references, list)
        and all(isinstance(r, str) for r in references)
        and isinstance(extra, dict)
    )
    if not good:
        raise ResultFileError("a line is no prediction", where=where, expected=expected, found=line.strip()[:200])
    return Prediction(data["id"], data["hypothesis"], tuple(references or ()), extra or {})


def load_scores(path: str | os.PathLike[str]) -> dict[str, ScoreReport]:
    """Reports by split, as :func:`merge_scores` wrote them.

    Raises:
        ResultFileError: missing or no JSON object.
        ScoreError: a report in it cannot be read.
    """
    return {split: ScoreReport.from_dict(data) for split, data in _read_scores(Path(path)).items()}


def merge_scores(path: str | os.PathLike[str], reports: dict[str, ScoreReport]) -> None:
    """Put reports (by split) into a scores file, atomically; splits that are only in the file stay.

    Raises:
        ResultFileError: the file that is there is no JSON object.
    """
    path = Path(path)
    old = _read_scores(path) if path.exists() else {}
    for split, report in reports.items():
        old[split] = json.loads(report.to_json())
    write_atomically(path, json.dumps(old, ensure_ascii=False, indent=2) + "\n")


def merge_measures(path: str | os.PathLike[str], measures: Mapping[str, Mapping[str, float]]) -> None:
    """Put numbers (by split, then name) into a file beside the scores, atomically; other splits in it stay.

    What is infinite or no number is written as null.

    Raises:
        ResultFileError: the file that is there is no JSON object.
    """
    path = Path(path)
    old = _read_scores(path) if path.exists() else {}
    for split, values in measures.items():
        old[split] = {name: value if math.isfinite(value) else None for name, value in values.items()}
    write_atomically(path, json.dumps(old, ensure_ascii=False, indent=2) + "\n")


def _read_scores(path: Path) -> dict[str, Any]:
    text = read_result(path, "`slt-zoo test` writes scores.json into the run folder")
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ResultFileError("scores are not valid JSON", where=path, found=error, todo="delete the file") from error
    if not isinstance(data, dict):
        raise ResultFileError(
            "scores must be an object", where=path, expected='{"test": {report}, ...}', found=type(data).__name__
        )
    return data
