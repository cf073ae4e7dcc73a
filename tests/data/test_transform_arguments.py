"""Transforms say when they are made what they cannot do, not when a draw first asks for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slt_zoo.data.frame_transforms import (
    AffineFrames,
    ColourFrames,
    CropFrames,
    DropFrames,
    MirrorFrames,
    ResizedCropFrames,
    ResizeFrames,
)
from slt_zoo.data.pose_augment import DropPoints
from slt_zoo.data.transforms import Compose, InterpolateFrames, KeepDims
from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.types import Clip, Sample


@pytest.mark.parametrize(
    ("transform", "arguments"),
    [
        (MirrorFrames, {"p": 2.0}),
        (DropFrames, {"p": -1}),
        (DropFrames, {"p": 2}),
        (CropFrames, {"size": (-1, -1)}),
        (CropFrames, {"size": 24}),
        (ResizeFrames, {"size": 0}),
        (ResizedCropFrames, {"size": (0, 4)}),
        (ColourFrames, {"hue": 2}),
        (ColourFrames, {"brightness": -0.1}),
        (AffineFrames, {"scale": 1.0}),
        (AffineFrames, {"p": 1.1}),
        (Compose, {"steps": KeepDims(2)}),
        (Compose, {"steps": (KeepDims(2), 3)}),
    ],
)
def test_arguments_are_checked(transform, arguments):
    with pytest.raises(ConfigError, match=transform.__name__):
        transform(**arguments)


def pose_clip(conf) -> Clip:
    pose = torch.arange(len(conf), dtype=torch.float32)[:, None, None].expand(-1, 1, 2) + 1
    conf = torch.tensor(conf, dtype=torch.float32)[:, None]
    sample = Sample("a", "train", "", "de", "gsg")
    return Clip(sample, pose=pose * (conf > 0)[..., None], conf=conf, points=("body.nose",), fps=25.0)


def test_a_misspelt_point_to_keep():
    with pytest.raises(UnknownNameError, match=r"body\.nose"):
        DropPoints(0.1, keep=("body.nos",))(pose_clip([1.0]), np.random.default_rng())


@pytest.mark.parametrize("rows", [3, 30, 59])
@pytest.mark.parametrize("factor", [1, 2, 5, 7])
def test_interpolation_leaves_a_missing_row_missing(rows, factor):
    """Output rows that are source rows are these, to the bit."""
    for gone in range(rows):
        clip = pose_clip([float(t != gone) for t in range(rows)])
        made = InterpolateFrames((rows - 1) * factor + 1)(clip, np.random.default_rng())
        assert torch.equal(made.pose[::factor], clip.pose) and torch.equal(made.conf[::factor], clip.conf)
