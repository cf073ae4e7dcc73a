"""Where files of samples lie below a folder: with or without a level for the split, by the suffixes that are met."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slt_zoo.data.listing import is_folder
from slt_zoo.errors import MediaError
from slt_zoo.types import Split

__all__ = ["Place", "find_place"]


@dataclass(frozen=True)
class Place:
    """How the files of a split are named.

    Attributes:
        folder: holds one file (or folder) a sample.
        suffix: behind the id; empty for folders.
    """

    folder: Path
    suffix: str

    def path(self, sample_id: str) -> str:
        """Where the sample's file should be."""
        return str(self.folder / f"{sample_id}{self.suffix}")


def find_place(root: Path, split: Split, suffixes: Sequence[str]) -> Place | None:
    """Look for ``<root>/<split>/<id><suffix>``, then ``<root>/<id><suffix>``.

    Args:
        root: the folder.
        split: a level of its name (or ``val`` for dev) may be there.
        suffixes: in the order in which they are preferred; ``""`` means folders.

    Returns:
        The first place that holds anything of the kind; None: there is none.
    """
    names = (split, "val") if split == "dev" else (split,)
    for folder in (*(root / name for name in names), root):
        if not folder.is_dir():
            continue
        try:
            with os.scandir(folder) as entries:
                found = {"" if is_folder(e) else os.path.splitext(e.name)[1] for e in entries}  # noqa: PTH122  # no Path a file
        except OSError as cause:
            raise MediaError(f"cannot list the folder: {cause.strerror or cause}", where=repr(str(folder))) from cause
        for suffix in suffixes:
            if suffix in found and not (suffix == "" and folder == root and (root / split).is_dir()):
                return Place(folder, suffix)
    return None
