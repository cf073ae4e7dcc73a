"""`PoseReader`: one person's points out of whatever container, with missing points as zeros and confidence 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.pose_layouts import describe_layout, named_points
from slt_zoo.data.readers.base import compare_count, frames_of, rows_of, warn_few
from slt_zoo.data.readers.persons import best_person
from slt_zoo.errors import MediaError
from slt_zoo.types import Media

__all__ = ["PoseArrays", "PoseReader", "check_layout"]

Rows = NDArray[np.int64] | slice


@dataclass(frozen=True, eq=False)
class PoseArrays:
    """What a container holds.

    Attributes:
        coords: ``(T, persons, K, C)``; may be mapped into memory.
        conf: ``(T, persons, K)``; None: the container has no confidence.
        points: K names.
        fps: frames a second; None: the container does not say it.
        nan_is_missing: NaN is how this container says that a point is missing, and no fault.
        pixels: the layout counts in pixels.
    """

    coords: NDArray[Any]
    conf: NDArray[Any] | None
    points: tuple[str, ...]
    fps: float | None = None
    nan_is_missing: bool = False
    pixels: bool = False


def check_layout(points: tuple[str, ...], layout: str | None, where: str) -> None:
    """A container that names its points must agree with the layout that was set, if one was.

    Raises:
        MediaError: it does not.
        UnknownNameError: there is no such layout.
    """
    if layout is not None and named_points(layout) != points:
        raise MediaError(
            f"the file's own {len(points)} points are not those of {layout}",
            where=where,
            expected=f"{len(named_points(layout))} points of {describe_layout(layout)}",
            todo="leave layout out: this kind of file names its points",
        )


class PoseReader:
    """Reads the person with the highest mean confidence, where there are several; equal ones decide nothing.

    Confidences are limited to [0, 1]: interpolating tools write some just outside.

    Args:
        arrays: of the whole file.
        media: its ``start``, ``end``, ``fps``, ``num_frames``.
        where: sample and path, for messages.
    """

    def __init__(self, arrays: PoseArrays, media: Media, where: str) -> None:
        total, persons = arrays.coords.shape[:2]
        if 0 in arrays.coords.shape:
            what = "0 frames" if total == 0 else "no person in any frame"
            raise MediaError(what, where=where, found=f"(frames, persons, points, dims) = {arrays.coords.shape}")
        self.fps = arrays.fps if media.fps is None else media.fps
        self.points = arrays.points
        compare_count(media, total, where)
        part = frames_of(media, total, self.fps, where)
        self.num_frames = len(part)
        self._where, self._first, self._nan_is_missing = where, part.start, arrays.nan_is_missing
        self._pixels = arrays.pixels
        cut = slice(part.start, part.stop)
        person = 0
        if persons > 1 and arrays.conf is not None:
            person = best_person(arrays.conf[cut], where)
        self._coords = arrays.coords[cut, person]
        self._conf = None if arrays.conf is None else arrays.conf[cut, person]

    def read(self, index: Tensor) -> dict[str, Any]:
        """``pose`` float32 (T, K, C), ``conf`` float32 (T, K), ``points``; see `Reader.read`.

        Raises:
            MediaError: no point is there in any frame of the sample.
        """
        coords, conf, bad = self._clean(rows_of(index, self.num_frames))
        if bad.any():
            warn_few("poses that are not finite", self._where, self._describe_bad)
        if self._pixels and conf.any():
            self._tell_normalised(coords, conf)
        if not conf.any() and not self._clean(slice(None))[1].any():
            raise MediaError(f"no point is valid in any of {self.num_frames} frames", where=self._where)
        return {"pose": torch.from_numpy(coords), "conf": torch.from_numpy(conf), "points": self.points}

    def _clean(self, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """Coordinates, confidence, and which points are wrong (not: missing)."""
        raw = self._coords[rows]
        with np.errstate(over="ignore"):  # float64 beyond float32: inf, and so found below
            coords = np.array(raw, dtype=np.float32, order="C")
        finite = np.isfinite(coords)
        # The reduction over 3 numbers is most of the time of a read: skip it for clips that are whole.
        valid = np.ones(coords.shape[:2], dtype=np.bool_) if finite.all() else np.asarray(finite.all(-1))
        if self._conf is None:
            conf = valid.astype(np.float32)
            bad = np.asarray(np.isinf(coords).any(-1)) if self._nan_is_missing and not valid.all() else ~valid
        else:
            given = np.asarray(self._conf[rows], dtype=np.float32)
            bad = ~np.isfinite(given) | (~valid & (given != 0))
            conf = np.where(bad, np.float32(0), given).clip(0, 1)
        coords[conf == 0] = 0
        return coords, conf, bad

    def _tell_normalised(self, coords: NDArray[np.float32], conf: NDArray[np.float32]) -> None:
        seen = coords[conf > 0]
        if len(seen) and seen.min() >= 0 and seen.max() <= 1:
            text = "x and y in [0, 1]: normalised coordinates; the layout says pixels. A square is none any more there"
            warn_few("poses in other units than their layout's", self._where, lambda: text)

    def _describe_bad(self) -> str:
        bad = self._clean(slice(None))[2]
        first = self._first + int(bad.any(-1).argmax())
        return f"{int(bad.sum())} points are NaN or infinite, first in frame {first}; taken as missing"
