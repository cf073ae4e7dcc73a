"""Segmentors label each frame of a clip: 0 outside of signs, 1 inside, 2 a sign's first frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.boundaries import BEGIN, INSIDE, OUTSIDE, check_whole, fixed_labels
from slt_zoo.errors import ConfigError
from slt_zoo.types import Batch, Clip, InputSpec

__all__ = [
    "FixedLengthSegmentor",
    "LabelsClips",
    "MadeBy",
    "ModelSegmentor",
    "OracleSegmentor",
    "PrecomputedSegmentor",
    "Segmentor",
    "stretch",
]


@dataclass(frozen=True)
class MadeBy:
    """What made labels; two that differ in anything are not mixed.

    Attributes:
        segmentor: its name.
        settings: whatever else changes labels; plain data.
        weights: SHA-256 of its weights; empty where it has none.
    """

    segmentor: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""


class Segmentor(Protocol):
    """Labels frames."""

    made_by: MadeBy

    @property
    def input_spec(self) -> InputSpec:
        """What it reads of a sample; of modality ``"none"`` and without needs, only how many frames there are."""

    def __call__(self, clip: Clip) -> Tensor:
        """Labels ``(T,)`` int64, one for each of the clip's rows; ``clip.fps`` is their rate."""


class FixedLengthSegmentor:
    """Signs of ``length`` frames end to end, whatever is signed: what real boundaries are compared with.

    Args:
        length: frames of each; the last is what is left.

    Raises:
        ConfigError: it is no whole number, or less than 1.
    """

    def __init__(self, length: int) -> None:
        check_whole(length, "the length of signs")
        if length < 1:
            raise ConfigError("signs of a fixed length have at least one frame", found=length)
        self.length = int(length)
        self.made_by = MadeBy("fixed", {"length": self.length})

    @property
    def input_spec(self) -> InputSpec:
        """Nothing but the number of frames."""
        return InputSpec("none")

    def __call__(self, clip: Clip) -> Tensor:
        """See `Segmentor`."""
        if clip.index is None:
            raise ConfigError("a segmentor of fixed length counts the rows of a clip", where=f"sample {clip.sample.id}")
        return fixed_labels(len(clip.index), self.length)


class PrecomputedSegmentor:
    """The labels that the corpus already has (``data.segments``), as they are."""

    made_by = MadeBy("precomputed")

    @property
    def input_spec(self) -> InputSpec:
        """Labels, and no media."""
        return InputSpec("none", frozenset({"segments"}))

    def __call__(self, clip: Clip) -> Tensor:
        """See `Segmentor`.

        Raises:
            ConfigError: the clip has none.
        """
        if clip.labels is None:
            raise ConfigError(
                "there are no boundaries",
                where=f"sample {clip.sample.id}",
                todo="pass data.segments, and name 'segments' in InputSpec.needs",
            )
        return clip.labels


class OracleSegmentor(PrecomputedSegmentor):
    """The true boundaries of a simulated corpus: what no segmentor of real signing knows.

    Args:
        data: the corpus.

    Raises:
        ConfigError: it is not simulated.
    """

    made_by = MadeBy("oracle")

    def __init__(self, data: SLTDataModule) -> None:
        if not data.simulated:
            raise ConfigError(
                f"{data.corpus} is not simulated: nobody knows its true sign boundaries",
                where=data.root,
                todo="take fixed:8, slp, or a checkpoint of SignSegmentor",
            )


class LabelsClips(Protocol):
    """A model that labels, such as `slt_zoo.models.sign_segmentor.SignSegmentor`."""

    @property
    def input_spec(self) -> InputSpec:
        """What it reads."""

    @property
    def device(self) -> torch.device:
        """Where it is."""

    def label(self, batch: Batch) -> list[Tensor]:
        """Labels of each clip."""


class ModelSegmentor:
    """A trained model that labels the rows of its input.

    Args:
        model: in eval mode.
        name: of its class.
        weights: their SHA-256.
        settings: what else changes its labels.
    """

    def __init__(self, model: LabelsClips, name: str, weights: str, settings: Mapping[str, Any]) -> None:
        self.model, self.made_by = model, MadeBy(name, dict(settings), weights)

    @property
    def input_spec(self) -> InputSpec:
        """That of the model, without the boundaries that it was trained on."""
        spec = self.model.input_spec
        return replace(spec, needs=spec.needs - {"segments"})

    @torch.no_grad()
    def __call__(self, clip: Clip) -> Tensor:
        """See `Segmentor`."""
        return self.model.label(Batch.collate([clip]).to(self.model.device))[0]


def stretch(labels: Tensor, stride: int, frames: int | None = None) -> Tensor:
    """Labels of video frames from labels of rows that each stand for ``stride`` of them.

    Args:
        labels: ``(T,)``.
        stride: frames of a row.
        frames: of the video, where the last row stands for fewer; None: ``T * stride``.
    """
    long = labels.repeat_interleave(stride)
    later = torch.arange(len(long)) % stride > 0
    long[later & (long == BEGIN)] = INSIDE
    if frames is None:
        return long
    return torch.cat([long[:frames], long.new_full((max(0, frames - len(long)),), OUTSIDE)])
