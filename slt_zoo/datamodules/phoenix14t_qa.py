"""PHOENIX14T with a question to each sentence: German Sign Language (DGS) and a German question to German.

Question-driven translation as in SSL-SSAW (arXiv 2509.14036): the output is the translation. Questions in the form of
``DatasetFile/dialogue_pheonix`` of ``glq-1992/GBT-code``, 7,096 / 519 / 642; that these are the questions of the paper
is likely and not proven. Not SignQA-2026 (arXiv 2607.27826), whose ``phoenix14t-qa`` is another task.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from slt_zoo.data.official import Entry, read_phoenix14t_qa
from slt_zoo.data.questions import QuestionCorpus
from slt_zoo.datamodules.phoenix14t import Phoenix14T
from slt_zoo.types import Split

__all__ = ["Phoenix14TQA"]


class Phoenix14TQA(QuestionCorpus, Phoenix14T):
    """PHOENIX14T, joined with questions by the sample's name; see `QuestionCorpus` and `Phoenix14T`.

    Questions are cased, mostly without a question mark, and many are statements; some are the answer itself. The
    question alone, taken as the translation, has BLEU-4 32 on test: no result is worth much without that row.
    """

    hashes: ClassVar[dict[Split, str]] = {
        "train": "602439242f25786ffe3a48faef9ca2946adad21479448db3be559b4186619c8c",
        "dev": "7b136f9ea1c91e626640fe5536b79f435f97cd94d24e534b0c48765622d35086",
        "test": "0c97203d79ab6bfddd9c3f8ebb391613d355276029751306b0bc412da20fcb74",
    }

    def read_released(self, path: Path) -> Iterable[Entry]:
        """Lines ``split/name text%question%glosses``."""
        return read_phoenix14t_qa(path)

    def question_hash(self, split: Split) -> str | None:
        """Of the questions in ``glq-1992/GBT-code``."""
        return self.hashes.get(split)
