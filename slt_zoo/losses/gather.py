"""Rows of all processes: what a contrastive loss needs so that N processes see the negatives of one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

__all__ = ["gather_rows", "gather_sequences"]


def _world() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_rows(rows: Tensor) -> Tensor:
    """``(n, ...)`` of each process to ``(sum n, ...)`` on all, in the order of ranks, with gradients.

    The gradient of a process's rows is the sum of what all processes send back. Where each of them computes the same
    loss of all rows, the mean over processes that DDP takes makes it that of one process with all rows.

    Processes may have different numbers of rows; trailing shapes are equal. Every process of the group must call it.
    """
    if _world() == 1:
        return rows
    gathered: Tensor = _GatherRows.apply(rows)
    return gathered


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = _all_parts(rows)
        ctx.first, ctx.count = sum(len(part) for part in parts[: dist.get_rank()]), len(rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        return total[ctx.first : ctx.first + ctx.count]


def _all_parts(rows: Tensor) -> list[Tensor]:
    """The rows of each process; gathered at the longest, as collectives want equal shapes."""
    counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(_world())]
    dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    lengths = [int(count) for count in counts]
    same = rows.detach().new_zeros(max(lengths), *rows.shape[1:])
    same[: len(rows)] = rows.detach()
    parts = [torch.empty_like(same) for _ in lengths]
    dist.all_gather(parts, same)
    return [part[:length] for part, length in zip(parts, lengths, strict=True)]


def gather_sequences(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Padded sequences of all processes, padded alike; without gradients.

    Args:
        values: ``(n, T, D)``; n and T may differ between processes.
        mask: ``(n, T)``, True = valid.

    Returns:
        ``(sum n, T_max, D)`` and ``(sum n, T_max)``, in the order of ranks. Every process of the group must call it.
    """
    if _world() == 1:
        return values.detach(), mask
    longest = torch.tensor(mask.shape[1], device=mask.device)
    dist.all_reduce(longest, op=dist.ReduceOp.MAX)
    more = int(longest) - mask.shape[1]
    wide = torch.nn.functional.pad(values.detach(), (0, 0, 0, more))
    valid = torch.nn.functional.pad(mask, (0, more))
    return torch.cat(_all_parts(wide)), torch.cat(_all_parts(valid.to(torch.uint8))).bool()
