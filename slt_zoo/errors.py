"""Errors of slt_zoo: each says what is wrong, where, what was expected, what was found, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = [
    "AnnotationError",
    "CheckpointClassError",
    "CheckpointError",
    "CheckpointMismatchError",
    "ConfigError",
    "DatasetError",
    "DatasetNotFoundError",
    "MediaError",
    "MissingMediaError",
    "SLTError",
    "ScoreError",
    "StoreError",
    "UnfitSampleError",
    "UnknownNameError",
    "VocabularyError",
    "first_few",
    "nearest",
    "one_line",
]


def nearest(name: str, known: Iterable[str], n: int = 3, cutoff: float = 0.5) -> list[str]:
    """The known names at least ``cutoff`` (0 to 1) like ``name``, best first (case does not count)."""
    by_lower = {k.lower(): k for k in known}
    return [by_lower[k] for k in difflib.get_close_matches(name.lower(), by_lower, n=n, cutoff=cutoff)]


def one_line(error: Exception) -> str:
    """An error's message without line ends."""
    return "; ".join(part.strip() for part in str(error).split("\n"))


def first_few(items: Sequence[object], n: int = 5) -> str:
    """The first ``n`` items as text, and how many there are besides."""
    shown = ", ".join(str(i) for i in items[:n])
    return shown if len(items) <= n else f"{shown} and {len(items) - n} more"


class SLTError(Exception):
    """Base of every error that slt_zoo raises on purpose.

    Args:
        what: the fault in one sentence.
        where: file, line, sample or argument.
        expected: what should have been there.
        found: what was there.
        todo: what the person can do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object | None = None,
        expected: object | None = None,
        found: object | None = None,
        todo: str | None = None,
    ) -> None:
        self.what, self.where, self.expected, self.found, self.todo = what, where, expected, found, todo
        super().__init__(self._compose())

    def _compose(self) -> str:
        labelled: list[tuple[str, Any]] = [
            ("Where", self.where),
            ("Expected", self.expected),
            ("Found", self.found),
            ("What to do", self.todo),
        ]
        return "\n".join([self.what, *(f"  {label}: {value}" for label, value in labelled if value is not None)])


class ConfigError(SLTError):
    """Arguments that do not fit each other, or a model and data that do not."""


class UnknownNameError(ConfigError):
    """A name (of a recipe, corpus, protocol, ...) that nobody knows; the message holds the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, todo: str | None = None) -> None:
        known = sorted(known)
        near = nearest(name, known)
        advice = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else None
        super().__init__(
            f"unknown {kind} {name!r}",
            expected=f"one of {', '.join(known)}" if known else "nothing is known under this kind",
            todo=" ".join(part for part in (advice, todo) if part) or None,
        )


class DatasetError(SLTError):
    """Base of everything that is wrong with a corpus on disk."""


class DatasetNotFoundError(DatasetError):
    """The corpus's annotation is not where the root says."""


class AnnotationError(DatasetError):
    """An annotation file that cannot be read as what it should be; names file and line."""


class MediaError(DatasetError):
    """A media file that is there but cannot be used; names sample and path."""


class UnfitSampleError(MediaError):
    """A sample that a model's rules leave out of training: it is skipped and told, whatever ``on_bad_sample`` says."""


class MissingMediaError(DatasetError):
    """Media that samples need and that are not on the disk."""


class StoreError(DatasetError):
    """A store that is unfinished, damaged, or of another making than the one asked for."""


class VocabularyError(SLTError):
    """Text that a codec cannot represent, or a model without a vocabulary."""


class CheckpointError(SLTError):
    """Base of everything that is wrong with stored weights."""


class CheckpointClassError(CheckpointError):
    """A checkpoint of another class than the one that should load it."""


class CheckpointMismatchError(CheckpointError):
    """Names or shapes of stored weights and of the network differ."""


class ScoreError(SLTError):
    """Hypotheses and references that cannot be scored together."""
