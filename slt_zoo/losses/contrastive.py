"""Contrastive losses between videos and texts of a batch: InfoNCE, and how CLIP and CLCL build on it."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slt_zoo.errors import ConfigError

__all__ = ["Direction", "LogitScale", "clcl_loss", "clip_loss", "info_nce"]

Direction = Literal["paper", "code", "balance", "depart"]


class LogitScale(nn.Module):
    """The learnt factor of similarities, kept as its logarithm: the inverse of a temperature.

    Args:
        init: of the logarithm; ln(1 / 0.07) in CLIP.
        maximum: of the logarithm: a larger one counts as this one. None: no bound.
    """

    def __init__(self, init: float = math.log(1 / 0.07), maximum: float | None = math.log(100)) -> None:
        super().__init__()
        self.log, self.maximum = nn.Parameter(torch.tensor(float(init))), maximum

    def forward(self) -> Tensor:
        """``()``, the factor."""
        if self.maximum is None:
            return self.log.exp()
        # `clamp` has no gradient at its bound, nor above: what came there would stay for ever
        above = (self.log.detach() - self.maximum).clamp(min=0)
        return (self.log - above).exp()

    @torch.no_grad()
    def bound(self) -> None:
        """Bring the logarithm back to its maximum; CiCo does so after every step."""
        if self.maximum is not None:
            self.log.clamp_(max=self.maximum)


def info_nce(logits: Tensor) -> Tensor:
    """Mean cross-entropy of each row of ``(B, B)`` with its own column as the target: ``()``; 0 for a batch of one.

    Raises:
        ConfigError: the logits are not square.
    """
    if logits.dim() != 2 or logits.shape[0] != logits.shape[1] or not len(logits):
        raise ConfigError("InfoNCE compares as many rows as columns", expected="(B, B)", found=tuple(logits.shape))
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def clcl_loss(
    z_v2t: Tensor, z_t2v: Tensor, scale: Tensor | float = 1.0, *, alpha: float = 0.5, direction: Direction = "paper"
) -> Tensor:
    """Contrastive loss of the two similarities of `clcl_similarity`: ``()``.

    ==========  ========================================================================================
    direction   with ``n = info_nce``, ``V = scale * z_v2t``, ``T = scale * z_t2v``, transposed ``'``
    ==========  ========================================================================================
    paper       ``alpha (n(V) + n(V')) / 2 + (1 - alpha) (n(T) + n(T')) / 2``    SAGE, equations 3 and 4
    depart      the same                                                       CiCo's name for it
    balance     ``(alpha n(V) + (1 - alpha) n(V') + alpha n(T') + (1 - alpha) n(T)) / 2``    CiCo
    code        ``(n(V) + n(T')) / 2``: one side of each, ``alpha`` has no say     SAGE's released code
    ==========  ========================================================================================

    Args:
        z_v2t: ``(B, B)``, video first.
        z_t2v: ``(B, B)``, video first too.
        scale: of the similarities, see `LogitScale`.
        alpha: weight of the videos' side.
        direction: which of the four.

    Raises:
        ConfigError: an unknown direction, alpha outside of [0, 1], or similarities that are not square.
    """
    if not 0 <= alpha <= 1 or direction not in get_args(Direction):
        raise ConfigError(
            "alpha is in [0, 1] and direction one of " + ", ".join(get_args(Direction)),
            found=f"alpha={alpha}, direction={direction!r}",
        )
    v, t = scale * z_v2t, scale * z_t2v
    if direction == "code":
        return 0.5 * (info_nce(v) + info_nce(t.T))
    if direction == "balance":
        return 0.5 * (alpha * (info_nce(v) + info_nce(t.T)) + (1 - alpha) * (info_nce(v.T) + info_nce(t)))
    return 0.5 * (alpha * (info_nce(v) + info_nce(v.T)) + (1 - alpha) * (info_nce(t) + info_nce(t.T)))


def clip_loss(video: Tensor, text: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """InfoNCE of the cosines of one vector a video with one a text, both ways: ``()``; CLIP, arXiv 2103.00020.

    Args:
        video: ``(B, D)``, not normalised.
        text: ``(B, D)``, likewise.
        scale: of the cosines, see `LogitScale`.
    """
    logits = scale * (F.normalize(video, dim=-1) @ F.normalize(text, dim=-1).T)
    return 0.5 * (info_nce(logits) + info_nce(logits.T))
