"""Media below a folder whose inner levels differ from copy to copy: one walk, then look-ups by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from slt_zoo.data.listing import is_folder
from slt_zoo.data.places import exists_for_a_split
from slt_zoo.errors import ConfigError, DatasetError, DatasetNotFoundError, first_few

__all__ = [
    "FolderTree",
    "as_list",
    "named_folder",
    "named_places",
    "names_in",
    "not_there",
    "one_or_several",
    "wrong_root",
]


def named_folder(corpus: Path, name: str | None, *below: str) -> Path | None:
    """A folder or file given by path, or by its name inside the corpus.

    Args:
        corpus: folder of the corpus.
        name: what the person gave, see `find_bundle`; None: nothing.
        below: where folders of a kind lie in the corpus, looked at in this order.
    """
    if name is None:
        return None
    inside = (corpus / place / name for place in below)
    return next((path for path in inside if exists_for_a_split(path)), Path(name).expanduser())


def named_places(corpus: Path, names: str | Sequence[str] | None, below: str) -> Path | list[Path] | None:
    """`named_folder` of one name, or of each of several.

    Raises:
        ConfigError: two of them are one.
    """
    places = [place for name in as_list(names) if (place := named_folder(corpus, name, below)) is not None]
    if len(places) > 1:
        _refuse_doubles(tuple(places))
    return places[0] if len(places) == 1 else places or None


@lru_cache(maxsize=8)
def _refuse_doubles(places: tuple[Path, ...]) -> None:
    """Asked for each sample, looked at once."""
    real: dict[str, Path] = {}
    for place in places:
        other = real.setdefault(os.path.realpath(place), place)
        if other is not place:
            raise ConfigError(
                "data.features joins a place with itself",
                found=f"{str(other)!r} and {str(place)!r} are one",
                todo="name each place once",
            )


def as_list(names: str | Sequence[str] | None) -> list[str]:
    """What a person named, in a list; nothing is an empty one."""
    return [names] if isinstance(names, str) else list(names or [])


def one_or_several(features: str | Sequence[str] | None) -> str | list[str] | None:
    """What a person named as features; a list of one is that one.

    Raises:
        ConfigError: an empty list, a place twice, or what is no name.
    """
    given = [features] if features is None or isinstance(features, str | os.PathLike) else features
    listed = list(given) if isinstance(given, Sequence) else [given]
    wrong = [name for name in listed if not isinstance(name, str | os.PathLike) or not str(name).strip()]
    if wrong and features is not None:
        raise ConfigError(
            "data.features takes a path or a name, or a list of these",
            expected="strings that are not empty",
            found=f"{wrong[0]!r} ({type(wrong[0]).__name__})",
        )
    if features is None or isinstance(features, str):
        return features
    if isinstance(features, os.PathLike):
        return str(features)
    names = [str(name) for name in features]
    if not names or len(set(names)) < len(names):
        raise ConfigError(
            "data.features names places to be joined along the width, each once",
            found=names,
            todo="data.features='[phoenix14t.pami0.{split}, phoenix14t.pami1.{split}]', or one place",
        )
    return names if len(names) > 1 else names[0]


def not_there(
    argument: str, names: str | Sequence[str] | None, corpus: Path | None, below: Sequence[str] = ()
) -> str | None:
    """What a message says of places that a person named and that do not exist; None: all of them do.

    Args:
        argument: by which they were named.
        names: what the person gave.
        corpus: folder of the corpus; None: a name is a path.
        below: see `named_folder`; nothing: a name is a path.
    """
    tried: list[Path] = []
    lacking: list[str] = []
    for name in as_list(names):
        inside = [] if corpus is None else [corpus / place / name for place in below]
        places = list(dict.fromkeys(path.absolute() for path in (*inside, Path(name).expanduser())))
        if not any(map(exists_for_a_split, places)):
            lacking.append(name)
            tried.extend(places)
    return f"{argument}={first_few(lacking)} is no folder here; looked for {first_few(tried, 4)}" if lacking else None


def names_in(folder: Path) -> str:
    """What a message says of a folder that something is not in: its first eight names, or why it has none."""
    if not folder.is_dir():
        return "a file, no folder" if folder.is_file() else "no such folder"
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as cause:
        return f"it cannot be listed: {cause.strerror or cause}"
    return f"there: {', '.join(names[:8]) or 'nothing'}" + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def wrong_root(
    corpus: str,
    what: str,
    root: Path,
    tried: Sequence[Path],
    todo: str,
    *,
    below: bool = False,
    found: str | None = None,
    simulate: type | None = None,
) -> DatasetNotFoundError:
    """A root below which the annotation is not: where it was looked for, and what is there instead.

    Args:
        corpus: its name.
        what: was looked for.
        root: as given.
        tried: folders that were looked in.
        todo: what to pass instead.
        below: all folders below these were looked in too.
        found: what is there; the names in the root by default.
        simulate: class of the corpus, where a simulated one may help.
    """
    known = [] if simulate is None else [c for c in simulate.__mro__ if c.__module__.startswith("slt_zoo.datamodules.")]
    if known:  # a class of one's own has the layout of its parent
        todo += f", or make a simulated one with `slt-zoo simulate --corpus {known[0].__name__} --root DIR`"
    return DatasetNotFoundError(
        f"{corpus}: no {what} under {str(root)!r}",
        where=f"looked in {', '.join(map(str, tried))}{' and the folders below it' if below else ''}",
        found=found or names_in(root),
        todo=todo,
    )


class FolderTree:
    """What lies below a folder, listed once on first use.

    Folders of one sample (thousands of images or key points) are seen by name and not entered: a walk through them
    takes minutes on a network disk. Links to folders are followed, each real folder once.

    Args:
        root: need not exist; then there is nothing.
        is_sample: tells from a name whether a folder is that of one sample.
        depth: how many levels are entered.
    """

    def __init__(self, root: Path, is_sample: Callable[[str], bool], depth: int = 8) -> None:
        self.root, self._is_sample, self._depth = root, is_sample, depth

    @cached_property
    def _listing(self) -> dict[Path, tuple[frozenset[str], frozenset[str]]]:
        """Names of files and of folders, by folder, those near the root first."""
        found: dict[Path, tuple[frozenset[str], frozenset[str]]] = {}
        level, seen = [self.root], set[str]()
        for _ in range(self._depth + 1):
            below: list[Path] = []
            for folder in level:
                real = os.path.realpath(folder)
                if real in seen or not folder.is_dir():
                    continue
                seen.add(real)
                try:
                    with os.scandir(folder) as entries:
                        kinds = {e.name: is_folder(e) for e in entries if not e.name.startswith(".")}
                except OSError as cause:
                    what = f"cannot list the folder: {cause.strerror or cause}"
                    raise DatasetError(what, where=repr(str(folder)), todo="ask for the right to read it") from cause
                folders = frozenset(name for name, is_folder in kinds.items() if is_folder)
                found[folder] = (frozenset(kinds) - folders, folders)
                below.extend(folder / name for name in sorted(folders) if not self._is_sample(name))
            level = below
        return found

    def files(self, fits: Callable[[str], bool]) -> list[Path]:
        """Files whose name fits, those near the root first."""
        return [folder / name for folder, (files, _) in self._listing.items() for name in sorted(files) if fits(name)]

    def folders(self, fits: Callable[[str], bool]) -> list[Path]:
        """Folders whose name fits, those near the root first."""
        return [
            folder / name for folder, (_, folders) in self._listing.items() for name in sorted(folders) if fits(name)
        ]

    def home(self, names: Iterable[str], fits: Callable[[Path], bool] = lambda path: True) -> Path | None:
        """The folder that holds most of these files or folders; None: none of them is anywhere.

        Args:
            names: of files with their suffix, or of folders.
            fits: asked about one that was found, so that folders of another kind with the same names are left out.
        """
        wanted = frozenset(names)
        best: tuple[int, Path | None] = (0, None)
        for folder, (files, folders) in self._listing.items():
            here = wanted & (files | folders)
            if len(here) > best[0] and fits(folder / min(here)):
                best = (len(here), folder)
        return best[1]
