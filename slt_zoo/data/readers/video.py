"""Video files, decoded by PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.readers.base import compare_count, frames_of, place, rows_of, warn_few
from slt_zoo.data.readers.images import FrameSize, fit_size
from slt_zoo.data.readers.video_file import opened
from slt_zoo.data.readers.video_timeline import Timeline, timeline_of
from slt_zoo.errors import MediaError
from slt_zoo.types import Media

__all__ = ["VideoReader"]

_INTRA = 1  # AV_PICTURE_TYPE_I


class VideoReader:
    """Reads the first video stream of a file; frame ``i`` is the ``i``-th that a player shows.

    The first opening goes through the file's packets, and decodes it where these do not tell what is shown; what was
    found is remembered. No file stays open
    between calls, and one thread decodes, so a reader may live on in a forked worker.

    Seconds count from the begin of the file as players count them: the earliest time stamp of all its streams is 0.
    Where the frame rate varies, a segment is found by the frames' times, and ``fps`` is the mean.

    Args:
        path: of the file.
        media: its ``start``, ``end``, ``num_frames``. Its ``fps`` is only compared: time stamps decide.
        sample_id: for messages.
        frame_size: of the frames read; None: as in the file.

    Raises:
        MediaError: not a video, no video stream, cut off, or an impossible segment.
    """

    def __init__(self, path: Path, media: Media, sample_id: str, frame_size: FrameSize | None = None) -> None:
        where = place(sample_id, path)
        self._path, self._where, self._size = path, where, frame_size
        self._timeline = line = timeline_of(path, where)
        total = len(line)
        rate, even = line.rate()
        if media.fps is not None and abs(media.fps - rate) > 0.01 * rate:
            text = f"{media.fps:g} frames a second annotated, the file has {rate:g}; those of the file are used"
            warn_few("frame rates other than annotated", where, lambda: text)
        compare_count(media, total, where)
        self.fps: float | None = rate
        part = _part(media, line, rate, even, where)
        self.num_frames = len(part)
        self._first = part.start

    def read(self, index: Tensor) -> dict[str, Any]:
        """``frames`` uint8 (T, 3, H, W), RGB, upright; see `Reader.read`. A frame asked for twice is decoded once.

        Raises:
            MediaError: a frame that cannot be decoded, or frames of different sizes.
        """
        wanted, back = np.unique(rows_of(index, self.num_frames), return_inverse=True)
        numbers = [int(i) + self._first for i in wanted]
        try:
            frames = self._decode(numbers, seek=self._timeline.seekable)
        except _SeekError:
            frames = self._decode(numbers, seek=False)
        in_order = np.array_equal(back, np.arange(len(wanted)))
        return {"frames": torch.from_numpy(frames if in_order else frames[back])}

    def _decode(self, numbers: list[int], *, seek: bool) -> NDArray[np.uint8]:
        """``(len(numbers), 3, H, W)`` of frames in rising order."""
        from av.video.reformatter import VideoReformatter

        rows: NDArray[np.uint8] | None = None
        got, convert = 0, VideoReformatter()  # one for all: it keeps the tables of the conversion
        with opened(self._path, self._where) as (container, stream):
            for number, frame in _frames(container, stream, self._timeline, numbers, seek):
                if frame.is_corrupt:
                    raise MediaError("a damaged frame", where=f"{self._where}, frame {number}")
                image = _upright(frame, convert, self._size, self._where)
                if rows is None:
                    rows = np.empty((len(numbers), 3, *image.shape[:2]), dtype=np.uint8)
                if image.shape[:2] != rows.shape[2:]:
                    raise MediaError(
                        "frames of different sizes in one clip",
                        where=f"{self._where}, frame {number}",
                        expected=f"{rows.shape[3]}x{rows.shape[2]}, as frame {numbers[0]}",
                        found=f"{image.shape[1]}x{image.shape[0]}",
                    )
                for channel in range(3):  # three times as fast as transposing at once
                    rows[got, channel] = image[..., channel]
                got += 1
        if rows is None or got < len(numbers):
            raise MediaError(
                f"frame {numbers[got]} cannot be decoded",
                where=self._where,
                expected=f"{len(self._timeline)} frames",
            )
        return rows


class _SeekError(Exception):
    """The decoder did not begin at the keyframe that was sought."""


def _part(media: Media, line: Timeline, rate: float, even: bool, where: str) -> range:
    """`frames_of` for frames that need not be evenly spaced."""
    total, times = len(line), line.times()
    if (media.start is None and media.end is None) or (even and times[0] < line.tick):
        return frames_of(media, total, rate, where)
    edges = np.append(times, line.end)

    def even_time(seconds: float | None) -> float | None:
        """When it would be, were the frames evenly spaced from 0 on."""
        if seconds is None or seconds < 0 or seconds >= line.end:
            return seconds if seconds is None or seconds < 0 else seconds - line.end + total / rate
        return float(np.interp(seconds, edges, np.arange(total + 1))) / rate

    bounds = replace(media, start=even_time(media.start), end=even_time(media.end))
    if not even:
        steps = np.diff(edges)
        text = f"{steps.min():.3f} to {steps.max():.3f} s a frame"
        warn_few("variable frame rates", where, lambda: f"{text}: the segment follows times, not indices")
    try:
        return frames_of(bounds, total, rate, where)
    except MediaError as cause:
        given = f"segment {media.start or 0:g}-{line.end if media.end is None else media.end:g} s"
        shown = f"{total} frames from {times[0]:.2f} to {line.end:.2f} s, by their time stamps"
        raise MediaError(f"{given} does not fit: {cause.what}", where=where, found=shown) from cause


def _frames(container: Any, stream: Any, line: Timeline, numbers: list[int], seek: bool) -> Iterator[tuple[int, Any]]:
    """The frames of these numbers (rising); seeks where a keyframe lies between two of them.

    Raises:
        _SeekError: the container did not lead to the keyframe, or it is none that stands for itself.
    """
    decoded, at = _numbered(container, stream, line), -1  # at: the last frame decoded
    for number in numbers:
        key = line.key_before(number) if seek else 0
        if key > at + 1:
            container.seek(int(line.ticks[key]), stream=stream)
            decoded = _numbered(container, stream, line)
            at, frame = next(decoded, (-1, None))
            # A stream that refreshes bit by bit calls frames keyframes that are no whole pictures.
            if frame is None or at != key or int(frame.pict_type) != _INTRA or frame.is_corrupt:
                raise _SeekError
            if at == number:
                yield at, frame
                continue
        at, frame = next((pair for pair in decoded if pair[0] >= number), (-1, None))
        if at != number:
            return
        yield at, frame


def _numbered(container: Any, stream: Any, line: Timeline) -> Iterator[tuple[int, Any]]:
    """Decoded frames and their numbers; by time stamp, since after seeking nothing else tells."""
    if not line.stamped:
        yield from enumerate(container.decode(stream))
        return
    for frame in container.decode(stream):
        number = line.number(frame.pts)
        if number is not None:
            yield number, frame


def _upright(frame: Any, convert: Any, size: FrameSize | None, where: str) -> NDArray[np.uint8]:
    """``(H, W, 3)`` RGB, turned as the file's display matrix says (x' = a x + c y, y' = b x + d y)."""
    data = frame.side_data.get("DISPLAYMATRIX")
    a, b, c, d = 1, 0, 0, 1
    if data is not None:
        matrix = np.frombuffer(bytes(data), dtype=np.int32).reshape(3, 3)
        (a, b), (c, d) = np.sign(matrix[:2, :2]).tolist()
    lies = (a, d) == (0, 0) and b and c
    if not lies and not ((b, c) == (0, 0) and a and d):
        raise MediaError("the picture is turned by no multiple of 90 degrees", where=where, found=matrix.tolist())
    if lies:
        width, height = fit_size(size, frame.width, frame.height)
    else:
        height, width = fit_size(size, frame.height, frame.width)
    image = _rgb(frame, convert, height, width)
    return image.transpose(1, 0, 2)[::b, ::c] if lies else image[::d, ::a]


def _rgb(frame: Any, convert: Any, height: int, width: int) -> NDArray[np.uint8]:
    """``(height, width, 3)``, resized with a filter that grows with the reduction."""
    to: dict[str, Any] = {"format": "rgb24", "height": height, "width": width, "interpolation": "BILINEAR"}
    try:
        image: NDArray[np.uint8] = convert.reformat(frame, **to, threads=1).to_ndarray()
    except TypeError:  # an older PyAV, which takes one thread
        image = convert.reformat(frame, **to).to_ndarray()
    return image
