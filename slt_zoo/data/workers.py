"""Memory of a loader's worker processes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache

from torch.utils.data import get_worker_info

__all__ = ["give_back_memory"]


def give_back_memory() -> None:
    """In a worker, after each batch: what was freed goes back to the system.

    Clips are of all lengths. glibc keeps blocks as large as those that were freed (up to 32 MiB) in its heap, where
    small ones settle between them: without this a worker takes half as much again after ten epochs. It costs about a
    twentieth of the time of reading frames.
    """
    if get_worker_info() is not None:
        trim = _trim()
        if trim is not None:
            trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """``malloc_trim`` of glibc; None: another C library, which has its own ways."""
    if sys.platform != "linux":
        return None
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return found
