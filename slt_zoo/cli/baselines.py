"""Baselines of ``slt-zoo score``: found beside the references, or said to lack what they need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slt_zoo.errors import ConfigError, DatasetError, SLTError

if TYPE_CHECKING:
    from slt_zoo.cli.score import References
    from slt_zoo.data.averages import AveragedFeatures
    from slt_zoo.data.official import Entry

__all__ = ["Places", "baselines"]

Row = tuple[str, dict[str, str] | None, str | None]


@dataclass(frozen=True)
class Places:
    """Features as ``data.features`` and ``data.feature_stride`` say them.

    Attributes:
        features: a place, or several that are joined.
        stride: video frames between two vectors; None: not said.
    """

    features: str | list[str]
    stride: int | None = None


def baselines(
    references: References,
    path: str | None,
    train: str | None,
    features: Places | None,
    question_only: str | None,
    split: str,
    split_file: str | None = None,
) -> Iterator[Row]:
    """Name, hypotheses by id, and, where there are none, what is lacking.

    Args:
        references: that are scored against.
        path: their file, beside which the training annotation may lie.
        train: annotation of train.
        features: where they are; a name is looked for below the corpus's features first, where ``path`` is its
            annotation.
        question_only: run folder of a model that sees the question alone.
        split: that is scored.
        split_file: that says which samples are train, where one file holds several splits.
    """
    from slt_zoo.metrics.baselines import copy_question, most_frequent, nearest_by_gloss
    from slt_zoo.metrics.systems import join, read_system

    ids = list(references.strings)
    by_id = {e.id: e for e in references.entries}
    learnt = [e for e in _training(references, path, train, split_file) if e.id not in references.strings]
    asked = [by_id.get(i) for i in ids]

    needs_train = "the training annotation: --train FILE, and --split-file where a file holds several splits"
    yield (
        ("most-frequent", most_frequent(ids, [e.text for e in learnt]), None)
        if learnt
        else (
            "most-frequent",
            None,
            needs_train,
        )
    )
    name = "train-nearest by glosses (oracle)"
    if learnt and all(e is not None and e.gloss is not None for e in asked) and all(e.gloss for e in learnt[:1]):
        glosses = {i: e.gloss or () for i, e in zip(ids, asked, strict=True) if e is not None}
        yield name, nearest_by_gloss(glosses, [e.gloss or () for e in learnt], [e.text for e in learnt]), None
    else:
        yield name, None, "an annotation with glosses" if learnt else needs_train
    name = "train-nearest by features"
    if features is None or not learnt:
        yield name, None, "--features PLACE" if learnt else needs_train
    else:
        try:
            opened = _open(features, references.corpus, path)
            yield name, _nearest_by_features(opened, ids, learnt, split), None
        except (DatasetError, ConfigError) as error:
            yield name, None, f"features of all samples: {error}".replace("\n", ";")
    if references.corpus is not None and not references.corpus.endswith("QA"):
        return
    questions = {i: e.question for i, e in by_id.items() if i in references.strings}
    if questions and all(q is not None for q in questions.values()):
        yield "copy-question", copy_question(questions), None
    else:
        yield "copy-question", None, "an annotation with questions"
    if question_only is None:
        yield "question-only", None, "--question-only RUN"
    else:
        yield "question-only", join(read_system(question_only, split), references.strings), None


def _training(references: References, path: str | None, train: str | None, split_file: str | None) -> list[Entry]:
    """Entries of the training split: in the file given, beside the references, or in the same file.

    A file of several splits is taken only where a split file says which of them are train: dev would be learnt from.
    """
    from slt_zoo.data.official import read_official

    if train is not None:
        found = read_official(train).entries
    elif len(references.entries) > len(references.strings):
        found = list(references.entries)
    else:
        return _beside(references, path)
    if any(e.id in references.strings for e in found):
        ids = set(_training_ids(split_file))
        return [e for e in found if e.id in ids]
    return found


def _training_ids(split_file: str | None) -> list[str]:
    from slt_zoo.data.official import read_id_list

    if split_file is None:
        return []
    path = Path(split_file)
    if path.read_text("utf-8-sig").startswith("name|split"):
        return read_id_list(path, "train")
    lists = (p for p in _train_names(path) if p.is_file())
    return next((read_id_list(p) for p in lists), [])


def _train_names(path: Path) -> Iterator[Path]:
    """Where the file for train may lie: another name, or another folder and name."""
    for name in ("test", "dev", "val"):
        if name in path.name:
            yield path.with_name(path.name.replace(name, "train"))
            parts = ["train" if part == name else part for part in path.parent.parts]
            yield Path(*parts, path.name.replace(name, "train"))


def _beside(references: References, path: str | None) -> list[Entry]:
    from slt_zoo.data.official import read_official

    for place in _train_names(Path(path)) if path is not None and references.corpus is not None else ():
        if place.is_file():
            try:
                found = read_official(place)
            except SLTError:
                continue
            if found.corpus == references.corpus:
                return found.entries
    return []


def _open(places: Places, corpus: str | None, annotation: str | None) -> AveragedFeatures:
    """Features, with the folder and the frame rate of the corpus whose annotation is scored against."""
    import slt_zoo
    from slt_zoo.data.averages import AveragedFeatures

    if corpus is None or annotation is None:
        return AveragedFeatures(places.features, stride=places.stride)
    above = list(Path(annotation).absolute().parents)[:_LEVELS]
    folder = next((level for level in above if (level / "features").is_dir()), None)
    fps: float | None = getattr(slt_zoo, corpus).fps
    return AveragedFeatures(places.features, corpus=folder, fps=fps, stride=places.stride)


_LEVELS = 8
"""Levels of folders above an annotation among which the corpus's own is looked for; How2Sign has most, seven."""


def _nearest_by_features(features: AveragedFeatures, ids: list[str], learnt: list[Entry], split: str) -> dict[str, str]:
    import numpy as np

    from slt_zoo.metrics.baselines import nearest_by_vector

    wanted = {i: features.of(i, split) for i in ids}
    return nearest_by_vector(wanted, np.stack([features.of(e.id, "train") for e in learnt]), [e.text for e in learnt])
