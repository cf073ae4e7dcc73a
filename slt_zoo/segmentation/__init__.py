"""Where signs begin and end: segmentors, which label frames, and the rules that make segments of labels."""

from slt_zoo.data.segment_rules import labels_to_segments, subsample
from slt_zoo.segmentation.hands_on import HandsOnNet, fix_up
from slt_zoo.segmentation.segmentors import (
    FixedLengthSegmentor,
    ModelSegmentor,
    OracleSegmentor,
    PrecomputedSegmentor,
    Segmentor,
)
from slt_zoo.segmentation.slp import SLPSegmentor
from slt_zoo.segmentation.writing import write_labels

__all__ = [
    "FixedLengthSegmentor",
    "HandsOnNet",
    "ModelSegmentor",
    "OracleSegmentor",
    "PrecomputedSegmentor",
    "SLPSegmentor",
    "Segmentor",
    "fix_up",
    "labels_to_segments",
    "subsample",
    "write_labels",
]
