"""TextPretraining: the contract of all models, its noise, and what later phases need of it."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

import slt_zoo
from slt_zoo import TextPretraining
from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.testing import ModelContract, quick_trainer, simulated
from slt_zoo.text.mbart import MBartSizes

__all__ = ["simulated"]  # a fixture

SIZES = MBartSizes(
    d_model=32, encoder_heads=4, decoder_heads=4, encoder_ffn=64, decoder_ffn=64, dropout=0.0, max_positions=64, init_std=0.1, seed=1
)


class TestContract(ModelContract):
    model_class = TextPretraining
    # little noise: what is lost cannot be restored, not even by heart
    arguments: ClassVar = {"mbart": SIZES, "max_tokens": 40, "drop": 0.05, "mask": 0.05}
