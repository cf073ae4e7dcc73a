"""How well frames are labelled: begins within a tolerance, one to one, and the exact F1 of each label."""

from __future__ import annotations

import torch
from torch import Tensor

from slt_zoo.data.boundaries import BEGIN

__all__ = ["count_frames", "f1_scores", "match_begins"]


def match_begins(said: Tensor, true: Tensor, tolerance: int = 2) -> int:
    """How many begins are right: the most pairs of a said and a true one at most ``tolerance`` frames apart.

    Each is in one pair at most. Both are gone through in order, the earliest partner first; in one dimension no other
    choice finds more.

    Args:
        said: ``(N,)`` frames, ascending.
        true: ``(M,)`` frames, ascending.
        tolerance: in frames.
    """
    left, right = said.tolist(), true.tolist()
    i = j = pairs = 0
    while i < len(left) and j < len(right):
        if abs(left[i] - right[j]) <= tolerance:
            i, j, pairs = i + 1, j + 1, pairs + 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    return pairs


def count_frames(said: Tensor, true: Tensor, tolerance: int = 2) -> Tensor:
    """What `f1_scores` needs of a clip, to be summed over clips.

    Args:
        said: ``(T,)`` labels of 0, 1 and 2.
        true: likewise.
        tolerance: see `match_begins`.

    Returns:
        ``(12,)`` float64 on the CPU: hits, said and true of the begins within the tolerance, then of the labels 0, 1
        and 2.
    """
    said, true = said.cpu(), true.cpu()
    heard, wanted = (torch.nonzero(labels == BEGIN).flatten() for labels in (said, true))
    numbers = [match_begins(heard, wanted, tolerance), len(heard), len(wanted)]
    for label in range(3):
        both = (said == label) & (true == label)
        numbers += [int(both.sum()), int((said == label).sum()), int((true == label).sum())]
    return torch.tensor(numbers, dtype=torch.float64)


def f1_scores(counts: Tensor, tolerance: int = 2) -> dict[str, float]:
    """F1 of begins within the tolerance and of each label frame by frame, 0 to 1; of nothing said and nothing true, 1.

    Args:
        counts: ``(12,)`` of `count_frames`, summed over clips.
        tolerance: with which they were counted; part of the name.
    """
    names = (f"begin_f1_within_{tolerance}", "frame_f1_outside", "frame_f1_inside", "frame_f1_begin")
    scores = {}
    for name, (hits, said, true) in zip(names, counts.reshape(4, 3).tolist(), strict=True):
        scores[name] = 2 * hits / (said + true) if said + true else 1.0
    return scores
