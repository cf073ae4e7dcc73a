"""Performs rows one after the other and writes of each clip what was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from slt_zoo.synthetic.detector import detect
from slt_zoo.synthetic.features import project
from slt_zoo.synthetic.layouts import Layout
from slt_zoo.synthetic.media import write_frames, write_video
from slt_zoo.synthetic.performer import Performer
from slt_zoo.synthetic.render import draw_clip
from slt_zoo.synthetic.sentences import Row
from slt_zoo.synthetic.signers import Camera, Signer
from slt_zoo.synthetic.variation import Variation, stream

__all__ = ["ClipWriter"]


@dataclass
class ClipWriter:
    """Writes clips of one corpus.

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
        if "frames" in self.render or "video" in self.render:
            light = float(np.exp(self.variation.lighting * np.clip(rng.standard_normal(), -1.5, 1.5)))
            images = draw_clip(motion.points, pixels, motion.conf, signer, self.frame_size, light)
            if "frames" in self.render:
                write_frames(self._file(row, "frames"), self.layout.frame, images, self.layout.first_frame)
            if "video" in self.render:
                write_video(self._file(row, "video"), images, self.fps)
        return replace(row, num_frames=len(motion.labels))

    def _file(self, row: Row, kind: str) -> Path:
        path = self.layout.place(self.root, row, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
