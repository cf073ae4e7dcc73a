"""``.pose`` files, versions 0.1 and 0.2.

`pose_format` reads the header. The body is mapped into memory here, so that only the frames asked for are read, and
so that a cut file is noticed: `pose_format` takes one of version 0.1 for a shorter clip, and then reads confidences
out of coordinates.
"""

from __future__ import annotations

import math
import mmap
import struct
from pathlib import Path
from typing import NamedTuple

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
        points, dims, at = _read_header(data)
        fps, declared, persons = _BODY[version].unpack_from(data, at)
    except (struct.error, UnicodeDecodeError, TypeError, ValueError, IndexError) as cause:
        raise MediaError("the .pose file's header is cut off or damaged", where=where, found=f"{size} bytes") from cause
    at += _BODY[version].size
    frame_size = persons * len(points) * (dims + 1) * 4
    frames = declared if version > 0.1 else _count_frames(size - at, frame_size, declared)
    spare = size - at - frames * frame_size
    if spare < 0 or (spare and version == 0.1):  # the size is all that says how many frames version 0.1 has
        raise MediaError(
            "the .pose file is cut off or damaged",
            where=where,
            expected=f"{at + frames * frame_size} bytes for {frames} frames of {len(points)} points",
            found=f"{size} bytes",
        )
    numbers = frames * persons * len(points)
    check_layout(points, media.layout, where)
    coords = np.frombuffer(data, "<f4", numbers * dims, at).reshape(frames, persons, len(points), dims)
    conf = np.frombuffer(data, "<f4", numbers, at + numbers * dims * 4).reshape(frames, persons, len(points))
    return PoseArrays(coords, conf, points, float(fps) if math.isfinite(fps) and fps > 0 else None)


class _Header(NamedTuple):
    points: tuple[str, ...]
    dims: int
    end: int


_COMPONENTS = 10  # after version and size of the image, which differs between videos
_headers: list[tuple[bytes, _Header]] = []


def _read_header(data: mmap.mmap) -> _Header:
    """Points, their dimensions, and where the body begins.

    The last few lists of components are kept: parsing the 586 names of MediaPipe takes 2 ms, several times as long as
    the rest of a read, and `pose_format` keeps but one header, image size included.
    """
    for known, header in _headers:
        if data[_COMPONENTS : header.end] == known:
            return header
    from pose_format.pose_header import PoseHeader
    from pose_format.utils.reader import BufferReader

    reader = BufferReader(data)
    components = PoseHeader.read(reader).components
    points = tuple(f"{_PARTS.get(c.name, c.name.lower())}.{p.lower()}" for c in components for p in c.points)
    dims = max((len(c.format) - 1 for c in components), default=0)
    header = _Header(points, dims, int(reader.read_offset))
    _headers.insert(0, (data[_COMPONENTS : header.end], header))
    del _headers[8:]
    return header


def _count_frames(body: int, frame: int, declared: int) -> int:
    """Frames of a version 0.1 file: its 16-bit count, and 65,536 more as often as the size of the body has them."""
    if frame == 0:
        return declared
    return max(declared, declared + (body // frame - declared) // 65536 * 65536)
