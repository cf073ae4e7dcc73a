"""Noise on token ids, from which a sentence is to be restored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from slt_zoo.errors import ConfigError

__all__ = ["TokenNoise"]


@dataclass(frozen=True)
class TokenNoise:
    """Drops, masks and swaps tokens, in this order, each with its probability; one token at least is left.

    Attributes:
        drop: of each token.
        mask: of each token that is left: the mask's id takes its place.
        swap: of each pair of neighbours; no token moves twice.
    """

    drop: float = 0.1
    mask: float = 0.1
    swap: float = 0.1

    def __post_init__(self) -> None:
        for name in ("drop", "mask", "swap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError("noise has probabilities", expected=f"{name} in [0, 1]", found=getattr(self, name))

    def __call__(self, ids: Tensor, mask_id: int, rng: np.random.Generator) -> Tensor:
        """Noised ids ``(T',)`` of ids ``(T,)``, ends left out of both."""
        if not len(ids):
            return ids.clone()
        kept = rng.random(len(ids)) >= self.drop
        if not kept.any():
            kept[rng.integers(len(ids))] = True
        noised = ids.numpy()[kept]
        noised[rng.random(len(noised)) < self.mask] = mask_id
        swapped, i = rng.random(len(noised)) < self.swap, 0
        while i + 1 < len(noised):
            if swapped[i]:
                noised[[i, i + 1]] = noised[[i + 1, i]]
            i += 2 if swapped[i] else 1
        return torch.from_numpy(noised)
