"""Official annotation files, told apart by their form and read to the byte: ids, texts, glosses, questions.

No media and no joining of files: corpora do that. Formats and their traps: the releases of PHOENIX14T, CSL-Daily,
How2Sign and GSL, and the question-driven files of ``glq-1992/GBT-code`` for the first two.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import math
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slt_zoo.data.annotations import read_rows, read_text
from slt_zoo.errors import AnnotationError, first_few

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
    "read_gsl",
    "read_how2sign",
    "read_id_list",
    "read_official",
    "read_phoenix14t_qa",
]

log = logging.getLogger(__name__)

PHOENIX14T = ("name", "video", "start", "end", "speaker", "orth", "translation")
CSL_DAILY = ("index", "name", "length", "gloss", "char", "word", "postag")
_HOW2SIGN = ("SENTENCE_NAME", "SENTENCE")


class UnknownFormatError(AnnotationError):
    """A file that has the form of no known annotation."""


@dataclass(frozen=True)
class Entry:
    """One annotated sentence.

    Attributes:
        id: without a split in front.
        text: untouched; Chinese without the spaces of its segmentation, which the release puts between characters.
        gloss: None where the format has none.
        question: None where the format has none.
        signer: opaque label; None where the format has none.
        num_frames: as declared, not trusted.
        start, end: of the sentence in its video, in seconds.
        video: name of the video that it is a part of.
        line: in the file, from 1; 0 where the file has no lines.
    """

    id: str
    text: str
    gloss: tuple[str, ...] | None = None
    question: str | None = None
    signer: str | None = None
    num_frames: int | None = None
    start: float | None = None
    end: float | None = None
    video: str | None = None
    line: int = 0


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
            entries = list(read(path))
            _refuse_doubles(entries, path)
            return Official(corpus, entries)
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


def read_how2sign(path: Path) -> list[Entry]:
    """``how2sign_<split>.csv`` or ``how2sign_realigned_<split>.csv``: tab-separated with quoting, with a header.

    Raises:
        AnnotationError: another delimiter or header, or a damaged row; names the line.
    """
    header = read_text(path).split("\n", 1)[0]
    if not header.strip():
        raise AnnotationError("the annotation file is empty", where=path)
    cells = header.split("\t")
    if not set(_HOW2SIGN) <= set(cells):
        counts = {"comma": header.count(","), "semicolon": header.count(";"), "bar": header.count("|")}
        likely = max(counts, key=lambda name: counts[name])
        looks = f". It contains {counts[likely]} {likely}s: the file looks {likely}-separated" if counts[likely] else ""
        raise AnnotationError(
            f"header has {len(cells)} column{'s' * (len(cells) != 1)}; expected 7 tab-separated{looks}",
            where=f"{path}, line 1",
            expected=f"a header with {' and '.join(_HOW2SIGN)}",
            found=repr(header[:120]),
            todo="take the file as it was released: a spreadsheet that saves it changes delimiter and numbers",
        )
    return _without_doubles(_how2sign(path), path)


def read_gsl(path: Path) -> list[Entry]:
    """``merged_continuous.csv`` of GSL (Greek Sign Language): ``path|text|glosses``, no header; the path is the id.

    Raises:
        AnnotationError: a row with another number of fields, or a path that occurs twice, with different content.
    """
    return _without_doubles(_gsl(path), path)


def _phoenix14t(path: Path) -> Iterable[Entry]:
    for row in read_rows(path, PHOENIX14T, "|"):
        cells = row.cells
        yield Entry(
            cells["name"], cells["translation"], tuple(cells["orth"].split()), signer=cells["speaker"], line=row.line
        )


def read_phoenix14t_qa(path: Path) -> Iterable[Entry]:
    """Lines ``split/name text%question%glosses``, or without glosses; the split in front is removed.

    Raises:
        AnnotationError: another number of fields, as training variants have; names the line.
    """
    for number, line in _lines(path):
        fields = line.split("%")
        name, space, text = fields[0].partition(" ")
        if len(fields) not in (2, 3) or not space:  # older files have no glosses
            raise AnnotationError(
                f"line {number}: {len(fields)} fields between '%'",
                where=f"{path}, line {number}",
                expected="split/name text%question%glosses, or without glosses",
                found=repr(line[:120]),
            )
        gloss = tuple(fields[2].split()) if len(fields) == 3 else None
        yield Entry(name.split("/", 1)[-1], text, gloss, fields[1], line=number)


def read_csl_daily(path: Path) -> Iterable[Entry]:
    """``video_map.txt`` of CSL-Daily, all splits together.

    Raises:
        AnnotationError: another delimiter, header or number of fields; names the line.
    """
    for row in read_rows(path, CSL_DAILY, "|"):
        cells = row.cells
        yield Entry(
            cells["name"],
            cells["char"].replace(" ", ""),
            tuple(cells["gloss"].split()),
            signer=_csl_signer(cells["name"]),
            num_frames=_whole(cells["length"], f"{path}, line {row.line}, column length"),
            line=row.line,
        )


def read_csl_daily_qa(path: Path) -> Iterable[Entry]:
    """Lines ``index|name|length|gloss|char|word|question``, often with an eighth field that is empty or ``Overlap!``.

    Raises:
        AnnotationError: another number of fields; names the line.
    """
    for number, line in _lines(path):
        fields = line.split("|")
        surplus = fields[7:]  # one, that is empty or marks that question and text are the same
        if len(fields) not in (7, 8) or any(field.strip() not in ("", "Overlap!") for field in surplus):
            raise AnnotationError(
                f"line {number}: {len(fields)} fields, expected 7 or 8",
                where=f"{path}, line {number}",
                expected="index|name|length|gloss|char|word|question|, the eighth field empty or 'Overlap!'",
                found=repr(line[:120]),
            )
        yield Entry(
            fields[1],
            fields[4].replace(" ", ""),
            tuple(fields[3].split()),
            fields[6].replace(" ", ""),
            signer=_csl_signer(fields[1]),
            num_frames=_whole(fields[2], f"{path}, line {number}, field 3"),
            line=number,
        )


def _how2sign(path: Path) -> Iterable[Entry]:
    rows = csv.DictReader(io.StringIO(read_text(path)), delimiter="\t", strict=True)
    for row in _unbroken(rows, path):
        if any(row.get(column) is None for column in _HOW2SIGN) or None in row:
            raise AnnotationError(
                f"line {rows.line_num}: fields are missing or surplus",
                where=f"{path}, line {rows.line_num}",
                expected=f"tab-separated, with {' and '.join(_HOW2SIGN)}",
            )
        if any("\n" in cell or "\t" in cell for cell in row.values()):  # two stray marks swallow the rows between
            raise AnnotationError(
                f"line {rows.line_num}: a field in quotes goes over lines or columns",
                where=f"{path}, up to line {rows.line_num}",
                expected="a quotation mark that begins a field ends it too; those inside are doubled",
                todo="take the file of the release",
            )
        name = row["SENTENCE_NAME"]
        known = _HOW2SIGN_NAME.fullmatch(name)
        start, end = (_seconds(row, name, f"{path}, line {rows.line_num}") for name in ("START", "END"))
        if start is not None and end is not None and not 0 <= start < end:
            raise AnnotationError(
                f"line {rows.line_num}: the times are no segment",
                where=f"{path}, line {rows.line_num}",
                expected="0 <= start < end, in seconds",
                found=f"{start:g} to {end:g}",
            )
        yield Entry(
            name,
            row["SENTENCE"],
            signer=known[1] if known else None,
            start=start,
            end=end,
            video=row.get("VIDEO_NAME"),
            line=rows.line_num,
        )


def _unbroken(rows: csv.DictReader[str], path: Path) -> Iterable[dict[str, str]]:
    """The rows; a quote that is opened and not closed would else swallow the rows behind it."""
    try:
        yield from rows
    except csv.Error as cause:
        raise AnnotationError(
            "a field in quotes is damaged",
            where=f"{path}, line {rows.line_num}",
            found=str(cause),
            todo="take the file of the release; quotes inside a text are doubled",
        ) from cause


def _gsl(path: Path) -> Iterable[Entry]:
    for row in read_rows(path, ("path", "text", "glosses"), "|"):
        signer = re.search(r"_signer(\d+)_", row.cells["path"])
        yield Entry(
            row.cells["path"],
            row.cells["text"],
            tuple(row.cells["glosses"].split()),
            signer=signer[1] if signer else None,
            line=row.line,
        )


def _csl_signer(name: str) -> str | None:
    signer = re.search(r"_P(\d{4})_", name)
    return str(int(signer[1])) if signer else None


def _whole(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise AnnotationError("not a whole number of frames", where=where, found=repr(text)) from None


def _seconds(row: dict[str, str], name: str, where: str) -> float | None:
    """A time of How2Sign, re-aligned where the file has that; None where the column is not there or is empty."""
    text = row.get(f"{name}_REALIGNED", row.get(name)) or ""
    if not text.strip():
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise AnnotationError(f"{name.lower()} is no time in seconds", where=where, found=repr(text))
    return seconds


_HOW2SIGN_NAME = re.compile(r".{11}_[0-9_]+-(\d+)-(?:rgb_front|rgb_side)")
_QA_LINE = re.compile(r"(train|dev|test)/\S+ [^|]*%")
_CSL_LINE = re.compile(r"\d{6}\|S\d{6}_P\d{4}_T\d\d\|")
_GSL_LINE = re.compile(r"(\w+/)?\w+_signer\d_rep\d_\w+/\w+\|[^|]*\|[^|]*$")

_GSL_LIST = re.compile(r"\w+/\w+_signer\d_rep\d_\w+/\w+\|[^|]*$")

_FORMATS: tuple[tuple[str, Callable[[str], bool], Callable[[Path], Iterable[Entry]]], ...] = (
    ("Phoenix14TQA", lambda line: _QA_LINE.match(line) is not None, read_phoenix14t_qa),
    ("CSLDaily", lambda line: line.split("|")[:3] == ["index", "name", "length"], read_csl_daily),
    ("CSLDailyQA", lambda line: _CSL_LINE.match(line) is not None, read_csl_daily_qa),
    ("How2Sign", lambda line: set(_HOW2SIGN) <= set(line.split("\t")), _how2sign),
    ("GSL", lambda line: _GSL_LINE.match(line) is not None, _gsl),
    ("Phoenix14T", lambda line: line.count("|") == len(PHOENIX14T) - 1, _phoenix14t),
)


class _PlainUnpickler(pickle.Unpickler):
    """Reads dicts, lists, strings and numbers; whatever else a pickle asks for is refused before it is made."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read_csl_daily_pickle(path: Path) -> list[Entry]:
    """``csl2020ct_v2.pkl``, all splits together; nothing in the file is run.

    Raises:
        AnnotationError: it holds more than plain data, or another structure.
    """
    try:
        with path.open("rb") as file:
            data = _PlainUnpickler(file).load()
    except Exception as cause:  # a damaged pickle raises whatever its bytes say
        raise AnnotationError(
            "the pickle cannot be read as plain data", where=path, found=str(cause), todo="take the file of the release"
        ) from cause
    try:
        return [
            Entry(
                info["name"],
                "".join(info["label_char"]),
                tuple(info["label_gloss"]),
                signer=str(info["signer"]),
                num_frames=int(info["length"]),
            )
            for info in data["info"]
        ]
    except (KeyError, TypeError, ValueError) as cause:
        raise AnnotationError(
            "the pickle is not CSL-Daily's",
            where=path,
            expected="a dict with `info`: a list of name, label_char, label_gloss",
            found=repr(cause),
        ) from cause


def read_csl_daily_labels(path: Path) -> list[Entry]:
    """Labels of CSL-Daily as baselines pass them on: JSON lines, or a pickled list or dict of rows; either gzipped.

    Rows have ``name`` (a split in front is removed), ``text``, and may have ``gloss`` (a string or a list),
    ``signer`` and ``num_frames``. Nothing in a pickle is run.

    Raises:
        AnnotationError: no such file, damaged, or of another structure.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        if data[:1] == b"\x80":
            loaded = _PlainUnpickler(io.BytesIO(data)).load()
            rows = list(loaded.values() if isinstance(loaded, dict) else loaded)
        else:
            rows = [json.loads(line) for line in data.decode("utf-8-sig").splitlines() if line.strip()]
    except OSError as cause:
        raise AnnotationError("cannot read the labels", where=path, found=cause.strerror or cause) from cause
    except Exception as cause:  # a damaged pickle raises whatever its bytes say
        raise AnnotationError(
            "these labels are neither JSON lines nor a pickle of plain data",
            where=path,
            found=str(cause),
            todo="take the file of the release of labels again",
        ) from cause
    return [_label(row, f"{path}, row {number}", number) for number, row in enumerate(rows, 1)]


def _label(row: Any, where: str, number: int) -> Entry:
    if not isinstance(row, Mapping) or not isinstance(row.get("name"), str) or not isinstance(row.get("text"), str):
        raise AnnotationError("a row without name and text", where=where, found=repr(row)[:120])
    name, gloss, signer, count = row["name"].split("/")[-1], row.get("gloss"), row.get("signer"), row.get("num_frames")
    return Entry(
        name,
        row["text"].replace(" ", ""),
        None if gloss is None else tuple(gloss.split() if isinstance(gloss, str) else gloss),
        signer=_csl_signer(name) if signer is None else str(signer),
        num_frames=None if count is None else _whole(str(count), f"{where}, num_frames"),
        line=number,
    )


def read_id_list(path: str | Path, split: str | None = None) -> list[str]:
    """Ids of a split file.

    Reads ``split_1.txt`` of CSL-Daily (``name|split``, with ``split`` to choose), the lists of GSL (``path|glosses``,
    the scenario in front removed), and plain lists, an id a line.

    Raises:
        AnnotationError: there is no such file, or no id of the split in it.
    """
    path = Path(path)
    if not path.is_file():
        raise AnnotationError("there is no such split file", where=path)
    lines = [line for line in read_text(path).split("\n") if line.strip()]
    if lines and lines[0] == "name|split":
        pairs = [line.partition("|") for line in lines[1:]]
        ids = [name for name, _, its in pairs if its == split]
        found = f"splits {', '.join(sorted({its for _, _, its in pairs}))}"
    else:
        ids = ["/".join(line.split("|")[0].split("/")[-2:]) for line in lines]
        found = "nothing"
    if not ids:
        raise AnnotationError(
            "the split file names no sample" + (f" of {split}" if split else ""),
            where=path,
            found=found,
            todo="name the split: --split train, dev or test",
        )
    return ids


def _lines(path: Path) -> Iterable[tuple[int, str]]:
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line:
            yield number, line


def _without_doubles(entries: Iterable[Entry], path: Path) -> list[Entry]:
    """Entries whose ids occur once; a row that stands twice is kept once, and told."""
    first: dict[str, Entry] = {}
    for entry in entries:
        other = first.setdefault(entry.id, entry)
        if replace(other, line=0) != replace(entry, line=0):
            raise AnnotationError(
                f"id {entry.id!r} occurs on lines {other.line} and {entry.line}, with different content",
                where=path,
                todo="remove one of the two rows",
            )
        if other is not entry:
            log.warning("%s: lines %d and %d are the same; one is kept", path, other.line, entry.line)
    return list(first.values())


def _refuse_doubles(entries: list[Entry], path: Path) -> None:
    seen: dict[str, Entry] = {}
    doubled = [e.id for e in entries if seen.setdefault(e.id, e) is not e]
    if doubled:
        raise AnnotationError(
            f"{len(doubled)} ids occur twice", where=path, found=first_few(doubled), todo="take the file of the release"
        )
