"""`FixedTokens`: which frames a clip's visual tokens are made of, where it is by a fixed scheme and not by signs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from slt_zoo.errors import ConfigError
from slt_zoo.types import Clip

__all__ = ["FixedScheme", "FixedTokens"]

FixedScheme = Literal["maxpool", "stride", "uniform", "window"]


@dataclass(frozen=True)
class FixedTokens:
    """Selects the frames of a fixed scheme, and says in ``clip.segments`` which rows are whose (SAGE, table 2).

    =========  ==============================================================================
    scheme     tokens of T frames, k is the ``factor``
    =========  ==============================================================================
    window     one for each 13 frames, the next k frames later; the last may have fewer
    uniform    one for each of ``ceil(T / k)`` frames, spread evenly from the first to the last
    stride     all of every k-th frame, to be convolved; one segment
    maxpool    all of all frames, to be convolved and pooled; one segment, k is 4
    =========  ==============================================================================

    Attributes:
        scheme: which one.
        factor: frames a token.
        window: frames of a window.
    """

    scheme: FixedScheme
    factor: int = 4
    window: int = 13

    def __post_init__(self) -> None:
        if self.scheme not in get_args(FixedScheme):
            raise ConfigError("unknown scheme", expected=", ".join(get_args(FixedScheme)), found=repr(self.scheme))
        if self.factor < 1 or self.window < 1:
            raise ConfigError("factor and window are at least 1", found=f"{self.factor=}, {self.window=}")
        if self.scheme == "maxpool" and self.factor != 4:
            raise ConfigError("max pooling twice leaves a quarter", found=f"factor={self.factor}")

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """See `SelectFrames`."""
        if self.scheme == "uniform":
            count = -(-num_frames // self.factor)
            index = torch.from_numpy(np.linspace(0, num_frames - 1, count).round().astype(np.int64))
            first = torch.arange(count)
            clip.segments = torch.stack([first, first + 1], 1)
        elif self.scheme == "window":
            count = 1 + max(0, -(-(num_frames - self.window) // self.factor))
            index, first = torch.arange(num_frames), torch.arange(count) * self.factor
            clip.segments = torch.stack([first, (first + self.window).clamp(max=num_frames)], 1)
        else:
            index = torch.arange(0, num_frames, self.factor if self.scheme == "stride" else 1)
            clip.segments = torch.tensor([[0, len(index)]])
        return index
