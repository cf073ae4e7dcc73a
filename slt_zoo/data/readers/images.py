"""One image file to pixels: bounded in size, and decoded no larger than it is wanted."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from slt_zoo.errors import MediaError

__all__ = ["MAX_PIXELS", "FrameSize", "decode_image", "fit_size", "resize_image"]

FrameSize = int | tuple[int, int]
"""Height and width in pixels, or the length of the shorter side (the longer one in proportion)."""

MAX_PIXELS = 64_000_000
"""Pixels of the largest image that is decoded: 192 MB as RGB, twice a frame of 8K video. A larger one is a mistake or
an attack: a PNG of some kilobytes can declare any size."""


def fit_size(size: FrameSize | None, height: int, width: int) -> tuple[int, int]:
    """Height and width of an image of this height and width when it has got its ``size``; None leaves it as it is."""
    if size is None:
        return height, width
    if not isinstance(size, int):
        return size[0], size[1]
    if height <= width:
        return size, max(1, size * width // height)
    return max(1, size * height // width), size


def resize_image(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """``(H, W, 3)`` to ``(height, width, 3)``, bilinear and antialiased; the same object where nothing changes."""
    if image.shape[:2] == (height, width):
        return image
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as tv

    pixels = torch.from_numpy(image if image.flags.writeable else image.copy()).permute(2, 0, 1)
    small = tv.resize(pixels, [height, width], InterpolationMode.BILINEAR, antialias=True)
    resized: NDArray[np.uint8] = small.permute(1, 2, 0).numpy()
    return resized


def decode_image(
    image: Path | bytes, size: FrameSize | None, fault: str, where: str | None = None
) -> NDArray[np.uint8]:
    """``(H, W, 3)`` RGB of a PNG or JPEG, by Pillow: torchvision's decoder ends the process at a damaged PNG (0.29).

    A JPEG that is wanted at half its size or less is decoded at 1/2, 1/4 or 1/8: the decoder leaves out frequencies
    that the smaller image cannot hold, which is faster and no worse than resizing what was decoded in full.

    Args:
        image: the file, or what is in it.
        size: wanted; None: as in the file.
        fault: how the message begins if it cannot be decoded.
        where: see `MediaError`.

    Raises:
        MediaError: no PNG or JPEG, damaged, cut off, more than 8 bits a channel, or larger than `MAX_PIXELS`.
    """
    from PIL import Image

    try:
        data = image if isinstance(image, bytes) else image.read_bytes()
        if not data:
            raise OSError("0 bytes")
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as file:
            width, height = file.size
            if width * height > MAX_PIXELS:  # the size is in the head; nothing is decoded yet
                raise ValueError(f"it declares {width}x{height} pixels, more than {MAX_PIXELS:,} are not decoded")
            if file.mode.startswith(("I", "F")):  # Pillow clips these at 255
                raise ValueError(f"more than 8 bits a channel ({file.mode})")
            wanted = fit_size(size, height, width)
            file.draft(None, wanted[::-1])  # at least this large; does nothing to a PNG
            pixels = np.asarray(file if file.mode == "RGB" else file.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as cause:
        raise MediaError(f"{fault}: {cause}", where=where) from cause
    return resize_image(pixels, *wanted)
