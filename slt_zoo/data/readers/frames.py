"""Folders of frames, PNG or JPEG."""

from __future__ import annotations

import logging
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.readers.base import compare_count, frames_of, place, rows_of, warn_few
from slt_zoo.data.readers.images import FrameSize, decode_image
from slt_zoo.errors import MediaError, first_few
from slt_zoo.types import Media

__all__ = ["FrameReader"]

log = logging.getLogger(__name__)

_IMAGES = (".png", ".jpg", ".jpeg")


class FrameReader:
    """Reads images of a folder in the order of the last number in their names.

    Images may also lie in a folder ``1`` within it, as in PHOENIX-2014 and copies laid out after it. Files that are
    no images by their ending are not seen.

    Args:
        folder: of the sample.
        media: its ``fps``, ``start``, ``end``, ``num_frames``.
        sample_id: for messages.
        frame_size: of the frames read; None: as in the files.

    Raises:
        MediaError: no folder, no image in it, or names that give no order.
    """

    def __init__(self, folder: Path, media: Media, sample_id: str, frame_size: FrameSize | None = None) -> None:
        if not folder.is_dir():
            raise MediaError("frames are read from a folder of PNG or JPEG", where=place(sample_id, folder))
        files = _list_images(folder, sample_id)
        if not files and (folder / "1").is_dir():
            log.debug("sample %s: frames are in the folder '1'", sample_id)
            files = _list_images(folder / "1", sample_id)
        if not files:
            raise MediaError(f"sample {sample_id}: 0 frames in {str(folder)!r}", expected="PNG or JPEG files")
        where = place(sample_id, folder)
        gap = _first_gap(list(files))
        if gap is not None:
            warn_few("gaps in frame numbers", where, lambda: f"the frames have a gap, first missing number {gap}")
        compare_count(media, len(files), where, "" if gap is None else f" (first missing number {gap})")
        self.fps = media.fps
        part = frames_of(media, len(files), media.fps, where)
        self.num_frames = len(part)
        self._sample_id, self._where, self._size = sample_id, where, frame_size
        self._files = list(files.items())[part.start : part.stop]

    def read(self, index: Tensor) -> dict[str, Any]:
        """``frames`` uint8 (T, 3, H, W), RGB; see `Reader.read`. A frame asked for twice is decoded once.

        Raises:
            MediaError: an image that cannot be decoded, or images of different sizes.
        """
        wanted, back = np.unique(rows_of(index, self.num_frames), return_inverse=True)
        first = self._decode(int(wanted[0]))
        frames = np.empty((len(wanted), 3, *first.shape[:2]), dtype=np.uint8)
        for row, frame in enumerate(wanted):
            image = first if row == 0 else self._decode(int(frame))
            if image.shape != first.shape:
                (h0, w0), (h, w) = first.shape[:2], image.shape[:2]
                raise MediaError(
                    "frames of different sizes in one clip",
                    where=f"{self._where}, frame {self._files[frame][0]}",
                    expected=f"{w0}x{h0}, as frame {self._files[wanted[0]][0]}",
                    found=f"{w}x{h}",
                )
            frames[row] = image.transpose(2, 0, 1)
        in_order = np.array_equal(back, np.arange(len(wanted)))
        return {"frames": torch.from_numpy(frames if in_order else frames[back])}

    def _decode(self, frame: int) -> NDArray[np.uint8]:
        """``(H, W, 3)``."""
        number, path = self._files[frame]
        fault = f"cannot decode {str(path)!r} (sample {self._sample_id}, frame {number})"
        return decode_image(path, self._size, fault)


def _list_images(folder: Path, sample_id: str) -> dict[int, Path]:
    """Images by frame number, in its order."""
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if e.name.lower().endswith(_IMAGES) and not e.name.startswith("."))
    files: dict[int, Path] = {}
    for name in names:
        numbers = re.findall(r"\d+", Path(name).stem)
        if not numbers:
            raise MediaError(
                "an image without a frame number in its name",
                where=place(sample_id, folder),
                found=first_few([n for n in names if not re.search(r"\d", Path(n).stem)]),
                todo="remove it, or number it",
            )
        number = int(numbers[-1])
        if number in files:
            raise MediaError(
                f"two images for frame {number}",
                where=place(sample_id, folder),
                found=f"{files[number].name!r} and {name!r}",
                todo="remove one of them",
            )
        files[number] = folder / name
    return dict(sorted(files.items()))


def _first_gap(numbers: list[int]) -> int | None:
    return next((a + 1 for a, b in pairwise(numbers) if b != a + 1), None)
