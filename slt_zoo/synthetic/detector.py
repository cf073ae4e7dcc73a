"""What a pose detector would make of a body: pixels with noise, drift and hands that it loses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slt_zoo.synthetic.variation import Variation

__all__ = ["detect"]

Array = NDArray[np.float64]

_DRIFT_FRAMES = 8  # the slow error is drawn anew after so many frames
_RUN = 4.0  # mean number of frames for which a hand stays lost


def detect(
    pixels: Array, conf: Array, points: tuple[str, ...], unit: float, variation: Variation, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add a detector's errors.

    Args:
        pixels: ``(T, K, 3)`` true places.
        conf: ``(T, K)`` confidence so far; 0 stays 0.
        points: K names.
        unit: pixels a shoulder width.
        variation: sizes of the errors.
        rng: draws them.

    Returns:
        ``(T, K, 3)`` places and ``(T, K)`` confidence in [0, 1]; a lost point has confidence 0 and coordinates 0.
    """
    frames, count = conf.shape
    error = rng.standard_normal((frames, count, 3)) * (1.0, 1.0, 2.0)  # depth is guessed, not seen
    known = conf > 0
    for part in ("body", "left_hand", "right_hand"):
        own = np.array([p.startswith(f"{part}.") for p in points])
        if part == "body":
            error[:, own] *= 0.5
            continue
        error[:, own] += _drift(frames, rng)[:, None] * variation.drift / variation.noise
        known[:, own] &= ~_lost(frames, variation.dropout, rng)[:, None]
    error *= variation.noise
    sure = np.clip(0.99 - 3.0 * np.linalg.norm(error[..., :2], axis=-1), 0.2, 1.0)
    out = np.where(known[..., None], pixels + unit * error, 0.0)
    return out.astype(np.float32), np.where(known, conf * sure, 0.0).astype(np.float32)


def _drift(frames: int, rng: np.random.Generator) -> Array:
    """A slow random error ``(T, 3)`` of standard deviation about 1."""
    knots = rng.standard_normal((frames // _DRIFT_FRAMES + 2, 3))
    at = np.arange(frames) / _DRIFT_FRAMES
    return np.stack([np.interp(at, np.arange(len(knots)), k) for k in knots.T], axis=-1)


def _lost(frames: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """``(T,)`` True where a hand is lost: runs of frames that fill about ``share`` of the clip."""
    starts = rng.random(frames) < share / _RUN / max(1 - share, 1e-6)
    lengths = rng.geometric(1 / _RUN, frames)
    lost = np.zeros(frames + 1, dtype=np.int64)
    for k in np.flatnonzero(starts):
        lost[k] += 1
        lost[min(k + lengths[k], frames)] -= 1
    return np.asarray(np.cumsum(lost)[:frames] > 0)
