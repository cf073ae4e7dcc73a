"""Folders of OpenPose's JSON, a file a frame, as How2Sign ships them."""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.pose_layouts import LAYOUTS
from slt_zoo.data.readers.base import compare_count, frames_of, rows_of, warn_few
from slt_zoo.data.readers.persons import follow_person
from slt_zoo.data.readers.pose import PoseArrays, PoseReader, check_layout
from slt_zoo.errors import MediaError
from slt_zoo.types import Media

__all__ = ["OpenPoseReader"]

_NAME = re.compile(r".*_(\d{12})_keypoints\.json")
_PARTS = {  # in the order of the layout
    "pose_keypoints_2d": 25,
    "face_keypoints_2d": 70,
    "hand_left_keypoints_2d": 21,
    "hand_right_keypoints_2d": 21,
}
_POINTS = sum(_PARTS.values())


class OpenPoseReader:
    """Reads ``<name>_<12 digits>_keypoints.json`` of a folder in the order of the number: 137 points in pixels.

    A frame without people is a frame whose points are missing; of several people the one seen best is followed, see
    `follow_person`. A part that was not estimated (an empty list) is missing. JSON has no frame rate. To follow a
    person, the first `read` parses all files of the sample (about 0.3 ms each).

    Args:
        folder: of the sample.
        media: its ``fps``, ``start``, ``end``, ``num_frames``, ``layout``.
        where: sample and path, for messages.

    Raises:
        MediaError: no such file in the folder, or another layout is set.
    """

    def __init__(self, folder: Path, media: Media, where: str) -> None:
        self.points = LAYOUTS["openpose137"]
        check_layout(self.points, media.layout, where)
        files = _list(folder, where)
        gap = next((a + 1 for a, b in pairwise(files) if b != a + 1), None)
        if gap is not None:
            warn_few("gaps in frame numbers", where, lambda: f"the poses have a gap, first missing number {gap}")
        compare_count(media, len(files), where, "" if gap is None else f" (first missing number {gap})")
        self.fps = media.fps
        part = frames_of(media, len(files), media.fps, where)
        self.num_frames = len(part)
        self._files, self._where = list(files.values())[part.start : part.stop], where
        self._reader: PoseReader | None = None

    def read(self, index: Tensor) -> dict[str, Any]:
        """``pose`` float32 (T, 137, 2), ``conf`` float32 (T, 137), ``points``; see `Reader.read`.

        Raises:
            MediaError: a file that is no OpenPose JSON; no point is there in any frame of the sample.
        """
        rows_of(index, self.num_frames)
        if self._reader is None:
            frames = [_read(path, self._where) for path in self._files]
            coords, conf = follow_person(frames, _POINTS, self._where)
            arrays = PoseArrays(coords[:, None], conf[:, None], self.points, pixels=True)
            self._reader = PoseReader(arrays, Media(str(self._files[0].parent), fps=self.fps), self._where)
        return self._reader.read(index)


def _list(folder: Path, where: str) -> dict[int, Path]:
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries)
    files: dict[int, Path] = {}
    for name in names:
        known = _NAME.fullmatch(name)
        if known is None:
            continue
        number = int(known[1])
        if number in files:
            raise MediaError(
                f"two files for frame {number}",
                where=where,
                found=f"{files[number].name!r} and {name!r}",
                todo="give each sample a folder of its own",
            )
        files[number] = folder / name
    if not files:
        raise MediaError(
            "0 frames: no OpenPose JSON in the folder",
            where=where,
            expected="files <name>_<12 digits>_keypoints.json",
            found=", ".join(repr(n) for n in names[:3]) or "an empty folder",
        )
    return dict(sorted(files.items()))


def _read(path: Path, where: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coordinates ``(persons, 137, 2)`` and confidences ``(persons, 137)`` of a frame."""
    try:
        content = json.loads(path.read_bytes())
        people = [[_part(person[part], size, part) for part, size in _PARTS.items()] for person in content["people"]]
    except KeyError as cause:
        raise _not_openpose(path, where, f"no {cause}") from cause
    except (ValueError, TypeError, OSError, OverflowError, RecursionError) as cause:
        raise _not_openpose(path, where, str(cause)) from cause
    if not people:
        return np.zeros((0, _POINTS, 2), np.float32), np.zeros((0, _POINTS), np.float32)
    points = np.stack([np.concatenate(parts) for parts in people])
    return points[..., :2], points[..., 2]


def _part(numbers: Any, size: int, name: str) -> NDArray[np.float32]:
    """``(size, 3)``: x and y in pixels, confidence."""
    if numbers == []:
        return np.zeros((size, 3), np.float32)
    array = np.asarray(numbers, dtype=np.float32)
    if array.shape != (size * 3,):
        raise ValueError(f"{name} has shape {array.shape}, expected {size} points x 3 = {size * 3} numbers")
    return array.reshape(size, 3)


def _not_openpose(path: Path, where: str, why: str) -> MediaError:
    return MediaError(
        f"cannot read {path.name!r} as OpenPose JSON: {why}",
        where=where,
        expected=f"people, each with {', '.join(_PARTS)}",
        found=f"{path.stat().st_size} bytes" if path.exists() else "the file is gone",
    )
