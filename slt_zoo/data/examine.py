"""What is on the disk, against what was published: counts, versions, texts, leaks, media."""

from __future__ import annotations

import unicodedata
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.checks import has_odd_spaces, is_empty, report_texts, shared_texts
from slt_zoo.data.examine_media import look_at_media
from slt_zoo.data.examine_tokenizer import load_tokenizer
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.published import differences, version_of
from slt_zoo.data.questions import QuestionCorpus
from slt_zoo.errors import DatasetError, first_few, one_line
from slt_zoo.types import SPLITS, Split

__all__ = ["Examination", "Finding", "examine"]


@dataclass(frozen=True)
class Finding:
    """One thing that a person should know.

    Attributes:
        kind: ``"fault"``: something is wrong or missing; ``"note"``: known of the release, or to be aware of.
        split: where; ``""``: of the whole corpus.
        text: a sentence.
    """

    kind: str
    split: str
    text: str


@dataclass
class Examination:
    """What was found.

    Attributes:
        corpus: class name.
        root: as given.
        splits: by split: ``samples``, ``published``, ``version`` (of texts and glosses), ``texts`` (different ones),
            ``media`` (by kind how many samples have it).
        findings: in the order in which they were found.
        read: samples whose media were opened.
    """

    corpus: str
    root: str
    splits: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    read: int = 0

    @property
    def healthy(self) -> bool:
        """Whether there is no fault."""
        return not any(f.kind == "fault" for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"healthy": self.healthy}


def examine(
    data: SLTDataModule, *, splits: Sequence[Split] = SPLITS, read: int = 10, tokenizer: str | None = None
) -> Examination:
    """Look at a corpus without a model; nothing is changed or downloaded.

    Args:
        data: the corpus.
        splits: to look at.
        read: media files to open in each split and kind, spread evenly; -1: all. Opening finds what cannot be read
            (three frames are decoded) and frame counts other than annotated. Whether media are there, and whether
            segments lie within their videos, is looked at for all samples.
        tokenizer: folder of a tokenizer with a sentencepiece model, or of a trimmed mBART: which texts it cannot write.

    Raises:
        ConfigError: no such tokenizer.
        VocabularyError: a trimmed one is damaged.
    """
    result = Examination(data.corpus, str(data.root))
    known = None if tokenizer is None else load_tokenizer(tokenizer)
    manifests = _read(result, data, splits)
    lacking = _places_that_are_not_there(result, data) if manifests else set[str]()
    for split, manifest in manifests.items():
        result.splits[split] = {"samples": len(manifest), "texts": len(set(manifest.column("text")))}
        _against_published(result, data, manifest)
        _texts(result, data, manifest)
        media = look_at_media(manifest, read, data.media_advice("frames"))
        result.splits[split]["media"] = media.there
        result.findings.extend(Finding("fault", split, text) for text in media.faults)
        result.findings.extend(Finding("note", split, text) for text in media.notes)
        _named_without_samples(result, data, split, lacking)
        result.read += media.opened
        if known is not None:
            result.findings.extend(Finding("note", split, text) for text in known.on(manifest))
    if known is not None:
        result.findings.extend(Finding("note", "", text) for text in known.about())
    _leaks(result, data, manifests)
    if data.remark:
        result.findings.append(Finding("note", "", data.remark))
    return result


def _read(result: Examination, data: SLTDataModule, splits: Sequence[Split]) -> dict[Split, Manifest]:
    """The splits that can be read; what stands in the way of the others, and what reading tells, are findings."""
    manifests: dict[Split, Manifest] = {}
    errors: dict[Split, DatasetError] = {}
    for split in splits:
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                manifests[split] = data.manifest(split)
        except DatasetError as error:
            errors[split] = error
            continue
        known, name = _found_below(data, manifests[split]), f"{data.corpus} {split}: "
        told = [text for w in caught if (text := str(w.message)) not in known]
        texts = [text.removeprefix(name) for text in dict.fromkeys(told)]
        result.findings.extend(Finding("note", split, text) for text in texts)
        missing = data.questions_of_others(split) if isinstance(data, QuestionCorpus) else None
        if missing is not None:
            result.findings.append(Finding("fault", split, missing))
    same = {(error.where, error.found, error.todo) for error in errors.values()}
    if not manifests and len(errors) > 1 and len(same) == 1:  # of the root, not of a split
        errors, first = {}, next(iter(errors.values()))
        result.findings.append(Finding("fault", "", one_line(first)))
    result.findings.extend(Finding("fault", split, one_line(error)) for split, error in errors.items())
    return manifests


_KINDS = {"features": "features", "pose": "poses", "frames": "frames", "segments": "segments"}
"""Kind of media to the argument that names it."""


def _places_that_are_not_there(result: Examination, data: SLTDataModule) -> set[str]:
    """Kinds of media whose place was named and does not exist."""
    told = {kind: text for kind in _KINDS if (text := data.not_there(kind)) is not None}
    result.findings.extend(Finding("fault", "", text) for text in told.values())
    return set(told)


def _named_without_samples(result: Examination, data: SLTDataModule, split: Split, lacking: set[str]) -> None:
    """A place that was named and has not one sample of a split."""
    for kind, argument in _KINDS.items():
        named = getattr(data, argument)
        if named is not None and kind not in lacking and not result.splits[split]["media"].get(kind):
            store = data.stores.get(kind)
            todo = data.media_advice(kind) if store is None else store.advice
            text = f"no sample has its {kind} in data.{argument}={named}; {todo}"
            result.findings.append(Finding("fault", split, text))


def _found_below(data: SLTDataModule, manifest: Manifest) -> set[str]:
    """What the corpus warns of and what is said again, in other words, by the functions below."""
    published = differences(manifest, data.published(manifest.split), data.other_versions)
    return {*report_texts(manifest), *(f"{data.corpus} {manifest.split}: {text}" for text in published)}


def _against_published(result: Examination, data: SLTDataModule, manifest: Manifest) -> None:
    row, expected = result.splits[manifest.split], data.published(manifest.split)
    row["published"] = None if expected is None else expected.samples
    row["annotation_hash"] = manifest.annotation_hash
    if data.simulated:
        row["version"] = "simulated"
        return
    row["version"] = version_of(manifest, expected, data.other_versions)
    for found in differences(manifest, expected, data.other_versions):
        result.findings.append(Finding("fault", manifest.split, found))


def _texts(result: Examination, data: SLTDataModule, manifest: Manifest) -> None:
    texts: list[str] = manifest.column("text")
    empty = [i for i, t in zip(manifest.ids, texts, strict=True) if is_empty(t)]
    known = [i for i in empty if i in data.empty_in_release]
    odd = sum(map(has_odd_spaces, texts))
    told = any("hold UTF-8 that was read" in f.text and f.split == manifest.split for f in result.findings)
    mojibake = 0 if told else sum("\u00e2\u0080" in t or "\u00c3" in t for t in texts)
    repeated = len(texts) - len(set(texts))
    glosses = [g for g in manifest.column("gloss") if g is not None]
    questions = [q for q in manifest.column("question") if q is not None]
    asked = zip(manifest.column("question"), texts, strict=True)
    same = sum(q is not None and _bare(q) == _bare(t) for q, t in asked)
    for count, text in (
        (len(empty), f"samples have an empty text ({first_few(empty, 3)}), {len(known)} of them in the release"),
        (odd, "texts have outer, doubled, no-break or zero-width spaces"),
        (sum(not unicodedata.is_normalized("NFC", t) for t in texts), "texts are not in Unicode's NFC form"),
        (mojibake, "texts hold UTF-8 that was read as Latin-1"),
        (repeated, "texts repeat another of the split"),
        (sum(not g for g in glosses), "samples have no gloss"),
        (sum(not q.strip() for q in questions), "questions are empty"),
        (same, "questions are the translation itself: a model can copy them"),
    ):
        if count:
            result.findings.append(Finding("note", manifest.split, f"{count} {text}"))


def _bare(text: str) -> str:
    """Letters and digits alone, without case: a question mark does not make another sentence of a text."""
    return "".join(c for c in text.casefold() if c.isalnum())


def _leaks(result: Examination, data: SLTDataModule, manifests: dict[Split, Manifest]) -> None:
    train = manifests.get("train")
    if train is not None:
        for split, manifest in manifests.items():
            if split != "train":
                _leaks_from_train(result, data, train, manifest)
    if "dev" in manifests and "test" in manifests:
        twice = sorted(set(manifests["dev"].ids) & set(manifests["test"].ids))
        if twice:
            text = f"{len(twice)} samples are also in dev: {first_few(twice, 3)}"
            result.findings.append(Finding("fault", "test", text))


def _leaks_from_train(result: Examination, data: SLTDataModule, train: Manifest, manifest: Manifest) -> None:
    split = manifest.split
    twice = sorted(set(train.ids) & set(manifest.ids))
    if twice:
        result.findings.append(
            Finding("fault", split, f"{len(twice)} samples are also in train: {first_few(twice, 3)}")
        )
    signers = sorted({s for s in manifest.column("signer") if s} & set(train.column("signer")))
    if signers and data.signers_apart:
        text = f"signers {first_few(signers)} are also in train, and the scheme of splits keeps signers apart"
        result.findings.append(Finding("fault", split, text))
    videos = sorted(_videos(train) & _videos(manifest))
    if videos:
        text = f"{len(videos)} videos are also in train: {first_few(videos, 3)}"
        result.findings.append(Finding("fault", split, text))
    shared = shared_texts(train, manifest)
    if shared:
        text = f"{shared} of {len(manifest)} texts also occur in train, word for word"
        result.findings.append(Finding("note", split, text))
    known = {c for text in train.column("text") for c in text}
    new = Counter(c for text in manifest.column("text") for c in text if not c.isspace() and c not in known)
    if new:
        signs = first_few([repr(c) for c, _ in new.most_common()], 10)
        text = f"{len(new)} characters ({new.total()} times) never occur in train: {signs}; a tokenizer made of train "
        result.findings.append(Finding("note", split, text + "alone cannot write them"))


def _videos(manifest: Manifest) -> set[str]:
    return {s.meta["video_id"] for s in manifest if s.meta.get("video_id")}
