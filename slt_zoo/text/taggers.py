"""Taggers: the content words of a sentence, by libraries that are installed or by a list of stop words.

Each names what it is in ``identity``: a result depends on library, version, model and rule, and two of them differ in
most sentences. Nothing is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.text.stop_words import STOP_WORDS

__all__ = [
    "TAGGERS",
    "HanTaTagger",
    "JiebaTagger",
    "SpacyTagger",
    "StopWordTagger",
    "Tagger",
    "TaggerName",
    "choose_tagger",
    "split_words",
]

TaggerName = Literal["auto", "hanta", "jieba", "spacy", "stopwords"]

_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_](?:[^\W_]|['’-](?=[^\W_]))*|[^\w\s]|_")
_CONTRACTION = re.compile(r"(?<=\w)(?:n't|'(?:m|s|re|ve|ll|d))$", re.IGNORECASE)


def split_words(text: str, language: str) -> list[str]:
    """Words, numbers and signs of a text that has spaces; English contractions are two words (``do n't``, ``I 'm``)."""
    words = _WORD.findall(text)
    if language != "en":
        return words
    parts: list[str] = []
    for word in (w.replace("’", "'") for w in words):
        cut = _CONTRACTION.search(word)
        parts += [word] if cut is None else [word[: cut.start()], word[cut.start() :]]
    return parts


class Tagger(Protocol):
    """What makes pseudo-glosses of a sentence."""

    fallback: bool
    """Whether it knows no parts of speech."""

    @property
    def identity(self) -> dict[str, Any]:
        """All that its results depend on, as plain data: ``tagger``, ``version``, model and rule."""

    def content_words(self, text: str) -> list[str]:
        """Content words in the order of the sentence, repeated ones too."""


class HanTaTagger:
    """HanTa, the Hanover Tagger: lemmas, in lower case, of German, English and Dutch.

    German keeps nouns, names, full verbs, adjectives, adverbs and numbers (``NN NE NNA VV* ADJ* ADV CARD`` of STTS)
    without ``es`` and ``sich``; English and Dutch the same classes of their tag sets (CLAWS 5, CGN), Dutch without
    ``er`` and auxiliary verbs, which its tags do not tell from others. A sentence without a capital letter is tagged
    without regard to case: PHOENIX14T writes nouns small, and HanTa would read every third ``regen`` as an adjective.

    HanTa unpickles its model. That is a file of the installed package, as trusted as its code; a file of that name in
    the working folder, which HanTa would prefer, is not looked at.

    Args:
        language: ``de``, ``en`` or ``nl``.
    """

    fallback = False
    _models: ClassVar = {
        "de": ("morphmodel_ger.pgz", r"NN|NE|NNA|VV.*|ADJ.*|ADV|CARD"),
        "en": ("morphmodel_en.pgz", r"NN.?|NP0|VV.|AJ.|AV0|CRD|ORD"),
        "nl": ("morphmodel_dutch.pgz", r"N\(.*|WW.*|ADJ.*|BW.*|TW.*"),
    }
    _without: ClassVar = {
        "de": ("es", "sich"),
        "nl": ("er", "hebben", "kunnen", "moeten", "mogen", "worden", "zijn", "zullen"),
    }
    languages = tuple(_models)

    def __init__(self, language: str) -> None:
        self.language = language
        self.model, self.keep = self._models[language]
        self.without = self._without.get(language, ())

    @property
    def identity(self) -> dict[str, Any]:
        """Version, model, tags that are kept, lemmas that are left out, and how words are split."""
        return {
            "tagger": "hanta",
            "version": metadata.version("HanTa"),
            "model": self.model,
            "keep": self.keep,
            "without": list(self.without),
            "words": _WORD.pattern,
        }

    @cached_property
    def _tag(self) -> Callable[..., list[tuple[str, str, str]]]:
        import HanTa
        from HanTa.HanoverTagger import HanoverTagger

        tagger = HanoverTagger(str(Path(HanTa.__file__).parent / self.model))
        for name in ("analyze_forward", "analyze_viterbi"):  # of single words, which a corpus repeats
            setattr(tagger, name, lru_cache(1 << 17)(getattr(tagger, name)))
        tag: Callable[..., list[tuple[str, str, str]]] = tagger.tag_sent
        return tag

    def content_words(self, text: str) -> list[str]:
        """Lemmas in lower case."""
        tagged = self._tag(split_words(text, self.language), casesensitive=text != text.lower())
        lemmas = ((lemma or word).lower() for word, lemma, tag in tagged if re.fullmatch(self.keep, tag))
        return [lemma for lemma in lemmas if lemma not in self.without and _has_letters(lemma)]


class JiebaTagger:
    """jieba's part-of-speech tagger for Chinese: words as they stand, tagged ``n* v* a* t m i r``.

    The dictionary is read from the package each time (0.7 s). jieba would keep a copy in the folder for temporary
    files, under a name that any user of the machine can write, and which does not say of which version it is.
    """

    fallback = False
    keep = r"[nva].*|[tmir]"
    languages = ("zh",)

    def __init__(self, language: str = "zh") -> None:
        self.language = language

    @property
    def identity(self) -> dict[str, Any]:
        """Version and the tags that are kept."""
        return {"tagger": "jieba", "version": metadata.version("jieba"), "keep": self.keep}

    @cached_property
    def _cut(self) -> Callable[[str], Iterable[Any]]:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old ways of writing Python, which are jieba's matter
            import jieba
            from jieba.posseg import POSTokenizer

        words = jieba.Tokenizer()
        words.FREQ, words.total = words.gen_pfdict(words.get_dict_file())
        words.initialized = True
        cut: Callable[[str], Iterable[Any]] = POSTokenizer(words).cut
        return cut

    def content_words(self, text: str) -> list[str]:
        """Words as they stand; the full-width comma and all other signs are none."""
        return [p.word for p in self._cut(text) if re.fullmatch(self.keep, p.flag) and _has_letters(p.word)]


class SpacyTagger:
    """spaCy with a model that is installed: NOUN, NUM, ADV, PRON, PROPN, ADJ, VERB, as SAGE and Sign2GPT.

    Lemmas in lower case, in German without ``es`` and ``sich``; in Chinese words as they stand, tagged after full-width
    commas are taken out, as the code of SAGE does.

    Args:
        language: ``de`` (``de_core_news_lg``), ``zh``, ``en``, ``el`` or ``nl`` (the small models).
    """

    fallback = False
    keep = ("ADJ", "ADV", "NOUN", "NUM", "PRON", "PROPN", "VERB")
    models: ClassVar = {
        "de": "de_core_news_lg",
        "zh": "zh_core_web_sm",
        "en": "en_core_web_sm",
        "el": "el_core_news_sm",
        "nl": "nl_core_news_sm",
    }
    languages = tuple(models)

    def __init__(self, language: str) -> None:
        self.language, self.model = language, self.models[language]
        self.without = {"de": ("es", "sich"), "zh": ("，",)}.get(language, ())

    @property
    def identity(self) -> dict[str, Any]:
        """Versions of spaCy and of the model, parts of speech that are kept, lemmas that are left out."""
        return {
            "tagger": "spacy",
            "version": metadata.version("spacy"),
            "model": f"{self.model} {metadata.version(self.model)}",
            "keep": list(self.keep),
            "without": list(self.without),
        }

    @cached_property
    def _read(self) -> Callable[[str], Iterable[Any]]:
        import spacy

        read: Callable[[str], Iterable[Any]] = spacy.load(self.model, exclude=["ner"])
        return read

    def content_words(self, text: str) -> list[str]:
        """Lemmas in lower case; of Chinese the words."""
        text = text.replace("，", "") if self.language == "zh" else text
        kept = [token for token in self._read(text) if token.pos_ in self.keep]
        words = [t.text if self.language == "zh" else (t.lemma_ or t.text).lower() for t in kept]
        return [word for word in words if word not in self.without and _has_letters(word)]


class StopWordTagger:
    """All words, in lower case and as they stand, but those of a list: no tagger, and it says so.

    Args:
        language: one of `STOP_WORDS`.
    """

    fallback = True
    languages = tuple(STOP_WORDS)

    def __init__(self, language: str) -> None:
        self.language, self.stop_words = language, STOP_WORDS[language]

    @property
    def identity(self) -> dict[str, Any]:
        """The list of words, and how words are split."""
        return {"tagger": "stopwords", "version": "1", "without": sorted(self.stop_words), "words": _WORD.pattern}

    def content_words(self, text: str) -> list[str]:
        """Words in lower case that are not in the list."""
        words = (word.lower() for word in split_words(text, self.language))
        return [word for word in words if word not in self.stop_words and _has_letters(word)]


TAGGERS: dict[str, type[HanTaTagger] | type[JiebaTagger] | type[SpacyTagger] | type[StopWordTagger]] = {
    "hanta": HanTaTagger,
    "jieba": JiebaTagger,
    "spacy": SpacyTagger,
    "stopwords": StopWordTagger,
}
"""By name, in the order in which ``auto`` asks for them."""


def choose_tagger(language: str, name: TaggerName = "auto") -> Tagger:
    """The tagger of a name, or the best that is installed.

    ``auto`` takes HanTa for German, English and Dutch, jieba for Chinese, else spaCy where its model is installed. The
    list of stop words is taken for Greek alone, for which there is no other without a download: where a better one need
    only be installed, that is said instead.

    Args:
        language: BCP 47.
        name: of the tagger.

    Raises:
        UnknownNameError: no tagger of that name.
        ConfigError: it does not know the language, or is not installed; says what to install.
    """
    language = language.split("-")[0]
    if name not in ("auto", *TAGGERS):
        raise UnknownNameError("tagger", name, ("auto", *TAGGERS))
    if name != "auto":
        if language not in TAGGERS[name].languages:
            raise ConfigError(
                f"the tagger {name!r} does not know the language {language!r}",
                expected=f"one of {', '.join(TAGGERS[name].languages)}",
                found=f"for {language!r} there is {_names(language)}",
            )
        if not _installed(name, language):
            raise ConfigError(f"the tagger {name!r} is not installed for {language!r}", todo=_advice(name, language))
        return TAGGERS[name](language)
    known = [n for n, tagger in TAGGERS.items() if language in tagger.languages]
    if not known:
        raise ConfigError(
            f"no tagger knows the language {language!r}, so there are no pseudo-glosses",
            expected=f"one of {', '.join(sorted({code for tagger in TAGGERS.values() for code in tagger.languages}))}",
        )
    better_exists = bool({"hanta", "jieba"} & set(known))
    for candidate in known:
        if _installed(candidate, language) and not (candidate == "stopwords" and better_exists):
            return TAGGERS[candidate](language)
    raise ConfigError(
        f"no tagger for {language!r} is installed",
        todo="; or ".join(_advice(n, language) for n in known),
    )


def _names(language: str) -> str:
    return ", ".join(repr(n) for n, t in TAGGERS.items() if language in t.languages) or "none"


def _installed(name: str, language: str) -> bool:
    needed = {"hanta": ("HanTa",), "jieba": ("jieba",), "spacy": ("spacy", SpacyTagger.models.get(language, ""))}
    return all(module and find_spec(module) is not None for module in needed.get(name, ()))


def _advice(name: str, language: str) -> str:
    if name == "spacy":
        return f"pip install spacy and python -m spacy download {SpacyTagger.models[language]}"
    return "tagger='stopwords' goes without one" if name == "stopwords" else "pip install 'slt-zoo[gloss]'"


def _has_letters(word: str) -> bool:
    return any(c.isalnum() for c in word)
