"""What all readers share: the protocol, seconds to frames, arrays from ``.npy``, warnings that do not flood."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.errors import MediaError
from slt_zoo.types import Media

__all__ = ["NPY_FAULTS", "Reader", "compare_count", "frames_of", "load_array", "place", "rows_of", "warn_few"]

log = logging.getLogger(__name__)

NPY_FAULTS = (ValueError, SyntaxError, TypeError, EOFError, OverflowError, RecursionError, MemoryError, TokenError)
"""What numpy raises at a damaged header, which it reads as an expression of Python (and runs nothing of it)."""

_AXES = {
    2: ("frames", "numbers a frame"),
    3: ("frames", "points", "numbers a point"),
    4: ("frames", "persons", "points", "numbers a point"),
}
"""What the axes of features and poses are called, by their number."""


class Reader(Protocol):
    """An open media file of one sample."""

    @property
    def num_frames(self) -> int:
        """Frames (or feature vectors) of the sample, at least 1."""

    @property
    def fps(self) -> float | None:
        """Frames (or feature vectors) a second; None: neither file nor annotation says it."""

    def read(self, index: Tensor) -> dict[str, Any]:
        """Decode some frames.

        Args:
            index: ``(T,)`` int64, each in ``[0, num_frames)``, in the order wanted.

        Returns:
            Fields of `Clip`: ``frames``, ``features``, or ``pose``, ``conf`` and ``points``.
        """


def place(sample_id: str, path: str | Path) -> str:
    """Sample and path as error messages name them."""
    return f"sample {sample_id}, {str(path)!r}"


def frames_of(media: Media, total: int, fps: float | None, where: str) -> range:
    """The frames of ``[media.start, media.end)``: the one place where seconds become frames.

    Both ends are rounded to the nearest frame, so neighbouring segments share no frame and lose none. A part that is
    counted in rows is taken as it is, and its seconds, if it has any, are not asked.

    Args:
        media: its ``start`` and ``end``, in seconds, or ``row_start`` and ``row_end``.
        total: frames of the file.
        fps: frames a second of the file.
        where: sample and path, for messages.

    Raises:
        MediaError: no frame rate, or a segment that is empty, negative or past the end.
    """
    if not media.is_part:
        return range(total)
    if media.source is not None:
        where = f"{where}, as {media.source} says"
    if media.row_start is not None or media.row_end is not None:
        return _rows_of_part(media, total, where)
    if fps is None:
        raise MediaError(
            "a segment in seconds needs the frame rate", where=where, todo="name the part in rows of the file"
        )
    start = 0.0 if media.start is None else media.start
    end = total / fps if media.end is None else media.end
    segment = f"segment {start:g}-{end:g} s"
    if not (math.isfinite(start) and math.isfinite(end) and start >= 0) or (media.end is not None and end <= start):
        raise MediaError(f"{segment} is no segment", where=where, expected="0 <= start < end, in seconds")
    first, stop = math.floor(start * fps + 0.5), math.floor(end * fps + 0.5)
    if first >= total:
        raise MediaError(f"{segment} lies past the end ({total / fps:.2f} s)", where=where)
    if stop <= first:
        raise MediaError(f"{segment} holds no frame at {fps:g} frames a second", where=where)
    if stop > total + 1:  # one frame more is a matter of rounding
        warn_few(
            "segments past the end", where, lambda: f"{segment} is cut at the end of the file, {total / fps:.2f} s"
        )
    return range(first, min(stop, total))


def _rows_of_part(media: Media, total: int, where: str) -> range:
    start, end = media.row_start or 0, total if media.row_end is None else media.row_end
    part = f"rows {start} to {end}"
    if start < 0 or (media.row_end is not None and end <= start):
        raise MediaError(f"{part} are no part", where=where, expected="0 <= row_start < row_end")
    if start >= total:
        raise MediaError(f"{part} lie past the end ({total} rows)", where=where)
    if end > total:
        warn_few("parts past the end", where, lambda: f"{part} are cut at the end of the file, {total} rows")
    return range(start, min(end, total))


def rows_of(index: Tensor, num_frames: int) -> NDArray[np.int64]:
    """``index`` for numpy.

    Raises:
        IndexError: a row that is not there, or none at all: a selection that is wrong for every sample.
    """
    rows: NDArray[np.int64] = index.numpy()
    if rows.ndim != 1 or rows.size == 0 or rows.min() < 0 or rows.max() >= num_frames:
        raise IndexError(f"expected (T,) indices in [0, {num_frames}), got {tuple(rows.shape)}: {rows[:5]} ...")
    return rows


_told: dict[str, set[str]] = defaultdict(set)


def warn_few(kind: str, where: str, message: Callable[[], str], limit: int = 5) -> None:
    """Warn of a fault once a sample and process; after ``limit`` samples with the same kind only at debug level.

    Which samples these were is remembered up to there and no further: a worker's memory must not grow with them.
    """
    told = _told[kind]
    if where in told:
        return
    if len(told) >= limit:
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s: %s", where, message())
        return
    told.add(where)
    log.warning("%s: %s", where, message())
    if len(told) == limit:
        log.warning("further %s are logged at debug level", kind)


def compare_count(media: Media, found: int, where: str, note: str = "") -> None:
    """Warn where the annotation declares another number of frames than the whole file has."""
    if not media.is_part and media.num_frames is not None and media.num_frames != found:
        text = f"{media.num_frames} frames annotated, {found} found{note}; what was found is used"
        warn_few("frame counts other than annotated", where, lambda: text)


def load_array(path: Path, where: str) -> NDArray[Any]:
    """A numeric ``.npy`` array, memory-mapped read-only, at least one row long.

    Raises:
        MediaError: pickled, cut, not an array, no rows, or not real numbers.
    """
    with path.open("rb") as file:
        head = file.read(128)
    is_npy = head.startswith(b"\x93NUMPY")
    if head.startswith(b"\x80") or (is_npy and b"'|O'" in head):
        raise MediaError(
            "a pickled object, not an array of numbers: refused",
            where=where,
            expected="a .npy file of numbers",
            todo="a pickle can run any code when it is opened. Where you trust it, convert it: "
            "numpy.save(new, numpy.asarray(numpy.load(old, allow_pickle=True).tolist(), dtype='float32'))",
        )
    if not is_npy:
        raise MediaError("not a .npy file", where=where, found=f"it begins with {head[:8]!r}" if head else "0 bytes")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except NPY_FAULTS as cause:
        raise MediaError(
            f"cannot read as .npy: {str(cause)[:200]}", where=where, found=f"{path.stat().st_size} bytes"
        ) from cause
    if array.dtype.kind not in "fiu":
        raise MediaError("not an array of real numbers", where=where, found=f"dtype {array.dtype}")
    if array.ndim == 0 or 0 in array.shape:
        what = "frames" if 0 in array.shape[:1] or array.ndim not in _AXES else _AXES[array.ndim][array.shape.index(0)]
        raise MediaError(f"0 {what} in an array of shape {array.shape}", where=where)
    return array
