"""What is on the disk, against what was published: counts, versions, texts, leaks, media."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.checks import ZERO_WIDTH, find_missing_media, shared_texts
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.readers import open_reader
from slt_zoo.errors import DatasetError, first_few
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


def examine(data: SLTDataModule, *, splits: Sequence[Split] = SPLITS, read: int = 10) -> Examination:
    """Look at a corpus without a model; nothing is changed or downloaded.

    Args:
        data: the corpus.
        splits: to look at.
        read: media files to open in each split and kind, spread evenly; -1: all. Opening finds what cannot be read,
            frame counts other than annotated and times past the end.
    """
    result = Examination(data.corpus, str(data.root))
    manifests: dict[Split, Manifest] = {}
    for split in splits:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what the corpus warns of is found again below, as findings
                manifests[split] = data.manifest(split)
        except DatasetError as error:
            result.findings.append(Finding("fault", split, str(error)))
    for split, manifest in manifests.items():
        result.splits[split] = {"samples": len(manifest), "texts": len(set(manifest.column("text")))}
        _against_published(result, data, manifest)
        _texts(result, manifest)
        _media(result, data, manifest, read)
    if "train" in manifests:
        _leaks(result, manifests)
    return result


def _against_published(result: Examination, data: SLTDataModule, manifest: Manifest) -> None:
    row, expected = result.splits[manifest.split], data.expected.get(manifest.split)
    row["published"] = None if expected is None else expected.samples
    if data.simulated:
        row["version"] = "simulated"
        return
    known = expected.annotation_hash if expected else None
    row["version"] = "unknown" if known is None else "release" if known == manifest.annotation_hash else "another"
    row["annotation_hash"] = manifest.annotation_hash
    if expected is not None and len(manifest) != expected.samples:
        found = f"{len(manifest)} samples, the release has {expected.samples}"
        result.findings.append(Finding("fault", manifest.split, found))
    elif row["version"] == "another":
        found = f"texts or glosses are not those of the release (hash {manifest.annotation_hash[:12]})"
        result.findings.append(Finding("fault", manifest.split, found))


def _texts(result: Examination, manifest: Manifest) -> None:
    texts: list[str] = manifest.column("text")
    empty = [i for i, t in zip(manifest.ids, texts, strict=True) if not t.strip()]
    odd = sum(bool(t) and (t != " ".join(t.split()) or ZERO_WIDTH in t) for t in texts)
    mojibake = sum("â\x80" in t or "Ã" in t for t in texts)
    repeated = len(texts) - len(set(texts))
    glosses = [g for g in manifest.column("gloss") if g is not None]
    questions = [q for q in manifest.column("question") if q is not None]
    for count, text in (
        (len(empty), f"samples have an empty text ({first_few(empty, 3)})"),
        (odd, "texts have outer, doubled, no-break or zero-width spaces"),
        (mojibake, "texts hold UTF-8 that was read as Latin-1"),
        (repeated, "texts repeat another of the split"),
        (sum(not g for g in glosses), "samples have no gloss"),
        (sum(not q.strip() for q in questions), "questions are empty"),
    ):
        if count:
            result.findings.append(Finding("note", manifest.split, f"{count} {text}"))


def _media(result: Examination, data: SLTDataModule, manifest: Manifest, read: int) -> None:
    row = result.splits[manifest.split]
    row["media"] = {}
    kinds = sorted({kind for sample in manifest for kind in sample.media})
    for kind in kinds:
        missing, example = find_missing_media(manifest, kind)
        row["media"][kind] = len(manifest) - len(missing)
        if missing and len(missing) < len(manifest):
            text = f"{len(missing)} samples have no {kind}: {first_few(missing, 3)}"
            text += f"; there is no {example!r}" if example else ""
            result.findings.append(Finding("fault", manifest.split, text))
        if kind != "segments":
            _open_some(result, manifest, kind, set(missing), read)
    if not any(row["media"].values()):
        advice = data.media_advice("frames")
        result.findings.append(Finding("fault", manifest.split, f"there are no media of any kind; {advice}"))


def _open_some(result: Examination, manifest: Manifest, kind: str, missing: set[str], read: int) -> None:
    there = [i for i in manifest.ids if i not in missing]
    step = 1 if read < 0 else max(1, len(there) // max(read, 1))
    chosen = there[::step][: len(there) if read < 0 else read]
    for sample_id in chosen:
        media = manifest.by_id(sample_id).media[kind]
        try:
            count = open_reader(kind, media, sample_id=sample_id).num_frames
        except DatasetError as error:
            result.findings.append(Finding("fault", manifest.split, str(error).replace("\n", ";")))
            continue
        whole = media.start is None and media.end is None and not media.stride
        if whole and media.num_frames is not None and media.num_frames != count:
            text = f"sample {sample_id}: {media.num_frames} frames annotated, {count} found"
            result.findings.append(Finding("fault", manifest.split, text))
    result.read += len(chosen)


def _leaks(result: Examination, manifests: dict[Split, Manifest]) -> None:
    train = manifests["train"]
    known = Counter(c for text in train.column("text") for c in text if not c.isspace())
    for split, manifest in manifests.items():
        if split == "train":
            continue
        twice = sorted(set(train.ids) & set(manifest.ids))
        if twice:
            text = f"{len(twice)} samples are also in train: {first_few(twice, 3)}"
            result.findings.append(Finding("fault", split, text))
        shared = shared_texts(train, manifest)
        if shared:
            text = f"{shared} of {len(manifest)} texts also occur in train, word for word"
            result.findings.append(Finding("note", split, text))
        new = Counter(c for text in manifest.column("text") for c in text if not c.isspace() and c not in known)
        if new:
            signs = first_few([repr(c) for c, _ in new.most_common()], 10)
            text = (
                f"{len(new)} characters ({new.total()} times) never occur in train: {signs}; a tokenizer made of train "
            )
            result.findings.append(Finding("note", split, text + "alone cannot write them"))
