"""Files that hold many samples: which one has a split, and whose samples are in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from slt_zoo.data.places import SPLIT_MARK, names_of
from slt_zoo.data.readers import is_pickle, sample_ids
from slt_zoo.errors import ConfigError, MediaError, first_few
from slt_zoo.types import Split

__all__ = ["Bundle", "find_bundle"]

_PICKLES = (".pkl", ".pickle", ".pkl.gz", ".gz")
_ENDINGS = {"features": (".safetensors", ".pt", ".pth", *_PICKLES), "pose": (".skels", ".skels.gz", *_PICKLES)}


@dataclass(frozen=True)
class Bundle:
    """A file of many samples.

    Attributes:
        path: of the file.
        ids: of its samples, without a split in front.
    """

    path: Path
    ids: frozenset[str]


def find_bundle(place: Path, split: Split, kind: str) -> Bundle | None:
    """The file of a split: ``place`` itself, or ``<split><ending>`` or a pickle ``*.<split>`` in it.

    Args:
        place: a folder, a file, or the path of a file with ``{split}`` in it.
        split: dev may be called ``val``.
        kind: ``"features"`` or ``"pose"``; other kinds are in no such file.

    Raises:
        ConfigError: several files of the folder fit, or files of the kind hold one sample each.
        MediaError: the file is damaged, or none of these.
    """
    if kind not in _ENDINGS:
        return None
    if SPLIT_MARK in str(place):
        paths = [Path(str(place).replace(SPLIT_MARK, name)) for name in names_of(split)]
        there = [path for path in paths if path.is_file()]
        if len(there) > 1 and not there[0].samefile(there[1]):
            raise ConfigError(
                f"{len(there)} files of {kind} for {split}: which one?",
                where=str(place),
                found=first_few([path.name for path in there]),
                todo="keep one of them",
            )
        path = there[0] if there else None
    elif place.is_file():
        path = place
    else:
        path = _of_split(place, split, kind) if place.is_dir() else None
    if path is None:
        return None
    try:
        return Bundle(path, frozenset(sample_ids(kind, path)))
    except OSError as cause:
        raise MediaError(f"cannot read: {cause.strerror or cause}", where=repr(str(path))) from cause


def _of_split(folder: Path, split: Split, kind: str) -> Path | None:
    exact = {f"{name}{ending}" for name in names_of(split) for ending in _ENDINGS[kind]}
    behind = tuple(f".{name}" for name in names_of(split))
    try:
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.name in exact or e.name.endswith(behind))
        found = [name for name in names if (folder / name).is_file() and _holds_many(folder / name, kind)]
    except OSError as cause:
        raise MediaError(f"cannot list the folder: {cause.strerror or cause}", where=repr(str(folder))) from cause
    texts = [name for name in found if name.endswith(".skels")] or [n for n in found if n.endswith(".skels.gz")]
    found = texts or found
    if len(found) > 1:
        argument = {"pose": "data.poses"}.get(kind, f"data.{kind}")
        example = found[0].replace(split, SPLIT_MARK)
        several = "; or several, in the order in which they are joined along the width" if kind == "features" else ""
        raise ConfigError(
            f"{len(found)} files of {kind} for {split}: which one?",
            where=str(folder),
            found=first_few(found),
            todo=f"name one: {argument}='{folder / example}'{several}",
        )
    return folder / found[0] if found else None


def _holds_many(path: Path, kind: str) -> bool:
    others = [ending for ending in _ENDINGS[kind] if ending not in _PICKLES]
    return path.name.endswith(tuple(others)) or is_pickle(path)
