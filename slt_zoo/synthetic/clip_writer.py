"""Performs rows one after the other and writes of each clip what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from slt_zoo.synthetic.detector import detect
from slt_zoo.synthetic.features import project
from slt_zoo.synthetic.layouts import Layout
from slt_zoo.synthetic.media import VideoWriter, write_frames, write_video
from slt_zoo.synthetic.performer import Performer
from slt_zoo.synthetic.render import draw_clip
from slt_zoo.synthetic.sentences import Row
from slt_zoo.synthetic.signers import Camera, Signer
from slt_zoo.synthetic.variation import Variation, stream

__all__ = ["ClipWriter"]

_PAUSE = (0.3, 0.9)  # seconds before each sentence of a longer recording, and after the last


@dataclass
class ClipWriter:
    """Writes clips of one corpus; as a context, which ends the last recording.

    Attributes:
        layout: says where.
        root: of the corpus.
        performer: moves the signers.
        variation: how much cameras and detections differ.
        seed: of the corpus.
        render: kinds of media.
        fps: frames a second.
        frame_size: width and height of the image.
    """

    layout: Layout
    root: Path
    performer: Performer
    variation: Variation
    seed: int
    render: tuple[str, ...]
    fps: float
    frame_size: tuple[int, int]

    def __post_init__(self) -> None:
        self._pose = self.layout.pose_writer(self.performer.points, self.frame_size, self.fps)
        self._recording = _Recording("", 0, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._recording.end()

    def write(self, row: Row, signer: Signer) -> Row:
        """Perform a row; gives it back with what is known now."""
        rng = stream(self.seed, "clip", row.id)
        motion = self.performer.perform(row.gloss, signer, rng)
        camera = Camera.of(signer, self.frame_size, self.variation, rng)
        pixels = camera.project(motion.xyz)
        np.save(self._file(row, "labels"), motion.labels)
        if "features" in self.render:
            noise = stream(self.seed, "features", row.id)
            np.save(self._file(row, "features"), project(motion.xyz, motion.points, self.variation, noise))
        if "pose" in self.render:
            seen = detect(
                pixels, motion.conf, motion.points, camera.scale, self.variation, stream(self.seed, "pose", row.id)
            )
            self._pose.write(self._file(row, "pose"), *seen)
        images: list[NDArray[np.uint8]] = []
        if "frames" in self.render or "video" in self.render:
            light = float(np.exp(self.variation.lighting * np.clip(rng.standard_normal(), -1.5, 1.5)))
            images = draw_clip(motion.points, pixels, motion.conf, signer, self.frame_size, light)
            if "frames" in self.render:
                write_frames(self._file(row, "frames"), self.layout.frame, images, self.layout.first_frame)
            if "video" in self.render:
                write_video(self._file(row, "video"), images, self.fps)
        start = 0
        if row.recording is not None:
            start = self._record(row, len(motion.labels), images if "video" in self.render else [])
        return replace(row, num_frames=len(motion.labels), start=start)

    def _record(self, row: Row, count: int, images: Sequence[NDArray[np.uint8]]) -> int:
        """Go on with the row's recording, or begin it; gives its first frame there. The signer rests in the pauses."""
        assert row.recording is not None
        pause = round(self.fps * float(stream(self.seed, "pause", row.id).uniform(*_PAUSE)))
        if row.recording != self._recording.name:
            self._recording.end()
            video = VideoWriter(self._file(row, "recording"), self.fps) if images else None
            self._recording = _Recording(row.recording, pause, video)
        return self._recording.add(images, count, pause)

    def _file(self, row: Row, kind: str) -> Path:
        path = self.layout.place(self.root, row, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class _Recording:
    """A longer video that is being written.

    Args:
        name: of the recording.
        tail: frames of rest at its end.
        video: the file; None: only the time is kept.
    """

    def __init__(self, name: str, tail: int, video: VideoWriter | None) -> None:
        self.name, self._tail, self._video = name, tail, video
        self._length = 0
        self._last: NDArray[np.uint8] | None = None

    def add(self, images: Sequence[NDArray[np.uint8]], count: int, pause: int) -> int:
        """A pause and a clip of so many frames; gives the clip's first frame."""
        start = self._length + pause
        self._length = start + count
        if self._video is not None:
            for image in (*[images[0]] * pause, *images):
                self._video.add(image)
            self._last = images[-1]
        return start

    def end(self) -> None:
        """The last pause, and the end of the file."""
        if self._video is not None and self._last is not None:
            for _ in range(self._tail):
                self._video.add(self._last)
            self._video.close()
            self._video = None
