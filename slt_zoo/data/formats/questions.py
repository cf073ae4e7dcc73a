"""Questions in the interchange format: JSON lines, an object a sample."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.annotations import read_text, unique_keys
from slt_zoo.data.formats.entries import check_encodable, shown
from slt_zoo.data.ids import bare_id, check_id
from slt_zoo.errors import AnnotationError, UnknownNameError
from slt_zoo.types import Split, as_split

__all__ = ["GENERATED", "Asked", "by_id", "read_questions"]

GENERATED = "generated"
"""Source of questions that a rule made of the translations."""

REQUIRED = ("id", "split", "num_frames", "fps", "question", "text", "language", "question_source")
SOURCES = ("human", GENERATED)


@dataclass(frozen=True)
class Asked:
    """A question as annotated.

    Attributes:
        id: of the sample, without a split in front.
        question: untouched, but for the spaces of segmented Chinese.
        source: ``"human"``, ``"generated"``, or, for the corpus's own file, which does not say it, ``"released"``, or
            ``"simulated"`` where `slt_zoo.synthetic` made it.
        text: translation as this file has it; the corpus's own is the reference.
        split: None where the file does not say it.
        num_frames, fps: as declared; None where unknown.
        line: in the file, from 1.
    """

    id: str
    question: str
    source: str
    text: str
    split: Split | None = None
    num_frames: int | None = None
    fps: float | None = None
    line: int = 0


def read_questions(path: Path, language: str) -> list[Asked]:
    """JSON lines in the interchange format, an object a line.

    Keys: ``id``, ``split``, ``num_frames``, ``fps`` (both may be null), ``question``, ``text``, ``language``,
    ``question_source`` (``human`` or ``generated``); ``video`` and ``gloss`` may be there.

    Args:
        path: the file.
        language: of the corpus, BCP 47.

    Raises:
        AnnotationError: a line that is no such object, or two different questions of one sample; names the lines.
    """
    lines = enumerate(read_text(path).split("\n"), 1)
    rows = (_from_json(line, f"{path}, line {n}", n, language) for n, line in lines if line.strip())
    return list(by_id(rows, path).values())


def _from_json(line: str, where: str, number: int, language: str) -> Asked:
    try:
        row = json.loads(line, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as cause:
        raise AnnotationError(f"line {number}: no JSON ({cause})", where=where, found=repr(line[:120])) from cause
    keys = set(row) if isinstance(row, dict) else set()
    if {"answer", "video_id"} <= keys:
        raise AnnotationError(
            "these are question-answer pairs of SignQA-2026, another task: there the output is the answer",
            where=where,
            todo="question-driven translation needs the question and the translation of each video",
        )
    if lacking := [key for key in REQUIRED if key not in keys]:
        raise AnnotationError(
            f"line {number}: {', '.join(lacking)} missing", where=where, expected=", ".join(REQUIRED), found=line[:120]
        )
    for key in ("id", "split", "question", "text", "language", "question_source"):
        if not isinstance(row[key], str):
            raise AnnotationError(f"line {number}: {key} is no string", where=where, found=shown(row[key]))
        check_encodable(row[key], f"{where}, key {key}")
    if row["question_source"] not in SOURCES:
        raise AnnotationError(
            f"line {number}: unknown question_source", where=where, expected=SOURCES, found=row["question_source"]
        )
    if row["language"].split("-")[0] != language:
        raise AnnotationError(
            f"line {number}: questions in another language", where=where, expected=language, found=row["language"]
        )
    for key, kinds in (("num_frames", int), ("fps", (int, float))):
        value = row[key]
        wrong = isinstance(value, bool) or not isinstance(value, kinds)
        if value is not None and (wrong or not 0 < value < math.inf):
            raise AnnotationError(f"line {number}: {key} is no positive number", where=where, found=shown(value))
    try:
        split = as_split(row["split"])
    except UnknownNameError as cause:
        raise AnnotationError(f"line {number}: {cause.what}", where=where) from cause
    sample_id, its_split = bare_id(row["id"])
    check_id(sample_id, where)
    if its_split not in (None, split):
        raise AnnotationError(f"line {number}: id and split differ", where=where, found=f"{row['id']!r}, {split}")
    question, text = (_without_segmentation(row[key], language) for key in ("question", "text"))
    return Asked(sample_id, question, row["question_source"], text, split, row["num_frames"], row["fps"], number)


def _without_segmentation(text: str, language: str) -> str:
    return text.replace(" ", "") if language == "zh" else text


def by_id(rows: Iterable[Asked], path: Path) -> dict[str, Asked]:
    """One question a sample; a line that stands twice is kept once, and told.

    Raises:
        AnnotationError: two different questions of one sample; names both lines.
    """
    asked: dict[str, Asked] = {}
    for row in rows:
        other = asked.setdefault(row.id, row)
        if replace(other, line=0) != replace(row, line=0):
            raise AnnotationError(
                f"id {row.id!r} has questions on lines {other.line} and {row.line}",
                where=path,
                expected="one question a sample",
            )
        if other is not row:
            rank_zero_warn(f"{path}: lines {other.line} and {row.line} are the same; one is kept")
    return asked
