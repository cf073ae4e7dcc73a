"""Hypotheses and references from the files that people have: ours, JSON lines, plain text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slt_zoo.errors import ScoreError
from slt_zoo.metrics.files import ResultFileError, load_predictions, read_result
from slt_zoo.metrics.report import check_ids

__all__ = ["System", "is_plain", "join", "line_ids", "read_lines", "read_reference_lines", "read_system"]

_TODO = "give predictions/<split>.jsonl of a run, its folder, what `slt-zoo score --out` wrote, or plain text (.txt)"


@dataclass(frozen=True)
class System:
    """What one system said.

    Attributes:
        name: for tables: of the file or of the run folder.
        hypotheses: by id; by number of the line (``"1"``) in plain text.
        references: that stand beside them in the file; empty where there are none.
        plain: the file has no ids.
    """

    name: str
    hypotheses: dict[str, str]
    references: dict[str, tuple[str, ...]] = field(default_factory=dict)
    plain: bool = False


def read_system(path: str | Path, split: str = "test") -> System:
    """Read hypotheses.

    Args:
        path: ``.jsonl`` (``id`` and ``hypothesis`` a line), ``.json`` of ``slt-zoo score --out``, a run folder, or
            plain text, a sentence a line.
        split: which predictions of a run folder.

    Raises:
        ResultFileError: missing, damaged, empty, not UTF-8, an id twice; names file and line.
    """
    path = Path(path)
    if path.is_dir():
        inside = path / "predictions" / f"{split}.jsonl"
        return _named(path.name, _jsonl(inside))
    if path.suffix == ".jsonl":
        return _named(path.stem, _jsonl(path))
    if path.suffix == ".json":
        return _named(path.stem, _scored(path))
    lines = read_lines(path)
    return System(path.stem, dict(zip(line_ids(len(lines)), lines, strict=True)), plain=True)


def _named(name: str, system: System) -> System:
    return System(name, system.hypotheses, system.references)


def _jsonl(path: Path) -> System:
    predictions = load_predictions(path)
    references = {p.id: p.references for p in predictions if p.references}
    complete = len(references) == len(predictions)
    return System(path.stem, {p.id: p.hypothesis for p in predictions}, references if complete else {})


def _scored(path: Path) -> System:
    text = read_result(path, _TODO)
    try:
        data = json.loads(text)
        hypotheses = {str(k): v for k, v in data["hypotheses"].items()}
        references = {str(k): (v,) if isinstance(v, str) else tuple(v) for k, v in data["references"].items()}
        plain = bool(data.get("plain", False))
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as cause:
        raise ResultFileError("the file holds no hypotheses", where=path, found=repr(cause), todo=_TODO) from cause
    if not all(isinstance(v, str) for v in hypotheses.values()):
        raise ResultFileError("a hypothesis is no string", where=path, todo=_TODO)
    return System(path.stem, hypotheses, references, plain)


def is_plain(path: str | Path) -> bool:
    """Whether a file is taken for plain text, a sentence a line, by its name."""
    return Path(path).suffix.lower() in (".txt", ".hyp", ".ref", ".de", ".en", ".zh", ".el", "")


def read_lines(path: str | Path) -> list[str]:
    """Lines of a UTF-8 file; an empty line is an empty sentence, the end of the last line is none.

    Raises:
        ResultFileError: missing, not UTF-8, or empty.
    """
    text = read_result(path, _TODO)
    if not text:
        raise ResultFileError("the file is empty", where=path, expected="a sentence a line")
    lines = text.split("\n")  # not splitlines: U+2028 may stand inside a sentence
    return lines[:-1] if not lines[-1] else lines


def line_ids(count: int) -> list[str]:
    """Ids of plain sentences: numbers of lines, as wide as the last, so that their order is that of the file."""
    return [str(i).zfill(len(str(count))) for i in range(1, count + 1)]


def read_reference_lines(path: str | Path) -> dict[str, tuple[str, ...]]:
    """References from JSON lines with ``id`` and ``references`` (list of strings, or one string).

    Raises:
        ResultFileError: names file and line.
    """
    references: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except json.JSONDecodeError as cause:
            raise ResultFileError("a line is not valid JSON", where=where, found=cause) from cause
        value = data.get("references", data.get("text")) if isinstance(data, dict) else None
        strings = [value] if isinstance(value, str) else value
        if (
            not isinstance(data.get("id") if isinstance(data, dict) else None, str)
            or not isinstance(strings, list)
            or not strings
            or not all(isinstance(s, str) for s in strings)
        ):
            raise ResultFileError(
                "a line holds no references",
                where=where,
                expected='{"id": string, "references": list of strings}',
                found=line.strip()[:200],
            )
        if data["id"] in references:
            raise ResultFileError("an id occurs twice", where=where, found=repr(data["id"]))
        references[data["id"]] = tuple(strings)
    if not references:
        raise ResultFileError("the file holds no references", where=path)
    return references


def join(system: System, references: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Hypotheses by the references' ids; plain sentences by their place in the file.

    Raises:
        ScoreError: unequal numbers, or other ids.
    """
    if not system.plain:
        check_ids(system.hypotheses, references, what=f"hypotheses of {system.name}")
        return system.hypotheses
    if len(system.hypotheses) != len(references):
        raise ScoreError(
            f"{system.name} has another number of sentences than the references",
            expected=f"{len(references)} lines",
            found=f"{len(system.hypotheses)} lines",
            todo="give one hypothesis a line, in the order of the references; an empty line is an empty hypothesis",
        )
    return dict(zip(references, system.hypotheses.values(), strict=True))
