"""`TextStates`: what a frozen text encoder makes of sentences, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from slt_zoo.files import replacing
from slt_zoo.types import Ragged

__all__ = ["EncodeTexts", "TextStates"]

log = logging.getLogger(__name__)

EncodeTexts = Callable[[Sequence[str]], tuple[Ragged, Ragged]]
"""Token embeddings ``(sum_M, D)`` and hidden states ``(sum_M, D)`` of texts, without special tokens."""


class TextStates:
    """Embeddings and hidden states of the tokens of texts, by text.

    A file of safetensors in ``<folder>/<key>/``, named by a hash of its texts. It may be deleted at any time; one that
    is damaged is made again, and where none can be written everything stays in memory.

    Args:
        encode: makes them of texts; only called for what is not there.
        key: of the encoder: a hash of all that its results depend on.
        folder: where files are kept; None: in memory alone.
        batch_size: texts that are encoded at a time.
    """

    def __init__(self, encode: EncodeTexts, key: str, folder: Path | None = None, batch_size: int = 32) -> None:
        self._encode, self._key, self._folder, self._batch_size = encode, key, folder, batch_size
        self._places: dict[str, tuple[int, int, int]] = {}  # of a text: which tensors, first row, row behind the last
        self._tensors: list[tuple[Tensor, Tensor]] = []

    def prepare(self, texts: Iterable[str]) -> None:
        """Read or compute what is not known of these texts, all at once."""
        missing = sorted(set(texts) - self._places.keys())
        if not missing:
            return
        path = None
        if self._folder is not None:
            name = hashlib.sha256("\n".join(missing).encode()).hexdigest()[:32]
            path = self._folder / self._key / f"{name}.safetensors"
        found = None if path is None else _read(path, len(missing))
        if found is None:
            found = self._compute(missing)
            if path is not None:
                _write(path, found, self._key)
        embeddings, hidden, lengths = found
        self._tensors.append((embeddings, hidden))
        ends = lengths.cumsum(0)
        for text, first, stop in zip(missing, (ends - lengths).tolist(), ends.tolist(), strict=True):
            self._places[text] = (len(self._tensors) - 1, first, stop)

    def __call__(self, texts: Sequence[str]) -> tuple[Ragged, Ragged]:
        """Token embeddings and hidden states ``(sum_M, D)`` of texts, on the CPU, float32.

        A text without a token of its own has length 0.
        """
        self.prepare(texts)
        places = [self._places[text] for text in texts]
        embeddings, hidden = (
            Ragged.pack([self._tensors[which][side][first:stop] for which, first, stop in places]) for side in (0, 1)
        )
        return embeddings, hidden

    def _compute(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # little padding
        parts: dict[int, tuple[Tensor, Tensor]] = {}
        with torch.no_grad():
            for first in range(0, len(texts), self._batch_size):
                rows = by_length[first : first + self._batch_size]
                both = self._encode([texts[i] for i in rows])
                sides = [ragged.to("cpu", torch.float32).split() for ragged in both]
                parts |= {i: (sides[0][k], sides[1][k]) for k, i in enumerate(rows)}
        ordered = [parts[i] for i in range(len(texts))]
        lengths = torch.tensor([len(embeddings) for embeddings, _ in ordered])
        return torch.cat([e for e, _ in ordered]), torch.cat([h for _, h in ordered]), lengths


def _read(path: Path, count: int) -> tuple[Tensor, Tensor, Tensor] | None:
    from safetensors.torch import load_file

    if not path.is_file():
        return None
    try:
        content = load_file(path)
        embeddings, hidden, lengths = (content[name] for name in ("embeddings", "hidden", "lengths"))
        fits = embeddings.shape == hidden.shape and len(lengths) == count and int(lengths.sum()) == len(hidden)
        return (embeddings, hidden, lengths) if fits else None
    except Exception as fault:  # a damaged file raises whatever its bytes say
        log.info("%s holds no text states (%s); they are made again", path, fault)
        return None


def _write(path: Path, found: tuple[Tensor, Tensor, Tensor], key: str) -> None:
    from safetensors.torch import save_file

    names = ("embeddings", "hidden", "lengths")
    content = {name: tensor.contiguous() for name, tensor in zip(names, found, strict=True)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            save_file(content, temporary, metadata={"slt_zoo": json.dumps({"encoder": key})})
    except OSError as fault:
        log.info("text states are not kept for the next run: %s", fault)
