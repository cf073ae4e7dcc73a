"""Noise on token ids."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slt_zoo.errors import ConfigError
from slt_zoo.text.noise import TokenNoise

MASK = 999


def noised(noise: TokenNoise, ids: torch.Tensor, seed: int = 0) -> list[int]:
    return noise(ids, MASK, np.random.default_rng(seed)).tolist()


def test_each_kind_has_its_share():
    ids = torch.arange(20_000)
    dropped = noised(TokenNoise(0.1, 0.0, 0.0), ids)
    assert 0.89 < len(dropped) / 20_000 < 0.91 and dropped == sorted(dropped)
    masked = noised(TokenNoise(0.0, 0.2, 0.0), ids)
    assert 0.19 < masked.count(MASK) / 20_000 < 0.21
    assert all(new in (old, MASK) for old, new in enumerate(masked))
    swapped = noised(TokenNoise(0.0, 0.0, 0.3), ids)
    assert sorted(swapped) == ids.tolist() and max(abs(new - old) for old, new in enumerate(swapped)) == 1
    pairs = sum(new == old + 1 for old, new in enumerate(swapped))
    assert 0.21 < pairs / 20_000 < 0.25, "0.3 / 1.3: no token moves twice"


def test_no_noise_is_nothing_and_the_ids_given_stay():
    ids = torch.arange(50)
    assert noised(TokenNoise(0.0, 0.0, 0.0), ids) == ids.tolist()
    noised(TokenNoise(0.5, 0.5, 0.5), ids)
    assert ids.tolist() == list(range(50))


def test_the_generator_decides():
    ids, noise = torch.arange(50), TokenNoise()
    assert noised(noise, ids, 3) == noised(noise, ids, 3) != noised(noise, ids, 4)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_something_is_left(length):
    for seed in range(5):
        assert len(noised(TokenNoise(drop=1.0), torch.arange(length), seed)) == 1
    assert noised(TokenNoise(drop=1.0), torch.arange(0)) == []


@pytest.mark.parametrize("name", ["drop", "mask", "swap"])
def test_probabilities_are_told(name):
    with pytest.raises(ConfigError, match=name):
        TokenNoise(**{name: -0.1})
