"""Positions of a sequence."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from slt_zoo.errors import ConfigError

__all__ = ["SinusoidalPositions"]


class SinusoidalPositions(nn.Module):
    """Adds sine and cosine of the position, then dropout (Vaswani et al. 2017, section 3.5).

    Args:
        d_model: width; must be even.
        max_len: longest sequence.
        dropout: of the sum.
    """

    table: Tensor

    def __init__(self, d_model: int, max_len: int, dropout: float = 0.1) -> None:
        super().__init__()
        position = torch.arange(max_len)[:, None]
        rate = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        table = torch.stack([torch.sin(position * rate), torch.cos(position * rate)], dim=-1).reshape(max_len, d_model)
        self.register_buffer("table", table, persistent=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, D)`` to the same shape.

        Raises:
            ConfigError: T is larger than ``max_len``.
        """
        if x.shape[1] > len(self.table):
            raise ConfigError(
                "a sequence is longer than the known positions",
                expected=f"at most {len(self.table)}",
                found=x.shape[1],
                todo="shorter input, or a larger table (max_len)",
            )
        out: Tensor = self.dropout(x + self.table[: x.shape[1]].to(x.dtype))
        return out
