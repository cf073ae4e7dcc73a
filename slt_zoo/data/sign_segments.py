"""Per-frame sign boundaries to segments of a clip's rows: `SignSegments` after decoding, `SegmentFrames` before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from slt_zoo.data.segment_rules import check_lengths, halve, labels_to_segments, runs_of, subsample
from slt_zoo.errors import ConfigError, UnfitSampleError
from slt_zoo.types import Clip, Modality

__all__ = ["SegmentFrames", "SegmentRules", "SignSegments", "runs_of"]


@dataclass(frozen=True)
class SegmentRules:
    """How labels become segments; see `slt_zoo.data.segment_rules.labels_to_segments`.

    Attributes:
        min_len: frames of the shortest piece that stays (4 where ``max_len`` is given).
        max_len: frames of the longest segment; None: each sign as annotated, and no rule.
        trim_outside: a segment ends before its first frame outside.
        empty: what a clip without segments becomes: ``"keep"``, none; ``"halve"``, the whole clip, halved until the
            pieces fit ``max_len`` (evaluation: no clip is lost); ``"leave_out"``, no sample of training.
        max_segments: a clip of more is left out; for the pipeline of training alone, in evaluation it is an error.
    """

    min_len: int | None = None
    max_len: int | None = None
    trim_outside: bool = False
    empty: Literal["keep", "halve", "leave_out"] = "keep"
    max_segments: int | None = None

    def __post_init__(self) -> None:
        if self.empty not in ("keep", "halve", "leave_out"):
            raise ConfigError("empty is 'keep', 'halve' or 'leave_out'", found=self.empty)
        if self.max_segments is not None and self.max_segments < 1:
            raise ConfigError("max_segments must be at least 1", found=self.max_segments)
        if self.max_len is not None:
            check_lengths(self._least, self.max_len)
        elif self.min_len is not None or self.trim_outside or self.empty == "halve":
            raise ConfigError(
                "min_len, trim_outside and empty='halve' need max_len",
                found=f"min_len={self.min_len}, trim_outside={self.trim_outside}, empty={self.empty!r}",
                todo="pass max_len=10; without it signs are taken as annotated",
            )

    @property
    def _least(self) -> int:
        return 4 if self.min_len is None else self.min_len

    def rows_of(self, clip: Clip, index: Tensor, stride: int) -> Tensor:
        """Segments of rows, ``(S, 2)`` half-open.

        A row belongs to the segment in which the middle of its source frames lies (features of stride 4 have four).
        Segments of which no row is left are left out.

        Args:
            clip: with its labels.
            index: ``(T,)``, which row of the source each row is, ascending.
            stride: frames of a row of the source.

        Raises:
            UnfitSampleError: the rules leave the sample out of training.
        """
        assert clip.labels is not None
        if self.max_len is None:
            frames = runs_of(clip.labels.numpy())
        else:
            frames = labels_to_segments(clip.labels, self._least, self.max_len, self.trim_outside).numpy()
        middle = index.numpy() * stride + (stride - 1) / 2
        rows = np.searchsorted(middle, frames)
        rows = rows[rows[:, 0] < rows[:, 1]]
        where = f"sample {clip.sample.id}, {len(clip.labels)} frames"
        if not len(rows) and self.empty == "leave_out":
            raise UnfitSampleError("the clip has no segment and is left out of training", where=where)
        if not len(rows) and self.empty == "halve" and len(index) and self.max_len is not None:
            rows = np.array(halve(0, len(index), self.max_len))
        if self.max_segments is not None and len(rows) > self.max_segments:
            raise UnfitSampleError(
                f"the clip has more than {self.max_segments} segments and is left out of training",
                where=where,
                found=len(rows),
            )
        return torch.from_numpy(rows.astype(np.int64))


@dataclass(frozen=True)
class SignSegments(SegmentRules):
    """Fills ``clip.segments`` from ``clip.labels``, in rows of what was selected.

    Without arguments each sign as annotated; this comes last where no other transform has made segments.
    ``SignSegments(max_len=10, empty="halve")`` has the rules of SAGE for evaluation.
    """

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`.

        Raises:
            ConfigError: the clip has no labels, or no rows.
            UnfitSampleError: see `SegmentRules`.
        """
        kinds = {"frames": clip.frames, "features": clip.features, "pose": clip.pose}
        kind = next((name for name, rows in kinds.items() if rows is not None), None)
        if clip.labels is None or clip.index is None or kind is None:
            raise ConfigError(
                "segments are made of sign boundaries and rows",
                where=f"sample {clip.sample.id}",
                todo="name 'segments' in InputSpec.needs, and frames, features or pose as modality",
            )
        return replace(clip, segments=self.rows_of(clip, clip.index, clip.sample.media[kind].stride or 1))


@dataclass(frozen=True)
class SegmentFrames(SegmentRules):
    """Selects the frames of segments and no others, so that nothing else is decoded; sets ``clip.segments``.

    Attributes:
        max_len: frames of the longest segment; None: each sign as annotated.
        empty: ``"halve"`` or ``"leave_out"``; a clip of no rows would be of no use.
        frame_stride: every so many rows of a segment, from its first (SAGE: 2, so of n rows ``ceil(n / 2)`` stay).
        modality: of the rows, whose stride says which frames they are of.
    """

    max_len: int | None = 10
    empty: Literal["keep", "halve", "leave_out"] = "halve"
    frame_stride: int = 2
    modality: Modality = "frames"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frame_stride < 1 or self.empty == "keep":
            raise ConfigError(
                "frame_stride must be at least 1, and empty 'halve' or 'leave_out'",
                found=f"frame_stride={self.frame_stride}, empty={self.empty!r}",
            )

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """See `SelectFrames`.

        Raises:
            ConfigError: the clip has no labels.
            UnfitSampleError: see `SegmentRules`.
        """
        if clip.labels is None:
            raise ConfigError(
                "frames of segments are chosen by sign boundaries",
                where=f"sample {clip.sample.id}",
                todo="name 'segments' in InputSpec.needs",
            )
        media = clip.sample.media.get(self.modality)
        stride = 1 if media is None else media.stride or 1
        segments = self.rows_of(clip, torch.arange(num_frames), stride)
        index, clip.segments = subsample(segments, self.frame_stride)
        return index
