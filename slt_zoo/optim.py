"""Learning-rate schedules that recipes name."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from slt_zoo.errors import ConfigError

__all__ = ["WarmupCosine"]


class WarmupCosine(LambdaLR):
    """Linear warm-up, then half a cosine to zero; stepped once an optimizer step.

    transformers has the same as a function; a class is what a recipe's ``class_path`` can name.

    Args:
        optimizer: whose rates are scaled.
        warmup_steps: optimizer steps from 0 to the full rate.
        total_steps: optimizer steps to the end of the cosine.
        final: share of the full rate that is left at the end.

    Raises:
        ConfigError: the warm-up is as long as the schedule, or negative.
    """

    interval = "step"

    def __init__(self, optimizer: Optimizer, warmup_steps: int, total_steps: int, final: float = 0.0) -> None:
        if not 0 <= warmup_steps < total_steps:
            raise ConfigError(
                "the warm-up is a part of the schedule",
                expected="0 <= warmup_steps < total_steps",
                found=f"{warmup_steps=}, {total_steps=}",
                todo="a shorter run needs both smaller: --model.lr_scheduler.init_args.warmup_steps, .total_steps",
            )

        def factor(step: int) -> float:
            if step < warmup_steps:
                return (step + 1) / (warmup_steps + 1)
            progress = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
            return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

        super().__init__(optimizer, factor)
