"""The samples of a split as Arrow columns: a sequence of `Sample` whose memory does not grow with workers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, overload

import pyarrow as pa

from slt_zoo.data.ids import why_unsound
from slt_zoo.errors import AnnotationError, first_few
from slt_zoo.types import Media, Sample, Split

__all__ = ["Manifest", "annotation_hash"]

_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("sign_language", pa.string()),
        ("gloss", pa.list_(pa.string())),
        ("question", pa.string()),
        ("signer", pa.string()),
        ("references", pa.list_(pa.string())),
        ("media", pa.string()),  # JSON: kinds differ between corpora
        ("meta", pa.string()),
    ]
)


class Manifest(Sequence[Sample]):
    """All samples of one split.

    Args:
        samples: in annotation order.
        corpus: name of the corpus, for messages.
        split: their split.

    Attributes:
        annotation_hash: see `annotation_hash`.

    Raises:
        AnnotationError: an id occurs twice, or may not name files (see `slt_zoo.data.ids`).
    """

    def __init__(self, samples: Iterable[Sample], *, corpus: str, split: Split) -> None:
        self.corpus, self.split = corpus, split
        rows = list(samples)
        self.ids = [s.id for s in rows]
        self._rows = {sample_id: i for i, sample_id in enumerate(self.ids)}
        if len(self._rows) != len(self.ids):
            seen: set[str] = set()
            twice = [i for i in self.ids if i in seen or seen.add(i)]  # type: ignore[func-returns-value]
            raise AnnotationError(
                f"{corpus} {split}: {len(twice)} ids occur more than once",
                found=first_few(twice),
                todo="remove the doubled rows from the annotation file",
            )
        wrong = [i for i in self.ids if why_unsound(i) is not None]
        if wrong:
            raise AnnotationError(
                f"{corpus} {split}: {len(wrong)} ids cannot name files: {wrong[0][:120]!r}, {why_unsound(wrong[0])}",
                found=first_few([ascii(i[:120]) for i in wrong]),
                todo="take the annotation of the release; no media is read by such a name",
            )
        self._table = pa.Table.from_pylist([_row(s) for s in rows], schema=_SCHEMA)
        self.annotation_hash = annotation_hash(rows)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._sample(self._table.slice(index % len(self), 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Sample]:
        for row in self._table.to_pylist():
            yield self._sample(row)

    def by_id(self, sample_id: str) -> Sample:
        """The sample of an id.

        Raises:
            KeyError: there is none.
        """
        return self[self._rows[sample_id]]

    def column(self, name: str) -> list[Any]:
        """One field of all samples (``"text"``, ``"gloss"``, ``"question"``, ``"signer"``), in order."""
        values: list[Any] = self._table.column(name).to_pylist()
        return [tuple(v) if isinstance(v, list) else v for v in values]

    def subset(self, ids: Iterable[str]) -> Manifest:
        """The samples of these ids, in this manifest's order."""
        wanted = set(ids)
        return Manifest((s for s in self if s.id in wanted), corpus=self.corpus, split=self.split)

    def _sample(self, row: dict[str, Any]) -> Sample:
        return Sample(
            id=row["id"],
            split=self.split,
            text=row["text"],
            language=row["language"],
            sign_language=row["sign_language"],
            gloss=None if row["gloss"] is None else tuple(row["gloss"]),
            question=row["question"],
            signer=row["signer"],
            references=tuple(row["references"]),
            media={kind: _media(m) for kind, m in json.loads(row["media"]).items()},
            meta=json.loads(row["meta"]),
        )


def _media(row: dict[str, Any]) -> Media:
    return Media(**{**row, "joined": tuple(_media(part) for part in row["joined"])})


def _row(sample: Sample) -> dict[str, Any]:
    row = {name: getattr(sample, name) for name in ("id", "text", "language", "sign_language", "question", "signer")}
    return row | {
        "gloss": None if sample.gloss is None else list(sample.gloss),
        "references": list(sample.references),
        "media": json.dumps({kind: asdict(m) for kind, m in sample.media.items()}),
        "meta": json.dumps(dict(sample.meta), ensure_ascii=False),
    }


def annotation_hash(samples: Iterable[Sample]) -> str:
    """SHA-256 of ``id TAB text TAB glosses LF``, sorted by id, a question behind another TAB where there is one.

    It is of the strings, whatever the file's line ends or order.
    """
    digest = hashlib.sha256()
    for s in sorted(samples, key=lambda s: s.id):
        question = "" if s.question is None else f"\t{s.question}"
        digest.update(f"{s.id}\t{s.text}\t{' '.join(s.gloss or ())}{question}\n".encode())
    return digest.hexdigest()
