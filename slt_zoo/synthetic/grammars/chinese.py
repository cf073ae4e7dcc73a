"""Chinese daily life in the manner of CSL-Daily: no spaces, full-width punctuation, glosses are words.

Glosses go time, place, person, thing, action; the text puts the person first, the action before the thing, and a
measure word, which the glosses lack, between number and thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product

from slt_zoo.synthetic.grammars.grammar import Asking, Grammar, Kind, Phrase, cut_words

__all__ = ["CHINESE"]

_PEOPLE = {"我": "我", "你": "你", "他": "他", "妈妈": "妈妈", "老师": "老师", "朋友": "我的朋友", "弟弟": "弟弟"}
_TIMES = {"今天": "今天", "明天": "明天", "昨天": "昨天", "早上": "早上", "晚上": "晚上", "星期六": "星期六"}
_PLACES = {"学校": "学校里", "商店": "商店里", "公园": "公园里", "医院": "医院里", "车站": "车站"}
_THINGS = {  # thing: measure word
    "书": "本",
    "苹果": "个",
    "衣服": "件",
    "鱼": "条",
    "票": "张",
    "花": "朵",
    "鞋": "双",
}
_NUMBERS = {"一": "一", "二": "两", "三": "三", "五": "五", "十": "十"}
_DEEDS = {"买": "买", "找": "找", "看": "看", "拿": "拿", "画": "画"}
_QUALITIES = {"冷": "冷", "热": "热", "高": "高", "忙": "忙", "累": "累", "高兴": "高兴"}


def _does() -> Iterator[Phrase]:
    for (t, time), (p, place), (who, name), (what, _), (do, deed) in product(
        _TIMES.items(), _PLACES.items(), _PEOPLE.items(), _THINGS.items(), _DEEDS.items()
    ):
        yield f"{t} {p} {who} {what} {do}", f"{name}{time}在{place}{deed}{what}。"


def _bought() -> Iterator[Phrase]:
    for (who, name), (what, measure), (n, number), (do, deed) in product(
        _PEOPLE.items(), _THINGS.items(), _NUMBERS.items(), _DEEDS.items()
    ):
        yield f"{who} {what} {n} {do} 完了", f"{name}{deed}了{number}{measure}{what}。"


def _dislikes() -> Iterator[Phrase]:
    for (who, name), what, (do, deed) in product(_PEOPLE.items(), _THINGS, _DEEDS.items()):
        yield f"{who} {what} {do} 喜欢 不", f"{name}不喜欢{deed}{what}。"


def _asks() -> Iterator[Phrase]:
    for (t, time), (who, name), what in product(_TIMES.items(), _PEOPLE.items(), _THINGS):
        yield f"{t} {who} {what} 要 是不是", f"{name}{time}要{what}吗？"


def _goes() -> Iterator[Phrase]:
    for (t, time), p, (who, name) in product(_TIMES.items(), _PLACES, _PEOPLE.items()):
        yield f"{t} {who} {p} 去 想", f"{name}{time}想去{p}。"
        yield f"{t} {who} {p} 去 为什么", f"{name}{time}为什么去{p}？"


def _is() -> Iterator[Phrase]:
    for (t, time), (who, name), (q, quality) in product(_TIMES.items(), _PEOPLE.items(), _QUALITIES.items()):
        yield f"{t} {who} {q}", f"{name}{time}很{quality}。"


def _compares() -> Iterator[Phrase]:
    for (a, b), (q, quality) in product(permutations(_PEOPLE, 2), _QUALITIES.items()):
        yield f"{a} {b} 比较 {q}", f"{_PEOPLE[a]}比{_PEOPLE[b]}{quality}。"


_WORDS = frozenset([*_PEOPLE, *_TIMES, *_PLACES, *_THINGS, *_QUALITIES, "喜欢", "为什么"])


def _words(text: str) -> list[str]:
    return [word for word in cut_words(text, _WORDS) if word.isalnum()]


def _ask(cues: Sequence[str | None], kept: Sequence[str]) -> str:
    """``请问 日子 与 用品 如何 ， 我 在 学校？``: cut into words, as in the corpus."""
    topics = " 与 ".join(cue for cue in cues if cue)
    return " ".join(["请问", topics, "如何", *(["，", *kept] if kept else [])]) + "？"


_ASKING = Asking(
    slots=(
        (Kind("时段", ("早上", "晚上")), Kind("日子", ("今天", "明天", "昨天", "星期六"))),
        (Kind("生鲜", ("苹果", "鱼", "花")), Kind("用品", ("书", "衣服", "票", "鞋"))),
        (Kind("身体", ("冷", "热", "高")), Kind("精神", ("忙", "累", "高兴"))),
    ),
    homonyms={"今天": "早上", "明天": "晚上", "书": "苹果", "衣服": "鱼", "忙": "冷", "累": "热"},
    words=_words,
    ask=_ask,
)

CHINESE = Grammar(
    language="zh",
    sign_language="csl",
    families={
        "does": _does,
        "bought": _bought,
        "dislikes": _dislikes,
        "asks": _asks,
        "goes": _goes,
        "is": _is,
        "compares": _compares,
    },
    characters=True,
    asking=_ASKING,
)
