"""Transforms of decoded frames: uint8 in, uint8 out, one draw a clip, so that a video does not flicker.

Order: resize, crop, then what is drawn; the network normalises on its own device (`slt_zoo.layers.frames`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from slt_zoo.errors import ConfigError
from slt_zoo.types import Clip, TransformClip

__all__ = ["AffineFrames", "ColourFrames", "CropFrames", "DropFrames", "ResizeFrames"]


def _frames(clip: Clip, transform: TransformClip) -> Tensor:
    if clip.frames is None:
        raise ConfigError(
            f"{type(transform).__name__} needs frames; the clip of sample {clip.sample.id} has none",
            todo="use a model or recipe whose modality is 'frames'",
        )
    return clip.frames


@dataclass(frozen=True)
class ResizeFrames:
    """To a height and width in pixels, or the shorter side to a length (with the longer one in proportion).

    Attributes:
        size: ``(H, W)``, or the shorter side.
    """

    size: int | tuple[int, int]

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`."""
        size = [self.size] if isinstance(self.size, int) else list(self.size)
        frames = _frames(clip, self)
        if tuple(frames.shape[-2:]) == tuple(size):
            return clip
        return replace(clip, frames=tv.resize(frames, size, InterpolationMode.BILINEAR, antialias=True))


@dataclass(frozen=True)
class CropFrames:
    """A box of ``size``, the same for all frames of a clip: in the centre, or anywhere with ``random``.

    Attributes:
        size: ``(H, W)`` in pixels, not larger than the frames.
        random: draw the place.
    """

    size: tuple[int, int]
    random: bool = False

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`.

        Raises:
            ConfigError: the frames are smaller than the box.
        """
        frames = _frames(clip, self)
        free = [have - want for have, want in zip(frames.shape[-2:], self.size, strict=True)]
        if min(free) < 0:
            raise ConfigError(
                "the crop is larger than the frames",
                where=f"sample {clip.sample.id}",
                expected=f"at least {self.size[0]}x{self.size[1]} (height x width)",
                found=f"{frames.shape[-2]}x{frames.shape[-1]}",
                todo="resize before the crop",
            )
        top, left = (int(rng.integers(f + 1)) if self.random else f // 2 for f in free)
        box = frames[..., top : top + self.size[0], left : left + self.size[1]]
        return replace(clip, frames=box.contiguous())


@dataclass(frozen=True)
class AffineFrames:
    """Turns, scales and shifts all frames of a clip alike; each of the three happens with its own draw of ``p``.

    Amounts are drawn evenly between minus and plus their limit; what comes in from outside is black. Frames are not
    mirrored: the left hand would sign.

    Attributes:
        rotate_deg: about the centre.
        scale: relative, 0.2 is 0.8 to 1.2.
        shift: in pixels, of x and of y.
        p: probability of each.
    """

    rotate_deg: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    p: float = 0.5

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`."""
        frames = _frames(clip, self)
        turn, size, x, y = rng.uniform(-1, 1, 4)
        does = rng.random(3) < self.p
        angle = float(turn * self.rotate_deg * does[0])
        scale = float(1 + size * self.scale * does[1])
        shift = [round(float(d * self.shift * does[2])) for d in (x, y)]
        if angle == 0 and scale == 1 and not any(shift):
            return clip
        moved = tv.affine(frames, angle, shift, scale, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR)
        return replace(clip, frames=moved)


@dataclass(frozen=True)
class ColourFrames:
    """Brightness, contrast, saturation (relative) and hue (share of the circle), one draw a clip.

    Attributes:
        brightness, contrast, saturation: 0.2 is a factor of 0.8 to 1.2.
        hue: at most 0.5.
        p: probability that anything is done.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    p: float = 0.5

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`."""
        frames = _frames(clip, self)
        does, draws = rng.random() < self.p, rng.uniform(-1, 1, 4).tolist()
        if not does:
            return clip
        if self.brightness:
            frames = tv.adjust_brightness(frames, 1 + draws[0] * self.brightness)
        if self.contrast:
            # torchvision takes the mean of each frame: a clip would flicker where the hands come and go
            middle = tv.rgb_to_grayscale(frames).float().mean()
            frames = (middle + (1 + draws[1] * self.contrast) * (frames.float() - middle)).clamp(0, 255).round().byte()
        if self.saturation:
            frames = tv.adjust_saturation(frames, 1 + draws[2] * self.saturation)
        if self.hue:
            frames = tv.adjust_hue(frames, draws[3] * self.hue)
        return replace(clip, frames=frames)


@dataclass(frozen=True)
class DropFrames:
    """Leaves out rows of a clip, whatever they are: frames, features or poses; at least one stays.

    Attributes:
        p: probability of each row.
    """

    p: float

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`.

        Raises:
            ConfigError: the clip has segments, whose rows would no longer be these.
        """
        rows = _rows(clip)
        if clip.segments is not None:
            raise ConfigError("frames cannot be dropped after segments were made", where=f"sample {clip.sample.id}")
        keep = np.flatnonzero(rng.random(rows) >= self.p)
        if len(keep) == 0:
            keep = rng.integers(rows, size=1)
        index = torch.from_numpy(keep)
        names = ("index", "frames", "features", "pose", "conf")
        return replace(clip, **{n: getattr(clip, n)[index] for n in names if getattr(clip, n) is not None})


def _rows(clip: Clip) -> int:
    present: Sequence[Tensor] = [x for x in (clip.frames, clip.features, clip.pose) if x is not None]
    if not present:
        raise ConfigError("a clip without frames, features and pose has no rows", where=f"sample {clip.sample.id}")
    return math.prod(present[0].shape[:1])
