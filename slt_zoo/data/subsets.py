"""Parts of a split: lists of ids, a share of the training samples, and rows that the release itself left empty."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from slt_zoo.data.annotations import read_text
from slt_zoo.data.checks import is_empty
from slt_zoo.data.ids import bare_id, check_id
from slt_zoo.data.manifest import Manifest
from slt_zoo.errors import DatasetError, first_few
from slt_zoo.types import SPLITS, Split

__all__ = ["choose_share", "choose_subset", "empty_texts", "incomplete", "read_subset", "without"]


def read_subset(folder: Path, split: Split) -> list[str] | None:
    """Ids of ``<split>.files`` or ``<split>.txt`` in a folder, a line each, split prefixes removed; None: no file.

    Raises:
        DatasetError: the folder holds no such list at all, or one is damaged; names the line.
    """
    lists = {s: next((p for e in ("files", "txt") if (p := folder / f"{s}.{e}").is_file()), None) for s in SPLITS}
    if not any(lists.values()):
        raise DatasetError("no list of ids", where=folder, expected="train.files, dev.files or test.files (or .txt)")
    path = lists[split]
    if path is None:
        return None
    lines = ((number, line.strip()) for number, line in enumerate(read_text(path).split("\n"), 1))
    ids = (_listed_id(line, split, f"{path}, line {number}") for number, line in lines if line)
    return list(dict.fromkeys(ids))


def _listed_id(line: str, split: Split, where: str) -> str:
    sample_id, its_split = bare_id(line)
    if its_split not in (None, split):
        raise DatasetError(f"an id of {its_split} in the list of {split}", where=where, found=line[:120])
    return check_id(sample_id, where)


def choose_subset(manifest: Manifest, folder: str) -> Manifest:
    """The samples that a folder of lists names; all, where it has no list of this split.

    Raises:
        DatasetError: a list names what the corpus has not.
    """
    ids = read_subset(Path(folder).expanduser(), manifest.split)
    if ids is None:
        return manifest
    known = set(manifest.ids)
    unknown = [i for i in ids if i not in known]
    if unknown:
        raise DatasetError(
            f"{manifest.corpus} {manifest.split}: {len(unknown)} ids of the subset are not in the corpus",
            where=folder,
            found=first_few(unknown),
        )
    return manifest.subset(ids)


def choose_share(manifest: Manifest, share: float, seed: int) -> Manifest:
    """A share (0 to 1) of the samples, chosen by a hash of their ids, whatever their order."""
    keep = max(1, round(share * len(manifest)))
    by_hash = sorted(manifest.ids, key=lambda i: hashlib.sha256(f"{seed}:{i}".encode()).digest())
    return manifest.subset(by_hash[:keep])


def empty_texts(manifest: Manifest, known: Collection[str]) -> list[str]:
    """Ids whose text is empty and known to be."""
    texts = zip(manifest.ids, manifest.column("text"), strict=True)
    return [i for i, text in texts if i in known and is_empty(text)]


def incomplete(manifest: Manifest, needs: Collection[str]) -> list[str]:
    """Ids whose text, glosses or question is empty and needed."""
    columns = [manifest.column(need) for need in sorted({"text", "gloss", "question"} & set(needs))]
    return [i for i, *values in zip(manifest.ids, *columns, strict=True) if any(map(is_empty, values))]


def without(manifest: Manifest, ids: Collection[str]) -> Manifest:
    """The samples but for these."""
    return manifest.subset(set(manifest.ids) - set(ids))
