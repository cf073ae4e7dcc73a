"""What a run did, first in numbers, then in figures made from them."""

from slt_zoo.analysis.curves import read_curves
from slt_zoo.analysis.figures import HeatMap, curves_figure, heat_map_figure
from slt_zoo.analysis.report import write_report

__all__ = ["HeatMap", "curves_figure", "heat_map_figure", "read_curves", "write_report"]
