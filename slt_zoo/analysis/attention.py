"""Cross-attention as heat maps: numbers first, the figure from the numbers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from slt_zoo.analysis.figures import HeatMap
from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.boundaries import fixed_length, read_labels
from slt_zoo.data.clips import read_clip
from slt_zoo.errors import ConfigError
from slt_zoo.models.sign_attention import SignAttention
from slt_zoo.types import Batch, Clip, Split

__all__ = ["cross_attention_map", "sign_spans"]


def cross_attention_map(model: SignAttention, data: SLTDataModule, sample_id: str, split: Split = "test") -> HeatMap:
    """The head mean of the last decoder layer over one sample, with the signs' places where they are known.

    Args:
        model: a trained model.
        data: the corpus of the sample.
        sample_id: which one.
        split: its split.

    Returns:
        Rows are the generated tokens, columns the frames that the model saw; rows sum to 1.

    Raises:
        ConfigError: the split has no such sample.
    """
    data.bind(model.input_spec, [split])
    manifest = data.manifest(split)
    if sample_id not in manifest.ids:
        raise ConfigError(f"{manifest.corpus} {manifest.split} has no sample {sample_id!r}")
    clip = read_clip(
        manifest.by_id(sample_id), model.input_spec, training=False, rng=np.random.default_rng(0), fps=data.fps
    )
    model.eval()
    maps = model.explain(Batch.collate([clip]).to(model.device))[0]
    spans, labels = sign_spans(clip)
    return HeatMap(
        matrix=maps.cross[-1].mean(0).float().cpu().numpy(),
        tokens=maps.tokens,
        fps=clip.fps,
        title=f"Cross-attention of {sample_id}: last decoder layer, mean of the heads",
        boundaries=spans,
        labels=labels,
    )


def sign_spans(clip: Clip) -> tuple[list[tuple[int, int]], list[str]]:
    """Half-open ranges of a clip's rows that each annotated sign covers, and their glosses; empty where unknown.

    The per-frame boundaries of the sample's ``segments`` medium are read; they refer to source frames.
    """
    media = clip.sample.media.get("segments")
    if media is None or clip.index is None or fixed_length(media.path) is not None:
        return [], []
    labels = read_labels(media, clip.sample.id)
    number = torch.where(labels > 0, torch.cumsum((labels == 2).long(), 0), 0)[clip.index]
    spans = [
        (int(rows[0]), int(rows[-1]) + 1) for k in range(1, int(number.max()) + 1) if len(rows := _where(number, k))
    ]
    gloss = clip.sample.gloss or ()
    return spans, list(gloss) if len(gloss) == len(spans) else []


def _where(number: Tensor, value: int) -> Tensor:
    return torch.nonzero(number == value).flatten()
