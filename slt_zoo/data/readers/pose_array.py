"""Poses in ``.npy`` arrays: what their axes mean."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slt_zoo.data.pose_layouts import LAYOUTS, POINT_SETS, describe_layout, named_points
from slt_zoo.data.readers.base import load_array
from slt_zoo.data.readers.persons import which_signs
from slt_zoo.data.readers.pose import PoseArrays
from slt_zoo.errors import MediaError
from slt_zoo.types import Media

__all__ = ["load_pose_array"]

log = logging.getLogger(__name__)

_MOST_PERSONS = 8
_PIXELS = ("openpose137",)
_CONFIDENCE_THIRD = ("openpose137", "wholebody133")  # estimators in the image plane: x, y, confidence


def load_pose_array(path: Path, media: Media, where: str) -> PoseArrays:
    """Poses ``(T, K, C)``, ``(T, K * C)`` or ``(T, persons, K, C)`` with C of 2 or 3.

    The layout is ``media.layout``, or the only one with as many points. The third number of a point is its
    confidence for OpenPose and COCO-WholeBody, and z otherwise. Where there is no confidence, NaN means missing (for
    OpenPose also the place (0, 0), as that program has it). Of several persons the one with the highest confidence is
    read; without confidence there may be one alone, beside others whose points are all missing.

    Raises:
        MediaError: not such an array, not of this layout, several persons and nothing that tells whom to read, or
            more persons than frames or than 8, which mostly are frames.
    """
    array = load_array(path, where)
    if array.ndim not in (2, 3, 4):
        raise MediaError(
            "a pose array has 2 to 4 axes",
            where=where,
            expected="(frames, points, 2 or 3), (frames, points x 2 or 3) or (frames, persons, points, 2 or 3)",
            found=f"shape {array.shape}",
        )
    if array.ndim == 4:
        _check_persons(array.shape, where)
    layout = media.layout or _guess(array.shape, where)
    points = named_points(layout)
    coords = _split_axes(array, points, layout, where)
    if layout in _CONFIDENCE_THIRD and coords.shape[-1] == 3:
        return PoseArrays(coords[..., :2], coords[..., 2], points, pixels=layout in _PIXELS)
    if layout == "openpose137":  # there a missing point is (0, 0), whether its confidence was kept or not
        coords = np.where((coords == 0).all(-1, keepdims=True), np.float32("nan"), coords)
    coords = _only_person(coords, where) if coords.shape[1] > 1 else coords
    return PoseArrays(coords, None, points, nan_is_missing=True, pixels=layout in _PIXELS)


def _check_persons(shape: tuple[int, ...], where: str) -> None:
    """Refuse ``(persons, frames, K, C)``: it would be read as a clip of a few frames with many persons."""
    frames, persons = shape[:2]
    if persons > frames or persons > _MOST_PERSONS:
        raise MediaError(
            f"{persons} persons in {frames} frames: are the axes exchanged?",
            where=where,
            expected=f"(frames, persons, points, 2 or 3), with no more persons than frames and {_MOST_PERSONS} at most",
            found=f"shape {shape}",
            todo="exchange the axes: numpy.save(new, numpy.load(old).swapaxes(0, 1)). If these are persons, keep the "
            "signer alone: numpy.save(new, numpy.load(old)[:, [<number of the signer>]])",
        )


def _only_person(coords: NDArray[Any], where: str) -> NDArray[Any]:
    """``(T, 1, K, C)``: the one person of several who is there at all."""
    there = np.flatnonzero([bool(np.isfinite(coords[:, person]).all(-1).any()) for person in range(coords.shape[1])])
    if len(there) > 1:
        raise which_signs(
            len(there), "without confidence", where, f"shape {coords.shape}: frames, persons, points, numbers"
        )
    return coords[:, there[:1]] if len(there) else coords[:, :1]


def _split_axes(array: NDArray[Any], points: tuple[str, ...], layout: str, where: str) -> NDArray[Any]:
    count, frames = len(points), array.shape[0]
    if array.ndim == 2 and array.shape[1] in (2 * count, 3 * count):
        return array.reshape(frames, 1, count, -1)
    if array.ndim > 2 and array.shape[-2:] in ((count, 2), (count, 3)):
        return array.reshape(frames, -1, *array.shape[-2:])
    fits = _fits(array.shape)
    what = f"{array.shape[-2]} points" if array.ndim > 2 else f"{array.shape[1]} numbers a frame"
    looks = f": looks like {describe_layout(fits[0])}" if fits else ""
    raise MediaError(
        f"{what}{looks}; the dataset is set to {layout}",
        where=where,
        expected=f"{count} points with 2 or 3 numbers each",
        found=f"shape {array.shape}",
        todo=f"set data.pose_layout={fits[0]}" if fits else None,
    )


def _guess(shape: tuple[int, ...], where: str) -> str:
    """The one layout that fits. Point sets do not name a file, but they can make the number of points ambiguous."""
    fits = _fits(shape)
    layouts = [name for name in fits if name in LAYOUTS]
    if len(layouts) == 1 and len({len(named_points(name)) for name in fits}) == 1:
        log.debug("%s: shape %s taken as %s", where, shape, layouts[0])
        return layouts[0]
    known = ", ".join(f"{name} ({len(points)})" for name, points in LAYOUTS.items())
    raise MediaError(
        f"which points these are cannot be told from the shape {shape}",
        where=where,
        expected=f"points of {known}, with 2 or 3 numbers each",
        todo="set data.pose_layout" + (f", {' or '.join(repr(f) for f in fits)} by the shape" if fits else ""),
    )


def _fits(shape: tuple[int, ...]) -> list[str]:
    """Layouts and point sets that the last axes can be."""
    names = [*LAYOUTS, *POINT_SETS]
    if len(shape) == 2:
        return [n for n in names if shape[1] in (2 * len(named_points(n)), 3 * len(named_points(n)))]
    return [n for n in names if shape[-2] == len(named_points(n)) and shape[-1] in (2, 3)]
