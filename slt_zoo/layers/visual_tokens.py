"""From frame features to visual tokens: segments of unequal length, or the fixed schemes they are compared with.

Everything is packed: rows of all clips end to end, sequences as half-open ranges of rows. Ends are repeated where a
convolution reaches beyond them, so that no padding exists that could leak into batch norm, pooling or a loss.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slt_zoo.types import Ragged

__all__ = ["FrameTokens", "MaxPoolTokens", "SegmentTokens", "TemporalConv", "segment_mean"]

KERNEL = 5


class TemporalConv(nn.Module):
    """A convolution over time, batch norm, ReLU, on packed sequences (SAGE, section 3.2).

    Args:
        in_dim: width of a row.
        out_dim: width of a result.
        bn_over_padding: in training let the statistics of batch norm see the padding that the published code makes of
            sequences of unequal length (the value 1.0); results of a clip then depend on its batch.
    """

    def __init__(self, in_dim: int, out_dim: int, bn_over_padding: bool = False) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(in_dim, out_dim, KERNEL), nn.BatchNorm1d(out_dim)
        self.bn_over_padding = bn_over_padding

    def forward(self, rows: Tensor, ranges: Tensor, left: Tensor, right: Tensor) -> Ragged:
        """Convolve each sequence, its first row repeated ``left`` times before it and its last one ``right`` times.

        Args:
            rows: ``(R, in_dim)``.
            ranges: ``(S, 2)`` int64, half-open, not empty; they may overlap.
            left: ``(S,)`` int64.
            right: ``(S,)`` int64; with both each sequence has at least 5 rows.

        Returns:
            ``S`` sequences, 4 shorter than what was padded; ``(P, out_dim)`` values.
        """
        lengths = ranges[:, 1] - ranges[:, 0] + left + right - (KERNEL - 1)
        index = _taps(ranges, left, lengths)
        weight = self.conv.weight.permute(0, 2, 1).flatten(1)  # (out, 5 in), as the rows of a tap lie
        out = Ragged(F.linear(rows[index].flatten(1), weight, self.conv.bias), lengths)
        if self.bn_over_padding and self.training:
            return Ragged(F.relu(self._norm_with_padding(out)), lengths)
        return Ragged(F.relu(self.norm(out.values)), lengths)

    def _norm_with_padding(self, out: Ragged) -> Tensor:
        """What the published code's batch norm gives: positions of padding hold the convolution of ones."""
        dense, mask = out.padded()
        ones = self.conv.weight.sum((1, 2)) + (0 if self.conv.bias is None else self.conv.bias)
        dense = torch.where(mask[..., None], dense, ones.to(dense.dtype))
        normed: Tensor = self.norm(dense.flatten(0, 1))
        return normed.view_as(dense)[mask]


def _taps(ranges: Tensor, left: Tensor, lengths: Tensor) -> Tensor:
    """``(P, 5)``: the rows that each result of a convolution sees, ends repeated."""
    sequence = torch.repeat_interleave(lengths)
    position = torch.arange(len(sequence), device=ranges.device) - (lengths.cumsum(0) - lengths)[sequence]
    first, last = ranges[sequence, :1], ranges[sequence, 1:] - 1
    row = first + (position - left[sequence])[:, None] + torch.arange(KERNEL, device=ranges.device)
    return row.clamp(min=first, max=last)


def segment_mean(sequences: Ragged) -> Tensor:
    """``(S, D)``: the mean of each sequence."""
    which = torch.repeat_interleave(sequences.lengths)
    total = sequences.values.new_zeros(len(sequences), sequences.values.shape[1])
    return total.index_add_(0, which, sequences.values) / sequences.lengths[:, None]


def _all_ranges(rows: Ragged, segments: Ragged) -> Tensor:
    """Ranges of each clip's own rows as ranges of all rows."""
    offset = rows.lengths.cumsum(0) - rows.lengths
    return segments.values + torch.repeat_interleave(offset, segments.lengths)[:, None]


class SegmentTokens(nn.Module):
    """A token a segment: convolution, batch norm, ReLU, mean (SAGE, section 3.2). A segment of one row is one too."""

    def __init__(self, in_dim: int, out_dim: int, bn_over_padding: bool = False) -> None:
        super().__init__()
        self.temporal = TemporalConv(in_dim, out_dim, bn_over_padding)

    def forward(self, rows: Ragged, segments: Ragged) -> Ragged:
        """Rows ``(sum_T, in_dim)`` and their segments ``(sum_S, 2)`` to tokens ``(sum_S, out_dim)``."""
        return Ragged(segment_mean(self.convolved(rows, segments)), segments.lengths)

    def convolved(self, rows: Ragged, segments: Ragged) -> Ragged:
        """The rows of each segment, ``S`` sequences of ``(n, out_dim)``; ends are repeated."""
        ranges = _all_ranges(rows, segments)
        both = torch.full_like(ranges[:, 0], KERNEL // 2)
        out: Ragged = self.temporal(rows.values, ranges, both, both)
        return out

    def reads(self, segments: Tensor) -> Tensor:
        """Ranges of rows that the tokens of one clip are made of, ``(N, 2)``; of its segments ``(S, 2)``."""
        return segments


class FrameTokens(SegmentTokens):
    """A token a row of a segment, each seeing two rows on either side: what is left of `SegmentTokens` unpooled."""

    def forward(self, rows: Ragged, segments: Ragged) -> Ragged:
        """Rows and segments to tokens ``(sum_T, out_dim)``."""
        out = self.convolved(rows, segments)
        clip = torch.repeat_interleave(segments.lengths)
        return Ragged(out.values, torch.zeros_like(segments.lengths).index_add_(0, clip, out.lengths))

    def reads(self, segments: Tensor) -> Tensor:
        """See `SegmentTokens.reads`."""
        return _windows(segments, [torch.arange(n) - KERNEL // 2 for n in _lengths(segments)], KERNEL)


class MaxPoolTokens(nn.Module):
    """Twice a convolution and the maximum of two neighbours: ``ceil(T / 4) + 1`` tokens of T rows.

    With the padding of GFSLT (Zhou et al., ICCV 2023): the first row eight times more, and the last one so often that
    ``4 ceil(T / 4) + 16`` are convolved.
    """

    def __init__(self, in_dim: int, out_dim: int, bn_over_padding: bool = False) -> None:
        super().__init__()
        self.first = TemporalConv(in_dim, out_dim, bn_over_padding)
        self.second = TemporalConv(out_dim, out_dim, bn_over_padding)

    def forward(self, rows: Ragged, segments: Ragged) -> Ragged:
        """Rows and segments, one a clip, to tokens."""
        ranges = _all_ranges(rows, segments)
        length = ranges[:, 1] - ranges[:, 0]
        left = torch.full_like(length, 8)
        halved = _max_of_two(self.first(rows.values, ranges, left, -(-length // 4) * 4 + 8 - length))
        ends = halved.lengths.cumsum(0)
        none = torch.zeros_like(ends)
        tokens = _max_of_two(self.second(halved.values, torch.stack([ends - halved.lengths, ends], 1), none, none))
        clip = torch.repeat_interleave(segments.lengths)
        return Ragged(tokens.values, torch.zeros_like(segments.lengths).index_add_(0, clip, tokens.lengths))

    def reads(self, segments: Tensor) -> Tensor:
        """See `SegmentTokens.reads`: token n sees the sixteen rows from ``4 n - 8`` on."""
        return _windows(segments, [torch.arange(-(-n // 4) + 1) * 4 - 8 for n in _lengths(segments)], 16)


def _lengths(segments: Tensor) -> list[int]:
    lengths: list[int] = (segments[:, 1] - segments[:, 0]).tolist()
    return lengths


def _windows(segments: Tensor, begins: list[Tensor], length: int) -> Tensor:
    """Ranges of ``length`` rows from each begin, counted in a segment and cut off at its ends."""
    parts = []
    for (first, last), begin in zip(segments.tolist(), begins, strict=True):
        parts.append(torch.stack([begin, begin + length], 1).add(first).clamp(first, last))
    return torch.cat([segments.new_zeros(0, 2), *parts])


def _max_of_two(sequences: Ragged) -> Ragged:
    """Neighbours joined; all lengths are even."""
    return Ragged(sequences.values.view(-1, 2, sequences.values.shape[1]).amax(1), sequences.lengths // 2)
