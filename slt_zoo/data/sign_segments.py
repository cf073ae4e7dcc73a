"""`SignSegments`: per-frame sign boundaries to ranges of a clip's rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from slt_zoo.errors import ConfigError
from slt_zoo.types import Clip

__all__ = ["SignSegments", "runs_of"]


def runs_of(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The signs of per-frame labels, one after the other.

    A sign begins at a 2 (begin), or at a 1 (inside) that follows a 0 (outside), and ends before the next 0 or 2.

    Args:
        labels: ``(T,)`` of 0, 1 and 2.

    Returns:
        ``(S, 2)`` int64, half-open ranges of frames.
    """
    before = np.concatenate([[0], labels[:-1]])
    after = np.concatenate([labels[1:], [0]])
    begins = np.flatnonzero((labels == 2) | ((labels == 1) & (before == 0)))
    ends = np.flatnonzero((labels != 0) & (after != 1)) + 1
    return np.stack([begins, ends], 1)


@dataclass(frozen=True)
class SignSegments:
    """Fills ``clip.segments`` from ``clip.labels``: each sign as annotated, in rows of what was selected.

    A row belongs to the sign in which the middle of its source frames lies (features of stride 4 have four). Signs of
    which no row is left are left out. A model may have rules of its own for signs that are too long or too short: it
    then has its own transform in the place of this one, which comes last where no other has made segments.
    """

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`.

        Raises:
            ConfigError: the clip has no labels, or no rows.
        """
        kinds = {"frames": clip.frames, "features": clip.features, "pose": clip.pose}
        kind = next((name for name, rows in kinds.items() if rows is not None), None)
        if clip.labels is None or clip.index is None or kind is None:
            raise ConfigError(
                "segments are made of sign boundaries and rows",
                where=f"sample {clip.sample.id}",
                todo="name 'segments' in InputSpec.needs, and frames, features or pose as modality",
            )
        stride = clip.sample.media[kind].stride or 1
        middle = clip.index.numpy() * stride + (stride - 1) / 2
        rows = np.searchsorted(middle, runs_of(clip.labels.numpy()))
        return replace(clip, segments=torch.from_numpy(rows[rows[:, 0] < rows[:, 1]].astype(np.int64)))
