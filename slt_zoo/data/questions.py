"""Questions of question-driven translation: video and question in, the translation of the video out.

A corpus with questions is its parent, joined by id with a file of questions: the released one of the corpus, the
interchange format (JSON lines), or questions made by a rule where there is no annotation. This is not the task of
SignQA-2026, which uses nearly the same names for answers about glosses and positions.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.annotations import read_text, unique_keys
from slt_zoo.data.base import Expected, SLTDataModule
from slt_zoo.data.checks import ZERO_WIDTH
from slt_zoo.data.formats.entries import bare_name, check_encodable, shown
from slt_zoo.data.ids import check_id
from slt_zoo.data.official import Entry
from slt_zoo.errors import AnnotationError, ConfigError, DatasetNotFoundError, UnknownNameError, first_few
from slt_zoo.types import InputSpec, Sample, Split, as_split

__all__ = ["Asked", "QuestionCorpus", "generate_question", "read_questions"]

REQUIRED = ("id", "split", "num_frames", "fps", "question", "text", "language", "question_source")
SOURCES = ("human", "generated")
GENERATED = "generated"


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
    return list(_by_id(rows, path).values())


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
    sample_id, its_split = bare_name(row["id"])
    check_id(sample_id, where)
    if its_split is not None and as_split(its_split) != split:
        raise AnnotationError(f"line {number}: id and split differ", where=where, found=f"{row['id']!r}, {split}")
    question, text = (_without_segmentation(row[key], language) for key in ("question", "text"))
    return Asked(sample_id, question, row["question_source"], text, split, row["num_frames"], row["fps"], number)


def _without_segmentation(text: str, language: str) -> str:
    return text.replace(" ", "") if language == "zh" else text


class QuestionCorpus(SLTDataModule):
    """What a corpus with questions adds to its parent.

    Ids, split, texts, glosses and media are the parent's; the question is joined by id, and where its file has other
    texts or other samples, that is told. ``meta["question_source"]`` says where a question is from: ``released`` (the
    corpus's own file), ``human``, ``generated``, or ``simulated`` (made with the sentences of a simulated corpus).

    Args:
        root: of the parent corpus.
        questions: file, or folder with ``train``, ``dev`` and ``test`` as ``.txt`` (the released format) or ``.jsonl``
            (the interchange format); by default the folder ``questions`` in the corpus. ``"generated"``: made from the
            translation by a rule; results with them are not comparable.
        empty_question: what an empty question is to a model that needs one: an error, or kept as it is. Training
            samples with one are left out with ``on_bad_sample="skip"`` where it would be an error.
        base: arguments of the parent corpus.
    """

    def __init__(
        self,
        root: str,
        *,
        questions: str | None = None,
        empty_question: Literal["error", "keep"] = "error",
        **base: Any,
    ) -> None:
        super().__init__(root, **base)
        if empty_question not in ("error", "keep"):
            raise UnknownNameError("empty_question", empty_question, ("error", "keep"))
        self.questions, self.empty_question = questions, empty_question
        self._released: set[Split] = set()

    def read_released(self, path: Path) -> Iterable[Entry]:
        """The corpus's own file of questions."""
        raise NotImplementedError

    def question_hash(self, split: Split) -> str | None:
        """`annotation_hash` of the split with the released questions; None: not known."""
        return None

    def published(self, split: Split) -> Expected | None:
        """Counts of the parent; the hash, where the questions are the released ones."""
        parent = super().published(split)
        return parent and replace(
            parent, annotation_hash=self.question_hash(split) if split in self._released else None
        )

    def read_annotations(self, split: Split) -> Iterable[Sample]:
        """The parent's samples with their questions.

        Raises:
            DatasetNotFoundError: no annotation, or no questions of this split.
            AnnotationError: a damaged file, or questions of other samples alone.
        """
        samples = list(super().read_annotations(split))
        if self.questions == GENERATED:
            rank_zero_warn(
                f"{self.corpus} {split}: the questions are generated from the translations by a rule; "
                "results with them are not comparable with others"
            )
            return [_with(s, generate_question(s.text, self.language), GENERATED, None) for s in samples]
        path, asked = self._asked(split)
        joined = {s.id: asked[s.id] for s in samples if s.id in asked}
        if not joined:
            raise AnnotationError(
                f"{self.corpus}: no sample of {split} has a question",
                where=path,
                found=f"{len(asked)} questions of other samples, first {first_few(list(asked), 2)}",
                todo="is it the file of another split or corpus?",
            )
        for oddity in self._oddities(samples, asked, joined):
            rank_zero_warn(f"{self.corpus} {split}: {oddity} ({path.name})")
        return [_with(s, row.question, row.source, row.num_frames) if (row := joined.get(s.id)) else s for s in samples]

    def _oddities(
        self, samples: list[Sample], asked: Mapping[str, Asked], joined: Mapping[str, Asked]
    ) -> Iterable[str]:
        bare = [s.id for s in samples if s.id not in joined]
        surplus = [row.id for row in asked.values() if row.id not in joined and row.split is not None]
        other = [s.id for s in samples if s.id in joined and joined[s.id].text != s.text]
        rates = [i for i, row in joined.items() if row.fps is not None and row.fps != self.fps]
        odd = [i for i, r in joined.items() if r.question != " ".join(r.question.split()) or ZERO_WIDTH in r.question]
        empty = [i for i, row in joined.items() if not row.question.strip()]
        made = [i for i, row in joined.items() if row.source == GENERATED]
        told = {
            "samples have no question": bare,
            "questions are of samples that the split has not, and are not used": surplus,
            "texts differ from the corpus's, which are the references": other,
            f"questions declare a frame rate other than the corpus's {self.fps:g}, which is used": rates,
            "questions have outer, doubled, no-break or zero-width spaces, which are kept": odd,
            "questions are empty": empty,
            "questions are generated; results with them are not comparable": made,
        }
        return [f"{len(ids)} {what}: {first_few(ids, 3)}" for what, ids in told.items() if ids]

    def _asked(self, split: Split) -> tuple[Path, dict[str, Asked]]:
        """The questions of a split (or of all, where the file does not say the split) by id."""
        path, alone = self._question_file(split)
        head = read_text(path).lstrip()[:1]
        if not head:
            raise AnnotationError("the file of questions is empty", where=path)
        if head == "[":
            raise AnnotationError("a JSON array", where=path, expected="JSON lines, an object a line")
        if head == "{":
            rows = [row for row in read_questions(path, self.language) if row.split == split]
        else:
            own = split if alone else None
            source = "simulated" if self._made(path) else "released"
            if source == "released":
                self._released.add(split)
            rows = [
                Asked(e.id, e.question or "", source, e.text, own, e.num_frames, line=e.line)
                for e in self.read_released(path)
            ]
        return path, _by_id(rows, path)

    def _made(self, path: Path) -> bool:
        """Whether a file of the corpus holds questions that were simulated, not those of an annotation."""
        inside = path.resolve().is_relative_to(self.corpus_folder().resolve())
        return inside and (self.simulation_note() or {}).get("question_overlap") is not None

    def _question_file(self, split: Split) -> tuple[Path, bool]:
        """The file, and whether it is of this split alone."""
        given = self.corpus_folder() / "questions" if self.questions is None else Path(self.questions).expanduser()
        if given.is_file():
            return given, False
        names = [f"{stem}{end}" for stem in (split, *["val"] * (split == "dev")) for end in (".txt", ".jsonl")]
        found = [given / name for name in names if (given / name).is_file()]
        if len(found) == 1:
            return found[0], True
        if found:
            raise ConfigError(
                f"{self.corpus}: more than one file of questions for {split}",
                where=given,
                found=", ".join(path.name for path in found),
                todo="name the folder of one of them in data.questions",
            )
        inside = sorted(p.name for p in given.iterdir())[:8] if given.is_dir() else None
        raise DatasetNotFoundError(
            f"{self.corpus}: no questions of {split}",
            where=given,
            expected=" or ".join(names),
            found="no such folder" if inside is None else f"there: {', '.join(inside) or 'nothing'}",
            todo="pass data.questions=<file or folder>; data.questions=generated makes some by a rule, and results "
            "with them are not comparable",
        )

    def _skip_empty(self, split: Split, spec: InputSpec) -> None:
        """As the parent does; then empty questions are an error, unless they are to be kept."""
        keep = self.empty_question == "keep"
        super()._skip_empty(split, replace(spec, needs=spec.needs - {"question"}) if keep else spec)
        if keep or "question" not in spec.needs:
            return
        manifest = self.manifest(split)
        empty = [
            i for i, q in zip(manifest.ids, manifest.column("question"), strict=True) if q is not None and not q.strip()
        ]
        if empty:
            skip = "; on_bad_sample='skip' leaves them out of training" if split == "train" else ""
            raise AnnotationError(
                f"{self.corpus} {split}: {len(empty)} of {len(manifest)} questions are empty",
                found=first_few(empty),
                todo=f"data.empty_question=keep takes them as they are{skip}",
            )


def _by_id(rows: Iterable[Asked], path: Path) -> dict[str, Asked]:
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


def _with(sample: Sample, question: str, source: str, num_frames: int | None) -> Sample:
    declared = {} if num_frames is None or num_frames < 1 else {"num_frames": num_frames}
    return replace(sample, question=question, meta={**declared, **sample.meta, "question_source": source})


_DAY = r"(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag)"
_GERMAN_TIME = re.compile(
    r"\b(?:(?:heute|morgen|übermorgen|gestern)(?: (?:nacht|abend|früh|morgen|vormittag|mittag|nachmittag))?"
    r"|in der (?:kommenden |nächsten )?nacht|in den (?:nächsten|kommenden|folgenden) tagen|tagsüber|nachts"
    rf"|(?:am|ab|bis) (?:frühen |späten )?(?:{_DAY}|wochenende|morgen|vormittag|mittag|nachmittag|abend|tag|tage))\b"
)
_GERMAN_PLACE = re.compile(
    r"\b(?:(?:im|in der|in den) (?:\w+ )?(?:(?:nord|süd|ost|west)\w*|mitte|bergen|\w*land)|an der (?:\w+ )?\w*küste"
    r"|an den (?:\w+ )?\w*alpen|in (?:bayern|sachsen|hessen|thüringen|brandenburg|niedersachsen|(?:\w+deutschland)))\b"
)
_CHINESE = (
    (re.compile(r"[0-9〇零一二两三四五六七八九十百千万]+(?=[岁个点天年月日号块元本张件只条次位名斤米度分])"), "几"),
    (
        re.compile(
            r"(?:今天|明天|昨天|后天|前天|今年|明年|去年|早上|上午|中午|下午|晚上|周末|星期[一二三四五六日天])+"
        ),
        "什么时候",
    ),
    (re.compile(r"(?:[我你他她]们?|爸爸|妈妈|哥哥|姐姐|弟弟|妹妹|爷爷|奶奶|老师|医生)"), "谁"),
)
_CHINESE_ASKING = re.compile(r"[？?]|什么|谁|哪|几|多少|怎么|吗")


def generate_question(text: str, language: str) -> str:
    """A question to a translation, by a rule; the same text gives the same question.

    German weather forecasts: ``wie ist das wetter`` and the first phrase of time and of place. Chinese: a number, a
    phrase of time or a person becomes an interrogative; where there is none, or the text itself asks, the question
    says nothing of the text. The rest of the text stands in the question: a model can copy it.

    Args:
        text: the translation.
        language: ``"de"`` or ``"zh"``.

    Raises:
        ConfigError: another language.
    """
    if language == "de":
        phrases = (rule.search(text.lower()) for rule in (_GERMAN_TIME, _GERMAN_PLACE))
        return " ".join(["wie ist das wetter", *(found[0] for found in phrases if found)])
    if language != "zh":
        raise ConfigError("questions are generated in German and Chinese alone", found=language)
    if _CHINESE_ASKING.search(text):
        return "对方问了什么？"
    for rule, asking in _CHINESE:
        question, count = rule.subn(asking, text, count=1)
        if count:
            return question.rstrip("。！.! ") + "？"
    return "对方说了什么？"
