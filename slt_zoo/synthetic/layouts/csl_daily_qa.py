"""CSL-Daily with questions: the parent's tree, and a file of questions a split beside the labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from slt_zoo.data.annotations import read_text
from slt_zoo.synthetic.layouts.csl_daily import CSLDailyLayout, labels
from slt_zoo.synthetic.layouts.questions import QuestionLayout, with_questions, write_questions
from slt_zoo.synthetic.sentences import Row

__all__ = ["CSLDailyQALayout"]

_FOLDER = "CSL-Daily"


class CSLDailyQALayout(QuestionLayout, CSLDailyLayout):
    """As `CSLDailyLayout`, with ``questions/{split}.txt``: ``index|name|length|gloss|char|word|question|``.

    Questions are cut into words by spaces, as in the released files; the data module removes these.
    """

    corpus: ClassVar[str] = "CSLDailyQA"

    def read_annotations(self, path: Path) -> list[Row]:
        """The parent's rows with their questions, from ``questions`` in ``CSL-Daily``.

        Raises:
            DatasetNotFoundError: no annotation, or no questions.
            AnnotationError: a damaged file, a name that occurs twice, or questions of other samples alone.
        """
        here = path.parent if path.is_file() else path  # sentence_label, if it is not a folder above
        return with_questions(super().read_annotations(path), [here, here / _FOLDER, here.parent], _questions)

    def write_annotations(self, root: Path, rows: Sequence[Row], fps: float) -> None:
        """The parent's files and those of the questions, whose numbers are those of ``video_map.txt``."""
        super().write_annotations(root, rows, fps)
        fields = {info["name"]: (number, info) for number, info in enumerate(labels(rows))}

        def line(row: Row) -> str:
            number, info = fields[row.id]
            parts = (" ".join(info[f"label_{kind}"]) for kind in ("gloss", "char", "word"))
            return "|".join([f"{number:06d}", row.id, str(row.num_frames), *parts, f"{row.question}|"])

        write_questions(root / _FOLDER, sorted(rows, key=lambda row: row.id), line)


def _questions(file: Path) -> dict[str, str]:
    from slt_zoo.data.official import read_csl_daily_qa

    lines = read_text(file).split("\n")
    return {entry.id: lines[entry.line - 1].split("|")[6] for entry in read_csl_daily_qa(file)}
