"""Rules that turn per-frame sign boundaries into segments (SAGE, arXiv 2507.09266, and its published code)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.boundaries import BEGIN, INSIDE, OUTSIDE, as_labels, check_whole
from slt_zoo.errors import ConfigError

__all__ = ["check_lengths", "halve", "labels_of_runs", "labels_to_segments", "runs_of", "subsample"]


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
    begins = np.flatnonzero((labels == BEGIN) | ((labels == INSIDE) & (before == OUTSIDE)))
    ends = np.flatnonzero((labels != OUTSIDE) & (after != INSIDE)) + 1
    return np.stack([begins, ends], 1)


def labels_of_runs(runs: Tensor, length: int) -> Tensor:
    """The inverse of `runs_of`: ``(S, 2)`` half-open ranges that do not overlap to labels ``(length,)``."""
    steps = torch.zeros(length + 1, dtype=torch.int64, device=runs.device)
    ones = torch.ones_like(runs[:, 0])
    steps.index_add_(0, runs[:, 0], ones).index_add_(0, runs[:, 1], -ones)
    labels = steps.cumsum(0)[:length] * INSIDE
    labels[runs[:, 0]] = BEGIN
    return labels


def labels_to_segments(
    labels: Tensor | NDArray[np.integer],
    min_len: int = 4,
    max_len: int = 10,
    trim_outside: bool = False,
) -> Tensor:
    """Segments of a clip by the rules of SAGE's published code.

    A clip without any sign is halved until no piece is longer than ``max_len``. Any other is cut before each begin (2);
    what lies outside (0) stays with the segment before it. Pieces shorter than ``min_len`` are dropped, and the first
    and the last where all of it lies outside; longer ones than ``max_len`` are halved, the left half being the
    shorter, until they fit. An inside (1) without a begin cuts nothing.

    Args:
        labels: ``(T,)`` of 0 (outside), 1 (inside) and 2 (begin).
        min_len: frames of the shortest piece that stays, at least 1; halves are not dropped.
        max_len: frames of the longest segment, at least ``min_len``.
        trim_outside: an ablation: a piece ends before its first frame outside.

    Returns:
        ``(S, 2)`` int64, half-open ranges of frames in their order. Without frames there are no segments, and there
        may be none where all pieces are short.

    Raises:
        MediaError: other labels, or floats or booleans.
        ConfigError: lengths that cannot be. None is no length here; `SignSegments` without ``max_len`` takes signs as
            annotated.
    """
    check_lengths(min_len, max_len)
    known = as_labels(labels)
    total = len(known)
    if not known.any():
        return _as_segments(halve(0, total, max_len) if total else [])
    begins = torch.nonzero(known == BEGIN).flatten().tolist()
    cuts = sorted({0, *begins, total})
    pieces = list(pairwise(cuts))
    if trim_outside:
        pieces = [(first, first + _until_outside(known[first:last])) for first, last in pieces]
    ends = (0, len(pieces) - 1)
    kept = [
        (first, last)
        for place, (first, last) in enumerate(pieces)
        if last - first >= min_len and (place not in ends or bool(known[first:last].any()))
    ]
    return _as_segments([part for first, last in kept for part in halve(first, last, max_len)])


def check_lengths(min_len: int, max_len: int | None) -> None:
    """Refuse lengths that cannot be.

    Raises:
        ConfigError: not ``1 <= min_len <= max_len``, or no whole numbers.
    """
    if max_len is None:
        raise ConfigError(
            "max_len is a number of frames here",
            found="None",
            todo="to halve nothing pass max_len=len(labels); signs as annotated are SignSegments() without max_len",
        )
    check_whole(min_len, "min_len")
    check_whole(max_len, "max_len")
    if not 1 <= min_len <= max_len:
        raise ConfigError(
            "lengths of segments must fulfil 1 <= min_len <= max_len", found=f"min_len={min_len}, max_len={max_len}"
        )


def halve(first: int, last: int, max_len: int) -> list[tuple[int, int]]:
    """A range cut in halves, the left one ``floor(n / 2)`` long, until no piece is longer than ``max_len``."""
    if last - first <= max_len:
        return [(first, last)]
    middle = first + (last - first) // 2
    return [*halve(first, middle, max_len), *halve(middle, last, max_len)]


def subsample(segments: Tensor, stride: int = 2) -> tuple[Tensor, Tensor]:
    """Every ``stride``-th frame of each segment, from its first: ``ceil(n / stride)`` of n.

    Args:
        segments: ``(S, 2)`` half-open ranges.
        stride: at least 1.

    Returns:
        ``(F,)`` the frames taken, segment after segment; and ``(S, 2)``, which of them belong to each.
    """
    if stride < 1:
        raise ConfigError("frame_stride must be at least 1", found=stride)
    frames = [torch.arange(first, last, stride) for first, last in segments.tolist()]
    ends = torch.tensor([len(part) for part in frames], dtype=torch.int64).cumsum(0)
    begins = torch.cat([ends.new_zeros(1), ends])[: len(ends)]
    return torch.cat([torch.zeros(0, dtype=torch.int64), *frames]), torch.stack([begins, ends], 1)


def _until_outside(labels: Tensor) -> int:
    outside = torch.nonzero(labels == OUTSIDE).flatten()
    return int(outside[0]) if len(outside) else len(labels)


def _as_segments(ranges: list[tuple[int, int]]) -> Tensor:
    return torch.tensor(ranges, dtype=torch.int64).reshape(-1, 2)
