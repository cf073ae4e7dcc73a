"""Frames on the device: from uint8 to what an image encoder was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from slt_zoo.errors import ConfigError

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "NormaliseFrames"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class NormaliseFrames(nn.Module):
    """``(x / 255 - mean) / std`` a channel, as one product and sum; uint8 crosses to the device, a quarter of float32.

    Args:
        mean: of each channel, in [0, 1].
        std: likewise.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        super().__init__()
        self.mean, self.std = tuple(mean), tuple(std)
        centre, spread = torch.tensor(mean)[:, None, None], torch.tensor(std)[:, None, None]
        self.register_buffer("weight", 1 / (255 * spread), persistent=False)
        self.register_buffer("bias", -centre / spread, persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """``(N, 3, H, W)`` uint8 to float of the same shape, in the buffers' dtype."""
        if frames.dtype != torch.uint8:
            raise ConfigError("frames are uint8, as they were decoded", found=frames.dtype)
        return torch.addcmul(self.bias, frames.to(self.weight.dtype), self.weight)
