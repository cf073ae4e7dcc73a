"""``.pose`` files, versions 0.1 and 0.2.

`pose_format` reads the header. The body is mapped into memory here: `pose_format` copies all of it into a masked
array, takes a cut file of version 0.1 for a shorter one (its confidences are then read out of the coordinates), and
counts no more than the file says, where version 0.1 overflows at 65,536 frames.
"""

from __future__ import annotations

import math
import mmap
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from slt_zoo.data.readers.pose import PoseArrays, check_layout
from slt_zoo.errors import MediaError
from slt_zoo.types import Media

__all__ = ["load_pose_file"]

_PARTS = {
    "POSE_LANDMARKS": "body",
    "FACE_LANDMARKS": "face",
    "LEFT_HAND_LANDMARKS": "left_hand",
    "RIGHT_HAND_LANDMARKS": "right_hand",
    "POSE_WORLD_LANDMARKS": "world",
}
_BODY = {0.1: struct.Struct("<HHH"), 0.2: struct.Struct("<fIH")}  # frames a second, frames, persons


@lru_cache(maxsize=64)
def _names(components: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[str, ...]:
    return tuple(f"{_PARTS.get(c, c.lower())}.{p.lower()}" for c, points in components for p in points)


def load_pose_file(path: Path, media: Media, where: str) -> PoseArrays:
    """The arrays of a ``.pose`` file; points are named by component and point name, whatever the layout.

    Raises:
        MediaError: not a ``.pose`` file, a version that is not read, or cut off.
    """
    size = path.stat().st_size
    if size < 12:
        raise MediaError("not a .pose file, or cut off", where=where, found=f"{size} bytes")
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    version = round(struct.unpack_from("<f", data)[0], 3)
    if version not in _BODY:
        raise MediaError(
            "not a .pose file of a version that is read",
            where=where,
            expected="version 0.1 or 0.2",
            found=f"version {version:g}, or another kind of file",
        )
    try:
        header, at = _read_header(data)
        fps, declared, persons = _BODY[version].unpack_from(data, at)
    except (struct.error, UnicodeDecodeError, TypeError, ValueError, IndexError) as cause:
        raise MediaError("the header of the .pose file is cut off or damaged", where=where, found=f"{size} bytes") from (
            cause
        )
    at += _BODY[version].size
    points = _names(tuple((c.name, tuple(c.points)) for c in header.components))
    dims = header.num_dims() if header.components else 0
    frames = declared if version > 0.1 else _count_frames(size - at, persons * len(points) * (dims + 1) * 4, declared)
    numbers = frames * persons * len(points)
    if size - at < numbers * (dims + 1) * 4:
        raise MediaError(
            "the .pose file is cut off",
            where=where,
            expected=f"{at + numbers * (dims + 1) * 4} bytes for {frames} frames of {len(points)} points",
            found=f"{size} bytes",
        )
    check_layout(points, media.layout, where)
    coords = np.frombuffer(data, "<f4", numbers * dims, at).reshape(frames, persons, len(points), dims)
    conf = np.frombuffer(data, "<f4", numbers, at + numbers * dims * 4).reshape(frames, persons, len(points))
    return PoseArrays(coords, conf, points, float(fps) if math.isfinite(fps) and fps > 0 else None)


def _read_header(data: mmap.mmap) -> tuple[Any, int]:
    """Header and where the body begins. `pose_format` keeps the last header, so files of one corpus parse one."""
    from pose_format.pose_header import PoseHeader
    from pose_format.utils.reader import BufferReader

    reader = BufferReader(data)
    header = PoseHeader.read(reader)
    return header, int(reader.read_offset)


def _count_frames(body: int, frame: int, declared: int) -> int:
    """Frames of a version 0.1 file: its 16-bit count, and 65,536 more as often as the size of the body has them."""
    if frame == 0:
        return declared
    return max(declared, declared + (body // frame - declared) // 65536 * 65536)
