"""Reads that fail because a disk is away for a moment are tried again; writes never are."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from slt_zoo.errors import MediaError, StoreError

__all__ = ["is_passing", "retry_read"]

log = logging.getLogger(__name__)
T = TypeVar("T")

PAUSES = (0.5, 2.0)
"""Seconds before the second and the third try."""

_PASSING = frozenset(
    number
    for name in ("EAGAIN", "EIO", "ESTALE", "ETIMEDOUT", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "EREMOTEIO")
    if (number := getattr(errno, name, None)) is not None
)


def is_passing(fault: BaseException) -> bool:
    """Whether a fault, or one behind it, is of a disk or network that may be back in a second.

    Faults of a network come in the clothes of whatever package fetches: a connection that broke lies somewhere behind.
    No permission, no such file and the like are not: to try again changes nothing.
    """
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, (ConnectionError, TimeoutError)) or (
            isinstance(cause, OSError) and cause.errno in _PASSING
        ):
            return True
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return False


def retry_read(read: Callable[[], T], what: str) -> T:
    """``read()``, tried again where the fault may pass.

    Args:
        read: reads and changes nothing, so that it may run again.
        what: is read, for the log.

    Raises:
        MediaError, StoreError: the last fault.
    """
    for pause in PAUSES:
        try:
            return read()
        except (MediaError, StoreError, OSError) as fault:
            if not is_passing(fault):
                raise
            log.warning("%s: %s; trying again in %g s", what, fault, pause)
            time.sleep(pause)
    return read()
