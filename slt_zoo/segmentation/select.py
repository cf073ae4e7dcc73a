"""`SelectTokens`: which frames a clip's visual tokens are made of, by sign segments or by a fixed scheme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from slt_zoo.errors import ConfigError, LeftOutError
from slt_zoo.segmentation.rules import halves, labels_to_segments
from slt_zoo.types import Clip

__all__ = ["SelectTokens", "Tokenization"]

Tokenization = Literal["segment", "maxpool", "stride", "uniform", "window"]


@dataclass(frozen=True)
class SelectTokens:
    """Selects the frames of a clip's tokens and says in ``clip.segments`` which rows are whose (SAGE, table 2).

    ============  ==========================================================================================
    tokenization  a token of T frames, k = ``reduction_factor``
    ============  ==========================================================================================
    segment       a sign segment of `labels_to_segments`, every ``frame_stride``-th frame of it
    window        13 frames, the next begins k frames later; the last may be shorter
    uniform       one frame of ``ceil(T / k)`` that are spread evenly, first and last among them
    stride        every k-th frame; a convolution over them all follows
    maxpool       all frames; convolutions and maxima follow, k is 4
    ============  ==========================================================================================

    Args:
        tokenization: which scheme.
        min_len: shortest segment, in frames.
        max_len: longest segment; longer ones are halved.
        frame_stride: of the frames of a segment that are used.
        trim_outside: end a segment where its sign ends, not where the next begins.
        reduction_factor: frames a token of the fixed schemes.
        window: frames of a window.
        max_segments: leave clips with more segments, or with none, out of training; None: keep all.
    """

    tokenization: Tokenization = "segment"
    min_len: int = 4
    max_len: int = 10
    frame_stride: int = 2
    trim_outside: bool = False
    reduction_factor: int = 4
    window: int = 13
    max_segments: int | None = None

    def __post_init__(self) -> None:
        if self.tokenization not in get_args(Tokenization):
            raise ConfigError(
                "unknown tokenization", expected=", ".join(get_args(Tokenization)), found=repr(self.tokenization)
            )
        if min(self.min_len, self.max_len, self.frame_stride, self.reduction_factor, self.window) < 1:
            raise ConfigError("lengths and strides of tokens must be at least 1", found=self)
        if self.tokenization == "maxpool" and self.reduction_factor != 4:
            raise ConfigError("max pooling twice reduces by 4", found=f"reduction_factor={self.reduction_factor}")

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """See `SelectFrames`.

        Raises:
            ConfigError: sign segments without labels.
            LeftOutError: ``max_segments`` leaves the clip out.
        """
        index, segments = getattr(self, f"_{self.tokenization}")(clip, num_frames)
        clip.segments = segments
        return torch.as_tensor(index)

    def _segment(self, clip: Clip, rows: int) -> tuple[Tensor, Tensor]:
        frames = self._signs(clip, rows)
        lengths = -(-(frames[:, 1] - frames[:, 0]) // self.frame_stride)
        ends = lengths.cumsum(0)
        which = torch.repeat_interleave(lengths)
        place = torch.arange(len(which)) - (ends - lengths)[which]
        return frames[which, 0] + place * self.frame_stride, torch.stack([ends - lengths, ends], 1)

    def _signs(self, clip: Clip, rows: int) -> Tensor:
        """Segments in rows of the source: frames, or vectors of several frames."""
        if clip.labels is None:
            raise ConfigError(
                "sign segments are made of per-frame labels",
                where=f"sample {clip.sample.id}",
                todo="name 'segments' in InputSpec.needs, or take another tokenization",
            )
        strides = [] if rows == len(clip.labels) else [m.stride for m in clip.sample.media.values() if m.stride]
        stride = max(strides, default=1)
        found = labels_to_segments(clip.labels, self.min_len, self.max_len, self.trim_outside)
        if self.max_segments is not None and not 0 < len(found) <= self.max_segments:
            raise LeftOutError(
                f"{len(found)} segments; the model trains on clips with 1 to {self.max_segments}",
                where=f"sample {clip.sample.id}",
            )
        if stride > 1:
            middle = np.arange(rows) * stride + (stride - 1) / 2
            found = torch.from_numpy(np.searchsorted(middle, found.numpy()).astype(np.int64))
            found = found[found[:, 0] < found[:, 1]]
        return found if len(found) else halves(0, rows, self.max_len)

    def _maxpool(self, clip: Clip, rows: int) -> tuple[Tensor, Tensor]:
        return torch.arange(rows), torch.tensor([[0, rows]])

    def _stride(self, clip: Clip, rows: int) -> tuple[Tensor, Tensor]:
        index = torch.arange(0, rows, self.reduction_factor)
        return index, torch.tensor([[0, len(index)]])

    def _uniform(self, clip: Clip, rows: int) -> tuple[Tensor, Tensor]:
        count = -(-rows // self.reduction_factor)
        index = torch.from_numpy(np.linspace(0, rows - 1, count).round().astype(np.int64))
        row = torch.arange(count)
        return index, torch.stack([row, row + 1], 1)

    def _window(self, clip: Clip, rows: int) -> tuple[Tensor, Tensor]:
        count = 1 + max(0, -(-(rows - self.window) // self.reduction_factor))
        first = torch.arange(count) * self.reduction_factor
        return torch.arange(rows), torch.stack([first, (first + self.window).clamp(max=rows)], 1)
