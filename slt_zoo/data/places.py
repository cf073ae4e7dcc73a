"""Where files of samples lie below a folder: with or without a level for the split, by the suffixes that are met."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from slt_zoo.data.listing import is_folder
from slt_zoo.errors import MediaError, first_few

if TYPE_CHECKING:  # the types that travel load torch, which simulating does without
    from slt_zoo.types import Split

__all__ = [
    "PREFIX",
    "SPLIT_MARK",
    "Place",
    "exists_for_a_split",
    "find_place",
    "names_of",
    "prefix_place",
    "suffixes_in",
    "words_of",
]

SPLIT_MARK = "{split}"
"""Stands for the split in the path of a file of many samples."""

PREFIX = 5
"""Characters of a name that name its folder, where there is one a prefix."""

_DEV = ("dev", "val", "valid", "validation")


@dataclass(frozen=True)
class Place:
    """How the files of a split are named.

    Attributes:
        folder: holds one file (or folder) a sample.
        suffix: behind the id; empty for folders.
        names: of the files with this suffix, sorted; none for folders.
        rivals: names with another suffix of samples that have one with this; not read.
        prefixed: each lies in a folder that is called like the first 5 characters of its name; ``names`` is empty.
    """

    folder: Path
    suffix: str
    names: tuple[str, ...] = field(default=(), repr=False)
    prefixed: bool = False
    rivals: tuple[str, ...] = field(default=(), repr=False)

    def path(self, sample_id: str, other_names: Sequence[str] = ()) -> str:
        """Where the sample's file should be: ``<id><suffix>``, or with a postfix that all files of the folder share.

        Programs put it there: ``<id>_overlap-8.npy``. It begins with a sign that is no letter and no digit, so that
        ``clip-1`` is not taken for ``clip-10``.

        Args:
            sample_id: of the sample.
            other_names: what programs call it.

        Raises:
            MediaError: there are files of several of these names.
        """
        if self.prefixed:
            return str(self.folder / sample_id[:PREFIX] / f"{sample_id}{self.suffix}")
        found = [
            f"{name}{postfix}{self.suffix}"
            for name in dict.fromkeys((sample_id, *other_names))
            if (postfix := self._postfix(name)) is not None
        ]
        if len(found) > 1:
            raise MediaError(
                f"{len(found)} files fit sample {sample_id}: which one?",
                where=repr(str(self.folder)),
                found=first_few([repr(name) for name in found]),
                todo="keep the files of one naming in a folder, or write a table with the columns id and path",
            )
        return str(self.folder / (found[0] if found else f"{sample_id}{self.suffix}"))

    def _postfix(self, wanted: str) -> str | None:
        """What stands behind a name in that of its file; None: there is no such file."""
        plain, found = f"{wanted}{self.suffix}", None
        for name in islice(self.names, bisect_left(self.names, wanted), None):
            if name == plain or not name.startswith(wanted):
                return "" if name == plain else found
            postfix = name[len(wanted) : len(name) - len(self.suffix)]
            if postfix and not postfix[0].isalnum() and self._shared.endswith(postfix + self.suffix):
                found = postfix
        return found

    @cached_property
    def _shared(self) -> str:
        """What all names end in."""
        low, *_, high = sorted([name[::-1] for name in self.names] * 2)  # twice: there may be one alone
        same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
        return low[:same][::-1]


def names_of(split: Split) -> tuple[str, ...]:
    """What files and folders of a split are called."""
    return (split, "val") if split == "dev" else (split,)


def words_of(split: Split) -> tuple[str, ...]:
    """What a split is called in the names of tables, which people choose."""
    return _DEV if split == "dev" else (split,)


def exists_for_a_split(place: Path) -> bool:
    """Whether a path is there, or a path with ``{split}`` for one of the splits."""
    return any(Path(str(place).replace(SPLIT_MARK, name)).exists() for name in ("train", *_DEV, "test"))


def find_place(root: Path, split: Split, suffixes: Sequence[str]) -> Place | None:
    """Look for ``<root>/<split>/<id><suffix>``, then ``<root>/<id><suffix>``; in each also for a level of prefixes.

    Args:
        root: the folder.
        split: a level of its name (or ``val`` for dev) may be there.
        suffixes: in the order in which they are preferred; ``""`` means folders.

    Returns:
        The first place that holds anything of the kind; None: there is none.
    """
    for folder in (*(root / name for name in names_of(split)), root):
        if not folder.is_dir():
            continue
        found = suffixes_in(folder)
        prefixed = _with_prefixes(folder, found, suffixes)
        if prefixed is not None:
            return prefixed
        for suffix in suffixes:
            if suffix in found and not (suffix == "" and folder == root and (root / split).is_dir()):
                names = tuple(sorted(found[suffix])) if suffix else ()
                return Place(folder, suffix, names, rivals=_rivals(found, suffix, suffixes))
    return None


def _rivals(found: dict[str, list[str]], suffix: str, suffixes: Sequence[str]) -> tuple[str, ...]:
    """Files beside those of a suffix that are called like them and have a suffix that is preferred less."""
    stems = {name.removesuffix(suffix) for name in found[suffix]} if suffix else set()
    others = [other for other in suffixes if other not in ("", suffix)]
    return tuple(name for other in others for name in sorted(found.get(other, ())) if name.removesuffix(other) in stems)


def _with_prefixes(folder: Path, found: dict[str, list[str]], suffixes: Sequence[str]) -> Place | None:
    """``<folder>/<first 5 characters>/<id><suffix>``, as ssvp_slt has it; None: the folder is none of these.

    All folders that are there must have names of 5 characters, and what the first of them holds must begin with its
    name, so that a folder of frames whose sample has such a name stays the folder of this sample. Files beside them
    (a README) do not matter, and files of the kind do not where they are fewer than the folders.
    """
    names = sorted(name for name in found.get("", ()) if not name.startswith("."))
    odd = not names or any(len(name) != PREFIX or name in ("train", *_DEV) for name in names)
    strays = [name for suffix in suffixes if suffix for name in found.get(suffix, ()) if not name.startswith(".")]
    if odd or len(strays) >= len(names):
        return None
    return prefix_place(folder, names[0], suffixes)


def prefix_place(folder: Path, prefix: str, suffixes: Sequence[str]) -> Place | None:
    """The place of files in folders of prefixes, as one of these folders has them; None: that one has none."""
    try:
        with os.scandir(folder / prefix) as entries:
            there = {_suffix_of(e) for e in entries if e.name.startswith(prefix)}
    except OSError:  # not there, a file, or what may not be listed
        return None
    suffix = next((s for s in suffixes if s in there), None)
    return None if suffix is None else Place(folder, suffix, prefixed=True)


def suffixes_in(folder: Path) -> dict[str, list[str]]:
    """Names in a folder by their suffix; folders have an empty one, files without any ``"."``.

    Raises:
        MediaError: it cannot be listed.
    """
    found: dict[str, list[str]] = {}
    try:
        with os.scandir(folder) as entries:
            for e in entries:
                found.setdefault(_suffix_of(e), []).append(e.name)
    except OSError as cause:
        raise MediaError(f"cannot list the folder: {cause.strerror or cause}", where=repr(str(folder))) from cause
    return found


def _suffix_of(entry: os.DirEntry[str]) -> str:
    return "" if is_folder(entry) else os.path.splitext(entry.name)[1] or "."  # noqa: PTH122  # no Path a file
