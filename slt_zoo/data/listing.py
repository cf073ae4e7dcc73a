"""What lies in a folder: one listing instead of one look a file, and near misses for what is not there."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from slt_zoo.errors import MediaError, MissingMediaError, first_few, nearest

__all__ = ["FolderIndex", "is_folder", "require_path", "what_is_there"]

log = logging.getLogger(__name__)


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder; a link that leads nowhere, or to itself, is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


class FolderIndex:
    """The names in a folder, listed once on first use.

    A split of a corpus has thousands of samples and, on a network disk, each look costs milliseconds: one listing
    answers for all. Names are compared in Unicode's NFC form, since macOS writes the same umlaut as two characters.

    Args:
        folder: need not exist; then it has no names.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    @cached_property
    def _by_nfc(self) -> dict[str, str]:
        try:
            with os.scandir(self.folder) as entries:
                names = sorted(e.name for e in entries)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as cause:  # no permission, a stale mount, a loop of links
            raise MediaError(
                f"cannot list the folder: {cause.strerror or cause}", where=repr(str(self.folder))
            ) from cause
        return {_nfc(n): n for n in names}

    def names(self) -> list[str]:
        """All names as they are on the disk, sorted."""
        return sorted(self._by_nfc.values())

    def find(self, name: str) -> str | None:
        """The name as it is on the disk, or None."""
        return self._by_nfc.get(_nfc(name))

    def has(self, name: str) -> bool:
        """Whether the folder has a file or folder of this name."""
        return _nfc(name) in self._by_nfc

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of the names that the folder has not, in their order."""
        return [n for n in names if not self.has(n)]


def require_path(path: str, sample_id: str) -> Path:
    """The file or folder of a sample, also where the disk spells its name with other Unicode characters.

    Raises:
        MissingMediaError: it is not there; the message has what is there under a similar name.
    """
    wanted = Path(path)
    if wanted.exists():
        return wanted
    index = FolderIndex(wanted.parent)
    twin = index.find(wanted.name)
    if twin is not None and twin != wanted.name:
        log.debug("sample %s: took %s for %s", sample_id, ascii(twin), ascii(wanted.name))
        return wanted.with_name(twin)
    raise MissingMediaError(
        f"sample {sample_id}: {path!r} does not exist",
        where=None if path.isascii() else f"in ASCII: {path!a}",
        found=what_is_there(wanted, index),
    )


def what_is_there(wanted: Path, index: FolderIndex | None = None) -> str:
    """Names in the place of a path that is not there: those like it, in whatever container; else some.

    Args:
        wanted: the path.
        index: of its folder.
    """
    folder = wanted.parent
    index = index or FolderIndex(folder)
    if not folder.is_dir():
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        return f"no folder {str(wanted.parent)!r}; {str(folder)!r} has {_some(FolderIndex(folder).names())}"
    names = index.names()
    case = [n for n in names if _nfc(n).casefold() == _nfc(wanted.name).casefold()]
    stem = [n for n in names if n.split(".")[0] == wanted.name.split(".")[0]]
    similar = list(dict.fromkeys([*case, *stem, *nearest(wanted.name, names)]))
    if similar:
        return f"similar names there: {_some(similar)}"
    return f"{len(names)} other names there: {_some(names)}"


def _some(names: list[str]) -> str:
    return first_few([repr(n) if n.isascii() else f"{n!r} ({n!a})" for n in names]) or "nothing"
