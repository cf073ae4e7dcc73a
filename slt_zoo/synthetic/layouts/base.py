"""What a corpus's layout has to know to be simulated, and what layouts share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from slt_zoo.errors import AnnotationError, ConfigError
from slt_zoo.synthetic.media import PoseWriter, WritesPose
from slt_zoo.synthetic.sentences import SPLITS, Row, draw

if TYPE_CHECKING:
    from slt_zoo.synthetic.grammars import Grammar

__all__ = ["Layout", "refuse_doubles"]


class Layout(ABC):
    """Names, folders and annotation files of one corpus; draws no signing.

    A corpus that adds files to another one derives from its layout: ``plan`` decides what is signed by whom,
    ``write_annotations`` writes what the rows say.

    Attributes:
        corpus: class name of its data module.
        language: of its texts, BCP 47.
        folders: what is written below the root, and deleted when the corpus is replaced.
        places: where a sample's files lie below the root, by kind: ``pose``, ``frames`` (a folder), ``video``,
            ``features``, ``labels``; and ``recording``, a longer video that holds several samples. A kind that is not
            there is not rendered. See `place`.
        fps: frames a second, where the caller names none.
        frame_size: width and height of the image in pixels, where the caller names none.
        signers: how many sign train, dev and test, where the caller does not say it.
        frame: name of a frame's file, with a place for its number; PNG or JPEG by its ending.
        first_frame: number of the first frame.
    """

    corpus: ClassVar[str]
    language: ClassVar[str]
    folders: ClassVar[tuple[str, ...]]
    places: ClassVar[Mapping[str, str]]
    fps: ClassVar[float] = 25.0
    frame_size: ClassVar[tuple[int, int]] = (210, 260)
    signers: ClassVar[tuple[int, int, int]] = (7, 1, 2)
    frame: ClassVar[str] = "{:06d}.jpg"
    first_frame: ClassVar[int] = 0

    @abstractmethod
    def names(self, count: int, seed: int) -> list[str]:
        """So many distinct names in the corpus's style, a sample or a sentence each, as `plan` needs them."""

    @abstractmethod
    def signer_name(self, number: int) -> str:
        """Label of a signer, numbered from 1."""

    def plan(self, grammar: Grammar, samples: Sequence[int], signers: Sequence[int], seed: int) -> list[Row]:
        """What is signed by whom: here each sentence once, and the signers of each split take turns.

        Raises:
            ConfigError: the grammar has too few sentences, or the corpus cannot have so many signers.
        """
        sentences = draw(grammar, samples, seed)
        names = iter(self.names(sum(samples), seed))
        rows, first = [], 1
        for split, count in zip(SPLITS, signers, strict=True):
            for k, (gloss, text) in enumerate(sentences[split]):
                signer = self.signer_name(first + k % count)
                rows.append(Row(next(names), split, signer, tuple(gloss.split()), text))
            first += count
        return rows

    def signer_order(self, rows: Sequence[Row]) -> list[str]:
        """The signers, each once; every third one will be left-handed."""
        return sorted({row.signer for row in rows})

    @abstractmethod
    def read_annotations(self, path: Path) -> list[Row]:
        """The rows of annotation files of this corpus.

        Raises:
            DatasetError: there are none, or they are damaged.
        """

    @abstractmethod
    def write_annotations(self, root: Path, rows: Sequence[Row], fps: float) -> None:
        """The annotation files of all three splits, byte for byte in the official format.

        Args:
            root: of the corpus.
            rows: with their numbers of frames, as they were written.
            fps: frames a second.
        """

    def place(self, root: Path, row: Row, kind: str) -> Path:
        """Where a sample's files of a kind lie: `places` with ``{split}`` and ``{id}`` filled in."""
        return root / self.places[kind].format(split=row.split, id=row.id)

    def pose_writer(self, points: Sequence[str], frame_size: tuple[int, int], fps: float) -> WritesPose:
        """What writes poses: here ``.pose`` files."""
        return PoseWriter(points, frame_size, fps)

    def check_render(self, kinds: Sequence[str]) -> None:
        """Refuse what the corpus is not given out as.

        Raises:
            ConfigError: a kind that has no place in the layout.
        """
        for kind in kinds:
            if kind not in self.places:
                raise ConfigError(
                    f"{self.corpus} has no place for {kind}",
                    where="render",
                    expected=", ".join(k for k in self.places if k not in ("labels", "recording")),
                    found=kind,
                )


def refuse_doubles(rows: Sequence[Row], path: Path) -> list[Row]:
    """The rows, whose names must occur once.

    Raises:
        AnnotationError: a name that occurs twice.
    """
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise AnnotationError(f"the name {row.id!r} occurs twice", where=path, todo="remove one of the rows")
        seen.add(row.id)
    return list(rows)
