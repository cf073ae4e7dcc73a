"""CSL-Daily: one table of all sentences, one list of splits, a pickle of both, one folder of JPEG frames a sample."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from slt_zoo.data.annotations import read_rows
from slt_zoo.errors import AnnotationError, DatasetNotFoundError, first_few
from slt_zoo.synthetic.grammars.grammar import cut_words
from slt_zoo.synthetic.layouts.base import Layout, refuse_doubles
from slt_zoo.synthetic.sentences import SPLITS, Row, distinct, draw, turns
from slt_zoo.synthetic.variation import stream

if TYPE_CHECKING:
    from slt_zoo.synthetic.grammars import Grammar

__all__ = ["CSLDailyLayout", "labels"]

_COLUMNS = ("index", "name", "length", "gloss", "char", "word", "postag")
_LABELS = "CSL-Daily/sentence_label"
_SPLIT, _MAP, _PICKLE = "split_1.txt", "video_map.txt", "csl2020ct_v2.pkl"
_NAME = re.compile(r"S\d{6}_P(\d{4})_T(\d\d)")


class CSLDailyLayout(Layout):
    """The official tree, with ``poses``, ``features`` and ``labels`` beside the folders of the release.

    A sentence has a number and is signed by up to two signers of its split, each in a sample of its own. Segmentation
    into words is by longest match with the glosses, which are words of the texts; of parts of speech only punctuation
    (``w``) is told from the rest (``x``). Frames lie in the official folder, whatever their size. Videos lie as in a
    copy that circulates.
    """

    corpus: ClassVar[str] = "CSLDaily"
    language: ClassVar[str] = "zh"
    folders: ClassVar[tuple[str, ...]] = ("CSL-Daily",)
    places: ClassVar[Mapping[str, str]] = {
        "pose": "CSL-Daily/poses/{id}.pose",
        "frames": "CSL-Daily/sentence/frames_512x512/{id}",
        "video": "CSL-Daily/sentence-crop/{id}.mp4",
        "features": "CSL-Daily/features/simulated/{id}.npy",
        "labels": "CSL-Daily/labels/{id}.npy",
    }
    fps: ClassVar[float] = 30.0
    frame_size: ClassVar[tuple[int, int]] = (512, 512)

    def names(self, count: int, seed: int) -> list[str]:
        """Numbers of sentences, such as ``S000020``, in random order."""
        return [f"S{number:06d}" for number in stream(seed, "names", self.corpus).permutation(count)]

    def signer_name(self, number: int) -> str:
        """``0`` and so on, as in the names of samples: ``P0000``."""
        return str(number - 1)

    def plan(self, grammar: Grammar, samples: Sequence[int], signers: Sequence[int], seed: int) -> list[Row]:
        """Sentences with a number each, signed by up to two signers of their split; named ``S000020_P0000_T00``."""
        sizes = [distinct(count, people) for count, people in zip(samples, signers, strict=True)]
        sentences = draw(grammar, sizes, seed)
        names = self.names(sum(sizes), seed)
        rows, first = [], 1
        for split, count, people in zip(SPLITS, samples, signers, strict=True):
            own, names = names[: len(sentences[split])], names[len(sentences[split]) :]
            for sentence, person in turns(count, people):
                gloss, text = sentences[split][sentence]
                signer = self.signer_name(first + person)
                name = f"{own[sentence]}_P{int(signer):04d}_T00"
                rows.append(Row(name, split, signer, tuple(gloss.split()), text))
            first += people
        return rows

    def read_annotations(self, path: Path) -> list[Row]:
        """Rows that both the list of splits and the table (or, where that is missing, the pickle) have.

        Args:
            path: ``sentence_label``, a folder above it, or a table with the list beside it.

        Raises:
            DatasetNotFoundError: list or table are not there.
            AnnotationError: one of them is damaged, they have no sample in common, or a name occurs twice.
        """
        from slt_zoo.data.official import read_csl_daily, read_csl_daily_pickle

        folders = [path.parent] if path.is_file() else [path, path / "sentence_label", path / _LABELS]
        lists = [folder / _SPLIT for folder in folders if (folder / _SPLIT).is_file()]
        tables = [path] if path.is_file() else [f / n for n in (_MAP, _PICKLE) for f in folders if (f / n).is_file()]
        if not lists or not tables:
            raise DatasetNotFoundError(
                "no annotation to simulate",
                where=path,
                expected=f"{_SPLIT}, and {_MAP} or {_PICKLE}, in sentence_label",
                found=f"no {_SPLIT}" if tables else f"neither {_MAP} nor {_PICKLE}" if lists else "neither of them",
            )
        read = read_csl_daily_pickle if tables[0].suffix == ".pkl" else read_csl_daily
        split_of = {line.cells["name"]: line.cells["split"] for line in read_rows(lists[0], ("name", "split"), "|")}
        if other := set(split_of.values()) - set(SPLITS):
            raise AnnotationError(
                "unknown splits", where=lists[0], expected=", ".join(SPLITS), found=first_few(sorted(other))
            )
        rows = [
            Row(entry.id, split_of[entry.id], entry.signer or "0", entry.gloss or (), entry.text)
            for entry in read(tables[0])
            if entry.id in split_of
        ]
        if not rows:
            raise AnnotationError(
                "no annotated sample is in a split",
                where=f"{tables[0]} and {lists[0]}",
                found=first_few(list(split_of), 3),
            )
        return refuse_doubles(sorted(rows, key=lambda row: SPLITS.index(row.split)), path)

    def write_annotations(self, root: Path, rows: Sequence[Row], fps: float) -> None:
        """``split_1.txt``, ``video_map.txt``, the maps of glosses, characters and words, and the pickle."""
        folder = root / _LABELS
        folder.mkdir(parents=True, exist_ok=True)
        rows = sorted(rows, key=lambda row: row.id)
        _write(folder / _SPLIT, ["name|split", *(f"{row.id}|{row.split}" for row in rows)])
        infos = labels(rows)
        lines = ["|".join(_COLUMNS)]
        for number, info in enumerate(infos):
            parts = (" ".join(info[f"label_{kind}"]) for kind in ("gloss", "char", "word", "postag"))
            lines.append("|".join([f"{number:06d}", info["name"], str(info["length"]), *parts]))
        _write(folder / _MAP, lines)
        maps = {
            f"{kind}_map": sorted({token for info in infos for token in info[f"label_{kind}"]})
            for kind in ("gloss", "char", "word", "postag")
        }
        for name in ("gloss_map", "char_map", "word_map"):
            _write(folder / f"{name}.txt", maps[name])
        (folder / _PICKLE).write_bytes(pickle.dumps(_shared({"info": infos, **maps}, {}), protocol=4))


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


def labels(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What the pickle has of each sample, by name; `video_map.txt` numbers them in this order, from 0."""
    known = frozenset(gloss for row in rows for gloss in row.gloss)
    return [_info(row, known) for row in sorted(rows, key=lambda row: row.id)]


def _info(row: Row, known: frozenset[str]) -> dict[str, Any]:
    """A sample as the pickle has it."""
    name = _NAME.fullmatch(row.id)
    words = cut_words(row.text, known)
    return {
        "name": row.id,
        "signer": int(name[1]) if name else int(row.signer),
        "time": int(name[2]) if name else 0,
        "length": row.num_frames,
        "label_gloss": list(row.gloss),
        "label_char": [c for c in row.text if not c.isspace()],
        "label_word": words,
        "label_postag": ["x" if any(c.isalnum() for c in word) else "w" for word in words],
    }


def _shared(data: Any, seen: dict[str, str]) -> Any:
    """The same data, equal strings as one object: the bytes of a pickle depend on which strings are the same."""
    if isinstance(data, dict):
        return {seen.setdefault(key, key): _shared(value, seen) for key, value in data.items()}
    if isinstance(data, list):
        return [_shared(value, seen) for value in data]
    return seen.setdefault(data, data) if isinstance(data, str) else data
