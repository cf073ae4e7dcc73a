"""`AveragedFeatures`: a vector a sample out of features in whatever container, without a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from slt_zoo.data.locations import as_list, named_places, not_there, one_or_several
from slt_zoo.data.media_finder import MediaFinder
from slt_zoo.data.places import names_of
from slt_zoo.data.readers import open_reader
from slt_zoo.data.retry import retry_read
from slt_zoo.data.stores.attached import find_stores, refuse_timing
from slt_zoo.data.stores.streamed import is_url
from slt_zoo.errors import MediaError, MissingMediaError
from slt_zoo.types import Media, Sample, as_split

__all__ = ["AveragedFeatures"]


class AveragedFeatures:
    """Mean vectors of samples whose ids are known, and nothing else of them.

    Args:
        place: folder of a file a sample, with or without a level for the split; file of many samples or table, with
            ``{split}`` in its name where there is one a split; or a store. Several: joined along the width.
        corpus: folder of the corpus, below whose ``features`` a name is looked for first; None: a name is a path.
        fps: frames a second of the corpus, for tables of seconds.
        stride: video frames between two vectors.

    Raises:
        MissingMediaError: a place that does not exist.
        ConfigError: a place twice, or a store among several.
        StoreError: a store that is unfinished or damaged.
    """

    def __init__(
        self,
        place: str | Sequence[str],
        *,
        corpus: Path | None = None,
        fps: float | None = None,
        stride: int | None = None,
    ) -> None:
        names = [name if is_url(name) else str(Path(name).expanduser()) for name in as_list(place)]
        if corpus is None:
            names = [name if is_url(name) else str(Path(name).absolute()) for name in names]
        self.place, folder = one_or_several(names), corpus or Path()
        self._store = find_stores(folder, {"features": self.place}).get("features")
        refuse_timing(self._store, stride, None)
        lacking = None if self._store else not_there("--features", as_list(place), corpus, ["features"])
        if lacking is not None:
            raise MissingMediaError(lacking, todo="correct the path")
        self._places = None if self._store else named_places(folder, self.place, "features")
        self._finder = MediaFinder(fps, stride)
        self._first: tuple[int, str] | None = None  # width, and of which sample

    def of(self, sample_id: str, split: str) -> NDArray[np.float32]:
        """``(D,)``, over all rows of a sample.

        Raises:
            MissingMediaError: the place has no features of it.
            MediaError: they cannot be read, or are of another width than the first that were read.
        """
        media = self._media(sample_id, split)
        if media is None:
            raise MissingMediaError("a sample has no features", where=f"sample {sample_id} of {split}, {self.place!r}")

        def read() -> NDArray[np.float32]:
            reader = open_reader("features", media, sample_id=sample_id)
            try:
                rows: NDArray[np.float32] = reader.read(torch.arange(reader.num_frames))["features"].numpy()
            except OSError as cause:
                where = f"sample {sample_id}, {media.path!r}"
                raise MediaError(f"cannot read: {cause.strerror or cause}", where=where) from cause
            mean: NDArray[np.float32] = rows.mean(0)
            return mean

        mean = retry_read(read, f"sample {sample_id}")
        files = " and ".join(repr(part.path) for part in (media, *media.joined))
        self._compare_width(len(mean), f"sample {sample_id} of {split}, {files}")
        return mean

    def _compare_width(self, width: int, where: str) -> None:
        first, other = self._first = self._first or (width, where)
        if width != first:
            raise MediaError(
                "features of different widths cannot be compared",
                where=f"{other}: {first}; {where}: {width}",
                todo="take the features of all samples from one program",
            )

    def _media(self, sample_id: str, split: str) -> Media | None:
        whole = Sample(sample_id, as_split(split), text="", language="", sign_language="")
        for name in dict.fromkeys((sample_id, "/".join(sample_id.split("/")[-2:]))):  # GSL's, without the scenario
            sample = replace(whole, id=name)
            if self._store is not None:
                found = self._store.media(name)
            else:
                files = _in_folders if "/" in name else None
                found = self._finder.find("features", self._places, sample, files=files)
            if found is not None:
                return found
        return None


def _in_folders(folder: Path, suffixes: Sequence[str], sample: Sample) -> tuple[str, str] | None:
    """The file of an id that has folders in it, as those of GSL have."""
    for level in (*names_of(sample.split), ""):
        for suffix in suffixes:
            path = folder / level / f"{sample.id}{suffix}"
            if path.is_file():
                return str(path), suffix
    return None
