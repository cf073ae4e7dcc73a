"""Pseudo-glosses: the content words of a sentence, in the order of the sentence.

They stand in for glosses where a corpus has none (Sign2GPT, arXiv 2405.04164; SAGE, arXiv 2507.09266). They are words
of the spoken language in its own order, and no account of what was signed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slt_zoo.errors import ConfigError
from slt_zoo.files import cache_folder, write_atomically
from slt_zoo.text.given import texts_of
from slt_zoo.text.normalise import Normaliser
from slt_zoo.text.taggers import Tagger, TaggerName, choose_tagger

__all__ = ["PseudoGlosses", "pseudo_glosses"]

log = logging.getLogger(__name__)

Words = tuple[str, ...]


@dataclass(frozen=True)
class PseudoGlosses:
    """Pseudo-glosses of some sentences, and what they were made with.

    Attributes:
        glosses: of each sentence, in the order given; ``()`` where a sentence has no content word.
        tagger: name, version, model and rule of what made them; plain data, to be recorded beside a result.
        fallback: the words that a list of stop words left; no tagger knew their parts of speech.
        dropped: words that were taken out of every sentence, most frequent first.
    """

    glosses: tuple[Words, ...]
    tagger: Mapping[str, Any]
    fallback: bool
    dropped: Words = ()

    @property
    def empty(self) -> tuple[int, ...]:
        """Positions of the sentences without a single pseudo-gloss; what becomes of them is the caller's decision."""
        return tuple(i for i, words in enumerate(self.glosses) if not words)


def pseudo_glosses(
    texts: Sequence[str],
    language: str,
    *,
    tagger: TaggerName = "auto",
    max_share: float | None = None,
    drop: Collection[str] = (),
    cache: bool = True,
) -> PseudoGlosses:
    """Make the pseudo-glosses of sentences.

    A sentence is normalised first (`Normaliser` with nothing but its language). What the tagger says is kept in
    ``$SLT_ZOO_CACHE/pseudo_gloss``, a file for each set of sentences, tagger, version and rule; it may be deleted at
    any time.

    Args:
        texts: sentences.
        language: BCP 47.
        tagger: ``auto`` (see `choose_tagger`) or a name of `TAGGERS`.
        max_share: drop words that are in at least this share of the distinct sentences (Sign2GPT: 0.4); None: none.
            The share depends on ``texts``: for other splits pass ``drop=`` the ``dropped`` of train.
        drop: words to drop in any case.
        cache: whether to read and write the file.

    Raises:
        ConfigError: no tagger for the language (says what to install), a share outside 0 to 1, a string in the place of
            the list of texts or of dropped words, or a text that is no string.

    Warns:
        UserWarning: only a list of stop words could be used and was not asked for.
    """
    normalise = Normaliser(language).apply
    seen = [normalise(text) for text in texts_of(texts)]
    drop = texts_of(drop)
    if max_share is not None and not 0 < max_share <= 1:
        raise ConfigError("max_share is a share of the sentences, above 0 and at most 1", found=max_share)
    chosen = choose_tagger(language, tagger)
    if chosen.fallback and tagger == "auto":
        warnings.warn(
            f"no tagger for {language!r} is installed: pseudo-glosses are all words but those of a list of stop words, "
            "verbs and names in the form in which they stand",
            stacklevel=2,
        )
    made = _made(sorted(set(seen)), language, chosen, cache)
    share = _frequent(made.values(), max_share)
    dropped = (*share, *sorted(set(drop) - set(share)))
    gone = frozenset(dropped)
    kept = {text: tuple(word for word in words if word not in gone) for text, words in made.items()}
    return PseudoGlosses(tuple(kept[text] for text in seen), chosen.identity, chosen.fallback, dropped)


def _frequent(sentences: Collection[Words], max_share: float | None) -> Words:
    """Words in at least a share of the sentences, most frequent first, ties by code point."""
    if max_share is None:
        return ()
    counts = Counter(word for words in sentences for word in set(words))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(word for word, count in ordered if count / len(sentences) >= max_share)


def _made(texts: list[str], language: str, tagger: Tagger, cache: bool) -> dict[str, Words]:
    """The content words of distinct sentences, out of the cache or into it."""
    if not cache:
        return {text: tuple(tagger.content_words(text)) for text in texts}
    key = _digest([language, tagger.identity, texts])
    path = cache_folder("pseudo_gloss") / f"{key[:32]}.json"
    known = _read(path, key, len(texts))
    if known is None:
        known = [tuple(tagger.content_words(text)) for text in texts]
        _write(path, key, known)
    return dict(zip(texts, known, strict=True))


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _read(path: Path, key: str, count: int) -> list[Words] | None:
    """What is kept under a key; None, where it is not there or not whole."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["key"] != key or found["hash"] != _digest(found["glosses"]) or len(found["glosses"]) != count:
            raise ValueError("content and hash differ")
        return [tuple(words) for words in found["glosses"]]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as fault:
        log.info("%s holds no pseudo-glosses (%s); they are made again", path, fault)
        return None


def _write(path: Path, key: str, glosses: Iterable[Words]) -> None:
    plain = [list(words) for words in glosses]
    try:
        write_atomically(path, json.dumps({"key": key, "hash": _digest(plain), "glosses": plain}))
    except OSError as fault:
        log.info("pseudo-glosses are not kept for the next run: %s", fault)
