"""What models see of a text, and the way back to what references are.

The annotation's string is never changed: it stays in `slt_zoo.types.Sample`, and scores are taken against it. A model
gets ``apply(text)``; what it writes goes through ``restore`` before it is scored. Codecs do both where they have a rule
(``model.normalise_text`` in a recipe). How strings are prepared for scores is another matter:
`slt_zoo.metrics.preparation`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from slt_zoo.errors import ConfigError
from slt_zoo.text.given import text_of

__all__ = ["Normaliser", "TextRules", "check_rule"]

_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"))
"""Zero-width space, word joiner, byte order mark, soft hyphen. The joiners U+200C and U+200D are letters' business."""
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Full-width forms of ASCII, U+FF01 to U+FF5E, to ASCII."""
_LETTERS_AND_DIGITS = {full: half for full, half in _FULL_WIDTH.items() if chr(half).isalnum()}
_SIGNS = "，？！：；（）"
_HALF = {sign: chr(_FULL_WIDTH[ord(sign)]) for sign in _SIGNS}
_FULL = {half: full for full, half in _HALF.items()}
_ASCII = "[0-9A-Za-z]"
_SPACE_BESIDE_HAN = re.compile(rf"(?<!{_ASCII})\s+|\s+(?!{_ASCII})")


def _signs(signs: Mapping[str, str]) -> re.Pattern[str]:
    """Signs that do not stand between two letters or digits of ASCII, as those of ``3:00`` and ``1,000`` do."""
    chosen = f"[{re.escape(''.join(signs))}]"
    return re.compile(rf"(?<!{_ASCII}){chosen}|{chosen}(?!{_ASCII})")


_TO_HALF, _TO_FULL = _signs(_HALF), _signs(_FULL)


@dataclass(frozen=True)
class Normaliser:
    """A rule for the texts of a language; plain data, which a checkpoint can hold.

    In every language: invisible characters (zero-width space, word joiner, byte order mark, soft hyphen) go, Unicode is
    NFC, one space stands between words and none outside, no-break spaces included. Full-width forms of ASCII become
    ASCII (a German question that ends in ``？``). In Chinese full-width signs are the language's own and stay, only
    letters and digits become ASCII; spaces go, except between two letters or digits of ASCII.

    Nobody wants this back, so `restore` does not undo it. It undoes ``half_width`` and ``final_stop``: ``restore(
    apply(text)) == text`` for each text that is in the form above, has its signs in full width and does not end in the
    stop; `restores` says for which texts it holds. Lower case has no way back: a map from small to capital letters that
    is learnt on train would be a model of its own, with errors of its own in every score.

    Args:
        language: BCP 47; ``zh`` and its like have the rule of Chinese, all others the plain one.
        lower: lower case, for good.
        half_width: of Chinese, the signs ``，？！：；（）`` in ASCII, as a tokenizer with NFKC writes them anyway.
            Signs between two letters or digits of ASCII (``3:00``) stay as they are, in both directions.
        final_stop: what is put at the end of each text that lacks it (``" ."``, ``"。"``), and taken off again.

    Raises:
        ConfigError: ``half_width`` outside Chinese, a ``final_stop`` that the rule itself would change, or a language
            or stop that is no string.
    """

    language: str
    lower: bool = False
    half_width: bool = False
    final_stop: str = ""

    def __post_init__(self) -> None:
        for name, value in (("language", self.language), ("final_stop", self.final_stop)):
            if not isinstance(value, str):
                todo = "leave it out, or give an empty string: no stop" if name == "final_stop" else None
                raise ConfigError(
                    f"{name} of a Normaliser is no string", expected="a string", found=repr(value), todo=todo
                )
        if self.half_width and not self._chinese:
            raise ConfigError(
                "half_width is about the signs of Chinese; other languages have theirs in ASCII already",
                found=f"language={self.language!r}",
            )
        if self._without_stop("的" + self.final_stop) != "的" + self.final_stop:
            raise ConfigError(
                "final_stop is no text that the other rules leave as it is, so it could not be taken off again",
                expected='" ." or "。", say; in Chinese without a space',
                found=repr(self.final_stop),
            )

    @property
    def _chinese(self) -> bool:
        return self.language.split("-")[0] == "zh"

    def apply(self, text: str) -> str:
        """What a model sees of a text; once more changes nothing. An empty text stays empty.

        Raises:
            ConfigError: it is no string.
        """
        text = self._without_stop(text_of(text))
        return text + self.final_stop if text and not text.endswith(self.final_stop) else text

    def restore(self, text: str) -> str:
        """A model's text in the form of references: full-width signs, and without the added stop."""
        text = text_of(text).removesuffix(self.final_stop)
        return _TO_FULL.sub(lambda sign: _FULL[sign[0]], text) if self.half_width else text

    def restores(self, text: str) -> bool:
        """Whether the text comes back to the byte."""
        return self.restore(self.apply(text)) == text

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the arguments."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            ConfigError: an argument that this version does not know.
        """
        unknown = set(data) - {field.name for field in fields(cls)}
        if unknown:
            raise ConfigError(
                f"unknown rules of a Normaliser: {', '.join(sorted(unknown))}", todo="a newer slt_zoo may know them"
            )
        return cls(**data)

    def _without_stop(self, text: str) -> str:
        while (seen := self._once(text)) != text:  # a space that goes may let an accent join its letter
            text = seen
        return text

    def _once(self, text: str) -> str:
        text = text.translate(_INVISIBLE).translate(_LETTERS_AND_DIGITS if self._chinese else _FULL_WIDTH)
        text = unicodedata.normalize("NFC", text.lower() if self.lower else text)
        text = " ".join(text.split())
        if self._chinese:
            text = _SPACE_BESIDE_HAN.sub("", text)
        return _TO_HALF.sub(lambda sign: _HALF[sign[0]], text) if self.half_width else text


@dataclass(frozen=True)
class TextRules:
    """Rules of a `Normaliser` whose language the data will tell, as recipes give them.

    Attributes:
        lower: see `Normaliser`.
        half_width: likewise.
        final_stop: likewise.
    """

    lower: bool = False
    half_width: bool = False
    final_stop: str = ""

    @staticmethod
    def of(given: TextRules | Mapping[str, Any], language: str) -> Normaliser:
        """The rule of a language.

        Args:
            given: rules as such, or as plain data (a recipe's, a checkpoint's).
            language: BCP 47.

        Raises:
            ConfigError: see `Normaliser`.
        """
        rules = asdict(given) if isinstance(given, TextRules) else given
        return Normaliser.from_dict({**rules, "language": language})


def check_rule(rule: Normaliser, codecs: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse rules that the vocabulary of texts was not made with.

    Args:
        rule: that was asked for.
        codecs: vocabularies as plain data, by name.

    Raises:
        ConfigError: there is no vocabulary of texts, or it has other rules.
    """
    if "text" not in codecs:
        raise ConfigError(
            "there are no texts to normalise: the model has no vocabulary of texts",
            found=f"normalise_text, and vocabularies of {', '.join(codecs) or 'nothing'}",
            todo="leave model.normalise_text out",
        )
    found = codecs["text"].get("normaliser")
    if found != rule.to_dict():
        raise ConfigError(
            "the vocabulary, of an earlier phase or a checkpoint, was made with other rules for texts",
            expected=f"normalise_text: {_told(rule.to_dict())}, as given here",
            found=f"normalise_text: {_told(found)}, as there",
            todo="give the same rules in all phases, or leave them out after the first: they come with the vocabulary",
        )


def _told(rule: Mapping[str, Any] | None) -> str:
    return "none" if rule is None else ", ".join(f"{name}={value!r}" for name, value in rule.items())
