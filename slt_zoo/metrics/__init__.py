"""Scores by named protocols; exact on any number of devices."""

from slt_zoo.metrics.collector import PredictionCollector, gather_by_id
from slt_zoo.metrics.files import ResultFileError, load_predictions, load_scores, merge_scores, save_predictions
from slt_zoo.metrics.protocols import PROTOCOLS, Protocol, get_protocol
from slt_zoo.metrics.report import ScoredSplit, ScoreReport, check_ids, reference_hash, score

__all__ = [
    "PROTOCOLS",
    "PredictionCollector",
    "Protocol",
    "ResultFileError",
    "ScoreReport",
    "ScoredSplit",
    "check_ids",
    "gather_by_id",
    "get_protocol",
    "load_predictions",
    "load_scores",
    "merge_scores",
    "reference_hash",
    "save_predictions",
    "score",
]
