"""What a system must beat: answers that need no signing, or no translation.

A model that does not beat them has learnt the topic and not the signing. Each is a set of hypotheses by id, scored like
any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from slt_zoo.errors import ScoreError, first_few

__all__ = ["copy_question", "most_frequent", "nearest_by_gloss", "nearest_by_vector"]


def most_frequent(ids: Sequence[str], train_texts: Sequence[str]) -> dict[str, str]:
    """The training sentence that occurs most often (of equals the first), for every sample."""
    counts = Counter(text for text in train_texts if text.strip())
    if not counts:
        raise ScoreError("there is no training sentence to repeat", found=f"{len(train_texts)} texts, all empty")
    text = max(counts, key=lambda t: counts[t])  # a Counter keeps the order of first occurrence
    return dict.fromkeys(ids, text)


def copy_question(questions: Mapping[str, str | None]) -> dict[str, str]:
    """The question in place of the translation: what a question-answering corpus gives away."""
    lacking = [i for i, question in questions.items() if question is None]
    if lacking:
        raise ScoreError("samples have no question to copy", found=first_few(lacking))
    return {i: question or "" for i, question in questions.items()}


def nearest_by_gloss(
    glosses: Mapping[str, Sequence[str]], train_glosses: Sequence[Sequence[str]], train_texts: Sequence[str]
) -> dict[str, str]:
    """The text of the training sample whose set of glosses is most like the sample's (Dice; of equals the first).

    An oracle: it reads the glosses of the test split, which no translation system is given.

    Args:
        glosses: of the samples, by id.
        train_glosses: of the ``M`` training samples.
        train_texts: theirs.
    """
    columns = {g: k for k, g in enumerate(sorted({g for some in (*glosses.values(), *train_glosses) for g in some}))}

    def sets(rows: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        out = np.zeros((len(rows), len(columns)), np.float32)
        for row, tokens in zip(out, rows, strict=True):
            row[[columns[g] for g in tokens]] = 1
        return out

    train, wanted = sets(train_glosses), sets(list(glosses.values()))
    sizes = wanted.sum(1)[:, None] + train.sum(1)[None]
    likeness = 2 * (wanted @ train.T) / np.maximum(sizes, 1)
    return {i: train_texts[k] for i, k in zip(glosses, likeness.argmax(1).tolist(), strict=True)}


def nearest_by_vector(
    vectors: Mapping[str, NDArray[np.float32]], train_vectors: NDArray[np.float32], train_texts: Sequence[str]
) -> dict[str, str]:
    """The text of the training sample whose features, averaged over time, have the highest cosine.

    Args:
        vectors: ``(D,)`` by id.
        train_vectors: ``(M, D)``.
        train_texts: M texts.

    Raises:
        ScoreError: vectors of another width than those of train.
    """
    width = train_vectors.shape[1]
    other = [i for i, vector in vectors.items() if vector.shape != (width,)]
    if other:
        raise ScoreError(
            "vectors of test and train have different widths",
            expected=f"({width},)",
            found=f"{vectors[other[0]].shape} of {first_few(other)}",
        )
    wanted = np.stack(list(vectors.values())) - train_vectors.mean(0)
    train = train_vectors - train_vectors.mean(0)

    def unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
        length: NDArray[np.float32] = np.linalg.norm(x, axis=1, keepdims=True)
        return np.asarray(x / np.maximum(length, 1e-12), np.float32)

    nearest = (unit(wanted) @ unit(train).T).argmax(1)
    return {i: train_texts[k] for i, k in zip(vectors, nearest.tolist(), strict=True)}
