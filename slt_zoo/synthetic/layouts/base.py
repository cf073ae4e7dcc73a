"""What a corpus's layout has to know to be simulated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from slt_zoo.synthetic.sentences import Row

__all__ = ["Layout"]


class Layout(Protocol):
    """Names, folders and annotation files of one corpus; draws no signing.

    Attributes:
        corpus: class name of its data module.
        language: of its texts, BCP 47.
        folder: the folder below the root that holds everything.
        frame: name of a frame's file, with a place for its number from 1.
    """

    corpus: ClassVar[str]
    language: ClassVar[str]
    folder: ClassVar[str]
    frame: ClassVar[str]

    def names(self, count: int, seed: int) -> list[str]:
        """So many distinct sample names in the corpus's style."""

    def signer_name(self, number: int) -> str:
        """Label of a signer, numbered from 1."""

    def read_annotations(self, path: Path) -> list[Row]:
        """The rows of annotation files of this corpus.

        Raises:
            DatasetError: there are none, or they are damaged.
        """

    def write_annotations(self, root: Path, rows: Sequence[Row]) -> None:
        """The annotation files of all three splits, byte for byte in the official format."""

    def place(self, root: Path, row: Row, kind: str) -> Path:
        """Where a sample's ``"pose"``, ``"frames"`` (a folder), ``"video"`` or ``"labels"`` lie."""
