"""Features of simulated clips: what stands for the output of an encoder, so that models of features can be run.

A feature vector is a fixed random projection of the performed skeleton: all coordinates of a frame, in shoulder widths
from the neck, before the camera, times a Gaussian matrix that is the same in every simulated corpus with these points.
Then noise of the size of the pose detector's (``Variation.noise``) is added to each number, frame by frame. One vector
a frame. It knows nothing of pictures, and no encoder gives such features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slt_zoo.synthetic.variation import Variation, stream

__all__ = ["WIDTH", "project"]

WIDTH = 128
"""Numbers in a feature vector."""


def project(
    xyz: NDArray[np.float64], points: tuple[str, ...], variation: Variation, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Features of a clip.

    Args:
        xyz: ``(T, K, 3)``, see `Motion`.
        points: K names.
        variation: gives the size of the noise.
        rng: draws it.

    Returns:
        ``(T, WIDTH)``.
    """
    flat = xyz.reshape(len(xyz), -1)
    matrix = stream("features", *points).standard_normal((flat.shape[1], WIDTH)) / np.sqrt(flat.shape[1])
    noise = variation.noise * rng.standard_normal((len(flat), WIDTH))
    return np.asarray(flat @ matrix + noise, dtype=np.float32)
