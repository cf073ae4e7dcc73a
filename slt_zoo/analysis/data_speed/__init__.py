"""How fast data are read: measured in one run against how they are commonly read, so that machines do not matter."""

from __future__ import annotations

from slt_zoo.analysis.data_speed.bench import Sizes, bench_data

__all__ = ["Sizes", "bench_data"]
