"""Writing poses, pictures and videos so that the same content gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from slt_zoo.synthetic.skeleton import components

__all__ = ["PoseWriter", "WritesPose", "write_frames", "write_video"]


class WritesPose(Protocol):
    """Writes the poses of one clip."""

    def write(self, path: Path, pixels: NDArray[np.float32], conf: NDArray[np.float32]) -> None:
        """One file or folder from ``(T, K, 3)`` places and ``(T, K)`` confidence."""


class PoseWriter:
    """Writes ``.pose`` files (v0.2, format ``XYZC``, one person).

    Args:
        points: K names, body before left before right hand.
        frame_size: width and height of the image that the pixels are of.
        fps: frames a second.
    """

    def __init__(self, points: Sequence[str], frame_size: tuple[int, int], fps: float) -> None:
        from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

        parts = [
            PoseHeaderComponent(c.name, list(c.points), list(c.bones), [c.colour], "XYZC") for c in components(points)
        ]
        dimensions = PoseHeaderDimensions(*frame_size, 0)
        self._header: Any = PoseHeader(0.2, dimensions, parts)
        self._fps = fps

    def write(self, path: Path, pixels: NDArray[np.float32], conf: NDArray[np.float32]) -> None:
        """One file from ``(T, K, 3)`` places and ``(T, K)`` confidence."""
        from pose_format import Pose
        from pose_format.numpy import NumPyPoseBody

        buffer = BytesIO()
        Pose(self._header, NumPyPoseBody(self._fps, pixels[:, None], conf[:, None])).write(buffer)
        path.write_bytes(buffer.getvalue())


def write_frames(folder: Path, pattern: str, images: Sequence[NDArray[np.uint8]], first: int = 1) -> None:
    """PNG or JPEG files ``folder/pattern`` numbered from ``first``, from images ``(H, W, 3)``."""
    from PIL import Image

    options: dict[str, Any] = {"quality": 90} if pattern.endswith(".jpg") else {"compress_level": 4}
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images, first):
        Image.fromarray(image).save(folder / pattern.format(number), **options)


def write_video(path: Path, images: Sequence[NDArray[np.uint8]], fps: float) -> None:
    """An H.264 mp4 without sound, from images ``(H, W, 3)`` of even width and height."""
    from fractions import Fraction

    import av

    height, width = images[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # With several threads, or with its assembler code, x264 now and then writes other bytes for the same pictures.
        stream.options = {"crf": "20", "preset": "veryfast", "x264-params": "asm=0:threads=1"}
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
