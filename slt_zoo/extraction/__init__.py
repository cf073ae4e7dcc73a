"""Extraction: an encoder, or a converter of poses or frames, over a corpus and into a store."""

from slt_zoo.extraction.plan import ExtractOptions, Plan, make_plan
from slt_zoo.extraction.running import Summary, extract, first_process

__all__ = ["ExtractOptions", "Plan", "Summary", "extract", "first_process", "make_plan"]
