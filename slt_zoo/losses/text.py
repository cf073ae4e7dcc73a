"""Losses on texts: cross-entropy over the tokens of a `Ragged`, with its count, so that processes can share it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from slt_zoo.errors import ConfigError
from slt_zoo.types import Ragged

__all__ = ["teacher_forcing", "token_accuracy", "token_cross_entropy"]


def teacher_forcing(ids: Ragged, *, rotate: bool = False) -> tuple[Ragged, Ragged]:
    """What the decoder reads and what it is to say: each sequence without its last, and without its first id.

    Args:
        ids: begin, tokens, end.
        rotate: mBART's way: all is read, and after the end the begin (the language's token) is to be said, too. No
            search asks for it, as it stops at the end; weights of mBART were made so.

    Raises:
        ConfigError: a sequence of fewer than two ids, which leaves nothing to say.
    """
    if len(ids) and int(ids.lengths.min()) < 2:
        raise ConfigError(
            "a decoder's sequence has a begin and something to say", found=f"lengths {ids.lengths.tolist()}"
        )
    ends = ids.lengths.cumsum(0)
    begins = ends - ids.lengths
    if rotate:
        said = ids.values.roll(-1)
        said[ends - 1] = ids.values[begins]
        return ids, Ragged(said, ids.lengths)
    first, last = (torch.ones(len(ids.values), dtype=torch.bool, device=ids.values.device) for _ in range(2))
    first[begins], last[ends - 1] = False, False
    return Ragged(ids.values[last], ids.lengths - 1), Ragged(ids.values[first], ids.lengths - 1)


def token_cross_entropy(logits: Tensor, targets: Ragged, *, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Cross-entropy of all tokens, summed, and how many there are; in float32 at least.

    Padding has no say, whatever stands there: which positions count comes from the lengths. With smoothing ``s`` the
    target is ``1 - s`` on the token and ``s / V`` on every id.

    Args:
        logits: ``(B, L, V)``, padded behind; L is at least the longest target.
        targets: ids, ``B`` sequences.
        label_smoothing: s.

    Returns:
        Sum and count, ``()`` each: ``self.mean(total, count)`` in a model.

    Raises:
        ConfigError: logits and targets do not fit each other.
    """
    longest = int(targets.lengths.max()) if len(targets) else 0
    if logits.dim() != 3 or len(logits) != len(targets) or logits.shape[1] < longest:
        raise ConfigError(
            "logits and targets do not fit each other",
            expected=f"({len(targets)}, {longest} or more, V)",
            found=tuple(logits.shape),
        )
    if not 0 <= label_smoothing <= 1:
        raise ConfigError("label_smoothing is between 0 and 1", found=label_smoothing)
    chosen = logits[targets.mask(logits.shape[1])]
    exact = torch.promote_types(chosen.dtype, torch.float32)
    total = F.cross_entropy(chosen.to(exact), targets.values, label_smoothing=label_smoothing, reduction="sum")
    return total, targets.lengths.sum()


def token_accuracy(logits: Tensor, targets: Ragged, *, rotated: bool = False) -> Tensor:
    """Share of tokens ``()`` that are the likeliest where those before them are given; no gradient.

    Args:
        logits: ``(B, L, V)``, padded behind.
        targets: ids, ``B`` sequences.
        rotated: each target ends in the language's token (`teacher_forcing`), which is always right and is not counted.
    """
    right = logits.detach()[targets.mask(logits.shape[1])].argmax(-1) == targets.values
    if rotated:
        counted = torch.ones_like(right)
        counted[targets.lengths.cumsum(0) - 1] = False
        right = right[counted]
    return right.float().mean()
