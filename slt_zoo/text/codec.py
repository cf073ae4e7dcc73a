"""Codecs: strings to token ids and back. Plain data in ``to_dict``, so that a checkpoint holds its vocabulary.

References are never decoded from ids; a codec only serves the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from slt_zoo.errors import ConfigError, VocabularyError
from slt_zoo.text.given import id_in, rows_of_ids, texts_of
from slt_zoo.text.normalise import Normaliser
from slt_zoo.types import Ragged

__all__ = ["TextCodec", "WordCodec", "codec_from_dict"]

Level = Literal["word", "char"]


@runtime_checkable
class TextCodec(Protocol):
    """What a model may ask of a codec.

    A sequence of ids is the decoder's whole sequence: the decoder reads all but the last and predicts all but
    the first.
    """

    pad_id: int
    unk_id: int
    bos_id: int
    eos_id: int
    closed: bool
    """Whether it holds a closed list of words, so that new words are to be expected; other codecs spell anything."""

    def __len__(self) -> int:
        """Number of ids."""

    def encode(self, texts: Sequence[str], *, max_len: int | None = None) -> Ragged:
        """Ids of each text, ``(sum_T,)`` int64; longer sequences than ``max_len`` lose tokens, never the end.

        Raises:
            ConfigError: a string in the place of the list, or a text that is none.
        """

    def encode_source(self, texts: Sequence[str], *, max_len: int | None = None) -> Ragged:
        """The same ids in the order in which an mBART's encoder reads them: tokens, end, begin."""

    def decode(self, ids: Tensor | Sequence[Sequence[int]]) -> list[str]:
        """Strings of ``(B, T)`` ids; special ids vanish and nothing after the first end counts.

        Raises:
            ConfigError: no rows of ids.
            VocabularyError: an id before the end that the vocabulary has not.
        """

    def unknown(self, texts: Iterable[str]) -> Counter[str]:
        """Tokens that have no id, with their counts."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `codec_from_dict` reads."""


class WordCodec:
    """Whitespace words, or characters, with a vocabulary read from training text.

    Ids: PAD 0, UNK 1, BOS 2, EOS 3, then the tokens, most frequent first (ties by code point). Case is kept.

    Args:
        tokens: the vocabulary without the four special ids, in order.
        level: ``"word"`` splits at white space; ``"char"`` takes each character and drops white space.
        normaliser: applied to each text that is encoded, undone in each that is decoded.

    Raises:
        VocabularyError: a token occurs twice.
        ConfigError: characters with a ``final_stop`` that has a space, which could not be found again.
    """

    pad_id, unk_id, bos_id, eos_id = 0, 1, 2, 3
    num_special = 4

    def __init__(self, tokens: Sequence[str], level: Level = "word", *, normaliser: Normaliser | None = None) -> None:
        self.tokens, self.level, self.closed = list(tokens), level, level == "word"
        self.normaliser = normaliser
        if level == "char" and normaliser is not None and " " in normaliser.final_stop:
            raise ConfigError(
                "characters are written without spaces, so this final_stop would not be found again",
                expected="a stop without a space",
                found=repr(normaliser.final_stop),
            )
        self._ids = {token: i for i, token in enumerate(self.tokens, self.num_special)}
        if len(self._ids) != len(self.tokens):
            twice = [t for t, n in Counter(self.tokens).items() if n > 1]
            raise VocabularyError("a vocabulary holds tokens twice", found=twice[:5])

    @classmethod
    def fit(cls, texts: Iterable[str], level: Level = "word", *, normaliser: Normaliser | None = None) -> Self:
        """Build the vocabulary of ``texts``, normalised where there is a rule.

        Raises:
            VocabularyError: there is not a single token.
        """
        counts = Counter(token for text in texts_of(texts) for token in _split(seen(normaliser, text), level))
        if not counts:
            raise VocabularyError(
                "there is no text to make a vocabulary of", todo="check that the training split has texts or glosses"
            )
        tokens = [token for token, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
        return cls(tokens, level, normaliser=normaliser)

    def __len__(self) -> int:
        return self.num_special + len(self.tokens)

    def encode(self, texts: Sequence[str], *, max_len: int | None = None) -> Ragged:
        """``BOS tokens EOS`` of each text; ``max_len`` counts both ends."""
        return Ragged.pack([torch.tensor(self._sequence(text, max_len), dtype=torch.int64) for text in texts_of(texts)])

    def encode_source(self, texts: Sequence[str], *, max_len: int | None = None) -> Ragged:
        """``tokens EOS BOS`` of each text, an encoder's order."""
        rows = (self._sequence(text, max_len) for text in texts_of(texts))
        return Ragged.pack([torch.tensor([*row[1:], row[0]], dtype=torch.int64) for row in rows])

    def _sequence(self, text: str, max_len: int | None) -> list[int]:
        ids = [self._ids.get(token, self.unk_id) for token in self._tokens(text)]
        return [self.bos_id, *(ids if max_len is None else ids[: max_len - 2]), self.eos_id]

    def decode(self, ids: Tensor | Sequence[Sequence[int]]) -> list[str]:
        """Strings of ``(B, T)`` ids; UNK reads ``<unk>``."""
        rows = rows_of_ids(ids)
        joint = " " if self.level == "word" else ""
        return [restored(self.normaliser, joint.join(self._words(row))) for row in rows]

    def _words(self, row: Sequence[int]) -> Iterable[str]:
        for i in row:
            if i == self.eos_id:
                return
            if i == self.unk_id:
                yield "<unk>"
            elif id_in(i, len(self)) >= self.num_special:
                yield self.tokens[i - self.num_special]

    def unknown(self, texts: Iterable[str]) -> Counter[str]:
        """Tokens outside the vocabulary, with their counts."""
        return Counter(token for text in texts_of(texts) for token in self._tokens(text) if token not in self._ids)

    def length(self, text: str) -> int:
        """Number of ids of a text with both ends."""
        return len(self._tokens(text)) + 2

    def _tokens(self, text: str) -> list[str]:
        return _split(seen(self.normaliser, text), self.level)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: kind, level, tokens, and the rule of normalisation, where there is one."""
        return {"kind": "word", "level": self.level, "tokens": list(self.tokens), **rule_data(self.normaliser)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(data["tokens"], data["level"], normaliser=rule_of(data))


def seen(rule: Normaliser | None, text: str) -> str:
    """What a model sees of a text."""
    return text if rule is None else rule.apply(text)


def restored(rule: Normaliser | None, text: str) -> str:
    """A model's text in the form of references."""
    return text if rule is None else rule.restore(text)


def rule_data(rule: Normaliser | None) -> dict[str, Any]:
    """What a codec's plain data say of its rule: nothing, where it has none."""
    return {} if rule is None else {"normaliser": rule.to_dict()}


def rule_of(data: Mapping[str, Any]) -> Normaliser | None:
    """The inverse of `rule_data`."""
    return None if data.get("normaliser") is None else Normaliser.from_dict(data["normaliser"])


def _split(text: str, level: Level) -> list[str]:
    text = text.replace("\u200b", "")  # a zero-width space is no character of a word
    return text.split() if level == "word" else [c for c in text if not c.isspace()]


def _subword(data: Mapping[str, Any]) -> TextCodec:
    from slt_zoo.text.subword import SubwordCodec  # it needs sentencepiece, which words do not

    return SubwordCodec.from_dict(data)


_KINDS: dict[str, Callable[[Mapping[str, Any]], TextCodec]] = {"word": WordCodec.from_dict, "subword": _subword}


def codec_from_dict(data: Mapping[str, Any]) -> TextCodec:
    """Rebuild a codec from what its ``to_dict`` gave.

    Raises:
        VocabularyError: a kind of codec that this version does not know.
    """
    kind = data.get("kind")
    if kind not in _KINDS:
        raise VocabularyError(
            f"unknown kind of codec {kind!r}", expected=", ".join(_KINDS), todo="a newer slt_zoo may know it"
        )
    return _KINDS[kind](data)
