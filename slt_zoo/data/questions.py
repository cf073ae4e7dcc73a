"""Questions of question-driven translation: video and question in, the translation of the video out.

A corpus with questions is its parent, joined by id with a file of questions: the released one of the corpus, the
interchange format (JSON lines), or questions made by a rule where there is no file. This is not the task of
SignQA-2026, which uses nearly the same names for answers about glosses and positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.annotations import read_text
from slt_zoo.data.base import Expected, SLTDataModule
from slt_zoo.data.checks import has_odd_spaces
from slt_zoo.data.formats.questions import GENERATED, Asked, by_id, read_questions
from slt_zoo.data.locations import names_in
from slt_zoo.data.official import Entry
from slt_zoo.data.places import SPLIT_MARK, names_of
from slt_zoo.data.question_rules import generate_question
from slt_zoo.errors import AnnotationError, ConfigError, DatasetError, DatasetNotFoundError, UnknownNameError, first_few
from slt_zoo.types import SPLITS, InputSpec, Sample, Split

__all__ = ["QuestionCorpus"]


class QuestionCorpus(SLTDataModule):
    """What a corpus with questions adds to its parent.

    Ids, split, texts, glosses and media are the parent's; the question is joined by id, and where its file has other
    texts or other samples, that is told. ``meta["question_source"]`` says where a question is from: ``released`` (the
    corpus's own file), ``human``, ``generated``, or ``simulated`` (made with the sentences of a simulated corpus).

    Args:
        root: of the parent corpus.
        questions: file (``{split}`` in its name stands for the split), or folder with ``train``, ``dev`` and ``test``
            as ``.txt`` (the released format) or ``.jsonl`` (the interchange format); by default the folder
            ``questions`` in the corpus, and where that has no file of a split, as with ``"generated"``: made from the
            translation by a rule, with a warning. Results with them are not comparable.
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
        self._generated: dict[Split, int] = {}

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
            DatasetNotFoundError: no annotation, or no questions of this split where ``questions`` says they are.
            AnnotationError: a damaged file, or questions of other samples alone.
        """
        samples = list(super().read_annotations(split))
        place = None if self.questions == GENERATED else self._question_file(split)
        if place is None:
            return self._generate(samples, split)
        path, asked = self._asked(split, *place)
        joined = {s.id: asked[s.id] for s in samples if s.id in asked}
        if not joined:
            raise self._nothing_of(split, path, asked)
        for oddity in self._oddities(samples, asked, joined):
            rank_zero_warn(f"{self.corpus} {split}: {oddity} ({path.name})")
        self._generated[split] = sum(row.source == GENERATED for row in joined.values())
        return [_with(s, row.question, row.source, row.num_frames) if (row := joined.get(s.id)) else s for s in samples]

    def _nothing_of(self, split: Split, path: Path, asked: Mapping[str, Asked]) -> AnnotationError:
        """Says of which splits the questions of a file are instead."""
        counts = self._counts(path, asked)
        first = f", first {first_few(list(asked), 2)}" if asked else ""
        told = ", ".join(f"{count} of {name}" for name, count in counts.items())
        return AnnotationError(
            f"{self.corpus}: no sample of {split} has a question",
            where=path,
            found=f"questions of other splits: {told}" if told else f"{len(asked)} questions of other samples{first}",
            todo=f"add those of {split} to the file, or name one file a split, as in data.questions='DIR/{SPLIT_MARK}"
            f"{path.suffix}'; data.questions={GENERATED} makes all by a rule, and results with them are not comparable"
            if told
            else "is it the file of another split or corpus?",
        )

    def _counts(self, path: Path, asked: Mapping[str, Asked]) -> dict[Split, int]:
        """How many questions of each split a file has; the released format does not say it, so ids tell."""
        if read_text(path).lstrip().startswith("{"):
            rows = read_questions(path, self.language)
            counts = {split: sum(row.split == split for row in rows) for split in SPLITS}
        else:
            counts = {}
            for split in SPLITS:
                try:
                    samples = super().read_annotations(split)
                except DatasetError:
                    continue  # a split that is not there
                counts[split] = sum(sample.id in asked for sample in samples)
        return {split: count for split, count in counts.items() if count}

    def _generate(self, samples: list[Sample], split: Split) -> list[Sample]:
        self._generated[split] = len(samples)
        wanted = (
            "" if self.questions else f"there is no {' or '.join(map(str, _names(self._question_folder(), split)))}; "
        )
        rank_zero_warn(
            f"{self.corpus} {split}: {wanted}the questions are generated from the translations by a rule; results with "
            "them are not comparable with others"
            + (". data.questions=<file or folder> takes those of annotators" if wanted else "")
        )
        return [_with(s, generate_question(s.text, self.language), GENERATED, None) for s in samples]

    def score_notes(self, split: Split) -> dict[str, Any]:
        """As the parent's; and how many questions of each split that was read are generated."""
        made = {name: count for name, count in self._generated.items() if count}
        return super().score_notes(split) | ({"generated_questions": made} if made else {})

    def _oddities(
        self, samples: list[Sample], asked: Mapping[str, Asked], joined: Mapping[str, Asked]
    ) -> Iterable[str]:
        bare = [s.id for s in samples if s.id not in joined]
        surplus = [row.id for row in asked.values() if row.id not in joined and row.split is not None]
        other = [s.id for s in samples if s.id in joined and joined[s.id].text != s.text]
        rates = [i for i, row in joined.items() if row.fps is not None and row.fps != self.fps]
        odd = [i for i, r in joined.items() if has_odd_spaces(r.question)]
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

    def _asked(self, split: Split, path: Path, alone: bool) -> tuple[Path, dict[str, Asked]]:
        """The questions of a split (or of all, where the file does not say the split) by id."""
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
        return path, by_id(rows, path)

    def _made(self, path: Path) -> bool:
        """Whether a file of the corpus holds questions that were simulated, not those of an annotation."""
        inside = path.resolve().is_relative_to(self.corpus_folder().resolve())
        return inside and (self.simulation_note() or {}).get("question_overlap") is not None

    def questions_of_others(self, split: Split) -> str | None:
        """A sentence where the corpus has questions of other splits and lacks those of this one: a part of a copy."""
        if self.questions is not None or any(path.is_file() for path in _names(self._question_folder(), split)):
            return None
        folder = self._question_folder()
        others = [other for other in SPLITS if any(path.is_file() for path in _names(folder, other))]
        wanted = " or ".join(path.name for path in _names(folder, split))
        told = f"no {wanted} in {folder}, which has the questions of {' and '.join(others)}: take the whole folder"
        return told if others else None

    def _question_folder(self) -> Path:
        return self.corpus_folder() / "questions" if self.questions is None else Path(self.questions).expanduser()

    def _question_file(self, split: Split) -> tuple[Path, bool] | None:
        """The file, and whether it is of this split alone; None: there is none, and none was named."""
        given = self._question_folder()
        if given.is_file():
            return given, False
        one_a_split = SPLIT_MARK in str(given)
        marked = [Path(str(given).replace(SPLIT_MARK, name)) for name in names_of(split)]
        places = marked if one_a_split else _names(given, split)
        found = [path for path in places if path.is_file()]
        if len(found) == 1:
            return found[0], True
        if found:
            raise ConfigError(
                f"{self.corpus}: more than one file of questions for {split}",
                where=given,
                found=", ".join(path.name for path in found),
                todo="name the folder of one of them in data.questions",
            )
        if self.questions is None:
            return None
        raise DatasetNotFoundError(
            f"{self.corpus}: no questions of {split}",
            where=given,
            expected=" or ".join(path.name for path in places),
            found=names_in(given.parent if one_a_split else given),
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


def _names(folder: Path, split: Split) -> list[Path]:
    """Where a split's file of questions may lie."""
    return [folder / f"{stem}{end}" for stem in (split, *["val"] * (split == "dev")) for end in (".txt", ".jsonl")]


def _with(sample: Sample, question: str, source: str, num_frames: int | None) -> Sample:
    declared = {} if num_frames is None or num_frames < 1 else {"num_frames": num_frames}
    return replace(sample, question=question, meta={**declared, **sample.meta, "question_source": source})
