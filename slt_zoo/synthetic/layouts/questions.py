"""What the layouts of corpora with questions share: a folder ``questions`` with a file a split."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from slt_zoo.errors import AnnotationError, DatasetNotFoundError, first_few
from slt_zoo.synthetic.sentences import SPLITS, Row

__all__ = ["QuestionLayout", "with_questions", "write_questions"]

log = logging.getLogger(__name__)

_FOLDER = "questions"


class QuestionLayout:
    """Marks the layouts whose rows have questions."""


def with_questions(
    rows: Sequence[Row], folders: Sequence[Path], read: Callable[[Path], Mapping[str, str]]
) -> list[Row]:
    """Annotated rows with the questions of their names; rows without one are told and keep None.

    Args:
        rows: of the parent corpus.
        folders: where the folder ``questions`` may lie; the first that has it counts.
        read: the questions of a file by name.

    Raises:
        DatasetNotFoundError: no such folder, or none of a split's files.
        AnnotationError: a damaged file, or a split none of whose samples has a question.
    """
    folder = next((f / _FOLDER for f in folders if (f / _FOLDER).is_dir()), None)
    if folder is None:
        raise DatasetNotFoundError(
            "no questions to the annotation",
            where="looked in " + ", ".join(str(f / _FOLDER) for f in folders),
            expected=f"a folder {_FOLDER} with {', '.join(f'{s}.txt' for s in SPLITS)}, as released",
            todo="put the files of questions there, or simulate the corpus without questions: data modules with "
            "questions read its folder too, with data.questions=<folder>",
        )
    asked: dict[tuple[str, str], str] = {}
    for split in dict.fromkeys(row.split for row in rows):
        file = folder / f"{split}.txt"
        if not file.is_file():
            raise DatasetNotFoundError(f"no questions of {split}", where=file, todo="put the released file there")
        own = {(split, name): question for name, question in read(file).items()}
        if not any((row.split, row.id) in own for row in rows):
            raise AnnotationError(
                f"no sample of {split} has a question",
                where=file,
                found=f"{len(own)} questions of other samples",
                todo="is it the file of another split or corpus?",
            )
        asked |= own
    bare = [row.id for row in rows if (row.split, row.id) not in asked]
    if bare:
        log.warning("%d samples have no question in %s: %s", len(bare), folder, first_few(bare))
    return [dataclasses.replace(row, question=asked.get((row.split, row.id))) for row in rows]


def write_questions(corpus_folder: Path, rows: Sequence[Row], line: Callable[[Row], str]) -> None:
    """``questions/{split}.txt`` of each split that has any, a line a row that has a question."""
    (corpus_folder / _FOLDER).mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        lines = [line(row) for row in rows if row.split == split and row.question is not None]
        if lines:
            (corpus_folder / _FOLDER / f"{split}.txt").write_bytes("\n".join(lines).encode())
