"""One person out of frames with several: estimators without tracking list them in any order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slt_zoo.data.readers.base import warn_few

__all__ = ["follow_person"]

Frame = tuple[NDArray[np.float32], NDArray[np.float32]]


def follow_person(frames: Sequence[Frame], points: int, where: str) -> Frame:
    """The person seen best, followed through the clip by position.

    It begins at the person with the highest mean confidence of all, and goes from there to both ends: of several
    persons in a frame, the one whose points are nearest to where this person was last is taken. A frame without
    anybody is a frame whose points are all missing.

    Args:
        frames: T pairs of ``(persons, K, 2)`` and ``(persons, K)``; the number of persons varies and can be 0.
        points: K.
        where: sample and path, for messages.

    Returns:
        ``(T, K, 2)`` and confidences ``(T, K)``.
    """
    coords = np.zeros((len(frames), points, 2), np.float32)
    conf = np.zeros((len(frames), points), np.float32)
    means = [np.nan_to_num(c).mean(-1) for _, c in frames]
    best = [float(m.max(initial=-1)) for m in means]
    anchor = int(np.argmax(best))
    several = [t for t, m in enumerate(means) if len(m) > 1]
    if several:
        text = f"{len(several)} of {len(frames)} frames have several persons, first frame {several[0]}; one is followed"
        warn_few("clips with several persons", where, lambda: text)
    for steps in (range(anchor, len(frames)), range(anchor - 1, -1, -1)):
        last = None if steps.start == anchor else anchor
        for t in steps:
            if len(means[t]) == 0:
                continue
            person = int(means[t].argmax())
            if last is not None and len(means[t]) > 1:
                person = _nearest(frames[t], coords[last], conf[last], person)
            coords[t], conf[t] = frames[t][0][person], frames[t][1][person]
            last = t
    return coords, conf


def _nearest(frame: Frame, coords: NDArray[np.float32], conf: NDArray[np.float32], default: int) -> int:
    """The person at the least mean distance, over points that both have; ``default`` where nobody shares a point."""
    shared = (np.nan_to_num(frame[1]) > 0) & (np.nan_to_num(conf) > 0)
    distance = np.nan_to_num(np.linalg.norm(frame[0] - coords, axis=-1))
    mean = np.where(shared.any(-1), (distance * shared).sum(-1) / np.maximum(shared.sum(-1), 1), np.inf)
    return int(mean.argmin()) if np.isfinite(mean).any() else default
