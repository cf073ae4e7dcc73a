"""Transforms of frames: uint8 stays uint8, and a clip gets one draw."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from slt_zoo.data.frame_transforms import AffineFrames, ColourFrames, CropFrames, DropFrames, ResizeFrames
from slt_zoo.errors import ConfigError
from slt_zoo.layers.frames import IMAGENET_MEAN, IMAGENET_STD, NormaliseFrames
from slt_zoo.types import Clip, Sample

SAMPLE = Sample("s1", "train", "", "de", "gsg")


def clip(count=4, height=24, width=30, same=False):
    rng = np.random.default_rng(0)
    frames = torch.from_numpy(rng.integers(0, 256, (1 if same else count, 3, height, width), dtype=np.uint8))
    return Clip(SAMPLE, fps=25.0, index=torch.arange(count), frames=frames.expand(count, -1, -1, -1).clone())


ALL = [
    ResizeFrames((12, 16)),
    CropFrames((16, 20), random=True),
    AffineFrames(rotate_deg=30, scale=0.2, shift=5, p=1),
    ColourFrames(0.3, 0.3, 0.3, 0.1, p=1),
]


@pytest.mark.parametrize("transform", ALL, ids=lambda t: type(t).__name__)
def test_one_draw_a_clip_and_uint8(transform):
    c = clip(same=True)
    out = transform(c, np.random.default_rng(3))
    assert out.frames.dtype == torch.uint8 and out.frames.is_contiguous()
    assert all(torch.equal(f, out.frames[0]) for f in out.frames), "equal frames stay equal"
    assert torch.equal(out.frames, transform(c, np.random.default_rng(3)).frames)
    assert pickle.loads(pickle.dumps(transform)) == transform
    with pytest.raises(ConfigError, match="needs frames"):
        transform(Clip(SAMPLE), np.random.default_rng(0))


@pytest.mark.parametrize("transform", ALL[1:], ids=lambda t: type(t).__name__)
def test_other_draws_give_other_clips(transform):
    c = clip()
    first, *others = (transform(c, np.random.default_rng(seed)).frames for seed in range(4))
    assert any(not torch.equal(first, other) for other in others)


def test_sizes():
    c = clip(height=24, width=30)
    assert ResizeFrames((12, 16))(c, None).frames.shape == (4, 3, 12, 16)
    assert ResizeFrames(12)(c, None).frames.shape == (4, 3, 12, 15)
    assert ResizeFrames((24, 30))(c, None) is c
    centre = CropFrames((10, 10))(c, None).frames
    assert torch.equal(centre, c.frames[:, :, 7:17, 10:20])
    with pytest.raises(ConfigError, match=r"(?s)larger than the frames.*24x30"):
        CropFrames((25, 10))(c, None)


def test_nothing_to_do_is_nothing_done():
    c = clip()
    for transform in (AffineFrames(30, 0.2, 5, p=0), AffineFrames(p=1), ColourFrames(0.3, p=0)):
        assert torch.equal(transform(c, np.random.default_rng(0)).frames, c.frames)


def test_contrast_keeps_the_clip_from_flickering():
    c = clip(same=True)
    c.frames[2] = 255  # a bright frame changes the others' contrast by the clip's mean, not each by its own
    out = ColourFrames(contrast=0.3, p=1)(c, np.random.default_rng(1)).frames
    assert torch.equal(out[0], out[1]) and torch.equal(out[0], out[3])


def test_dropped_rows_go_everywhere():
    c = clip(count=50)
    c = Clip(
        SAMPLE, index=c.index, frames=c.frames, pose=torch.randn(50, 3, 2), conf=torch.ones(50, 3), points=("a",) * 3
    )
    out = DropFrames(0.5)(c, np.random.default_rng(0))
    assert 10 < len(out.index) < 40 and torch.equal(out.frames, c.frames[out.index])
    assert torch.equal(out.pose, c.pose[out.index]) and len(out.conf) == len(out.index)
    assert len(DropFrames(1.0)(c, np.random.default_rng(0)).index) == 1
    with pytest.raises(ConfigError, match="after segments"):
        DropFrames(0.5)(Clip(SAMPLE, frames=c.frames, segments=torch.zeros(1, 2)), np.random.default_rng(0))


def test_normalised_as_torchvision_does():
    from torchvision.transforms.v2 import functional as tv

    frames = clip().frames
    expected = tv.normalize(frames.float() / 255, list(IMAGENET_MEAN), list(IMAGENET_STD))
    layer = NormaliseFrames()
    torch.testing.assert_close(layer(frames), expected, atol=1e-5, rtol=1e-5)
    assert not layer.state_dict() and layer.to(torch.bfloat16)(frames).dtype == torch.bfloat16
    with pytest.raises(ConfigError, match="uint8"):
        layer(frames.float())
