"""Similarity of two sets of tokens, averaged over softly matched pairs (CLCL), without the whole tensor in memory.

Cheng et al., "CiCo: Domain-Aware Sign Language Retrieval via Cross-Lingual Contrastive Learning", CVPR 2023; in SAGE
(arXiv 2507.09266) as its section 3.3.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from slt_zoo.errors import ConfigError

__all__ = ["clcl_similarity"]

_PAIRS = {"cpu": 1 << 17}
"""Token pairs that are held at a time, by device: half a megabyte a tensor, which a processor's cache holds."""
_PAIRS_ELSEWHERE = 1 << 24


def clcl_similarity(
    video: Tensor,
    video_mask: Tensor,
    text: Tensor,
    text_mask: Tensor,
    temperature: float = 0.07,
    *,
    legacy_mask: bool = False,
) -> tuple[Tensor, Tensor]:
    """Similarity of each video with each text, from the videos' side and from the texts'.

    With the cosine ``E`` of all token pairs of video a and text b: each visual token takes the mean of its row of
    ``E``, weighted by the softmax of that row over the text's tokens, and ``z_v2t[a, b]`` is the mean of that over the
    visual tokens; ``z_t2v`` is the same with the sides exchanged.

    The tensor of all pairs ``(B, C, N, M)`` is made a few videos at a time and made again in the backward pass.
    Computed in float32 at least, whatever autocast says.

    Args:
        video: ``(B, N, D)`` tokens, not normalised.
        video_mask: ``(B, N)``, True = valid.
        text: ``(C, M, D)``.
        text_mask: ``(C, M)``.
        temperature: of the two softmaxes.
        legacy_mask: let padding into the softmaxes, as the published code does: similarities then depend on what else
            is in the batch.

    Returns:
        ``z_v2t`` and ``z_t2v``, ``(B, C)`` each, video first in both. 0 where a side has no valid token.

    Raises:
        ConfigError: shapes that do not fit, or a temperature that is not positive.
    """
    if temperature <= 0:
        raise ConfigError("the temperature of CLCL must be positive", found=temperature)
    _check_shapes(video, video_mask, text, text_mask)
    exact = torch.promote_types(torch.promote_types(video.dtype, text.dtype), torch.float32)
    with torch.autocast(video.device.type, enabled=False):
        z_v2t, z_t2v = _Similarity.apply(
            video.to(exact), video_mask, text.to(exact), text_mask, temperature, legacy_mask
        )
    there = video_mask.any(1)[:, None] & text_mask.any(1)
    return z_v2t.where(there, 0.0), z_t2v.where(there, 0.0)


def _check_shapes(video: Tensor, video_mask: Tensor, text: Tensor, text_mask: Tensor) -> None:
    tensors = (video, video_mask, text, text_mask)
    fits = video.dim() == text.dim() == 3 and video.shape[2] == text.shape[2]
    if not fits or video_mask.shape != video.shape[:2] or text_mask.shape != text.shape[:2]:
        raise ConfigError(
            "tokens and masks of CLCL do not fit together",
            expected="video (B, N, D), its mask (B, N), text (C, M, D), its mask (C, M)",
            found=", ".join(str(tuple(tensor.shape)) for tensor in tensors),
        )
    if not video_mask.dtype == text_mask.dtype == torch.bool:
        raise ConfigError("masks are boolean, True = valid", found=f"{video_mask.dtype}, {text_mask.dtype}")


class _Similarity(torch.autograd.Function):
    """Forward and backward by hand: what autograd would keep for the backward pass is six tensors of all pairs."""

    @staticmethod
    def forward(
        ctx: Any,
        video: Tensor,
        video_mask: Tensor,
        text: Tensor,
        text_mask: Tensor,
        temperature: float,
        legacy_mask: bool,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(video, video_mask, text, text_mask)
        ctx.settings = temperature, legacy_mask
        z_v2t, z_t2v = (video.new_empty(len(video), len(text)) for _ in range(2))
        sides = _Sides(video, video_mask, text, text_mask, temperature, legacy_mask)
        for part in sides.parts():
            cosine, _ = sides.cosine(part)
            for z, dim, share in ((z_v2t, 3, sides.video_share[part]), (z_t2v, 2, sides.text_share)):
                weights = sides.softmax(cosine, part, dim)
                mean = weights.mul_(cosine).sum(dim)  # (b, C, N) or (b, C, M)
                z[part] = torch.einsum("bcn,bn->bc" if dim == 3 else "bcm,cm->bc", mean, share)
        return z_v2t, z_t2v

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_v2t: Tensor, grad_t2v: Tensor) -> tuple[Tensor | None, ...]:
        video, video_mask, text, text_mask = ctx.saved_tensors
        temperature, legacy_mask = ctx.settings
        sides = _Sides(video, video_mask, text, text_mask, temperature, legacy_mask)
        grad_video, grad_text = torch.empty_like(video), torch.zeros_like(text) if ctx.needs_input_grad[2] else None
        for part in sides.parts():
            cosine, units = sides.cosine(part)
            grad = torch.zeros_like(cosine)
            outer = (
                grad_v2t[part, :, None] * sides.video_share[part, None],
                grad_t2v[part, :, None] * sides.text_share,
            )
            for dim, above in zip((3, 2), outer, strict=True):
                # z = sum_j p_j e_j with p = softmax(e / t): dz/de_j = p_j (1 + (e_j - z) / t)
                weights = sides.softmax(cosine, part, dim)
                mean = (weights * cosine).sum(dim, keepdim=True)
                slope = (cosine - mean).div_(temperature).add_(1)
                grad.add_(slope.mul_(weights).mul_(above.unsqueeze(dim)))
            flat = grad.transpose(1, 2).reshape(-1, grad.shape[1] * grad.shape[3])  # (b N, C M)
            texts = sides.text.reshape(-1, video.shape[2])
            grad_video[part] = _through_norm((flat @ texts).view_as(units), units, sides.video_norm[part])
            if grad_text is not None:
                grad_text.view_as(texts).addmm_(flat.T, units.reshape(-1, video.shape[2]))
        if grad_text is not None:
            grad_text = _through_norm(grad_text, sides.text, sides.text_norm)
        return grad_video, None, grad_text, None, None, None


class _Sides:
    """Both sets of tokens, ready to be compared: unit vectors, and the share of each token in its mean."""

    def __init__(
        self, video: Tensor, video_mask: Tensor, text: Tensor, text_mask: Tensor, temperature: float, legacy_mask: bool
    ) -> None:
        self.video, self.temperature = video, temperature
        self.blocked = None if legacy_mask else (~video_mask, ~text_mask)
        self.video_norm, self.text_norm = _norm(video), _norm(text)
        self.text = text / self.text_norm
        if self.blocked is not None:  # whatever stands in padding, NaN too, has no say
            self.video_norm.masked_fill_(self.blocked[0][..., None], 1)
            self.text_norm.masked_fill_(self.blocked[1][..., None], 1)
            self.text.masked_fill_(self.blocked[1][..., None], 0)
        self.video_share, self.text_share = _share(video_mask, video.dtype), _share(text_mask, video.dtype)

    def parts(self) -> list[slice]:
        """Slices of videos, so few that their pairs of tokens fit `_PAIRS`, and one at least."""
        count = len(self.video)
        each = max(1, self.video.shape[1] * self.text.shape[0] * self.text.shape[1])
        step = max(1, _PAIRS.get(self.video.device.type, _PAIRS_ELSEWHERE) // each)
        return [slice(first, first + step) for first in range(0, count, step)]

    def cosine(self, part: slice) -> tuple[Tensor, Tensor]:
        """``(b, C, N, M)`` of some videos, and their unit vectors ``(b, N, D)``."""
        units = self.video[part] / self.video_norm[part]
        if self.blocked is not None:
            units.masked_fill_(self.blocked[0][part, :, None], 0)
        (b, n, d), (c, m, _) = units.shape, self.text.shape
        flat = units.reshape(b * n, d) @ self.text.reshape(c * m, d).T
        return flat.view(b, n, c, m).transpose(1, 2).contiguous(), units

    def softmax(self, cosine: Tensor, part: slice, dim: int) -> Tensor:
        """Over the text's tokens (3) or the video's (2), among valid ones; 0 where there is none."""
        scores = cosine / self.temperature
        if self.blocked is None:
            return scores.softmax(dim)
        blocked = self.blocked[1][None, :, None] if dim == 3 else self.blocked[0][part, None, :, None]
        # not -inf: a row without any valid token would be NaN. What it gives has a share of 0
        return scores.masked_fill_(blocked, torch.finfo(scores.dtype).min).softmax(dim)


def _norm(tokens: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(tokens, dim=-1, keepdim=True)
    return norm.clamp_min_(1e-12)


def _share(mask: Tensor, dtype: torch.dtype) -> Tensor:
    return mask.to(dtype) / mask.sum(-1, keepdim=True).clamp(min=1)


def _through_norm(grad: Tensor, units: Tensor, norm: Tensor) -> Tensor:
    """Gradient of a vector from that of its unit vector."""
    return (grad - units * (grad * units).sum(-1, keepdim=True)).div_(norm)
