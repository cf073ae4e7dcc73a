"""The baseline: how published code commonly reads frames, an image at a time through Pillow and into floats.

Nothing here is used to train. It does the same work as our pipeline, with the same draws once a clip, by the calls that
are usual: open and convert, resize to 256, crop 224, turn or change the colours, ``ToTensor``, ``Normalize``, stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slt_zoo.layers.frames import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["Draw", "read_clip_commonly"]


@dataclass(frozen=True)
class Draw:
    """What was drawn for a clip: corner of the crop, and a rotation in degrees or factors of the colours."""

    top: int
    left: int
    degrees: float | None = None
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0


def read_clip_commonly(files: Sequence[Path], draw: Draw, resize: int = 256, crop: int = 224) -> Tensor:
    """``(T, 3, crop, crop)`` float32 of the images of a clip."""
    from PIL import Image
    from torchvision.transforms import functional as tv

    frames = []
    for file in files:
        with Image.open(file) as opened:
            image: Any = opened.convert("RGB")
        image = image.resize((resize, resize), Image.Resampling.BILINEAR)
        image = image.crop((draw.left, draw.top, draw.left + crop, draw.top + crop))
        if draw.degrees is not None:
            image = image.rotate(draw.degrees, resample=Image.Resampling.BILINEAR)
        else:
            image = tv.adjust_brightness(image, draw.brightness)
            image = tv.adjust_contrast(image, draw.contrast)
            image = tv.adjust_saturation(image, draw.saturation)
        frames.append(tv.normalize(tv.to_tensor(image), list(IMAGENET_MEAN), list(IMAGENET_STD)))
    return torch.stack(frames)
