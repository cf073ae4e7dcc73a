"""Scores by named protocols; exact on any number of devices."""

from slt_zoo.metrics.collector import PredictionCollector, gather_by_id, gather_first, gather_sums
from slt_zoo.metrics.files import ResultFileError, load_predictions, load_scores, merge_scores, save_predictions
from slt_zoo.metrics.protocols import PROTOCOLS, Protocol, get_protocol
from slt_zoo.metrics.report import ScoredSplit, ScoreReport, check_ids, reference_hash, score
from slt_zoo.metrics.significance import Comparison, Rank, compare, rank

__all__ = [
    "PROTOCOLS",
    "Comparison",
    "PredictionCollector",
    "Protocol",
    "Rank",
    "ResultFileError",
    "ScoreReport",
    "ScoredSplit",
    "check_ids",
    "compare",
    "gather_by_id",
    "gather_first",
    "gather_sums",
    "get_protocol",
    "load_predictions",
    "load_scores",
    "merge_scores",
    "rank",
    "reference_hash",
    "save_predictions",
    "score",
]
