"""Retrieval between videos and texts of a split: does each find its own among all others?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from slt_zoo.errors import ScoreError

__all__ = ["ranks", "retrieval_scores"]

DEPTHS = (1, 5, 10)


def ranks(similarity: NDArray[np.floating], keys: Sequence[Hashable]) -> NDArray[np.int64]:
    """Rank, from 1, at which each row finds its own column.

    Columns of equal keys are one answer: a text that occurs twice is right in either place, and takes one place among
    the answers. Of equal similarities the own one comes last, so that a constant similarity finds nothing.

    Args:
        similarity: ``(B, B)``, larger is nearer; row i belongs to column i.
        keys: of the columns.

    Raises:
        ScoreError: not square, or not finite.
    """
    values = np.asarray(similarity, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(keys) != len(values) or not len(values):
        raise ScoreError("retrieval needs as many rows as columns and keys", found=f"{values.shape}, {len(keys)} keys")
    if not np.isfinite(values).all():
        raise ScoreError("a similarity is not finite", found=f"{int((~np.isfinite(values)).sum())} of {values.size}")
    numbers: dict[Hashable, int] = {}
    group = np.array([numbers.setdefault(key, len(numbers)) for key in keys])
    best = np.full((len(values), len(numbers)), -np.inf)
    np.maximum.at(best.T, group, values.T)
    own = best[np.arange(len(values)), group]
    found: NDArray[np.int64] = (best >= own[:, None]).sum(1)
    return found


def retrieval_scores(similarity: NDArray[np.floating], keys: Sequence[Hashable]) -> dict[str, float]:
    """Share of videos whose text, and of texts whose video, is among the first 1, 5, 10; and the median rank.

    Args:
        similarity: ``(B, B)``, video first.
        keys: of the texts, mostly the texts themselves; see `ranks`.

    Returns:
        ``v2t_r1``, ``v2t_r5``, ``v2t_r10``, ``v2t_median_rank``, and the same from text to video (``t2v``), in [0, 1]
        and ranks from 1. From text to video, all videos of one text are right.

    Raises:
        ScoreError: see `ranks`.
    """
    scores: dict[str, float] = {}
    for name, values in (("v2t", similarity), ("t2v", np.asarray(similarity).T)):
        found = ranks(values, keys)
        scores |= {f"{name}_r{depth}": float((found <= depth).mean()) for depth in DEPTHS}
        scores[f"{name}_median_rank"] = float(np.median(found))
    return scores
