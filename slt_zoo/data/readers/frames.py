"""Frames of a sample that are images: in a folder, or in an LMDB environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.readers.base import compare_count, frames_of, place, rows_of
from slt_zoo.data.readers.image_sources import open_images
from slt_zoo.data.readers.images import FrameSize, decode_image
from slt_zoo.errors import MediaError
from slt_zoo.types import Media

__all__ = ["FrameReader"]


class FrameReader:
    """Reads images in the order of their numbers; see `open_images`.

    Args:
        folder: of the sample.
        media: its ``fps``, ``start``, ``end``, ``num_frames``.
        sample_id: for messages.
        frame_size: of the frames read; None: as in the files.

    Raises:
        MediaError: see `open_images`.
    """

    def __init__(self, folder: Path, media: Media, sample_id: str, frame_size: FrameSize | None = None) -> None:
        self._images = images = open_images(folder, sample_id)
        self._sample_id, self._where, self._size = sample_id, place(sample_id, folder), frame_size
        count = len(images.numbers)
        compare_count(media, count, self._where, "" if images.gap is None else f" (first missing number {images.gap})")
        self.fps = media.fps
        self._part = frames_of(media, count, media.fps, self._where)
        self.num_frames = len(self._part)

    def read(self, index: Tensor) -> dict[str, Any]:
        """``frames`` uint8 (T, 3, H, W), RGB; see `Reader.read`. A frame asked for twice is decoded once.

        Raises:
            MediaError: an image that cannot be decoded, or images of different sizes.
        """
        wanted, back = np.unique(rows_of(index, self.num_frames), return_inverse=True)
        rows = [self._part[frame] for frame in wanted]
        with self._images.opened() as image_of:
            first = self._decode(rows[0], image_of(rows[0]))
            frames = np.empty((len(rows), 3, *first.shape[:2]), dtype=np.uint8)
            frames[0] = first.transpose(2, 0, 1)
            for at, row in enumerate(rows[1:], start=1):
                image = self._decode(row, image_of(row))
                if image.shape != first.shape:
                    self._refuse_sizes(rows[0], first, row, image)
                frames[at] = image.transpose(2, 0, 1)
        in_order = np.array_equal(back, np.arange(len(wanted)))
        return {"frames": torch.from_numpy(frames if in_order else frames[back])}

    def _decode(self, row: int, image: Path | bytes) -> NDArray[np.uint8]:
        """``(H, W, 3)``."""
        frame = f"(sample {self._sample_id}, frame {self._images.numbers[row]})"
        return decode_image(image, self._size, f"cannot decode {self._images.name(row)} {frame}")

    def _refuse_sizes(self, row0: int, first: NDArray[np.uint8], row: int, other: NDArray[np.uint8]) -> NoReturn:
        numbers, (h0, w0), (h, w) = self._images.numbers, first.shape[:2], other.shape[:2]
        raise MediaError(
            "frames of different sizes in one clip",
            where=f"{self._where}, frame {numbers[row]}",
            expected=f"{w0}x{h0}, as frame {numbers[row0]}",
            found=f"{w}x{h}",
        )
