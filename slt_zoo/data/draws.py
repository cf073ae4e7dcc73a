"""Random draws of a sample: they depend on seed, epoch and id, and on nothing else."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["draws"]


def draws(seed: int, epoch: int, sample_id: str) -> np.random.Generator:
    """A generator that is the same in all workers, processes, subsets, batches and resumed runs.

    Args:
        seed: at least 0.
        epoch: at least 0; 0 outside of training.
        sample_id: of the sample, and not its row: a subset draws as the whole does.
    """
    key = int.from_bytes(hashlib.sha256(sample_id.encode()).digest()[:8])  # hash() differs from process to process
    return np.random.default_rng([seed, epoch, key])
