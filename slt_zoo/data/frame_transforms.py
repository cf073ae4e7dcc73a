"""Transforms of decoded frames: uint8 in, uint8 out, one draw a clip, so that a video does not flicker.

Order: decode at the size wanted (``ClipPipeline.frame_size``), crop, then what is drawn; the network normalises on its
own device (`slt_zoo.layers.frames`). Frames are worked on one or a few at a time, so that they stay in the processor's
cache and floats never take the room of a whole clip.
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

__all__ = [
    "AffineFrames",
    "ColourFrames",
    "CropFrames",
    "DropFrames",
    "MirrorFrames",
    "ResizeFrames",
    "ResizedCropFrames",
]

_AT_ONCE = 16


def _require(fits: bool, transform: TransformClip, what: str) -> None:
    """Arguments are checked when a transform is made: in training a draw may come late."""
    if not fits:
        raise ConfigError(f"{type(transform).__name__} needs {what}", found=repr(transform))


def _is_size(size: object) -> bool:
    return isinstance(size, tuple) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)


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

    def __post_init__(self) -> None:
        whole = isinstance(self.size, int) and self.size > 0
        _require(whole or _is_size(self.size), self, "a size (H, W) or a shorter side, in pixels")

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

    def __post_init__(self) -> None:
        _require(_is_size(self.size), self, "a size (H, W) in pixels")

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
class ResizedCropFrames:
    """A random part of the picture, the same for all frames of a clip, resized: another distance, another framing.

    Attributes:
        size: ``(H, W)`` in pixels.
        area: least and greatest share of the picture's area (CV-SLT: 0.7 to 1).
        ratio: least and greatest ratio of the part's width to its height; its logarithm is drawn evenly.
    """

    size: tuple[int, int]
    area: tuple[float, float] = (0.7, 1.0)
    ratio: tuple[float, float] = (0.75, 4 / 3)

    def __post_init__(self) -> None:
        _require(_is_size(self.size), self, "a size (H, W) in pixels")
        if not (0 < self.area[0] <= self.area[1] <= 1 and 0 < self.ratio[0] <= self.ratio[1]):
            raise ConfigError(
                "ResizedCropFrames needs 0 < least <= greatest area <= 1 and 0 < least <= greatest ratio",
                found=f"area {self.area}, ratio {self.ratio}",
            )

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`."""
        frames = _frames(clip, self)
        height, width = frames.shape[-2:]
        share, log_ratio = rng.uniform(*self.area), rng.uniform(*np.log(self.ratio))
        places = rng.random(2)
        ratio = math.exp(log_ratio)
        box_height = min(height, max(1, round(math.sqrt(share * height * width / ratio))))
        box_width = min(width, max(1, round(math.sqrt(share * height * width * ratio))))
        top, left = int(places[0] * (height - box_height + 1)), int(places[1] * (width - box_width + 1))
        box = frames[..., top : top + box_height, left : left + box_width]
        resized = tv.resize(box.contiguous(), list(self.size), InterpolationMode.BILINEAR, antialias=True)
        return replace(clip, frames=resized)


@dataclass(frozen=True)
class MirrorFrames:
    """Exchanges left and right of the picture, in all frames of a clip.

    What is seen is then signed with the other hand, as by a left-handed signer. Signs that point or move to a place
    point to the opposite one, and letters on the screen are mirrored: use it where that is meant.

    Attributes:
        p: probability.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        _require(0 <= self.p <= 1, self, "a probability")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`."""
        frames = _frames(clip, self)
        return replace(clip, frames=frames.flip(-1)) if rng.random() < self.p else clip


@dataclass(frozen=True)
class AffineFrames:
    """Turns, scales and shifts all frames of a clip alike; each of the three happens with its own draw of ``p``.

    Amounts are drawn evenly between minus and plus their limit; what comes in from outside is black.

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

    def __post_init__(self) -> None:
        fits = 0 <= self.p <= 1 and 0 <= self.scale < 1 and self.shift >= 0 and self.rotate_deg >= 0
        _require(fits, self, "a probability, a scale below 1, and no negative limit")

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
        return replace(clip, frames=_move(frames, math.radians(angle), scale, shift))


def _move(frames: Tensor, angle: float, scale: float, shift: list[int]) -> Tensor:
    """Each frame turned clockwise and scaled about its centre, then shifted; bilinear, black outside.

    One grid serves all frames, which are sampled one at a time (`torchvision.transforms.v2.functional.affine` makes
    floats of all of them at once).
    """
    height, width = frames.shape[-2:]
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    back = torch.tensor([[cos, sin], [-sin, cos]])  # from a place in the result to one in the frame, in pixels
    origin = -back @ torch.tensor(shift, dtype=torch.float32)
    unit = torch.tensor([2 / width, 2 / height])  # the sampler's: from -1 to 1 over the frame
    theta = torch.cat([unit[:, None] * back / unit, (unit * origin)[:, None]], 1)
    grid = torch.nn.functional.affine_grid(theta[None], [1, 3, height, width], align_corners=False)
    moved = torch.empty_like(frames)
    for frame, out in zip(frames, moved, strict=True):
        out.copy_(torch.nn.functional.grid_sample(frame[None].float(), grid, align_corners=False)[0].round_())
    return moved


@dataclass(frozen=True)
class ColourFrames:
    """Brightness, contrast, saturation (relative) and hue (share of the circle), one draw a clip.

    The first three are one product of the colours with a matrix, rounded and cut off at 0 and 255 once, at the end.
    Contrast is about the mean of the clip: about the mean of each frame, as torchvision does it, a clip would flicker
    where the hands come and go. Hue takes several times as long as the others together.

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

    def __post_init__(self) -> None:
        amounts = (self.brightness, self.contrast, self.saturation)
        fits = 0 <= self.p <= 1 and min(amounts) >= 0 and 0 <= self.hue <= 0.5
        _require(fits, self, "a probability, no negative amount, and a hue of at most 0.5")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`."""
        frames = _frames(clip, self)
        does, draws = rng.random() < self.p, rng.uniform(-1, 1, 4).tolist()
        if not does:
            return clip
        limits = (self.brightness, self.contrast, self.saturation)
        bright, contrast, saturation = (1 + draw * limit for draw, limit in zip(draws, limits, strict=False))
        # All weights are of one clip: grey to colour, times the gain, plus what keeps the mean in its place.
        matrix = saturation * torch.eye(3) + (1 - saturation) * _GREY.expand(3, 3)
        offset = (1 - contrast) * bright * _mean_grey(frames) if self.contrast else 0.0
        changed = torch.empty_like(frames) if any(limits) else frames
        if any(limits):
            _recolour(frames, contrast * bright * matrix, torch.full((3, 1), offset), changed)
        if self.hue:
            changed = torch.cat([tv.adjust_hue(f, draws[3] * self.hue) for f in torch.split(changed, _AT_ONCE)])
        return replace(clip, frames=changed)


_GREY = torch.tensor([0.2989, 0.587, 0.114]) / 0.9999  # as torchvision weighs red, green and blue, summing to 1


def _mean_grey(frames: Tensor) -> float:
    sums = torch.stack([f.sum((1, 2), dtype=torch.int64) for f in frames]).sum(0)
    return float((sums.double() @ _GREY.double()) / (frames.numel() / 3))


def _recolour(frames: Tensor, matrix: Tensor, offset: Tensor, out: Tensor) -> None:
    """``matrix (3, 3) @ colour + offset (3, 1)``, a frame at a time."""
    for frame, target in zip(frames, out, strict=True):
        colours = torch.addmm(offset, matrix, frame.reshape(3, -1).float())
        target.copy_(colours.clamp_(0, 255).round_().view(target.shape))


@dataclass(frozen=True)
class DropFrames:
    """Leaves out rows of a clip, whatever they are: frames, features or poses; at least one stays.

    Attributes:
        p: probability of each row.
    """

    p: float

    def __post_init__(self) -> None:
        _require(0 <= self.p <= 1, self, "a probability")

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
