"""Which source frames are read: `SelectFrames` as small frozen classes.

Selectors return indices and decode nothing. Their order in `ChainSelect` is the order of thought: the second sees
the frames that the first has left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.errors import ConfigError
from slt_zoo.types import Clip, SelectFrames

__all__ = [
    "AtMost",
    "BlockSample",
    "ChainSelect",
    "DropRandom",
    "Resample",
    "SpeedJitter",
    "Stride",
    "Truncate",
    "Window",
    "effective_fps",
]


@dataclass(frozen=True)
class BlockSample:
    """One frame of each block of ``step``: random in it, or its centre (SignAttention: 1 of 3, random in training).

    Of T frames it leaves ``ceil(T / step)``. The last block may be short; the centre of ``n`` frames is the one at
    ``(n - 1) // 2``, so of two it is the first.

    Attributes:
        step: frames a block.
        random: draw within the block, each block for itself.
    """

    step: int = 3
    random: bool = False

    def __post_init__(self) -> None:
        _at_least_one("step", self.step)

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """See `SelectFrames`."""
        first = np.arange(0, num_frames, self.step)
        size = np.minimum(num_frames - first, self.step)
        return torch.from_numpy(first + (rng.integers(0, size) if self.random else (size - 1) // 2))


@dataclass(frozen=True)
class Resample:
    """A fixed number of frames, evenly spread: the middle of each of ``num_frames`` equal parts.

    Of fewer frames some are taken more than once; `slt_zoo.data.transforms.InterpolateFrames` puts new ones between.
    """

    num_frames: int

    def __post_init__(self) -> None:
        _at_least_one("num_frames", self.num_frames)

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """See `SelectFrames`."""
        return torch.from_numpy(_middles(self.num_frames, num_frames / self.num_frames, num_frames))


@dataclass(frozen=True)
class SpeedJitter:
    """Signing at another, constant speed: a random factor a clip, above 1 is faster and leaves fewer frames.

    Put it before block sampling: ``ChainSelect((SpeedJitter(0.8, 1.25), BlockSample(3, random=True)))``.

    Attributes:
        low: slowest speed.
        high: fastest speed; the logarithm is drawn evenly, so half and double speed are equally far.
    """

    low: float = 0.8
    high: float = 1.25

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high:
            raise ConfigError("speeds must fulfil 0 < low <= high", found=(self.low, self.high))

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """See `SelectFrames`."""
        speed = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        count = max(1, round(num_frames / speed))
        return torch.from_numpy(_middles(count, num_frames / count, num_frames))


@dataclass(frozen=True)
class Truncate:
    """The first ``max_frames``, nothing of what follows."""

    max_frames: int

    def __post_init__(self) -> None:
        _at_least_one("max_frames", self.max_frames)

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """See `SelectFrames`."""
        return torch.arange(min(num_frames, self.max_frames))


@dataclass(frozen=True)
class AtMost:
    """Thins out what is longer than ``max_frames``, over the whole clip; shorter clips stay as they are.

    Attributes:
        max_frames: how many stay.
        random: any of them, in their order (GFSLT-VLP: 300); otherwise evenly spread.
    """

    max_frames: int
    random: bool = False

    def __post_init__(self) -> None:
        _at_least_one("max_frames", self.max_frames)

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """See `SelectFrames`."""
        if num_frames <= self.max_frames:
            return torch.arange(num_frames)
        if self.random:
            return torch.from_numpy(np.sort(rng.permutation(num_frames)[: self.max_frames]))
        return torch.from_numpy(_middles(self.max_frames, num_frames / self.max_frames, num_frames))


@dataclass(frozen=True)
class Window:
    """Frames in a row: the middle ``max_frames`` of the clip, or any with ``random``; the rest is lost.

    Attributes:
        max_frames: longest window (CV-SLT: 400).
        random: draw its place.
        multiple_of: the window is cut at its end to a multiple of this, for networks that halve time twice (CV-SLT: 4);
            a clip that is shorter than this stays as it is.
    """

    max_frames: int
    random: bool = False
    multiple_of: int = 1

    def __post_init__(self) -> None:
        _at_least_one("multiple_of", self.multiple_of)
        _at_least_one("max_frames", self.max_frames)

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """See `SelectFrames`."""
        length = min(num_frames, self.max_frames)
        length = length // self.multiple_of * self.multiple_of or length
        free = num_frames - length if num_frames > self.max_frames else 0
        first = int(rng.integers(free + 1)) if self.random else free // 2
        return torch.arange(first, first + length)


@dataclass(frozen=True)
class Stride:
    """Every ``step``-th frame, beginning with the first (SAGE, Sign2GPT: 2) or, with ``random``, with any of the block.

    `BlockSample` takes the centre of each block instead, or draws within each.

    Attributes:
        step: from one frame to the next.
        random: draw where it begins.
    """

    step: int
    random: bool = False

    def __post_init__(self) -> None:
        _at_least_one("step", self.step)

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """See `SelectFrames`."""
        first = int(rng.integers(min(self.step, num_frames))) if self.random else 0
        return torch.arange(first, num_frames, self.step)


@dataclass(frozen=True)
class DropRandom:
    """Leaves frames out, each with its own draw; at least one stays, and what is left out is not decoded.

    `slt_zoo.data.frame_transforms.DropFrames` does so afterwards.

    Attributes:
        p: probability of each frame.
    """

    p: float

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ConfigError("p must be in [0, 1]", where="DropRandom", found=self.p)

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """See `SelectFrames`."""
        keep = np.flatnonzero(rng.random(num_frames) >= self.p)
        return torch.from_numpy(keep if len(keep) else rng.integers(num_frames, size=1))


@dataclass(frozen=True)
class ChainSelect:
    """One selector after the other, each on the frames that those before it have left."""

    steps: tuple[SelectFrames, ...]

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """See `SelectFrames`."""
        index = torch.arange(num_frames)
        for step in self.steps:
            index = index[step(clip, len(index), rng)]
        return index


def effective_fps(source_fps: float, index: Tensor) -> float:
    """Frame rate of selected frames: that of the source over the mean step.

    A cut (a step of more than ten times the median) does not count, nor does the short last block of `BlockSample`:
    where all steps but the last are equal, that step is taken. Where there is one frame, the source's rate stands.

    Args:
        source_fps: frames a second of the source.
        index: ``(T,)`` int64, ascending.
    """
    if len(index) < 2:
        return source_fps
    steps = np.diff(index.numpy())
    middle = float(np.median(steps)) if (steps != steps[0]).any() else 0.0  # a median is slow, and nearly never needed
    steps = steps[steps <= 10 * middle] if middle > 0 else steps
    even = (steps[: max(len(steps) - 1, 1)] == steps[0]).all() and steps[-1] <= steps[0]
    step = float(steps[0]) if even and steps[0] > 0 else float(steps.mean())
    return source_fps / step if step > 0 else source_fps


def _middles(count: int, width: float, num_frames: int) -> NDArray[np.int64]:
    index: NDArray[np.int64] = np.floor((np.arange(count) + 0.5) * width).astype(np.int64)
    return index.clip(max=num_frames - 1)


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{name} must be at least 1", found=value)
