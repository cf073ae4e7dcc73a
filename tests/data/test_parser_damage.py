"""Any line of a valid annotation file damaged in any one way: the same samples, or an error that names file and line.

Never a wrong sample: one whose fields do not stand on some line of the damaged file, as its official format has them.
What a line holds is said here once more, by `FORMATS`, without the package's readers. Damages that leave a valid file,
such as another letter in a text or a whole line that is missing, are none that a reader could see, and are not drawn.
"""

from __future__ import annotations

import json
import re
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slt_zoo.data import official
from slt_zoo.data.formats.questions import read_questions
from slt_zoo.errors import AnnotationError

Record = tuple[Any, ...]
SPACE = "[ \t\v\f\u001c-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"


def words(text: str) -> tuple[str, ...]:
    return tuple(w for w in re.split(SPACE, text) if w)


def outer(text: str) -> str:
    return re.sub(f"^{SPACE}|{SPACE}$", "", text)


def bare(name: str) -> str:
    return re.sub("^(train|dev|val|test)/", "", name)


def whole(text: str) -> int | None:
    return int(outer(text)) if re.fullmatch("-?[0-9]+", outer(text)) else None


# What stands on a line: the fields of its sample, or None where it can be none.


def phoenix(line: str, _: str) -> Record | None:
    f = line.split("|")
    return (bare(outer(f[0])), f[6], words(f[5]), f[4]) if len(f) == 7 else None


def phoenix_qa(line: str, first: str) -> Record | None:
    f = line.split("%")
    name, _, text = f[0].partition(" ")
    if len(f) not in (2, 3) or len(f) != len(first.split("%")) or name == bare(name):
        return None
    return (bare(name), text, words(f[2]) if len(f) == 3 else None, f[1])  # older files have no glosses


def csl_split(line: str, _: str) -> Record | None:
    f = line.split("|")
    return (outer(f[0]), outer(f[1])) if len(f) == 2 else None


def csl_map(line: str, _: str) -> Record | None:
    f = line.split("|")
    return (f[1], f[4].replace(" ", ""), words(f[3]), whole(f[2])) if len(f) == 7 else None


def csl_qa(line: str, _: str) -> Record | None:
    f = line.split("|")
    if len(f) not in (7, 8):
        return None
    return (f[1], f[4].replace(" ", ""), words(f[3]), whole(f[2]), f[6].replace(" ", ""))


def json_row(keys: Sequence[str]) -> Callable[[str, str], Record | None]:
    def row(line: str, _: str) -> Record | None:
        try:
            found = json.loads(line)
            return tuple(bare(found[k]) if k in ("id", "name") else found[k] for k in keys)
        except (ValueError, KeyError, TypeError):
            return None

    return row


def quoted(line: str) -> list[str] | None:
    """Cells between tabs; one that begins with a quotation mark ends with one, and those inside are doubled."""
    cells, rest = [], line
    while True:
        if rest.startswith('"'):
            match = re.match('"((?:[^"]|"")*)"(\t|$)', rest)
            if match is None:
                return None
            cell, end = match[1].replace('""', '"'), match.end()
            more = match[2] == "\t"
        else:
            cell, tab, _ = rest.partition("\t")
            end, more = len(cell) + len(tab), bool(tab)
        cells.append(cell)
        if not more:
            return cells
        rest = rest[end:]


def how2sign(line: str, first: str) -> Record | None:
    header, cells = quoted(first), quoted(line)
    if header is None or cells is None or len(header) != len(cells) or any("\t" in c for c in cells):
        return None
    row = dict(zip(header, cells, strict=True))
    try:
        times = tuple(float(row[f"{t}_REALIGNED"]) if row[f"{t}_REALIGNED"].strip() else None for t in ("START", "END"))
        return (row["SENTENCE_NAME"], row["SENTENCE"], row["VIDEO_NAME"], *times)
    except (KeyError, ValueError):
        return None


def gsl(line: str, _: str) -> Record | None:
    f = line.split("|")
    return (outer(f[0]), f[1], words(f[2])) if len(f) == 3 else None


def gsl_list(line: str, _: str) -> Record | None:
    f = line.split("|")
    return (outer(f[0]), words(f[1])) if len(f) == 2 else None


# Valid files, and how the package reads them.


@dataclass(frozen=True)
class Format:
    delimiter: str
    header: str | None
    line: Callable[[int, str, str], str]
    literal: Callable[[str, str], Record | None]
    read: Callable[[Path], list[Record]]
    optional_header: bool = True


def _entries(read: Callable[[Path], Any], *fields: str) -> Callable[[Path], list[Record]]:
    def read_records(path: Path) -> list[Record]:
        return [tuple(getattr(entry, name) for name in fields) for entry in read(path)]

    return read_records


def _chars(text: str) -> str:
    return " ".join(text.replace(" ", ""))


def _qa_json(i: int, text: str, other: str) -> str:
    row = {"id": f"clip-{i}", "split": "train", "num_frames": 3, "fps": 25.0, "question": other, "text": text}
    return json.dumps(row | {"gloss": "A B", "language": "de", "question_source": "human"}, ensure_ascii=False)


def _label(i: int, text: str, other: str) -> str:
    return json.dumps(
        {"name": f"dev/S00000{i}_P0001_T00", "text": text.replace(" ", ""), "gloss": other}, ensure_ascii=False
    )


def _how2sign_line(i: int, text: str, other: str) -> str:
    text = '"' + text.replace('"', '""') + '"' if '"' in text else text
    video = f"-_cdefghij{i}"
    return f"{video}\t{video}-5-rgb_front\t{video}_{i}\t{video}_{i}-5-rgb_front\t{i}.25\t{i + 3}.5\t{text}"


_PHOENIX = "name|video|start|end|speaker|orth|translation"
_CSL = "index|name|length|gloss|char|word|postag"
_TSV = "VIDEO_ID\tVIDEO_NAME\tSENTENCE_ID\tSENTENCE_NAME\tSTART_REALIGNED\tEND_REALIGNED\tSENTENCE"

FORMATS = {
    "phoenix14t": Format(
        "|",
        _PHOENIX,
        lambda i, text, other: f"clip-{i}|clip-{i}/1/*.png|-1|-1|Signer0{i}|{other.upper()}|{text}",
        phoenix,
        _entries(lambda p: official.read_phoenix14t(p, "train"), "id", "text", "gloss", "signer"),
    ),
    "phoenix14t_qa": Format(
        "%",
        None,
        lambda i, text, other: f"train/clip-{i} {text}%{other}%A B{i}",
        phoenix_qa,
        _entries(official.read_phoenix14t_qa, "id", "text", "gloss", "question"),
    ),
    "csl_split": Format(
        "|",
        "name|split",
        lambda i, text, other: f"S00000{i}_P0001_T00|{('train', 'dev', 'test')[i % 3]}",
        csl_split,
        lambda path: [(i, split) for split, ids in official.read_csl_split(path).items() for i in ids],
    ),
    "csl_map": Format(
        "|",
        _CSL,
        lambda i, text, other: (
            f"00000{i}|S00000{i}_P0001_T00|{i + 3}|{other}|{_chars(text)}|{text}|{' '.join('n' * len(text.split()))}"
        ),
        csl_map,
        _entries(official.read_csl_daily, "id", "text", "gloss", "num_frames"),
    ),
    "csl_qa": Format(
        "|",
        None,
        lambda i, text, other: f"00000{i}|S00000{i}_P0001_T00|{i + 3}|A B|{_chars(text)}|{text}|{other}{'|' * (i % 2)}",
        csl_qa,
        _entries(official.read_csl_daily_qa, "id", "text", "gloss", "num_frames", "question"),
    ),
    "csl_labels": Format(
        ",",
        None,
        _label,
        lambda line, _: (
            (r := json_row(("name", "text", "gloss"))(line, "")) and (r[0], r[1].replace(" ", ""), words(r[2]))
        ),
        _entries(official.read_csl_daily_labels, "id", "text", "gloss"),
    ),
    "how2sign": Format(
        "\t",
        _TSV,
        _how2sign_line,
        how2sign,
        _entries(official.read_how2sign, "id", "text", "video", "start", "end"),
        optional_header=False,
    ),
    "gsl": Format(
        "|",
        None,
        lambda i, text, other: f"kep{i}_signer3_rep2_sentences/sentences000{i}|{text}|{other.upper()}",
        gsl,
        _entries(official.read_gsl, "id", "text", "gloss"),
    ),
    "gsl_list": Format(
        "|",
        None,
        lambda i, text, other: f"kep{i}/kep{i}_signer3_rep2_sentences/sentences000{i}|{other.upper()}",
        gsl_list,
        _entries(official.read_gsl_list, "id", "gloss"),
    ),
    "questions": Format(
        ",",
        None,
        _qa_json,
        json_row(("id", "text", "question", "split", "question_source")),
        _entries(lambda p: read_questions(p, "de"), "id", "text", "question", "split", "source"),
    ),
}

# Damages of one line, or of the file. Each gives bytes and whether the samples must be the same or the file refused.

SAME, REFUSED, EITHER, LITERAL = "same", "refused", "either", "literal"


def join(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _at(draw: Any, text: str) -> int:
    return draw(st.integers(0, len(text)))


def _fields(draw: Any, line: str, delimiter: str) -> tuple[list[str], int, int]:
    fields = line.split(delimiter)
    first = draw(st.integers(0, len(fields) - 1))
    return fields, first, draw(st.integers(0, len(fields) - 1))


def _strict(line: str) -> str:
    """A comma of a JSON line can be one of its text."""
    return LITERAL if line.startswith("{") else EITHER


def damaged_line(draw: Any, kind: str, line: str, delimiter: str) -> tuple[str, str]:
    fields, a, b = _fields(draw, line, delimiter)
    if kind == "lost delimiter" and len(fields) > 1:
        a = min(a, len(fields) - 2)
        return delimiter.join([*fields[:a], fields[a] + fields[a + 1], *fields[a + 2 :]]), _strict(line)
    if kind == "surplus delimiter":
        k = _at(draw, line)
        return line[:k] + delimiter + line[k:], _strict(line)
    if kind == "other delimiter" and len(fields) > 1:
        a = min(a, len(fields) - 2)
        sign = draw(st.sampled_from([s for s in ",;|\t% " if s != delimiter]))
        if a == len(fields) - 2 and not fields[-1]:  # the last field may be missing, so that this belongs to a text
            return line[:-1] + sign, LITERAL
        return delimiter.join([*fields[:a], fields[a] + sign + fields[a + 1], *fields[a + 2 :]]), _strict(line)
    if kind == "swapped fields":
        fields[a], fields[b] = fields[b], fields[a]
        return delimiter.join(fields), LITERAL
    if kind == "empty field":
        fields[a] = ""
        return delimiter.join(fields), LITERAL
    if kind == "cut line":
        return line[: _at(draw, line)], LITERAL
    sign = draw(st.sampled_from({"control": "\u2028\u2029\v\f\x85\x1c\r\ufeff\u200b\u202e", "quote": "\"'"}[kind]))
    k = _at(draw, line)
    return line[:k] + sign + line[k:], LITERAL


LINE_KINDS = [
    "lost delimiter",
    "surplus delimiter",
    "other delimiter",
    "swapped fields",
    "empty field",
    "cut line",
    "control",
    "quote",
]
FILE_KINDS = ["bom", "crlf", "nul", "byte", "cut file", "doubled line", "nfd", "blank line", "blank end", "header"]


def damage(draw: Any, lines: list[str], form: Format) -> tuple[bytes, str, str]:
    kind = draw(st.sampled_from(LINE_KINDS + FILE_KINDS))
    number = draw(st.integers(0, len(lines) - 1))
    if kind in LINE_KINDS:
        if kind in ("lost delimiter", "other delimiter") and form.delimiter not in lines[number]:
            kind = "quote"
        line, demand = damaged_line(draw, kind, lines[number], form.delimiter)
        return join([*lines[:number], line, *lines[number + 1 :]]), demand, kind
    if kind in ("nul", "byte", "cut file"):
        return bytes_damage(draw, join(lines), kind)
    data = join(lines)
    if kind == "bom":
        return b"\xef\xbb\xbf" + data, SAME, kind
    if kind == "crlf":
        return data.replace(b"\n", b"\r\n"), SAME, kind
    if kind == "doubled line" and not (form.header and number == 0):
        place = draw(st.integers(1 if form.header else 0, len(lines)))
        return join([*lines[:place], lines[number], *lines[place:]]), SAME, kind
    if kind == "nfd":
        return unicodedata.normalize("NFD", data.decode()).encode(), LITERAL, kind
    if kind == "blank line":
        return join([*lines[:number], "", *lines[number:]]), EITHER, kind
    if kind == "blank end":
        return data + b"\n\n", EITHER, kind
    if form.header is None:
        return data.rstrip(b"\n"), SAME, "no line end"
    return header_damage(draw, lines, form)


def bytes_damage(draw: Any, data: bytes, kind: str) -> tuple[bytes, str, str]:
    k = draw(st.integers(0, len(data)))
    if kind == "cut file":
        return data[:k], LITERAL, kind
    sign = b"\0" if kind == "nul" else draw(st.sampled_from([b"\xfc", b"\xff", b"\x80", b"\xc0"]))
    return data[:k] + sign + data[k:], REFUSED, kind


def header_damage(draw: Any, lines: list[str], form: Format) -> tuple[bytes, str, str]:
    how = draw(st.sampled_from(["missing", "doubled", "moved"]))
    place = draw(st.integers(2, len(lines)))
    if how == "missing":
        return join(lines[1:]), SAME if form.optional_header else REFUSED, "header missing"
    if how == "doubled":
        return join([*lines[:place], lines[0], *lines[place:]]), REFUSED, "header doubled"
    return join([*lines[1:place], lines[0], *lines[place:]]), REFUSED, "header moved"


TEXT = st.lists(st.text("abcdeéößñαβ我是书。，?!'.0123456789", min_size=1, max_size=6), min_size=1, max_size=5).map(
    " ".join
)
LATIN = st.text("abcdeéöß ", min_size=1, max_size=8).filter(lambda t: t.strip() != "")


def literal_records(data: bytes, form: Format) -> list[Record]:
    lines = re.split("\r\n|\r|\n", data.decode("utf-8-sig"))
    first = next((line for line in lines if line), "")
    return [r for line in lines if (r := form.literal(line, first)) is not None]


@pytest.mark.parametrize("examples", [250, pytest.param(5000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_one_damage_gives_no_wrong_sample(name, examples, tmp_path_factory):
    form, path = FORMATS[name], tmp_path_factory.mktemp(name) / "annotation.csv"

    @settings(
        max_examples=examples, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.data())
    def check(data):
        texts = data.draw(st.lists(st.tuples(TEXT, LATIN), min_size=2, max_size=4))
        lines = [form.line(i, *pair) for i, pair in enumerate(texts, 1)]
        lines = lines if form.header is None else [form.header, *lines]
        path.write_bytes(join(lines))
        whole = read(form, path)
        assert sorted(whole) == sorted(literal_records(join(lines), form)[-len(texts) :]), "the undamaged file"
        content, demand, kind = damage(data.draw, lines, form)
        path.write_bytes(content)
        try:
            found = read(form, path)
        except AnnotationError as error:
            assert demand != SAME, f"{kind}: refused, {error}"
            assert str(path) in str(error), f"{kind}: {error}"
            assert re.search(r"\bline(s)? \d|entry \d|is empty|no sample|pickle", str(error)), (
                f"{kind}: names no line: {error}"
            )
            return
        assert demand != REFUSED, f"{kind}: was read as {found}"
        if demand in (SAME, EITHER) and found != whole and sorted(found) != sorted(whole):
            raise AssertionError(f"{kind}: {found} for {whole}, in {content!r}")
        literal = literal_records(content, form)
        assert all(record in literal for record in found), f"{kind}: {found} stands nowhere in {content!r}"

    check()


@pytest.mark.parametrize("examples", [250, pytest.param(5000, marks=pytest.mark.slow)])
def test_the_complex_annotation_is_never_taken_for_the_plain_one(examples, tmp_path):
    path, marks = tmp_path / "annotation.csv", ("__ON__ WETTER __OFF__", "loc-NORD REGEN", "__ON__ cl-WIND")
    rows = [f"clip-{i}|clip-{i}/1/*.png|-1|-1|Signer0{i}|{m}|ein text {i} ." for i, m in enumerate(marks)]
    path.write_bytes(join([_PHOENIX, *rows]))
    with pytest.raises(AnnotationError, match="this is the complex annotation"):
        official.read_phoenix14t(path, "train")

    @settings(max_examples=examples, derandomize=True, deadline=None, database=None)
    @given(st.data())
    def check(data):
        content, _, kind = damage(data.draw, [_PHOENIX, *rows], FORMATS["phoenix14t"])
        path.write_bytes(content)
        try:
            found = read(FORMATS["phoenix14t"], path)
        except AnnotationError as error:
            assert str(path) in str(error), f"{kind}: {error}"
            return
        # one row that is left can have lost its marks, with whatever stood around them
        assert kind in ("cut file", "cut line") and len(found) <= 1, f"{kind}: {found}"
        assert all(record in literal_records(content, FORMATS["phoenix14t"]) for record in found)

    check()


def read(form: Format, path: Path) -> list[Record]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return form.read(path)
