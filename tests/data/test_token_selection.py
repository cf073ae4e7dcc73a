"""Fixed schemes of visual tokens: which frames, how many tokens."""

from __future__ import annotations

import numpy as np
import pytest

from slt_zoo.data.token_selection import FixedTokens
from slt_zoo.errors import ConfigError
from slt_zoo.types import Clip, Sample

RNG = np.random.default_rng(0)


def select(scheme, frames, **settings):
    clip = Clip(Sample("clip", "train", "text", "de", "gsg"))
    index = FixedTokens(scheme, **settings)(clip, frames, RNG)
    return index.tolist(), clip.segments.tolist()


def test_uniform_takes_first_and_last():
    assert select("uniform", 9) == ([0, 4, 8], [[0, 1], [1, 2], [2, 3]])
    assert select("uniform", 1) == ([0], [[0, 1]])
    assert len(select("uniform", 100, factor=8)[1]) == 13


def test_stride_takes_every_so_many():
    assert select("stride", 9) == ([0, 4, 8], [[0, 3]])
    assert select("stride", 3, factor=8) == ([0], [[0, 1]])


def test_maxpool_takes_all():
    assert select("maxpool", 5) == ([0, 1, 2, 3, 4], [[0, 5]])


@pytest.mark.parametrize(("frames", "segments"), [(1, [[0, 1]]), (13, [[0, 13]]), (14, [[0, 13], [4, 14]])])
def test_windows_reach_the_end(frames, segments):
    assert select("window", frames) == (list(range(frames)), segments)


@pytest.mark.parametrize("frames", range(1, 60))
def test_every_frame_is_in_a_window(frames):
    _, segments = select("window", frames)
    assert {f for a, b in segments for f in range(a, b)} == set(range(frames))
    assert all(a < b for a, b in segments)


@pytest.mark.parametrize(
    "wrong", [{"scheme": "segment"}, {"scheme": "stride", "factor": 0}, {"scheme": "maxpool", "factor": 8}]
)
def test_what_cannot_be(wrong):
    with pytest.raises(ConfigError):
        FixedTokens(**wrong)
