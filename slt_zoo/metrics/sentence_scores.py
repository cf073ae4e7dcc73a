"""Learnt scores (BLEURT, COMET) that other programs compute: a number a sentence, read from a file.

Neither can live in our environment today: ``unbabel-comet`` 2.2 asks for transformers 4, numpy 1 and torchmetrics 0.10,
``bleurt-pytorch`` 0.0.1 does not import under transformers 5. So they run in one of their own, and what they say
of each sentence gets intervals and a place in the report here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.metrics.files import ResultFileError, read_result

__all__ = ["HOW_TO", "read_sentence_scores"]

HOW_TO = {
    "comet": "python -m venv comet-env; comet-env/bin/pip install unbabel-comet; comet-env/bin/comet-score "
    "-s EMPTY.txt -t HYPOTHESES.txt -r REFERENCES.txt --model Unbabel/wmt22-comet-da --to_json comet.json "
    "(it downloads the weights from the Hugging Face hub; its source text would be the signing, which it cannot read: "
    "the lines of EMPTY.txt are empty, and the number is outside of its use)",
    "bleurt": "python -m venv bleurt-env; bleurt-env/bin/pip install bleurt-pytorch 'transformers<5'; score with the "
    "weights lucadiliello/BLEURT-20 of the Hugging Face hub as its page shows, and write a number a line",
}
"""How to get the scores that are known by name."""


def read_sentence_scores(word: str, ids: Sequence[str]) -> tuple[str, dict[str, float]]:
    """``NAME=FILE``: a number a line in the order of the references, or JSON by id or of ``comet-score --to_json``.

    Raises:
        UnknownNameError: a name without a file that nobody knows.
        ConfigError: a known name without a file: says how to make it.
        ResultFileError: the file is missing, damaged, or of other sentences.
    """
    name, _, path = word.partition("=")
    if not path:
        if name not in HOW_TO:
            raise UnknownNameError("external score", name, HOW_TO, todo="pass NAME=FILE with a number a sentence")
        raise ConfigError(
            f"{name} is computed in an environment of its own: it cannot be installed beside slt_zoo",
            todo=f"{HOW_TO[name]}; then pass --external {name}=FILE",
        )
    text = read_result(path, "pass NAME=FILE with a number a sentence")
    try:
        data = json.loads(text) if Path(path).suffix == ".json" else [float(x) for x in text.split()]
        if isinstance(data, dict) and len(data) == 1 and isinstance(next(iter(data.values())), list):
            data = [row["COMET"] for row in next(iter(data.values()))]
        values = {k: float(v) for k, v in (data.items() if isinstance(data, dict) else zip(ids, data, strict=True))}
        if values.keys() != set(ids) or not np.isfinite(list(values.values())).all():
            raise ValueError(f"{len(values)} finite numbers of other sentences")
    except (ValueError, TypeError, KeyError, AttributeError) as cause:
        raise ResultFileError(
            f"not {len(ids)} numbers, one a sentence",
            where=path,
            found=cause,
            todo=f"make it again: {HOW_TO.get(name)}",
        ) from cause
    return name, values
