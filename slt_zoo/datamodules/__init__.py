"""The corpora, one file each; resolved on first use."""

from __future__ import annotations

from typing import Any

import slt_zoo

__all__ = sorted(slt_zoo._CORPORA)


def __getattr__(name: str) -> Any:
    if name not in slt_zoo._CORPORA:
        raise AttributeError(f"module 'slt_zoo.datamodules' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(slt_zoo, name)
