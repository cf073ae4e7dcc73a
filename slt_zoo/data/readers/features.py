"""`FeatureReader`: rows of feature vectors out of whatever container."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.readers.base import compare_count, frames_of, rows_of, warn_few
from slt_zoo.errors import MediaError
from slt_zoo.types import Media

__all__ = ["FeatureReader"]


class FeatureReader:
    """Reads rows of a ``(T, D)`` array of any real type as float32; the rest of the file is not touched.

    ``media.fps`` counts video frames, so ``fps`` is ``media.fps / media.stride``.

    Args:
        array: ``(T, D)``, at least one row; may be mapped into memory. It is not changed.
        media: its ``fps``, ``stride``, ``window``, ``start``, ``end``, ``num_frames`` (of the video).
        where: sample and path, for messages.
        joined: where the vectors were joined from, for messages: sample and path of each place, and its width.
    """

    def __init__(self, array: NDArray[Any], media: Media, where: str, joined: Sequence[tuple[str, int]] = ()) -> None:
        self.fps = None if media.fps is None else media.fps / (media.stride or 1)
        _compare_length(media, len(array), where)
        part = frames_of(media, len(array), self.fps, where)
        self.num_frames = len(part)
        self._rows, self._first = array[part.start : part.stop], part.start
        self._joined = joined or [(where, array.shape[1])]

    def read(self, index: Tensor) -> dict[str, Any]:
        """``features`` float32 (T, D); see `Reader.read`.

        Raises:
            MediaError: NaN or infinite numbers in these rows.
        """
        rows = rows_of(index, self.num_frames)
        with np.errstate(over="ignore"):  # float64 beyond float32: inf, and so found below
            features = np.ascontiguousarray(self._rows[rows], dtype=np.float32)  # numbered rows are a copy already
        finite = np.isfinite(features)
        if not finite.all():
            where, finite = self._first_bad(finite)
            bad = ~finite.all(1)
            raise MediaError(
                f"{int((~finite).sum())} numbers of the features are NaN or infinite",
                where=where,
                found=f"{int(bad.sum())} of {len(rows)} rows read, first row {self._first + int(rows[bad].min())}",
                todo="extract the features again",
            )
        return {"features": torch.from_numpy(features)}

    def _first_bad(self, finite: NDArray[np.bool_]) -> tuple[str, NDArray[np.bool_]]:
        """The first place with a fault, and its own columns."""
        stops = np.cumsum([width for _, width in self._joined])
        at = int(np.searchsorted(stops, int((~finite.all(0)).argmax()), side="right"))
        return self._joined[at][0], finite[:, stops[at] - self._joined[at][1] : stops[at]]


def _compare_length(media: Media, found: int, where: str) -> None:
    """Warn where the number of vectors does not follow from that of the video's frames."""
    frames = media.num_frames
    if frames is None or media.is_part:
        return
    if media.stride is None:
        ratio = round(frames / found)
        if ratio > 1:
            text = f"T={found} features for {frames} frames: stride {ratio}? data.feature_stride={ratio} says so"
            warn_few("features with an unknown stride", where, lambda: text)
        else:
            compare_count(media, found, where)
        return
    window = max(media.window or 1, media.stride)  # an extractor may pad the ends, or leave the last window out
    if abs(found * media.stride - frames) > window:
        text = f"T={found} features for {frames} frames at stride {media.stride}"
        warn_few("numbers of features that do not fit their frames", where, lambda: text)
