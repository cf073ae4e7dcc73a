"""Questions made of translations by rules, where nobody has asked any; results with them are not comparable."""

from __future__ import annotations

import re

from slt_zoo.errors import ConfigError

__all__ = ["generate_question"]

_DAY = r"(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag)"
_GERMAN_TIME = re.compile(
    r"\b(?:(?:heute|morgen|übermorgen|gestern)(?: (?:nacht|abend|früh|morgen|vormittag|mittag|nachmittag))?"
    r"|in der (?:kommenden |nächsten )?nacht|in den (?:nächsten|kommenden|folgenden) tagen|tagsüber|nachts"
    rf"|(?:am|ab|bis) (?:frühen |späten )?(?:{_DAY}|wochenende|morgen|vormittag|mittag|nachmittag|abend|tag|tage))\b"
)
_GERMAN_PLACE = re.compile(
    r"\b(?:(?:im|in der|in den) (?:\w+ )?(?:(?:nord|süd|ost|west)\w*|mitte|bergen|\w*land)|an der (?:\w+ )?\w*küste"
    r"|an den (?:\w+ )?\w*alpen|in (?:bayern|sachsen|hessen|thüringen|brandenburg|niedersachsen|(?:\w+deutschland)))\b"
)
_CHINESE = (
    (re.compile(r"[0-9〇零一二两三四五六七八九十百千万]+(?=[岁个点天年月日号块元本张件只条次位名斤米度分])"), "几"),
    (
        re.compile(
            r"(?:今天|明天|昨天|后天|前天|今年|明年|去年|早上|上午|中午|下午|晚上|周末|星期[一二三四五六日天])+"
        ),
        "什么时候",
    ),
    (re.compile(r"(?:[我你他她]们?|爸爸|妈妈|哥哥|姐姐|弟弟|妹妹|爷爷|奶奶|老师|医生)"), "谁"),
)
_CHINESE_ASKING = re.compile(r"[？?]|什么|谁|哪|几|多少|怎么|吗")


def generate_question(text: str, language: str) -> str:
    """A question to a translation, by a rule; the same text gives the same question.

    German weather forecasts: ``wie ist das wetter`` and the first phrase of time and of place. Chinese: a number, a
    phrase of time or a person becomes an interrogative; where there is none, or the text itself asks, the question
    says nothing of the text. The rest of the text stands in the question: a model can copy it.

    Args:
        text: the translation.
        language: ``"de"`` or ``"zh"``.

    Raises:
        ConfigError: another language.
    """
    if language == "de":
        phrases = (rule.search(text.lower()) for rule in (_GERMAN_TIME, _GERMAN_PLACE))
        return " ".join(["wie ist das wetter", *(found[0] for found in phrases if found)])
    if language != "zh":
        raise ConfigError("questions are generated in German and Chinese alone", found=language)
    if _CHINESE_ASKING.search(text):
        return "对方问了什么？"
    for rule, asking in _CHINESE:
        question, count = rule.subn(asking, text, count=1)
        if count:
            return question.rstrip("。！.! ") + "？"
    return "对方说了什么？"
