"""Texts and ids as they are given to the functions of this package: what is none is told before it is read as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from slt_zoo.errors import ConfigError, VocabularyError

__all__ = ["id_in", "rows_of_ids", "text_of", "texts_of"]


def texts_of(texts: Iterable[str]) -> list[str]:
    """The texts of a list.

    Raises:
        ConfigError: a string in its place, which would be read letter by letter, or something in it is no string.
    """
    if isinstance(texts, str | bytes):
        raise ConfigError(
            "texts are given as a list; a string would be read letter by letter",
            expected="a list of texts",
            found=f"a string, {_shown(texts)}",
            todo="put it into a list: [text]",
        )
    if not isinstance(texts, Iterable):
        raise ConfigError("texts are given as a list", expected="a list of texts", found=_shown(texts))
    return [text_of(text, f"text {place}, counted from 0") for place, text in enumerate(texts)]


def text_of(text: Any, where: str | None = None) -> str:
    """A text.

    Raises:
        ConfigError: it is no string.
    """
    if not isinstance(text, str):
        raise ConfigError("a text is no string", where=where, expected="a string", found=_shown(text))
    return text


def rows_of_ids(ids: Tensor | Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
    """Rows of ``(B, T)`` ids.

    Raises:
        ConfigError: one row alone, or no rows of ids at all.
    """
    rows = ids.tolist() if isinstance(ids, Tensor) else ids
    if not isinstance(rows, Iterable) or isinstance(rows, str) or any(not isinstance(row, Iterable) for row in rows):
        raise ConfigError(
            "ids are decoded in rows, one a text",
            expected="a tensor (B, T), or a list of lists of ids",
            found=f"shape {tuple(ids.shape)}" if isinstance(ids, Tensor) else _shown(ids),
            todo="of one row: decode([ids])",
        )
    return rows


def id_in(i: int, size: int) -> int:
    """An id of a vocabulary of some size.

    Raises:
        VocabularyError: it has no such id.
    """
    if not 0 <= i < size:
        raise VocabularyError(
            "an id is not one of this vocabulary",
            expected=f"0 to {size - 1}",
            found=i,
            todo="decode with the codec of the model that wrote the ids",
        )
    return i


def _shown(value: object) -> str:
    told = repr(value)
    return told if len(told) <= 60 else f"{told[:57]}..."
