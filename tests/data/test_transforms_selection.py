"""Selection of frames."""

import pickle

import numpy as np
import pytest
import torch

from slt_zoo.data.selection import BlockSample, ChainSelect, Resample, SpeedJitter, Truncate, effective_fps
from slt_zoo.errors import ConfigError
from slt_zoo.types import Clip, Sample

CLIP = Clip(Sample("s1", "train", "", "de", "gsg"))


def select(selector, num_frames, seed=0):
    index = selector(CLIP, num_frames, np.random.default_rng(seed))
    assert index.dtype == torch.int64 and index.ndim == 1
    return index.tolist()


def test_block_sample_of_sign_attention():
    """SignAttention specification, test 4."""
    assert select(BlockSample(3), 10) == select(BlockSample(3), 10, seed=1) == [1, 4, 7, 9]
    drawn = {tuple(select(BlockSample(3, random=True), 10, seed)) for seed in range(200)}
    assert len(drawn) > 20  # of 27
    seen = [set(column) for column in zip(*drawn, strict=True)]
    assert seen == [{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {9}]


@pytest.mark.parametrize(
    ("step", "num_frames", "expected"),
    [(3, 11, [1, 4, 7, 9]), (3, 1, [0]), (3, 2, [0]), (4, 4, [1]), (4, 10, [1, 5, 8]), (1, 3, [0, 1, 2])],
)
def test_block_centres(step, num_frames, expected):
    assert select(BlockSample(step), num_frames) == expected


def test_resample():
    assert select(Resample(5), 5) == [0, 1, 2, 3, 4]
    assert select(Resample(3), 9) == [1, 4, 7]
    assert select(Resample(4), 2) == [0, 0, 1, 1]
    assert select(Resample(1), 9) == [4]
    assert select(Resample(30), 1) == [0] * 30
    for count in range(1, 40):
        index = select(Resample(30), count)
        assert len(index) == 30 and index == sorted(index) and index[-1] < count


def test_truncate():
    assert select(Truncate(3), 5) == [0, 1, 2]
    assert select(Truncate(5), 3) == [0, 1, 2]


def test_speed():
    fast, slow = select(SpeedJitter(2.0, 2.0), 100), select(SpeedJitter(0.5, 0.5), 100)
    assert fast == list(range(1, 100, 2))
    assert slow == sorted([*range(100), *range(100)])
    assert select(SpeedJitter(1.0, 1.0), 37) == list(range(37))
    assert select(SpeedJitter(9.0, 9.0), 2) == [1]
    lengths = {len(select(SpeedJitter(0.8, 1.25), 100, seed)) for seed in range(300)}
    assert min(lengths) >= 80 and max(lengths) <= 125 and len(lengths) > 30


def test_chain():
    """The second sees what the first has left."""
    assert select(ChainSelect((SpeedJitter(2.0, 2.0), BlockSample(3))), 24) == [3, 9, 15, 21]
    assert select(ChainSelect((BlockSample(3), Truncate(2))), 30) == [1, 4]
    assert select(ChainSelect((Truncate(2), BlockSample(3))), 30) == [0]
    assert select(ChainSelect(()), 3) == [0, 1, 2]


def test_draws_are_those_of_the_generator():
    chain = ChainSelect((SpeedJitter(), BlockSample(3, random=True), Truncate(20)))
    assert select(chain, 100, 3) == select(chain, 100, 3) != select(chain, 100, 4)


@pytest.mark.parametrize("num_frames", [1, 2, 3, 7, 100])
def test_indices_are_in_range_and_in_order(num_frames):
    for selector in (BlockSample(3, True), BlockSample(7), Resample(30), SpeedJitter(0.5, 2), Truncate(5)):
        for seed in range(20):
            index = select(selector, num_frames, seed)
            assert index and index == sorted(index) and index[0] >= 0 and index[-1] < num_frames


SUBSET = np.sort(np.random.default_rng(0).permutation(440)[:300])
"""300 of 440 frames, at random."""


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (range(10), 30.0),
        ([1, 4, 7, 9], 10.0),  # the short last block does not count
        ([0, 3, 6, 90, 93, 96], 10.0),  # nor does a cut
        (SUBSET, 30 * 299 / (SUBSET[-1] - SUBSET[0])),
        (np.linspace(0, 89, 64).round().astype(int), 30 * 63 / 89),  # a number of frames
        ([5], 30.0),
        ([0, 0, 0, 0, 1, 1, 1, 1], 30 * 7),
        ([2, 2, 2], 30.0),
    ],
)
def test_effective_fps(index, expected):
    assert effective_fps(30.0, torch.tensor(list(index))) == pytest.approx(expected)


def test_wrong_arguments():
    for wrong in (
        lambda: BlockSample(0),
        lambda: Resample(0),
        lambda: Truncate(-1),
        lambda: SpeedJitter(0, 1),
        lambda: SpeedJitter(2, 1),
    ):
        with pytest.raises(ConfigError):
            wrong()


def test_selectors_are_values():
    chain = ChainSelect((SpeedJitter(0.9, 1.1), BlockSample(3, random=True)))
    assert pickle.loads(pickle.dumps(chain)) == chain == ChainSelect((SpeedJitter(0.9, 1.1), BlockSample(3, True)))
    assert hash(chain) == hash(ChainSelect((SpeedJitter(0.9, 1.1), BlockSample(3, True))))
