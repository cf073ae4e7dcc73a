"""CSL-Daily with a question to each sentence: Chinese Sign Language (CSL) and a Chinese question to Chinese.

Question-driven translation as in SSL-SSAW (arXiv 2509.14036): the output is the translation. Questions in the form of
``DatasetFile/dialogue_csldaily`` of ``glq-1992/GBT-code``, 18,401 / 1,077 / 1,176; that these are the questions of the
paper is likely and not proven. Not SignQA-2026 (arXiv 2607.27826), whose ``csl-daily-qa`` is another task.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from slt_zoo.data.official import Entry, read_csl_daily_qa
from slt_zoo.data.questions import QuestionCorpus
from slt_zoo.datamodules.csl_daily import CSLDaily, TextVersion
from slt_zoo.types import Split

__all__ = ["CSLDailyQA"]


class CSLDailyQA(QuestionCorpus, CSLDaily):
    """CSL-Daily, joined with questions by the sample's name; see `QuestionCorpus` and `CSLDaily`.

    Three questions of dev and test are empty; ``empty_question`` says what then. Every repetition of a sentence has
    the same question, and one of twelve is the answer itself. The question alone, taken as the translation, has
    BLEU-4 35 on test (characters): no result is worth much without that row.

    Args:
        root: of CSL-Daily.
        text_version: which texts are read; the released questions were made from the ``smoothed`` ones.
        base: arguments of `QuestionCorpus` and `CSLDaily`.
    """

    hashes: ClassVar[dict[Split, str]] = {
        "dev": "dddc810e61934ff82d8a931b6e91902fe92fbf7589a029f26aa667f5280a391b",
        "test": "02d1e11fc2016511cb970f6560137f6f37f938da1fddfb6c4dc740201c1c7cdf",
    }

    def __init__(self, root: str, *, text_version: TextVersion = "smoothed", **base: Any) -> None:
        super().__init__(root, text_version=text_version, **base)

    def read_released(self, path: Path) -> Iterable[Entry]:
        """Lines ``index|name|length|gloss|char|word|question``."""
        return read_csl_daily_qa(path)

    def question_hash(self, split: Split) -> str | None:
        """Of the questions in ``glq-1992/GBT-code`` with the smoothed texts."""
        return self.hashes.get(split) if self.text_version == "smoothed" else None
