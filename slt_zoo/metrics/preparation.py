"""How strings are prepared before they are scored; each function is one convention of the field."""

from __future__ import annotations

import unicodedata

__all__ = [
    "append_dot",
    "characters",
    "fold_comma_and_question_mark",
    "fold_punctuation",
    "fold_widths",
    "lower",
    "lower_with_final_dot",
    "one_space",
    "untouched",
]


def untouched(text: str) -> str:
    """The string as it is."""
    return text


def lower(text: str) -> str:
    """Lower case."""
    return text.lower()


def lower_with_final_dot(text: str) -> str:
    """Lower case, and `` .`` at the end unless the last word is a dot already.

    A dot glued to a word (``regen.``) is part of that word, as for every scorer that splits at white space.
    """
    return append_dot(text.lower())


def append_dot(text: str) -> str:
    """`` .`` at the end unless the last word is a dot already."""
    text = text.rstrip()
    return text if text.split()[-1:] == ["."] else f"{text} ."


def one_space(text: str) -> str:
    """One space between words and none outside, no-break spaces included."""
    return " ".join(text.split())


def characters(text: str) -> str:
    """Each character a token, white space removed."""
    return " ".join("".join(text.split()))


_PUNCTUATION = str.maketrans("，。、！？：；（）【】《》“”‘’…—～", ",.,!?:;()[]<>\"\"''.-~")
_COMMA_AND_QUESTION_MARK = str.maketrans("，？", ",?")


def fold_punctuation(text: str) -> str:
    """Chinese punctuation as its nearest ASCII sign, a sign for a sign; letters and digits stay as they are."""
    return text.translate(_PUNCTUATION)


def fold_comma_and_question_mark(text: str) -> str:
    """The two signs that Uni-Sign folds, in the references only: its tokenizer writes these two in ASCII."""
    return text.translate(_COMMA_AND_QUESTION_MARK)


def fold_widths(text: str) -> str:
    """Unicode NFKC, as mBART's tokenizer applies it: full-width ``，！？：`` and letters become ASCII, ``。`` stays."""
    return unicodedata.normalize("NFKC", text)
