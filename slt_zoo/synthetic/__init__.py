"""Simulated signing in the official layout of a corpus.

It is no sign language, and no score on it is a translation result: it shows that files, training and scoring work.
"""

from __future__ import annotations

from slt_zoo.synthetic.corpus import simulate

__all__ = ["simulate"]
