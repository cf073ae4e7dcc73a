"""What a translation must not lose: numbers, negations, names, found by a plain rule that can be read here.

BLEU hardly notices that "minus drei" became "drei" or that "kein" is gone. The rule is coarse on purpose: word lists
and spelling, no parser, so that everybody gets the same number. What it misses is said in ``docs/evaluation.md``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from slt_zoo.metrics.statistics import Array, Score, Statistics

__all__ = ["LANGUAGES", "Recall", "mentions"]

_NUMBERS = {
    "en": """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million half
        first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth""",
    "el": """μηδέν δύο τρία τέσσερα πέντε έξι επτά εφτά οκτώ οχτώ εννέα εννιά δέκα έντεκα δώδεκα είκοσι τριάντα
        σαράντα πενήντα εξήντα εβδομήντα ογδόντα ενενήντα εκατό χίλια τρεις τέσσερις""",
}
_NEGATIONS = {
    "de": "nicht nichts nie niemals niemand kein keine keinen keinem keiner keines nirgends nirgendwo weder ohne kaum",
    "en": "not no never nothing nobody none nowhere neither nor without cannot don't doesn't didn't won't can't isn't "
    "aren't wasn't weren't couldn't shouldn't wouldn't haven't hasn't hadn't ain't",
    "el": "δεν δε μη μην όχι ποτέ τίποτα τίποτε κανείς κανένας καμία κανένα χωρίς ούτε",
}
# words of other meaning that hold a sign for a number or a negation; they are taken out first
_ZH_OTHER = re.compile(
    "别人|别的|特别|分别|区别|告别|差别|性别|级别|非常|未来|未必|无论|没关系|不过|不但|不仅|"
    "一定|一直|一下|一些|一般|一起|一样|一点|一切|一边|十分|万一|千万|百姓|三明治"
)
_ZH_NUMBER = re.compile(r"[0-9０-９]+(?:\.[0-9]+)?|[零〇一二两三四五六七八九十百千万亿]+")
_ZH_NEGATION = re.compile(r"没有|不|没|别|无|未|非")
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+(?:[.,]\d+)*")
_DE_PART = (
    "null|eins?|zwei|zwo|drei|vier|fünf|sech[sz]|sieb(?:en)?|acht|neun|zehn|elf|zwölf|zig|ßig|zwan|hundert|tausend|und"
)
_DE_NUMBER = re.compile(rf"(?:{_DE_PART})+(?:s?te[nrsm]?)?|(?:erste|dritte|siebte)[nrsm]?")
_DE_NO_NUMBER = frozenset(("und", "ein", "undeins"))
_TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Prof)\.\s*$")

LANGUAGES = ("de", "en", "el", "zh")
"""Languages with a rule."""


def mentions(text: str, language: str) -> dict[str, Counter[str]]:
    """Numbers, negations and names of a text, each with how often it occurs.

    Numbers are digits and number words (German ordinals and compounds too, but not the article ``ein``, nor Greek
    ``ένα``), negations the words of a list; in Chinese both are signs, whose words are not separated, after common
    words of another meaning (``非常``, ``一定``) were taken out. Names are words with a capital that do not begin a
    sentence, without ``'s``: in English and Greek alone, as German writes every noun so, Chinese none, and a text in
    lower case shows none.

    Args:
        text: untouched.
        language: BCP 47; one of `LANGUAGES`.
    """
    found: dict[str, Counter[str]] = {"number": Counter(), "negation": Counter(), "name": Counter()}
    if language == "zh":
        joined = _ZH_OTHER.sub(" ", "".join(text.split()))
        found["number"].update(_ZH_NUMBER.findall(joined))
        found["negation"].update(_ZH_NEGATION.findall(joined))
        return found
    begins = True
    for match in _WORD.finditer(text):
        before = text[: match.start()]
        ended = re.search(r"[.!?;:]", before.rstrip("\"'“”«» ")[-1:]) is not None
        begins = begins or (ended and not _TITLE.search(before))
        word = match.group().replace("’", "'")
        small = word.lower()
        if _is_number(small, language):
            found["number"][small] += 1
        elif small in _words("negations", language):
            found["negation"][small] += 1
        elif language in ("en", "el") and word[0].isupper() and not begins and small != "i" and small[:2] != "i'":
            found["name"][small.removesuffix("'s")] += 1
        begins = False
    return found


@cache
def _words(lists: str, language: str) -> frozenset[str]:
    return frozenset({"numbers": _NUMBERS, "negations": _NEGATIONS}[lists].get(language, "").split())


def _is_number(word: str, language: str) -> bool:
    if _DIGITS.fullmatch(word):
        return True
    if language == "de":
        return _DE_NUMBER.fullmatch(word) is not None and word not in _DE_NO_NUMBER
    return all(part in _words("numbers", language) for part in word.split("-"))


@dataclass(frozen=True)
class Recall(Score):
    """Shares in percent of the references' numbers, negations and names that the hypotheses have (see `mentions`).

    Of several references the first counts. A kind that no reference has is left out.

    Attributes:
        language: of the text.
    """

    language: str

    @property
    def names(self) -> tuple[str, ...]:
        """``recall_number``, ``recall_negation``, ``recall_name``."""
        return ("recall_number", "recall_negation", "recall_name")

    def statistics(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
        """Rows ``(N, 6)``: found and wanted of each kind."""
        rows = np.zeros((len(hypotheses), 6))
        for row, hypothesis, references_of_one in zip(rows, hypotheses, references, strict=True):
            wanted = mentions(references_of_one[0], self.language)
            said = Counter(w.removesuffix("'s") for w in _WORD.findall(hypothesis.lower().replace("’", "'")))
            for k, (kind, words) in enumerate(wanted.items()):
                have = mentions(hypothesis, self.language)[kind] if self.language == "zh" else said
                row[2 * k : 2 * k + 2] = sum((words & have).values()), words.total()
        return Statistics(rows, f"recall numbers,negations,names:{self.language}|refs:first")

    def values(self, totals: Array) -> Array:
        """See `Score.values`."""
        wanted = totals[:, 1::2]
        return 100 * totals[:, ::2] / np.where(wanted > 0, wanted, np.nan)
