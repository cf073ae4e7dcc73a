"""Official annotation files, told apart by their form and read to the byte: ids, texts, glosses, questions.

No media and no joining of files: corpora do that. Formats and their traps: the releases of PHOENIX14T, CSL-Daily,
How2Sign and GSL, and the question-driven files of ``glq-1992/GBT-code`` for the first two. Each format has its reader
in `slt_zoo.data.formats`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from slt_zoo.data.annotations import read_text
from slt_zoo.data.formats.csl_daily import CSL_DAILY, read_csl_daily, read_csl_daily_qa, read_csl_split
from slt_zoo.data.formats.csl_daily_labels import read_csl_daily_labels, read_csl_daily_pickle
from slt_zoo.data.formats.entries import Entry, numbered_lines
from slt_zoo.data.formats.gsl import PATH, read_gsl, read_gsl_list
from slt_zoo.data.formats.how2sign import read_how2sign
from slt_zoo.data.formats.phoenix14t import PHOENIX14T, read_phoenix14t, read_phoenix14t_qa
from slt_zoo.data.ids import check_id
from slt_zoo.errors import AnnotationError, ConfigError
from slt_zoo.types import as_split

__all__ = [
    "CSL_DAILY",
    "PHOENIX14T",
    "Entry",
    "Official",
    "UnknownFormatError",
    "read_csl_daily",
    "read_csl_daily_labels",
    "read_csl_daily_pickle",
    "read_csl_daily_qa",
    "read_csl_split",
    "read_gsl",
    "read_gsl_list",
    "read_how2sign",
    "read_id_list",
    "read_official",
    "read_phoenix14t",
    "read_phoenix14t_qa",
]


class UnknownFormatError(AnnotationError):
    """A file that has the form of no known annotation."""


@dataclass(frozen=True)
class Official:
    """What a file turned out to be.

    Attributes:
        corpus: class name of the corpus.
        entries: in the order of the file.
    """

    corpus: str
    entries: list[Entry]


def read_official(path: str | Path) -> Official:
    """Tell the format of an annotation file and read it.

    Raises:
        UnknownFormatError: of no known format.
        AnnotationError: missing, empty, or damaged; names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise AnnotationError("there is no such annotation file", where=path)
    if path.suffix == ".pkl":
        return Official("CSLDaily", read_csl_daily_pickle(path))
    text = read_text(path)
    first = next((line for line in text.split("\n") if line.strip()), None)
    if first is None:
        raise AnnotationError("the annotation file is empty", where=path)
    for corpus, fits, read in _FORMATS:
        if fits(first):
            return Official(corpus, list(read(path)))
    if _GSL_LIST.match(first):
        raise AnnotationError(
            "this is a list of a split, which has glosses and no texts",
            where=path,
            todo="give the annotation (annotations.csv or merged_continuous.csv), and this file as the split file",
        )
    raise UnknownFormatError(
        "this is no annotation file of a known corpus",
        where=path,
        expected=f"the official format of {', '.join(dict.fromkeys(corpus for corpus, _, _ in _FORMATS))}",
        found=repr(first[:120]),
        todo="give JSON lines with `id` and `references`, or plain text with a sentence a line (.txt)",
    )


_HOW2SIGN = ("SENTENCE_NAME", "SENTENCE")
_QA_LINE = re.compile(r"(train|dev|test)/\S+ [^|]*%")
_CSL_LINE = re.compile(r"\d{6}\|S\d{6}_P\d{4}_T\d\d\|")
_GSL_LINE = re.compile(rf"{PATH.pattern}\|[^|]*\|[^|]*$", re.ASCII)
_GSL_LIST = re.compile(rf"{PATH.pattern}\|[^|]*$", re.ASCII)

_FORMATS: tuple[tuple[str, Callable[[str], bool], Callable[[Path], Iterable[Entry]]], ...] = (
    ("Phoenix14TQA", lambda line: _QA_LINE.match(line) is not None, read_phoenix14t_qa),
    ("CSLDaily", lambda line: line.split("|")[:3] == ["index", "name", "length"], read_csl_daily),
    ("CSLDailyQA", lambda line: _CSL_LINE.match(line) is not None, read_csl_daily_qa),
    ("How2Sign", lambda line: set(_HOW2SIGN) <= set(re.split(r"[\t,;]", line.replace('"', ""))), read_how2sign),
    ("GSL", lambda line: _GSL_LINE.match(line) is not None, read_gsl),
    ("Phoenix14T", lambda line: line.count("|") == len(PHOENIX14T) - 1, read_phoenix14t),
)


def read_id_list(path: str | Path, split: str | None = None) -> list[str]:
    """Ids of a split file.

    Reads ``split_1.txt`` of CSL-Daily (``name|split``, with ``split`` to choose), the lists of GSL (``path|glosses``,
    the scenario in front removed), and plain lists, an id a line.

    Raises:
        AnnotationError: there is no such file, no id of the split in it, or a damaged line, which is named.
    """
    path = Path(path)
    if not path.is_file():
        raise AnnotationError("there is no such split file", where=path)
    lines = list(numbered_lines(path))
    if lines and _CSL_SPLIT.match(lines[0][1]):
        its = read_csl_split(path)
        try:
            ids = its[as_split(split)] if split is not None else []
        except ConfigError:
            ids = []
        found = f"splits {', '.join(name for name, there in its.items() if there)}"
    else:
        names = ((number, line.split("|")[0].strip()) for number, line in lines if line.strip())
        ids = [check_id("/".join(name.split("/")[-2:]), f"{path}, line {number}") for number, name in names]
        found = "nothing"
    if not ids:
        raise AnnotationError(
            "the split file names no sample" + (f" of {split}" if split else ""),
            where=path,
            found=found,
            todo="name the split: --split train, dev or test",
        )
    return ids


_CSL_SPLIT = re.compile(r"name\|split$|S\d{6}_P\d{4}_T\d\d\|")
