"""Which frame of a video is shown when: read off its packets once a process, and remembered."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slt_zoo.data.readers.base import warn_few
from slt_zoo.data.readers.video_file import ends_early, looks, opened
from slt_zoo.errors import MediaError

__all__ = ["Timeline", "timeline_of"]

# Here one packet is one displayed frame and its time is the container's own. Elsewhere (AVI has no times, VP8 has
# packets that show nothing) only decoding tells.
_TIMED = ("mov", "matroska")
_ONE_FRAME_A_PACKET = ("h264", "hevc", "mpeg4", "mjpeg", "vp9", "av1")


@dataclass(frozen=True, eq=False)
class Timeline:
    """What is shown when.

    Attributes:
        ticks: time stamps of the frames, rising; evenly spaced ones are a range, which takes no room.
        tick: seconds a tick.
        begin: what is subtracted, in seconds, so that the file begins at 0.
        end: when the last frame ends, in seconds since then.
        declared_rate: frames a second as the container says, or None.
        stamped: the time stamps are the file's own, and tell frames apart.
        keys: frames at which decoding can begin; empty: only at the first.
    """

    ticks: range | NDArray[np.int64]
    tick: float
    begin: float
    end: float
    declared_rate: float | None
    stamped: bool
    keys: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ticks)

    @property
    def nbytes(self) -> int:
        """Memory that it takes, about."""
        return 600 + self.keys.nbytes + (0 if isinstance(self.ticks, range) else self.ticks.nbytes)

    @property
    def seekable(self) -> bool:
        """Whether decoding can begin elsewhere than at the first frame."""
        return self.stamped and len(self.keys) > 1

    def times(self) -> NDArray[np.float64]:
        """Seconds since the begin of the file, one a frame, rising."""
        return np.asarray(self.ticks, dtype=np.float64) * self.tick - self.begin

    def number(self, stamp: int | None) -> int | None:
        """The frame with this time stamp, or None."""
        if stamp is None:
            return None
        if isinstance(self.ticks, range):
            return self.ticks.index(stamp) if stamp in self.ticks else None
        at = int(np.searchsorted(self.ticks, stamp))
        return at if at < len(self.ticks) and self.ticks[at] == stamp else None

    def key_before(self, number: int) -> int:
        """The last frame, not after this one, at which decoding can begin."""
        return int(self.keys[np.searchsorted(self.keys, number, side="right") - 1])

    def rate(self) -> tuple[float, bool]:
        """Frames a second, and whether it is the same from end to end."""
        times = self.times()
        total, since = len(times), times - times[0]
        span = float(since[-1])
        candidates = [self.declared_rate, (total - 1) / span if span > 0 else None]
        for rate in (c for c in candidates if c):
            # The container rounds each time to its ticks.
            if bool((np.abs(since - np.arange(total) / rate) <= self.tick + 0.01 / rate).all()):
                return rate, True
        return total / (self.end - float(times[0])), False


def timeline_of(path: Path, where: str) -> Timeline:
    """The timeline of a file; its packets are read when the process asks for the first time or the file has changed.

    A full video of a corpus holds many sentences, and going through its packets means reading the file. A timeline
    takes a kilobyte, or 8 bytes a frame where the frame rate varies; the latest 16 MiB of them are kept.

    Raises:
        MediaError: not a video, no frame, or the file is cut off.
    """
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    line = _known.get(key)
    if line is None:
        line = _scan(path, where)
        _known.put(key, line)
    return line


class _Timelines:
    """The latest timelines of this process, by file; a forked worker begins with those of its parent."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self._lines: OrderedDict[tuple[str, int, int], Timeline] = OrderedDict()

    def get(self, key: tuple[str, int, int]) -> Timeline | None:
        line = self._lines.pop(key, None)
        if line is not None:
            self._lines[key] = line
        return line

    def put(self, key: tuple[str, int, int], line: Timeline) -> None:
        self._lines[key] = line
        self.size += line.nbytes
        while self.size > self.limit and len(self._lines) > 1:
            self.size -= self._lines.popitem(last=False)[1].nbytes


_known = _Timelines(16 * 2**20)


def _scan(path: Path, where: str) -> Timeline:
    """By the packets or, where these do not tell, by decoding the file."""
    stamps: list[int] = []
    keys: list[int] = []
    packets, timed, corrupt, last, last_ticks = 0, True, False, None, 0
    with opened(path, where) as (container, stream):
        facts = _Facts.of(container, stream)
        for packet in container.demux(stream):
            if not packet.size:
                continue
            packets += 1
            corrupt = corrupt or packet.is_corrupt
            if packet.is_discard or packet.pts is None:
                timed = False
                continue
            stamps.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
            if last is None or packet.pts > last:
                last, last_ticks = packet.pts, packet.duration or 0
        told = (
            container.format.name.startswith(_TIMED)
            and stream.codec_context.name in _ONE_FRAME_A_PACKET
            and timed
            and not corrupt
            and len(set(stamps)) == packets > 0
            and bool(keys)
            and min(keys) == min(stamps)
            and stream.frames in (0, packets)
            and ends_early(path) is None
        )
    if told and last is not None and not facts.is_short(last + last_ticks):
        stamps.sort()
        return facts.timeline(stamps, last_ticks, sorted(keys))
    return _scan_decoded(path, where, facts, last_ticks)


def _scan_decoded(path: Path, where: str, facts: _Facts, last_ticks: int) -> Timeline:
    """The timeline of what can be decoded; nothing is sought in such a file."""
    import av

    stamps: list[int | None] = []
    broken: Exception | None = None
    with opened(path, where) as (container, stream):
        try:
            stamps.extend(frame.pts for frame in container.decode(stream) if not frame.is_corrupt)
        except av.error.FFmpegError as cause:
            broken = cause
    pts = [s for s in stamps if s is not None]
    timed = len(pts) == len(stamps) and all(a < b for a, b in pairwise(pts))
    count = f"decoded {len(stamps)} of {facts.expected or 'an unknown number of'} frames"
    if not stamps:
        raise MediaError(count, where=where, found=looks(path)) from broken
    short = timed and facts.is_short(pts[-1] + last_ticks)
    certain = facts.alone or (facts.declared or 0) > len(stamps)  # beside sound, pictures may end early
    early = ends_early(path)
    if broken is not None or early is not None or (short and certain):
        notes = [f"{path.stat().st_size} bytes", early, None if broken is None else str(broken)]
        raise MediaError(
            f"{count}: the file is cut off or damaged",
            where=where,
            found="; ".join(n for n in notes if n),
            todo="fetch the file again",
        ) from broken
    if short or (facts.declared and facts.declared != len(stamps)):
        warn_few("frame counts other than the container's", where, lambda: f"{count}; what was decoded is used")
    if timed:
        return facts.timeline(pts, last_ticks, [])
    if not facts.rate:
        raise MediaError("neither time stamps nor a frame rate", where=where)
    total = len(stamps)
    return Timeline(range(total), 1 / facts.rate, 0.0, total / facts.rate, facts.rate, False, _NO_KEYS)


_NO_KEYS = np.zeros(0, dtype=np.int32)


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

    def timeline(self, stamps: list[int], last_ticks: int, keys: list[int]) -> Timeline:
        """From rising time stamps and those of the keyframes."""
        pts = np.array(stamps, dtype=np.int64)
        steps = np.diff(pts)
        usual = float(np.median(steps)) if len(steps) else None
        last = last_ticks * self.tick or (1 / (self.rate or 1) if usual is None else usual * self.tick)
        even = len(steps) > 0 and bool((steps == steps[0]).all())
        numbers = np.searchsorted(pts, np.array(keys, dtype=np.int64)).astype(np.int32)
        ticks = range(int(pts[0]), int(pts[-1]) + 1, int(steps[0])) if even else pts
        end = float(pts[-1]) * self.tick - self.begin + last
        return Timeline(ticks, self.tick, self.begin, end, self.rate, True, numbers)
