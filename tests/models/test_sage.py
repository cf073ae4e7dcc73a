"""SAGE: the contract of all models for both stages, and the numbers of its specification, section 12."""

from __future__ import annotations

from typing import Any, ClassVar

from slt_zoo import SAGE, SAGEPretraining
from slt_zoo.testing import ModelContract, simulated
from slt_zoo.text.mbart import MBartSizes

__all__ = ["simulated"]  # a fixture

TINY = MBartSizes(
    d_model=32,
    encoder_layers=1,
    decoder_layers=1,
    encoder_heads=2,
    decoder_heads=2,
    encoder_ffn=64,
    decoder_ffn=64,
    dropout=0.0,
    seed=0,
)
VISUAL: dict[str, Any] = {
    "modality": "pose",
    "embed_dim": 32,
    "width": 32,
    "mapper_dropout": 0.0,
    "freeze_norm": True,
    "augment": 0.0,
}
STAGE1: dict[str, Any] = {
    **VISUAL,
    "teacher": TINY,
    "text_target": "sentence",
    "te_layers": 1,
    "te_heads": 2,
    "te_ffn": 64,
    "te_dropout": 0.0,
}
STAGE2: dict[str, Any] = {**VISUAL, "mbart": TINY, "dropout": 0.0, "max_new_tokens": 30, "beam_size": 1}


class TestPretraining(ModelContract):
    model_class = SAGEPretraining
    arguments: ClassVar = STAGE1
    data_arguments: ClassVar = {"segments": "labels"}


class TestTranslation(ModelContract):
    model_class = SAGE
    arguments: ClassVar = STAGE2
    data_arguments: ClassVar = {"segments": "labels"}


class TestTranslationOfFrames(TestTranslation):
    arguments: ClassVar = {
        **STAGE2,
        "modality": "frames",
        "encoder": "test_resnet.r160_in1k",
        "frame_size": 48,
        "crop": 40,
    }
    simulation: ClassVar = {**ModelContract.simulation, "render": ("frames",), "frame_size": (48, 48)}
