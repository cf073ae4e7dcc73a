"""What is checked once, before anything is read: does the corpus have what the model needs?"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence

from slt_zoo.data.boundaries import fixed_length
from slt_zoo.data.listing import FolderIndex
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.stores.streamed import is_url
from slt_zoo.errors import ConfigError, DatasetError, first_few
from slt_zoo.types import InputSpec

__all__ = [
    "check_needs",
    "check_splits_apart",
    "find_missing_media",
    "has_odd_spaces",
    "is_empty",
    "report_texts",
    "require_bools",
    "shared_texts",
]

ZERO_WIDTH = "\u200b"


def require_bools(**flags: object) -> None:
    """Refuse what is no bool: the string ``"false"`` would count as true.

    Raises:
        ConfigError: with the first argument that is none.
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ConfigError(f"{name} is True or False", found=repr(value))


def is_empty(value: str | Sequence[str] | None) -> bool:
    """Whether a text has nothing but white space, or there are no glosses."""
    return not (value.replace(ZERO_WIDTH, "").strip() if isinstance(value, str) else value)


def has_odd_spaces(text: str) -> bool:
    """Whether a text has outer, doubled, no-break or zero-width spaces."""
    return text != " ".join(text.split()) or ZERO_WIDTH in text


def check_needs(manifest: Manifest, spec: InputSpec, model: str, root: str) -> None:
    """The annotation has what the model cannot do without.

    Raises:
        ConfigError: it has not; the message says how to get it.
    """
    if not len(manifest):
        raise DatasetError(
            f"{manifest.corpus} {manifest.split} has no samples",
            where=root,
            todo="take the whole annotation; training needs train and dev, and a score test",
        )
    advice = {
        "gloss": "choose a corpus with glosses, or a model without",
        "question": "choose a question-answering corpus",
        "text": "remove these rows; on_bad_sample='skip' leaves them out of training",
        "segments": "write sign boundaries with `slt-zoo segment` and pass data.segments=<their id, or a folder, an "
        ".npy a sample>; or data.segments=fixed-8 for a quick try",
    }
    for need in sorted(spec.needs):
        if need == "segments":
            lacking = [s.id for s in manifest if "segments" not in s.media]
        elif need == "question":  # an empty one is one: the question-answering corpus has its own rule for it
            lacking = [i for i, v in zip(manifest.ids, manifest.column(need), strict=True) if v is None]
        else:
            lacking = [i for i, v in zip(manifest.ids, manifest.column(need), strict=True) if is_empty(v)]
        if lacking:
            todo = advice.get(need)
            if need == "gloss" and len(lacking) < len(manifest):
                todo = "fill these rows in, or leave them out with data.subset=<lists of ids>"
            if need == "question" and len(lacking) < len(manifest):
                todo = "write their questions into data.questions, or leave them out with data.subset=<lists of ids>"
            how_many = "none" if len(lacking) == len(manifest) else f"no {need} for {len(lacking)} of {len(manifest)}"
            raise ConfigError(
                f"{model} needs {need}; {manifest.corpus} {manifest.split} under root={root!r} has {how_many}",
                found=f"missing for {first_few(lacking)}",
                todo=todo,
            )


def check_splits_apart(manifests: Sequence[Manifest]) -> None:
    """No sample is in two splits.

    Raises:
        DatasetError: with the ids.
    """
    where: dict[str, str] = {}
    for manifest in manifests:
        twice = [i for i in manifest.ids if where.setdefault(i, manifest.split) != manifest.split]
        if twice:
            raise DatasetError(
                f"{manifest.corpus}: {len(twice)} samples of {manifest.split} are also in {where[twice[0]]}",
                found=first_few(twice),
                todo="use the official split files",
            )


def find_missing_media(manifest: Manifest, modality: str) -> tuple[list[str], str | None]:
    """Ids without media of a kind, and one place where it should have been.

    One listing a folder, not one look a sample: on a network disk that is the difference between seconds and minutes.
    """
    listings: dict[str, FolderIndex] = {}
    missing: list[str] = []
    example: str | None = None

    def there(path: str) -> bool:
        if is_url(path) or fixed_length(path):  # a store's manifest has told that it is there; no file is needed
            return True
        folder, name = os.path.split(path)
        return listings.setdefault(folder, FolderIndex(folder)).has(name)

    for sample in manifest:
        media = sample.media.get(modality)
        lacks = None if media is None else next((m.path for m in (media, *media.joined) if not there(m.path)), None)
        if media is None or lacks is not None:
            missing.append(sample.id)
            example = example or lacks
    return missing, example


def report_texts(manifest: Manifest) -> list[str]:
    """What is odd about the texts of a split, each a sentence; nothing is changed: references are the annotation's."""
    texts: list[str] = manifest.column("text")
    odd = [i for i, t in zip(manifest.ids, texts, strict=True) if has_odd_spaces(t)]
    empty = [i for i, t in zip(manifest.ids, texts, strict=True) if is_empty(t)]
    decomposed = [i for i, t in zip(manifest.ids, texts, strict=True) if not unicodedata.is_normalized("NFC", t)]
    name = f"{manifest.corpus} {manifest.split}"
    found = []
    if odd:
        found.append(
            f"{name}: {len(odd)} texts have outer, doubled, no-break or zero-width spaces ({first_few(odd, 2)}); "
            "models see words, references keep them"
        )
    if decomposed:
        found.append(
            f"{name}: {len(decomposed)} texts are not in Unicode's NFC form ({first_few(decomposed, 2)}): an umlaut "
            "is two characters there, to tokenizers and scores too; references keep them"
        )
    if empty:
        found.append(f"{name}: {len(empty)} samples have an empty text ({first_few(empty, 2)})")
    return found


def shared_texts(train: Manifest, other: Manifest) -> int:
    """How many samples of ``other`` have a text that also occurs in ``train``."""
    known = set(train.column("text"))
    return sum(text in known for text in other.column("text") if text)
