"""Readers: from a path to arrays and the real frame rate, whatever the container."""

from slt_zoo.data.readers.base import Reader
from slt_zoo.data.readers.opening import VIDEO_SUFFIXES, open_reader, sample_ids
from slt_zoo.data.readers.plain_pickle import is_pickle
from slt_zoo.data.readers.skels import skels_ids

__all__ = ["VIDEO_SUFFIXES", "Reader", "is_pickle", "open_reader", "sample_ids", "skels_ids"]
