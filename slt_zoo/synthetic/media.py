"""Writing poses, pictures and videos so that the same content gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from slt_zoo.synthetic.skeleton import components

__all__ = ["PoseWriter", "VideoWriter", "WritesPose", "write_frames", "write_video"]


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


class VideoWriter:
    """An H.264 mp4 without sound, picture by picture; opened with the first one.

    Args:
        path: the file.
        fps: frames a second.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._container: Any = None

    def add(self, image: NDArray[np.uint8]) -> None:
        """One more picture ``(H, W, 3)``, of even width and height, all of one size."""
        import av

        if self._container is None:
            self._open(*image.shape[:2])
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))

    def close(self) -> None:
        """Finish the file."""
        if self._container is not None:
            self._container.mux(self._stream.encode())
            self._container.close()
            self._container = None

    def _open(self, height: int, width: int) -> None:
        from fractions import Fraction

        import av

        self._container = av.open(str(self._path), "w")
        stream: Any = self._container.add_stream("libx264", rate=Fraction(self._fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # With several threads, or with its assembler code, x264 now and then writes other bytes for the same pictures.
        stream.options = {"crf": "20", "preset": "veryfast", "x264-params": "asm=0:threads=1"}
        self._stream = stream


def write_video(path: Path, images: Sequence[NDArray[np.uint8]], fps: float) -> None:
    """A whole video, see `VideoWriter`."""
    video = VideoWriter(path, fps)
    for image in images:
        video.add(image)
    video.close()
