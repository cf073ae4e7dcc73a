"""Files of GSL (Greek Sign Language): the annotation and the lists of its splits, both without header."""

from __future__ import annotations

import re
from pathlib import Path

from slt_zoo.data.annotations import read_rows
from slt_zoo.data.formats.entries import Entry, without_doubles
from slt_zoo.errors import AnnotationError

__all__ = ["PATH", "read_gsl", "read_gsl_list"]

PATH = re.compile(r"((?:\w+/)*)(\w+_signer(\d+)_rep\d+_\w+/\w+)", re.ASCII)
"""Levels in front (the scenario), key, signer."""


def read_gsl(path: Path) -> list[Entry]:
    """``merged_continuous.csv``: ``path|text|glosses``; the path is the id.

    Raises:
        AnnotationError: a row with another number of fields, no path of GSL, or a path that occurs twice, with
            different content.
    """
    return without_doubles(
        (
            Entry(
                row.cells["path"].strip(),
                row.cells["text"],
                tuple(row.cells["glosses"].split()),
                signer=_match(row.cells["path"], f"{path}, line {row.line}")[3],
                line=row.line,
            )
            for row in read_rows(path, ("path", "text", "glosses"), "|")
        ),
        path,
    )


def read_gsl_list(path: Path) -> list[Entry]:
    """A list of a split: ``<scenario>/<take>/<sentence>|glosses``; the path is the id, the text is empty.

    Raises:
        AnnotationError: as `read_gsl`.
    """
    return without_doubles(
        (
            Entry(
                _match(row.cells["path"], f"{path}, line {row.line}")[0],
                "",
                tuple(row.cells["glosses"].split()),
                line=row.line,
            )
            for row in read_rows(path, ("path", "glosses"), "|")
        ),
        path,
    )


def _match(path: str, where: str) -> re.Match[str]:
    match = PATH.fullmatch(path.strip())
    if match is None:
        raise AnnotationError(
            "not a path of GSL",
            where=where,
            expected="[<scenario>/]<scenario>_signer<n>_rep<n>_sentences/sentences<nnnn>",
            found=repr(path[:120]),
        )
    return match
