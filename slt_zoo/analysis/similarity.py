"""SAGE's visual tokens against the tokens of their texts, taken out of a model: of one clip, or of a whole split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from slt_zoo.analysis.alignment import AlignmentStats, TokenAlignment, align, alignment_stats, join_columns, unmatched
from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.clips import read_clip
from slt_zoo.errors import ConfigError, nearest
from slt_zoo.models.sage import SAGEPretraining
from slt_zoo.types import Batch, Clip, Split

__all__ = ["Level", "SplitAlignment", "align_split", "token_similarity", "token_spans"]

Level = Literal["embedding", "hidden"]
"""What is compared: ``L`` with the text's embeddings (the paper's CE), or ``H`` with its hidden states (HS)."""


def token_similarity(
    model: SAGEPretraining,
    data: SLTDataModule,
    sample_id: str,
    split: Split = "test",
    *,
    level: Level | None = None,
    words: bool = True,
) -> TokenAlignment:
    """Each visual token of a sample against each token of what its text is contrasted with (SAGE, section 4.5).

    Args:
        model: trained, or at least prepared; it is left in eval mode.
        data: the corpus of the sample.
        sample_id: which one.
        split: its split.
        level: see `Level`; None: embeddings, unless hidden states alone were trained.
        words: join the columns of sub-words to words, see `join_columns`; text without spaces keeps its sub-words.

    Returns:
        ``(N, M)`` numbers, the names of the M columns as the teacher's tokenizer cuts the text, and the source frames
        that each visual token is made of.

    Raises:
        ConfigError: the model has no such level, is of another class or has no network; the split has no such sample.
    """
    level = _level(model, level)
    data.bind(model.input_spec, [split], type(model).__name__)
    manifest = data.manifest(split)
    if sample_id not in manifest.ids:
        near = nearest(sample_id, manifest.ids)
        raise ConfigError(
            f"{manifest.corpus} {manifest.split} has no sample {sample_id!r}",
            todo=f"did you mean {' or '.join(repr(n) for n in near)}?" if near else None,
        )
    clip = read_clip(
        manifest.by_id(sample_id), model.input_spec, training=False, rng=np.random.default_rng(0), fps=data.fps
    )
    (sides,) = _sides(model.eval(), Batch.collate([clip]), level)
    return _alignment(model, clip.sample.id, clip.sample.text, sides, words, token_spans(model, clip))


@dataclass(frozen=True, eq=False)
class SplitAlignment:
    """How visual tokens and text tokens of a split are matched.

    Attributes:
        corpus: its name.
        split: of the corpus.
        level: what was compared.
        alignments: one a sample, without spans.
        stats: means over samples; the order over those that have one.
        retrieval: among all samples of the split, see `slt_zoo.metrics.retrieval.retrieval_scores`.
        words: whether columns are words; else they are the teacher's sub-words.
        simulated: whether the signing is, which is no sign language.
    """

    corpus: str
    split: Split
    level: Level
    alignments: tuple[TokenAlignment, ...]
    stats: AlignmentStats
    retrieval: Mapping[str, float]
    words: bool
    simulated: bool = False

    def unmatched_share(self, threshold: float = 0.6) -> float:
        """Of all text tokens, those that the visual tokens of their sample together give less weight than this."""
        left = sum(len(unmatched(a, threshold)) for a in self.alignments)
        return left / sum(len(a.text) for a in self.alignments)

    def to_dict(self, threshold: float = 0.6) -> dict[str, Any]:
        """All of it but the matrices, as plain data; what has no order has None."""
        return {
            "corpus": self.corpus,
            "split": self.split,
            "simulated": self.simulated,
            "level": self.level,
            "columns": "words" if self.words else "sub-words",
            "samples": len(self.alignments),
            "stats": _plain(self.stats),
            "samples_with_order": sum(not np.isnan(alignment_stats(a).order) for a in self.alignments),
            "retrieval": dict(self.retrieval),
            "threshold": threshold,
            "unmatched_share": self.unmatched_share(threshold),
            "of_samples": {
                a.id: {
                    "visual_tokens": len(a.weight),
                    "text": list(a.text),
                    "unmatched": [a.text[column] for column in unmatched(a, threshold)],
                    **_plain(alignment_stats(a)),
                }
                for a in self.alignments
            },
        }


def align_split(
    model: SAGEPretraining,
    data: SLTDataModule,
    split: Split = "test",
    *,
    level: Level | None = None,
    words: bool = True,
) -> SplitAlignment:
    """`token_similarity` of all samples of a split, their numbers, and retrieval among them.

    Args:
        model: trained, or at least prepared; it is left in eval mode.
        data: the corpus; ``eval_batch_size`` samples are encoded at a time.
        split: of the corpus.
        level: see `token_similarity`.
        words: likewise. Statistics and unmatched text are then of words, retrieval is of sub-words as in training.

    Raises:
        ConfigError: see `token_similarity`.
    """
    level = _level(model, level)
    data.bind(model.input_spec, [split], type(model).__name__)
    model.eval()
    kept: dict[str, tuple[Tensor, Tensor, str]] = {}
    for batch in data.loader(split):
        sides = _sides(model, batch, level)
        kept |= {i: (*both, text) for i, both, text in zip(batch.id, sides, batch.text, strict=True)}
    alignments = tuple(_alignment(model, i, text, (video, said), words) for i, (video, said, text) in kept.items())
    return SplitAlignment(
        corpus=data.corpus,
        split=split,
        level=level,
        alignments=alignments,
        stats=_mean([alignment_stats(a) for a in alignments]),
        retrieval={name: value for name, value in model.measure(split, kept).items() if name != "contrast"},
        words=words,
        simulated=data.simulated,
    )


def token_spans(model: SAGEPretraining, clip: Clip) -> list[tuple[int, int]]:
    """Half-open ranges of source frames that the visual tokens of a clip are made of, from the first to the last one.

    They are what the temporal convolution sees: those of fixed schemes overlap, and a segment of which every second
    frame is read may end a frame early. Of features that stand for several frames each, all frames of a row count.
    """
    assert clip.index is not None and clip.segments is not None, "the model's pipeline makes both"
    media = clip.sample.media.get(model.input_spec.modality)
    stride = 1 if media is None else media.stride or 1
    rows = model.network.visual.tokens.reads(clip.segments)
    first, last = clip.index[rows[:, 0]], clip.index[rows[:, 1] - 1]
    return [(a * stride, (b + 1) * stride) for a, b in zip(first.tolist(), last.tolist(), strict=True)]


def _level(model: SAGEPretraining, level: Level | None) -> Level:
    """The level that is asked for, or the one that the model was trained on, once the model can be asked at all."""
    if not isinstance(model, SAGEPretraining):
        raise ConfigError(
            "visual tokens are compared with text by the first stage of SAGE",
            expected="a SAGEPretraining",
            found=type(model).__name__,
            todo="take the checkpoint of the phase `pretrain`",
        )
    if getattr(model, "net", None) is None:
        raise ConfigError("the model has no network yet", todo="load a checkpoint, or call model.prepare(data)")
    if level is None:
        return "embedding" if model.hparams["dual_supervision"] else "hidden"
    if level not in ("embedding", "hidden"):
        raise ConfigError("unknown level", expected="embedding or hidden", found=repr(level))
    if level == "hidden" and model.network.context is None:
        raise ConfigError("the model has no hidden states", found="te_layers=0", todo='ask for level="embedding"')
    return level


def _sides(model: SAGEPretraining, batch: Batch, level: Level) -> list[tuple[Tensor, Tensor]]:
    """Of each sample the visual tokens ``(N, D)`` and the text's ``(M, D)``, on the CPU, float32."""
    with torch.no_grad():
        tokens, hidden, mask = model.network(*model.rows_of(batch.to(model.device)))
    video = tokens if level == "embedding" or hidden is None else hidden
    model.teacher.device = model.device
    text = model.teacher(batch.text)[0 if level == "embedding" else 1].split()
    lengths = mask.sum(1).tolist()
    return [(video[row, :n].float().cpu(), text[row].float().cpu()) for row, n in enumerate(lengths)]


def _alignment(
    model: SAGEPretraining,
    sample_id: str,
    text: str,
    sides: tuple[Tensor, Tensor],
    words: bool,
    spans: Sequence[tuple[int, int]] = (),
) -> TokenAlignment:
    names = [name or "\u2581" for name in model.teacher.pieces(text)]  # sentencepiece's sign for a space
    found = align(sample_id, sides[0].numpy(), sides[1].numpy(), names, spans)
    columns = model.teacher.words(text) if words else []
    if len(columns) < 2:
        return found
    return join_columns(found, columns, ["".join(names[c] for c in word).strip("\u2581") for word in columns])


def _mean(stats: Sequence[AlignmentStats]) -> AlignmentStats:
    def mean(name: str) -> float:
        known = [value for s in stats if not np.isnan(value := getattr(s, name))]
        return float(np.mean(known)) if known else float("nan")

    return AlignmentStats(**{field.name: mean(field.name) for field in fields(AlignmentStats)})


def _plain(stats: AlignmentStats) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else value for name, value in asdict(stats).items()}
