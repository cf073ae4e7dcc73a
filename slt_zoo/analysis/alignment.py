"""How visual tokens and the tokens of a text are matched: numbers of SAGE's token contrast, one clip at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slt_zoo.errors import ConfigError

__all__ = ["AlignmentStats", "TokenAlignment", "align", "alignment_stats", "join_columns", "kendall_tau", "unmatched"]

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TokenAlignment:
    """Each visual token of a clip against each token of a text.

    Attributes:
        id: of the sample.
        text: the M tokens of the text, as they were cut.
        spans: half-open ranges of source frames that the N visual tokens were made of; none, or N.
        cosine: ``(N, M)``, in [-1, 1].
        weight: ``(N, M)``, the softmax over the text of the dot products as they are, not normalised: the view of the
            paper's figure. Rows sum to 1.
    """

    id: str
    text: tuple[str, ...]
    cosine: Matrix
    weight: Matrix
    spans: tuple[tuple[int, int], ...] = ()

    def describe(self, threshold: float = 0.6) -> str:
        """Which text token each visual token gives most weight to, and which text is left over, in words."""
        names = [f"frames {a} to {b - 1}" for a, b in self.spans] or [f"token {i}" for i in range(len(self.weight))]
        best = self.weight.argmax(1)
        rows = [
            f"{name}: {self.text[j]!r} {self.weight[i, j]:.2f}"
            for i, (name, j) in enumerate(zip(names, best, strict=True))
        ]
        left = ", ".join(repr(self.text[j]) for j in unmatched(self, threshold)) or "none"
        return (
            f"{self.id}. Most weight of " + "; ".join(rows) + f". Text with less than {threshold:g} of weight: {left}"
        )


def align(
    sample_id: str,
    tokens: NDArray[np.floating],
    embeddings: NDArray[np.floating],
    text: Sequence[str],
    spans: Sequence[tuple[int, int]] = (),
) -> TokenAlignment:
    """Compare visual tokens ``(N, D)`` with the embeddings of a text ``(M, D)``.

    Raises:
        ConfigError: widths, or numbers of tokens and names, that do not fit.
    """
    left, right = np.asarray(tokens, dtype=np.float64), np.asarray(embeddings, dtype=np.float64)
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1] or not len(left) or not len(right):
        raise ConfigError(
            "visual tokens and text do not fit together", expected="(N, D) and (M, D)", found=(left.shape, right.shape)
        )
    if len(text) != len(right) or (spans and len(spans) != len(left)):
        raise ConfigError("a name a text token, a span a visual token", found=(len(text), len(spans)))
    product = left @ right.T
    norms = np.linalg.norm(left, axis=1)[:, None] * np.linalg.norm(right, axis=1)
    return TokenAlignment(sample_id, tuple(text), product / np.maximum(norms, 1e-12), _softmax(product), tuple(spans))


def join_columns(alignment: TokenAlignment, words: Sequence[Sequence[int]], names: Sequence[str]) -> TokenAlignment:
    """The alignment with words in the place of sub-words: the mean of their cosines, the sum of their weights.

    Args:
        alignment: of sub-words.
        words: for each word the columns that it is made of.
        names: of the words.
    """
    cosine = np.stack([alignment.cosine[:, list(columns)].mean(1) for columns in words], 1)
    weight = np.stack([alignment.weight[:, list(columns)].sum(1) for columns in words], 1)
    return TokenAlignment(alignment.id, tuple(names), cosine, weight, alignment.spans)


def unmatched(alignment: TokenAlignment, threshold: float = 0.6) -> list[int]:
    """Columns of the text that all visual tokens together give less than ``threshold`` of weight."""
    return [int(column) for column in np.flatnonzero(alignment.weight.sum(0) < threshold)]


@dataclass(frozen=True)
class AlignmentStats:
    """Numbers of one alignment.

    Attributes:
        video_max: mean over visual tokens of the highest cosine.
        text_max: mean over text tokens of the highest cosine.
        video_entropy: mean entropy, in nats, of a visual token's softmax over the text (at most ln M).
        text_entropy: mean entropy of a text token's softmax over the visual tokens (at most ln N).
        order: Kendall's tau-b between the place of a visual token and that of its nearest text token. A text has the
            order of its spoken language, so values well below 1 are to be expected. NaN where one side has no order.
    """

    video_max: float
    text_max: float
    video_entropy: float
    text_entropy: float
    order: float


def alignment_stats(alignment: TokenAlignment, temperature: float = 0.07) -> AlignmentStats:
    """Numbers of an alignment; ``temperature`` is that of the contrast's softmaxes."""
    cosine = alignment.cosine
    rows, columns = _softmax(cosine / temperature), _softmax(cosine.T / temperature)
    return AlignmentStats(
        video_max=float(cosine.max(1).mean()),
        text_max=float(cosine.max(0).mean()),
        video_entropy=_entropy(rows),
        text_entropy=_entropy(columns),
        order=kendall_tau(np.arange(len(cosine)), cosine.argmax(1)),
    )


def kendall_tau(a: Sequence[float] | NDArray[np.integer], b: Sequence[float] | NDArray[np.integer]) -> float:
    """Kendall's tau-b of two sequences of equal length; NaN where one of them is constant."""
    x, y = (np.sign(np.subtract.outer(np.asarray(v), np.asarray(v))) for v in (a, b))
    pairs = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum() / pairs) if pairs else float("nan")


def _softmax(values: Matrix) -> Matrix:
    exp = np.exp(values - values.max(1, keepdims=True))
    result: Matrix = exp / exp.sum(1, keepdims=True)
    return result


def _entropy(rows: Matrix) -> float:
    return float(-(rows * np.log(np.maximum(rows, 1e-300))).sum(1).mean())
