"""How often a sentence can be right that is made from the signing alone, from the question alone, or from both."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from slt_zoo.errors import ConfigError, DatasetError
from slt_zoo.synthetic.corpus import MARK
from slt_zoo.synthetic.grammars import GRAMMARS
from slt_zoo.synthetic.grammars.grammar import Phrase
from slt_zoo.synthetic.layouts import Layout, layout_of
from slt_zoo.synthetic.questions import Asker, make_asker
from slt_zoo.synthetic.sentences import Row, held_out

__all__ = ["Ceilings", "asker_of", "ceilings", "ceilings_of"]

Evidence = Callable[[Phrase], list[Hashable]]
"""What a reader may see of a sentence, one as likely as the other."""


@dataclass(frozen=True)
class Ceilings:
    """Expected share of a split's sentences that are exactly right with the best guess of a reader who knows all.

    All: the grammar, the homonyms, how questions are made, the training split, and what is in front of the reader.

    Attributes:
        video: with the glosses, homonyms of one sign not told apart. Real videos are harder.
        question: with the question.
        both: with both.
    """

    video: float
    question: float
    both: float


def ceilings(root: str | Path, split: str = "test") -> Ceilings:
    """The ceilings of a split of a simulated corpus with questions.

    Args:
        root: of the corpus.
        split: train, dev or test.

    Raises:
        ConfigError: the folder holds no simulated corpus with simulated questions.
        DatasetError: its mark or its annotations are damaged, or the split is empty.
    """
    layout, asker = _read_mark(Path(root).expanduser())
    rows = layout.read_annotations(Path(root).expanduser())
    own = [row for row in rows if row.split == split]
    if not own:
        raise DatasetError(f"no sample of {split}", where=root, expected=", ".join(sorted({r.split for r in rows})))
    return ceilings_of(asker, own, [] if split == "train" else [row for row in rows if row.split == "train"])


def asker_of(root: str | Path) -> Asker:
    """What asked the questions of a simulated corpus: it knows homonyms, cues, and which words a homonym stands for.

    Raises:
        ConfigError: the folder holds no simulated corpus with simulated questions.
        DatasetError: its mark is damaged.
    """
    return _read_mark(Path(root).expanduser())[1]


def _read_mark(root: Path) -> tuple[Layout, Asker]:
    path = root / MARK
    try:
        mark = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as cause:
        raise DatasetError(f"{MARK} is damaged", where=path, found=str(cause)) from cause
    if mark.get("question_overlap") is None:
        raise ConfigError(
            "no simulated corpus with simulated questions",
            where=path,
            expected="one that `simulate` wrote for a corpus with questions, without `annotations`",
        )
    layout = layout_of(mark["corpus"])
    return layout, make_asker(mark["corpus"], GRAMMARS[layout.language], mark["question_overlap"], mark["seed"])


def ceilings_of(asker: Asker, rows: Sequence[Row], train: Sequence[Row] = ()) -> Ceilings:
    """The ceilings of rows of a grammar.

    Args:
        asker: made their questions.
        rows: at least one.
        train: of the training split, if ``rows`` are held out: what looks like one of them is ruled out, and so is
            what their words cannot say.
    """
    every = [(phrase, 1 / len(own)) for own in asker.grammar.sentences().values() for phrase in own]
    if train:
        may = held_out(asker.grammar, [_phrase(row) for row in train])
        every = [(phrase, weight) for phrase, weight in every if may(phrase)]

    def signing(phrase: Phrase) -> Hashable:
        return asker.grammar.signs(phrase[0].split())

    def questions(phrase: Phrase) -> list[Hashable]:
        gloss, cues = phrase[0].split(), asker.cues(phrase[0].split())
        return [(cues, run) for run in asker.runs(gloss, phrase[1])]

    def both(phrase: Phrase) -> list[Hashable]:
        return [(signing(phrase), question) for question in questions(phrase)]

    phrases = [_phrase(row) for row in rows]
    signed = [signing(phrase) for phrase in phrases]
    asked = [(asker.cues(row.gloss), asker.kept(row.gloss, row.text)) for row in rows]
    return Ceilings(
        video=_ceiling(every, lambda phrase: [signing(phrase)], signed),
        question=_ceiling(every, questions, asked),
        both=_ceiling(every, both, list(zip(signed, asked, strict=True))),
    )


def _phrase(row: Row) -> Phrase:
    return " ".join(row.gloss), row.text


def _ceiling(every: Sequence[tuple[Phrase, float]], evidence: Evidence, seen: Sequence[Hashable]) -> float:
    """Mean probability of the likeliest sentence given what is seen."""
    wanted = set(seen)
    likely: dict[Hashable, dict[Phrase, float]] = defaultdict(lambda: defaultdict(float))
    for phrase, weight in every:
        shown = evidence(phrase)
        for what in wanted.intersection(shown):
            likely[what][phrase] += weight * shown.count(what) / len(shown)
    return sum(max(own.values()) / sum(own.values()) for own in map(likely.__getitem__, seen)) / len(seen)
