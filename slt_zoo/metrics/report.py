"""From strings to a report: the one way in which slt_zoo scores anything."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from typing import Any

import numpy as np

from slt_zoo._version import __version__
from slt_zoo.errors import ConfigError, ScoreError, first_few
from slt_zoo.metrics.external import External
from slt_zoo.metrics.protocols import PROTOCOLS, Protocol, get_protocol
from slt_zoo.metrics.statistics import interval, named, resample
from slt_zoo.types import Prediction

__all__ = ["SIMULATED_NOTE", "ScoreReport", "ScoredSplit", "check_ids", "prepare", "reference_hash", "score"]

SIMULATED_NOTE = "Simulated signing is no sign language; no score on it is a translation result."


@dataclass(frozen=True)
class ScoreReport:
    """Scores, and all that is needed to know what they mean.

    Attributes:
        values: in percent, by name (``report.values["bleu4"]``).
        protocol: name of the protocol; values of two protocols cannot be compared.
        signature: of every score, sacreBLEU's included, joined by ``"; "``.
        num_samples: sentences scored.
        reference_hash: of the references, see :func:`reference_hash`; equal hashes: the same references.
        versions: of what computed the values.
        intervals: 95 % bootstrap intervals of the values, ``(low, high)`` by name; none where none were asked for.
        ids: of the samples scored, sorted.
        extra: plain data about the run: decoding settings, ``checkpoint`` (hash), ``simulated``, ``complete``, ...
    """

    values: dict[str, float]
    protocol: str
    signature: str
    num_samples: int
    reference_hash: str
    versions: dict[str, str] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ScoreReport:
        """Inverse of :meth:`to_dict`.

        Raises:
            ScoreError: keys are missing, or there are some that this version does not know.
        """
        known = [f.name for f in fields(cls)]
        required = known[:5]
        if not isinstance(data, Mapping) or not set(required) <= set(data) <= set(known):
            raise ScoreError(
                "this is no score report that can be read",
                expected=f"the keys {', '.join(required)}, and perhaps {', '.join(known[5:])}",
                found=f"the keys {', '.join(map(str, data))}" if isinstance(data, Mapping) else type(data).__name__,
                todo="score the predictions again, or update slt_zoo if a newer version wrote the report",
            )
        try:
            values = {str(name): float(value) for name, value in data["values"].items()}
            pairs = {name: (float(low), float(high)) for name, (low, high) in data.get("intervals", {}).items()}
            return cls(**{**data, "values": values, "intervals": pairs, "ids": tuple(data.get("ids", ()))})
        except (AttributeError, TypeError, ValueError) as cause:
            raise ScoreError("this is no score report that can be read", found=cause) from cause

    def to_json(self) -> str:
        """As JSON text.

        Raises:
            ScoreError: ``extra`` holds something that is no plain data.
        """
        try:
            return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)
        except TypeError as error:
            raise ScoreError(
                "a score report can hold plain data only", where="ScoreReport.extra", found=error
            ) from error

    @classmethod
    def from_json(cls, text: str) -> ScoreReport:
        """Inverse of :meth:`to_json`.

        Raises:
            ScoreError: no JSON, or not of a report.
        """
        try:
            data = json.loads(text)
        except (json.JSONDecodeError, TypeError) as error:
            raise ScoreError("a score report is not valid JSON", found=error) from error
        return cls.from_dict(data)

    def caveats(self) -> list[str]:
        """What has to be said wherever the values are shown, each a sentence."""
        found = []
        if self.protocol in PROTOCOLS and PROTOCOLS[self.protocol].legacy:
            found.append("Legacy protocol: repeats one published scorer, to compare with its old tables alone.")
        if self.extra.get("simulated"):
            found.append(SIMULATED_NOTE)
        if not self.extra.get("complete", True):
            found.append("Incomplete: only a part of the split was decoded.")
        return found

    def table(self) -> str:
        """The report as lines of text for people."""
        width = max(len(name) for name in self.values)
        spans = {name: f"  [{low:.2f}, {high:.2f}]" for name, (low, high) in self.intervals.items()}
        return "\n".join(
            [
                f"{self.protocol}, {self.num_samples} sentences, values in percent"
                + (", 95 % bootstrap intervals" if spans else ""),
                *(f"  {name:<{width}}  {value:7.2f}{spans.get(name, '')}" for name, value in self.values.items()),
                *(f"  {part}" for part in self.signature.split("; ")),
                f"  references {self.reference_hash[:12]}",
                *self.caveats(),
            ]
        )


@dataclass(frozen=True)
class ScoredSplit:
    """The newest decoding of a split, and its score.

    Attributes:
        predictions: one a sample.
        report: scores over exactly these predictions.
        complete: False: only a part of the split was decoded (``limit_val_batches``), so the score is of another set.
    """

    predictions: list[Prediction]
    report: ScoreReport
    complete: bool = True


def reference_hash(references: Mapping[str, str | Sequence[str]]) -> str:
    """SHA-256 (hexadecimal) of the annotation's strings, before any preparation.

    Samples go in the order of their ids (by code point); each gives the JSON array of its references, in their own
    order, as ``json.dumps`` writes it by default (ASCII), and a line feed. The ids themselves are not hashed.
    """
    digest = hashlib.sha256()
    for _, strings in sorted(references.items()):
        digest.update(json.dumps([strings] if isinstance(strings, str) else list(strings)).encode("ascii") + b"\n")
    return digest.hexdigest()


def check_ids(found: Iterable[str], expected: Iterable[str], *, what: str = "hypotheses") -> None:
    """That two sets of ids are one.

    Raises:
        ScoreError: names the missing and the surplus ids.
    """
    found, expected = set(found), set(expected)
    missing, surplus = sorted(expected - found), sorted(found - expected)
    if missing or surplus:
        faults = [
            f"{len(ids)} {kind} ({first_few(ids)})" for kind, ids in (("missing", missing), ("surplus", surplus)) if ids
        ]
        raise ScoreError(
            f"the {what} are not those of the split",
            expected=f"{len(expected)} ids",
            found=f"{len(found)} ids: {' and '.join(faults)}",
            todo="decode the whole split, and score it against its own references",
        )


def score(
    hypotheses: Mapping[str, str],
    references: Mapping[str, str | Sequence[str]],
    protocol: str,
    *,
    samples: int = 1000,
    seed: int = 0,
    external: Mapping[str, Mapping[str, float]] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> ScoreReport:
    """Score a whole split.

    Args:
        hypotheses: by sample id; an empty string is a hypothesis like any other.
        references: by sample id, the annotation's strings: one, or several of which no sample needs equally many.
        protocol: name of a protocol (``slt_zoo.metrics.PROTOCOLS``).
        samples: bootstrap samples of the intervals; 0: no intervals, as in validation during training.
        seed: of the bootstrap.
        external: further scores by name, a number a sentence by id, as other programs give them (BLEURT, COMET); their
            mean times 100 is reported.
        extra: plain data that goes into the report.

    Raises:
        UnknownNameError: no such protocol.
        ScoreError: nothing to score, ids differ, a value is no string, a sample has no reference, or all are empty.
    """
    check_samples(samples, seed)
    prepared = prepare(hypotheses, references, protocol)
    more = [_external(name, sentences, prepared) for name, sentences in (external or {}).items()]
    measures = (*prepared.protocol.scores, *more)
    found = [measure.statistics(prepared.hypotheses, prepared.references) for measure in measures]
    rows = np.concatenate([f.rows for f in found], 1)  # side by side, so that sentences are drawn once for all scores
    totals, drawn = rows.sum(0, keepdims=True), resample(rows, samples, seed) if samples else None
    values: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    begin = 0
    for measure, statistics in zip(measures, found, strict=True):
        end = begin + statistics.rows.shape[1]
        part = named(measure.names, measure.values(totals[:, begin:end])[0])
        if drawn is not None:
            columns = zip(measure.names, measure.values(drawn[:, begin:end]).T, strict=True)
            intervals |= {name: interval(column) for name, column in columns if name in part}
        values |= part
        begin = end
    return ScoreReport(
        values=values,
        protocol=prepared.protocol.name,
        signature="; ".join(f.signature for f in found),
        num_samples=len(prepared.ids),
        reference_hash=reference_hash(references),
        versions={"slt_zoo": __version__, "sacrebleu": version("sacrebleu"), "python": platform.python_version()},
        intervals=intervals,
        ids=tuple(prepared.ids),
        extra=dict(extra or {}) | ({"bootstrap": {"samples": samples, "seed": seed}} if samples else {}),
    )


@dataclass(frozen=True)
class Prepared:
    """Strings as a protocol's scores see them, in the order of the ids.

    Attributes:
        protocol: that prepared them.
        ids: sorted.
        hypotheses: one an id.
        references: one or more an id.
    """

    protocol: Protocol
    ids: list[str]
    hypotheses: list[str]
    references: list[tuple[str, ...]]


def prepare(hypotheses: Mapping[str, str], references: Mapping[str, str | Sequence[str]], protocol: str) -> Prepared:
    """Check and prepare strings; see :func:`score` for arguments and errors."""
    chosen = get_protocol(protocol)
    _check_mapping(hypotheses, "hypotheses")
    _check_mapping(references, "references")
    if not hypotheses and not references:
        raise ScoreError("nothing to score: there are neither hypotheses nor references")
    check_ids(hypotheses, references)
    ids = sorted(hypotheses)
    texts = {i: _reference_strings(i, references[i]) for i in ids}
    _check_hypotheses(hypotheses)
    if not any(text.strip() for strings in texts.values() for text in strings):
        raise ScoreError(
            "all references are empty strings",
            found=f"{len(ids)} samples",
            todo="check that the references come from the annotation of this split",
        )
    return Prepared(
        chosen,
        ids,
        [chosen.hypothesis(hypotheses[i]) for i in ids],
        [tuple(chosen.reference(text) for text in texts[i]) for i in ids],
    )


def _reference_strings(sample_id: str, value: str | Sequence[str]) -> tuple[str, ...]:
    strings = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
    if not strings or not all(isinstance(s, str) for s in strings):
        raise ScoreError(
            "a sample needs at least one reference, and each must be a string",
            where=f"sample {sample_id!r}",
            expected="a string, or a list of strings",
            found=repr(value)[:200],
        )
    return strings


def _check_mapping(given: Any, what: str) -> None:
    if not isinstance(given, Mapping) or not all(isinstance(i, str) for i in given):
        raise ScoreError(
            f"{what} must be strings by sample id",
            expected='a dict such as {"sample-1": "..."} whose keys are strings',
            found=type(given).__name__ if not isinstance(given, Mapping) else "ids that are no strings",
            todo="give lists ids of their own: dict(zip(map(str, range(len(x))), x))",
        )


def check_samples(samples: int, seed: int, least: int = 0) -> None:
    """That a bootstrap can be drawn.

    Raises:
        ConfigError: samples or seed are no whole numbers, or too small.
    """
    if not isinstance(samples, int) or not isinstance(seed, int) or samples < least or seed < 0:
        raise ConfigError(
            "the bootstrap needs samples and a seed",
            expected=f"whole numbers, samples at least {least}, the seed at least 0",
            found=f"{samples=}, {seed=}",
        )


def _external(name: str, sentences: Mapping[str, float], prepared: Prepared) -> External:
    if name in prepared.protocol.score_names:
        raise ConfigError("an external score has the name of one of the protocol's", found=name)
    check_ids(sentences, prepared.ids, what=f"numbers of {name}")
    if not all(isinstance(x, int | float) and math.isfinite(x) for x in sentences.values()):
        raise ScoreError(f"{name} must be a finite number for each sentence")
    return External(name, sentences, prepared.ids)


def _check_hypotheses(hypotheses: Mapping[str, str]) -> None:
    for sample_id, hypothesis in hypotheses.items():
        if not isinstance(hypothesis, str):
            raise ScoreError(
                "a hypothesis must be a string",
                where=f"sample {sample_id!r}",
                found=f"{type(hypothesis).__name__}: {hypothesis!r}"[:200],
                todo="decode token ids to text before scoring; an empty string stands for no output",
            )
