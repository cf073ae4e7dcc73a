"""Video files, decoded by PyAV."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.readers.base import compare_count, frames_of, place, rows_of, warn_few
from slt_zoo.data.readers.containers import open_container, why_refused
from slt_zoo.errors import MediaError, first_few
from slt_zoo.types import Media

__all__ = ["VideoReader"]

# Here one packet is one displayed frame and its time is the container's own. Elsewhere (AVI has no times, VP8 has
# packets that show nothing) only decoding tells.
_TIMED = ("mov", "matroska")
_ONE_FRAME_A_PACKET = ("h264", "hevc", "mpeg4", "mjpeg", "vp9", "av1")

_INTRA = 1  # AV_PICTURE_TYPE_I


class VideoReader:
    """Reads the first video stream of a file; frame ``i`` is the ``i``-th that a player shows.

    Opening goes through the file's packets, and decodes it where these do not tell what is shown. No file stays open
    between calls, and one thread decodes, so a reader may live on in a forked worker.

    Seconds count from the begin of the file as players count them: the earliest time stamp of all its streams is 0.
    Where the frame rate varies, a segment is found by the frames' times, and ``fps`` is the mean.

    Args:
        path: of the file.
        media: its ``start``, ``end``, ``num_frames``. Its ``fps`` is only compared: time stamps decide.
        sample_id: for messages.

    Raises:
        MediaError: not a video, no video stream, cut off, or an impossible segment.
    """

    def __init__(self, path: Path, media: Media, sample_id: str) -> None:
        where = place(sample_id, path)
        self._path, self._where = path, where
        self._timeline = line = _scan(path, where)
        total = len(line.times)
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
        with _opened(self._path, self._where) as (container, stream):
            for number, frame in _frames(container, stream, self._timeline, numbers, seek):
                if frame.is_corrupt:
                    raise MediaError("a damaged frame", where=f"{self._where}, frame {number}")
                image = _upright(frame, convert, self._where)
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
                expected=f"{len(self._timeline.times)} frames",
            )
        return rows


class _SeekError(Exception):
    """The decoder did not begin at the keyframe that was sought."""


@dataclass(frozen=True, eq=False)
class _Timeline:
    """What is shown when.

    Attributes:
        times: seconds since the begin of the file, one a frame, rising.
        end: when the last frame ends, in seconds.
        tick: length of the stream's unit of time, in seconds.
        declared_rate: frames a second as the container says, or None.
        pts: time stamps of the frames in ticks; None: the file has none that tell frames apart.
        keys: frames at which decoding can begin; empty: only at the first.
    """

    times: list[float]
    end: float
    tick: float
    declared_rate: float | None
    pts: list[int] | None
    keys: list[int]

    @property
    def seekable(self) -> bool:
        return self.pts is not None and len(self.keys) > 1

    def rate(self) -> tuple[float, bool]:
        """Frames a second, and whether it is the same from end to end."""
        total, first = len(self.times), self.times[0]
        span = self.times[-1] - first
        candidates = [self.declared_rate, (total - 1) / span if span > 0 else None]
        for rate in (c for c in candidates if c):
            # The container rounds each time to its ticks.
            if all(abs(t - first - i / rate) <= self.tick + 0.01 / rate for i, t in enumerate(self.times)):
                return rate, True
        return total / (self.end - first), False


def _part(media: Media, line: _Timeline, rate: float, even: bool, where: str) -> range:
    """`frames_of` for frames that need not be evenly spaced."""
    total, first = len(line.times), line.times[0]
    if (media.start is None and media.end is None) or (even and first < line.tick):
        return frames_of(media, total, rate, where)
    edges = [*line.times, line.end]

    def even_time(seconds: float | None) -> float | None:
        """When it would be, were the frames evenly spaced from 0 on."""
        if seconds is None or seconds < 0 or seconds >= line.end:
            return seconds if seconds is None or seconds < 0 else seconds - line.end + total / rate
        return float(np.interp(seconds, edges, np.arange(total + 1))) / rate

    bounds = replace(media, start=even_time(media.start), end=even_time(media.end))
    if not even:
        text = f"{min(b - a for a, b in pairwise(edges)):.3f} to {max(b - a for a, b in pairwise(edges)):.3f} s a frame"
        warn_few("variable frame rates", where, lambda: f"{text}: the segment follows times, not indices")
    try:
        return frames_of(bounds, total, rate, where)
    except MediaError as cause:
        given = f"segment {media.start or 0:g}-{line.end if media.end is None else media.end:g} s"
        shown = f"{total} frames from {first:.2f} to {line.end:.2f} s, by their time stamps"
        raise MediaError(f"{given} does not fit: {cause.what}", where=where, found=shown) from cause


@contextmanager
def _opened(path: Path, where: str) -> Iterator[tuple[Any, Any]]:
    """Container and video stream; what the decoder says is told as `MediaError`."""
    import av

    try:
        with open_container(path) as container:
            stream = _video_stream(container, where)
            stream.codec_context.thread_count = 1  # a loader's workers are the parallelism
            yield container, stream
    except av.error.FFmpegError as cause:
        if isinstance(cause, OSError) and cause.errno is not None and 0 < cause.errno < 200:  # the disk's, not FFmpeg's
            raise MediaError(f"cannot read: {cause.strerror}", where=where) from cause
        raise MediaError(_why_not(path, cause), where=where, found=_looks(path)) from cause


def _video_stream(container: Any, where: str) -> Any:
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:  # the cover of a recording
            if stream.codec_context is None:
                raise MediaError("no decoder for the video stream", where=where)
            return stream
    found = [f"{s.type} ({s.codec_context.name if s.codec_context else 'unknown'})" for s in container.streams]
    raise MediaError("no video stream", where=where, found=first_few(found) or "no stream at all")


def _looks(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        return f"{size} bytes" + (f", beginning with {file.read(12)!r}" if size else "")


def _why_not(path: Path, cause: Exception) -> str:
    size = path.stat().st_size
    if size and _lacks_moov(path, size):
        return f"moov atom not found: the download is incomplete, size {size} bytes"
    return why_refused(cause) or f"cannot read as video: {getattr(cause, 'strerror', None) or cause}"


def _lacks_moov(path: Path, size: int) -> bool:
    """Whether this is MP4 (or MOV) without its table of contents; boxes are a length and a name of 4 bytes each."""
    at = 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length, name = int.from_bytes(head[:4], "big"), head[4:8]
            if name == b"moov" or (at == 0 and name not in (b"ftyp", b"mdat", b"free", b"wide", b"skip")):
                return False
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length < 8:  # 0: to the end of the file
                break
            at += length
    return at > 0


def _scan(path: Path, where: str) -> _Timeline:
    """The timeline of a file, by its packets or, where these do not tell, by decoding it.

    Raises:
        MediaError: no frame, or the file is cut off.
    """
    with _opened(path, where) as (container, stream):
        packets = [p for p in container.demux(stream) if p.size]
        facts = _Facts.of(container, stream)
        shown = [p for p in packets if not p.is_discard]
        pts = sorted(p.pts for p in shown if p.pts is not None)
        keys = sorted(p.pts for p in shown if p.is_keyframe and p.pts is not None)
        plain = len(shown) == len(packets)
        told = (
            container.format.name.startswith(_TIMED)
            and stream.codec_context.name in _ONE_FRAME_A_PACKET
            and len(set(pts)) == len(shown) > 0
            and plain
            and keys[:1] == pts[:1]
            and stream.frames in (0, len(packets))
            and not any(p.is_corrupt for p in packets)
        )
        last = max((p for p in shown if p.pts is not None), key=lambda p: p.pts, default=None)
        last_ticks = (last.duration or 0) if last is not None else 0
    if told and not facts.is_short(pts[-1] + last_ticks):
        return facts.timeline(pts, last_ticks, [bisect_right(pts, k) - 1 for k in keys])
    return _scan_decoded(path, where, facts, last_ticks)


def _scan_decoded(path: Path, where: str, facts: _Facts, last_ticks: int) -> _Timeline:
    """The timeline of what can be decoded; nothing is sought in such a file."""
    import av

    stamps: list[int | None] = []
    broken: Exception | None = None
    with _opened(path, where) as (container, stream):
        try:
            stamps.extend(frame.pts for frame in container.decode(stream) if not frame.is_corrupt)
        except av.error.FFmpegError as cause:
            broken = cause
    pts = [s for s in stamps if s is not None]
    timed = len(pts) == len(stamps) and all(a < b for a, b in pairwise(pts))
    count = f"decoded {len(stamps)} of {facts.expected or 'an unknown number of'} frames"
    if not stamps:
        raise MediaError(count, where=where, found=_looks(path)) from broken
    short = timed and facts.is_short(pts[-1] + last_ticks)
    certain = facts.alone or (facts.declared or 0) > len(stamps)  # beside sound, pictures may end early
    if broken is not None or (short and certain):
        raise MediaError(
            f"{count}: the file is cut off or damaged",
            where=where,
            found=f"{path.stat().st_size} bytes" + (f"; {broken}" if broken is not None else ""),
            todo="fetch the file again",
        ) from broken
    if short or (facts.declared and facts.declared != len(stamps)):
        warn_few("frame counts other than the container's", where, lambda: f"{count}; what was decoded is used")
    if timed:
        return facts.timeline(pts, last_ticks, [])
    if not facts.rate:
        raise MediaError("neither time stamps nor a frame rate", where=where)
    times = [i / facts.rate for i in range(len(stamps))]
    return _Timeline(times, len(times) / facts.rate, 0.0, facts.rate, None, [])


@dataclass(frozen=True)
class _Facts:
    """What the container says of the stream.

    Attributes:
        declared: number of frames, or None.
        rate: frames a second, or None.
        tick: seconds a tick.
        begin: earliest time stamp of the file, in seconds.
        length: of the file in seconds, or None.
        alone: there is no other stream.
    """

    declared: int | None
    rate: float | None
    tick: float
    begin: float
    length: float | None
    alone: bool

    @classmethod
    def of(cls, container: Any, stream: Any) -> _Facts:
        rate = stream.average_rate or stream.guessed_rate
        return cls(
            declared=stream.frames or None,
            rate=float(rate) if rate else None,
            tick=float(stream.time_base),
            begin=(container.start_time or 0) / 1e6,
            length=container.duration / 1e6 if container.duration else None,
            alone=len(container.streams) == 1,
        )

    @property
    def expected(self) -> int | None:
        """Frames that there should be, by count or by length."""
        by_length = round(self.length * self.rate) if self.length and self.rate else None
        return self.declared or by_length

    def is_short(self, end: int) -> bool:
        """Whether the pictures end, at a tick, well before the file should."""
        frame = 1 / self.rate if self.rate else 0.1
        return self.length is not None and end * self.tick < self.begin + self.length - max(2 * frame, 0.1)

    def timeline(self, pts: list[int], last_ticks: int, keys: list[int]) -> _Timeline:
        times = [p * self.tick - self.begin for p in pts]
        last = last_ticks * self.tick or median([b - a for a, b in pairwise(times)] or [1 / (self.rate or 1)])
        return _Timeline(times, times[-1] + last, self.tick, self.rate, pts, keys)


def _frames(container: Any, stream: Any, line: _Timeline, numbers: list[int], seek: bool) -> Iterator[tuple[int, Any]]:
    """The frames of these numbers (rising); seeks where a keyframe lies between two of them.

    Raises:
        _SeekError: the container did not lead to the keyframe, or it is none that stands for itself.
    """
    decoded, at = _numbered(container, stream, line), -1  # at: the last frame decoded
    for number in numbers:
        key = line.keys[bisect_right(line.keys, number) - 1] if seek else 0
        if key > at + 1 and line.pts is not None:
            container.seek(line.pts[key], stream=stream)
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


def _numbered(container: Any, stream: Any, line: _Timeline) -> Iterator[tuple[int, Any]]:
    """Decoded frames and their numbers; by time stamp, since after seeking nothing else tells."""
    if line.pts is None:
        yield from enumerate(container.decode(stream))
        return
    number = {pts: i for i, pts in enumerate(line.pts)}
    for frame in container.decode(stream):
        if frame.pts in number:
            yield number[frame.pts], frame


def _upright(frame: Any, convert: Any, where: str) -> NDArray[np.uint8]:
    """``(H, W, 3)`` RGB, turned as the file's display matrix says (x' = a x + c y, y' = b x + d y)."""
    try:
        rgb = convert.reformat(frame, format="rgb24", threads=1)
    except TypeError:  # an older PyAV, which takes one thread
        rgb = convert.reformat(frame, format="rgb24")
    image: NDArray[np.uint8] = rgb.to_ndarray()
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return image
    matrix = np.frombuffer(bytes(data), dtype=np.int32).reshape(3, 3)
    (a, b), (c, d) = np.sign(matrix[:2, :2]).tolist()
    if (a, d) == (0, 0) and b and c:
        image, right, down = image.transpose(1, 0, 2), c, b
    elif (b, c) == (0, 0) and a and d:
        right, down = a, d
    else:
        raise MediaError("the picture is turned by no multiple of 90 degrees", where=where, found=matrix.tolist())
    return image[::down, ::right]
