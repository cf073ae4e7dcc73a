"""PHOENIX14T with questions: the parent's tree, and a file of questions a split beside the annotations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from slt_zoo.synthetic.layouts.phoenix14t import INNER, Phoenix14TLayout
from slt_zoo.synthetic.layouts.questions import QuestionLayout, with_questions, write_questions
from slt_zoo.synthetic.sentences import Row

__all__ = ["Phoenix14TQALayout"]


class Phoenix14TQALayout(QuestionLayout, Phoenix14TLayout):
    """As `Phoenix14TLayout`, with ``questions/{split}.txt``: ``split/name text%question%glosses``."""

    corpus: ClassVar[str] = "Phoenix14TQA"

    def read_annotations(self, path: Path) -> list[Row]:
        """The parent's rows with their questions, from ``questions`` in ``PHOENIX-2014-T``.

        Raises:
            DatasetNotFoundError: no annotation, or no questions.
            AnnotationError: a damaged line, a name that occurs twice, or questions of other samples alone.
        """
        manual = path.parent if path.is_file() else path  # annotations/manual, if it is not a folder above
        folders = [manual, manual / "PHOENIX-2014-T", manual / INNER, manual.parent.parent]
        return with_questions(super().read_annotations(path), folders, _questions)

    def write_annotations(self, root: Path, rows: Sequence[Row], fps: float) -> None:
        """The parent's files and those of the questions, which end without a newline as the released ones do."""
        super().write_annotations(root, rows, fps)
        write_questions(
            root / INNER,
            rows,
            lambda row: f"{row.split}/{row.id} {row.text}%{row.question}%{' '.join(row.gloss)}",
        )


def _questions(file: Path) -> dict[str, str]:
    from slt_zoo.data.official import read_phoenix14t_qa

    return {entry.id: entry.question or "" for entry in read_phoenix14t_qa(file)}
