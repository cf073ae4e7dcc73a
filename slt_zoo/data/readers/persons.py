"""One person out of frames with several: estimators without tracking list them in any order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slt_zoo.data.readers.base import warn_few
from slt_zoo.errors import MediaError

__all__ = ["best_person", "follow_person", "which_signs"]

Frame = tuple[NDArray[np.float32], NDArray[np.float32]]


def which_signs(persons: int, why: str, where: str, found: object) -> MediaError:
    """The error where nothing tells which of several persons is the signer."""
    return MediaError(
        f"{persons} persons {why}: which one signs?",
        where=where,
        expected="one person, or confidences, of which the highest is taken",
        found=found,
        todo="keep the signer alone. Of an array (frames, persons, points, numbers): "
        "numpy.save(new, numpy.load(old)[:, [<number of the signer>]])",
    )


def best_person(conf: NDArray[np.floating], where: str) -> int:
    """The person with the highest mean confidence; the first where nobody is seen at all.

    Args:
        conf: ``(T, persons, K)``; NaN counts as 0.
        where: sample and path, for messages.

    Raises:
        MediaError: two persons or more share the highest mean, which then decides nothing.
    """
    means = np.nan_to_num(conf).mean(axis=(0, 2), dtype=np.float64)
    tied = _tied(means)
    if tied > 1:
        raise which_signs(tied, "with the same confidence", where, f"(frames, persons, points) = {conf.shape}")
    return int(means.argmax())


def _tied(means: NDArray[np.floating]) -> int:
    """How many share the highest mean, up to rounding; nobody who is not seen at all."""
    best = float(means.max(initial=0))
    return int((means >= best * (1 - 1e-6)).sum()) if best > 0 else 0


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

    Raises:
        MediaError: wherever the highest mean is reached, two persons or more share it.
    """
    coords = np.zeros((len(frames), points, 2), np.float32)
    conf = np.zeros((len(frames), points), np.float32)
    means = [np.nan_to_num(c).mean(-1) for _, c in frames]
    best = [float(m.max(initial=-1)) for m in means]
    anchor = _anchor(means, best, where)
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


def _anchor(means: Sequence[NDArray[np.floating]], best: Sequence[float], where: str) -> int:
    """The first frame with the highest mean of all, where one person alone has it."""
    anchor = int(np.argmax(best))
    tied = [_tied(means[t]) for t in range(len(means)) if best[t] == best[anchor]]
    if min(tied, default=0) > 1:
        raise which_signs(
            min(tied), "with the same confidence", where, f"in frame {anchor}, and in no other it differs"
        )
    return next(t for t in range(len(means)) if best[t] == best[anchor] and _tied(means[t]) <= 1)


def _nearest(frame: Frame, coords: NDArray[np.float32], conf: NDArray[np.float32], default: int) -> int:
    """The person at the least mean distance, over points that both have; ``default`` where nobody shares a point."""
    shared = (np.nan_to_num(frame[1]) > 0) & (np.nan_to_num(conf) > 0)
    distance = np.nan_to_num(np.linalg.norm(frame[0] - coords, axis=-1))
    mean = np.where(shared.any(-1), (distance * shared).sum(-1) / np.maximum(shared.sum(-1), 1), np.inf)
    return int(mean.argmin()) if np.isfinite(mean).any() else default
