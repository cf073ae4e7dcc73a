"""Losses that papers share; plain torch, no Lightning."""

from slt_zoo.losses.clcl import clcl_similarity
from slt_zoo.losses.contrastive import LogitScale, clcl_loss, clip_loss, info_nce
from slt_zoo.losses.gather import gather_rows, gather_sequences
from slt_zoo.losses.text import teacher_forcing, token_accuracy, token_cross_entropy

__all__ = [
    "LogitScale",
    "clcl_loss",
    "clcl_similarity",
    "clip_loss",
    "gather_rows",
    "gather_sequences",
    "info_nce",
    "teacher_forcing",
    "token_accuracy",
    "token_cross_entropy",
]
