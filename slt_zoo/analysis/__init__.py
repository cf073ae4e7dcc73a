"""What a run did, first in numbers, then in figures made from them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from slt_zoo.analysis.alignment import TokenAlignment
from slt_zoo.analysis.curves import read_curves
from slt_zoo.analysis.figures import HeatMap, alignment_figure, curves_figure, heat_map_figure
from slt_zoo.analysis.report import write_report

if TYPE_CHECKING:
    from slt_zoo.analysis.similarity import SplitAlignment, align_split, token_similarity

__all__ = [
    "HeatMap",
    "SplitAlignment",
    "TokenAlignment",
    "align_split",
    "alignment_figure",
    "curves_figure",
    "heat_map_figure",
    "read_curves",
    "token_similarity",
    "write_report",
]

_OF_MODELS = ("SplitAlignment", "align_split", "token_similarity")  # a report needs neither models nor Lightning


def __getattr__(name: str) -> Any:
    if name not in _OF_MODELS:
        raise AttributeError(f"module 'slt_zoo.analysis' has no attribute {name!r}")
    return getattr(importlib.import_module("slt_zoo.analysis.similarity"), name)
