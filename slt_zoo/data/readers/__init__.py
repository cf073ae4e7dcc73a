"""Readers: from a path to arrays and the real frame rate, whatever the container."""

from slt_zoo.data.readers.base import Reader
from slt_zoo.data.readers.opening import open_reader
from slt_zoo.data.readers.skels import skels_ids

__all__ = ["Reader", "open_reader", "skels_ids"]
