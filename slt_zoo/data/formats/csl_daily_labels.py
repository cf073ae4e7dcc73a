"""CSL-Daily without tables: the pickle of the release, and labels as baselines pass them on. Nothing in them is run."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from slt_zoo.data.annotations import unique_keys
from slt_zoo.data.compressed import read_bounded
from slt_zoo.data.formats.csl_daily import csl_name, csl_signer
from slt_zoo.data.formats.entries import Entry, check_encodable, shown, whole_number, without_doubles
from slt_zoo.data.ids import bare_id
from slt_zoo.errors import AnnotationError

__all__ = ["read_csl_daily_labels", "read_csl_daily_pickle"]


class _PlainUnpickler(pickle.Unpickler):
    """Reads dicts, lists, strings and numbers; whatever else a pickle asks for is refused before it is made."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _load_plain(data: bytes, path: Path) -> Any:
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    except Exception as cause:  # a damaged pickle raises whatever its bytes say
        raise AnnotationError(
            "the pickle cannot be read as plain data",
            where=path,
            found=str(cause)[:200],
            todo="take the file of the release",
        ) from cause


def read_csl_daily_pickle(path: Path) -> list[Entry]:
    """``csl2020ct_v2.pkl``, all splits together.

    Raises:
        AnnotationError: it holds more than plain data, or another structure.
    """
    data = _load_plain(read_bounded(path), path)
    rows = data.get("info") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise AnnotationError(
            "the pickle is not CSL-Daily's",
            where=path,
            expected="a dict with `info`: a list of name, label_char, label_gloss",
            found=shown(data),
        )
    return without_doubles([_info(row, f"{path}, entry {n}", n) for n, row in enumerate(rows, 1)], path)


def _info(row: Any, where: str, number: int) -> Entry:
    try:
        name = csl_name(_text(row["name"], where), where)
        char, gloss = (_listed(row[key], where) for key in ("label_char", "label_gloss"))
        signer, length = row["signer"], row["length"]
    except (KeyError, TypeError) as cause:
        raise AnnotationError(
            "an entry that is not CSL-Daily's",
            where=where,
            expected="name, signer, length, label_char, label_gloss",
            found=shown(row),
        ) from cause
    return Entry(
        name,
        "".join(char).replace(" ", ""),
        gloss,
        signer=_text(str(signer) if isinstance(signer, int) else signer, where),
        num_frames=whole_number(str(length) if isinstance(length, int | str) else "", f"{where}, length"),
        line=number,
    )


def read_csl_daily_labels(path: Path) -> list[Entry]:
    """Labels of CSL-Daily as baselines pass them on: JSON lines, or a pickled list or dict of rows; either gzipped.

    Rows have ``name`` (a split in front is removed), ``text``, and may have ``gloss`` (a string or a list),
    ``signer`` and ``num_frames``.

    Raises:
        AnnotationError: no such file, damaged, or of another structure.
    """
    data = read_bounded(path)
    if data[:1] == b"\x80":
        loaded = _load_plain(data, path)
        rows = list(loaded.values() if isinstance(loaded, dict) else loaded) if isinstance(loaded, dict | list) else []
        numbered: Iterable[tuple[int, Any]] = enumerate(rows, 1)
        unit = "entry"
    else:
        numbered, unit = _json_lines(data, path), "line"
    entries = [_label(row, f"{path}, {unit} {number}", number) for number, row in numbered]
    odd = [e.line for e in entries if (e.gloss is None) != (entries[0].gloss is None)]
    if odd:
        raise AnnotationError(f"{unit} {odd[0]}: glosses are in some rows and not in others", where=path)
    if not entries:
        raise AnnotationError("the file of labels is empty", where=path, expected="rows with name and text")
    return without_doubles(entries, path)


def _json_lines(data: bytes, path: Path) -> Iterable[tuple[int, Any]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        broken = data[: cause.start].count(b"\n") + 1
        raise AnnotationError(
            "these labels are neither JSON lines nor a pickle of plain data",
            where=f"{path}, line {broken}",
            found=str(cause),
            todo="take the file of the release of labels again",
        ) from cause
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: U+2028 may stand inside a string
        if not line.strip():
            continue
        try:
            yield number, json.loads(line, object_pairs_hook=unique_keys)
        except (ValueError, RecursionError) as cause:
            raise AnnotationError(
                "these labels are neither JSON lines nor a pickle of plain data",
                where=f"{path}, line {number}",
                found=str(cause),
                todo="take the file of the release of labels again",
            ) from cause


def _label(row: Any, where: str, number: int) -> Entry:
    if not isinstance(row, Mapping) or not isinstance(row.get("name"), str) or not isinstance(row.get("text"), str):
        raise AnnotationError("a row without name and text", where=where, found=shown(row))
    name = csl_name(bare_id(row["name"])[0], where)
    gloss, signer, count = row.get("gloss"), row.get("signer"), row.get("num_frames")
    return Entry(
        name,
        _text(row["text"], where).replace(" ", ""),
        None if gloss is None else _tokens(gloss, where),
        signer=csl_signer(name) if signer is None else _text(str(signer) if isinstance(signer, int) else signer, where),
        num_frames=None
        if count is None
        else whole_number(str(count) if isinstance(count, int | str) else "", f"{where}, num_frames"),
        line=number,
    )


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise AnnotationError("not a string", where=where, found=shown(value))
    return check_encodable(value, where)


def _tokens(value: Any, where: str) -> tuple[str, ...]:
    return tuple(_text(value, where).split()) if isinstance(value, str) else _listed(value, where)


def _listed(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise AnnotationError("not a list of strings", where=where, found=shown(value))
    return tuple(_text(token, where) for token in value)
