"""Stores: features, poses or resized frames of a corpus in a few files, read sample by sample in any order.

A store is a folder of ``manifest.json`` and ``<split>-00001-of-00004.safetensors`` (`local`), or the same as shards of
litdata, on a disk or in object storage (`streamed`). `writer` and ``slt-zoo extract`` make it.
"""

from slt_zoo.data.stores.base import Store
from slt_zoo.data.stores.opening import is_store, open_store

__all__ = ["Store", "is_store", "open_store"]
