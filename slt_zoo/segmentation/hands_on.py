"""The network of Hands-On, which labels each frame as outside (0), inside (1) or begin (2) of a sign.

Low, Walsh, Sincan, Bowden: "Hands-On: Segmenting Individual Signs from Continuous Sequences", FG 2025, arXiv
2504.08593. The published weights and their inputs (rotations of hand joints by HaMeR, joint angles of a 3-D body) are
not part of this package; the widths of the inputs are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from slt_zoo.data.boundaries import BEGIN, INSIDE, as_labels
from slt_zoo.errors import ConfigError
from slt_zoo.layers.positions import SinusoidalPositions
from slt_zoo.types import Ragged

__all__ = ["HandsOnNet", "fix_up", "window_rows"]

LABELS = 3
_RUN, _RUN_AT_START = 2, 6


def fix_up(labels: Tensor) -> Tensor:
    """The post-processing of the published code: where signs begin although no begin was said, and where one is enough.

    A run of at least 2 inside (1) without a begin gets one on its first frame; at the start of the clip it takes 6.
    Of begins (2) in a row the first stays, the others become inside. A single inside stays as it is.

    Args:
        labels: ``(T,)`` of 0, 1 and 2.

    Returns:
        A new tensor ``(T,)`` int64.
    """
    known = as_labels(labels)
    fixed = known.clone()
    edges = torch.nonzero(torch.diff(known == INSIDE, prepend=torch.tensor([False]), append=torch.tensor([False])))
    for first, last in edges.reshape(-1, 2).tolist():
        if last - first >= (_RUN if first else _RUN_AT_START):
            fixed[first] = BEGIN
    follows = torch.cat([torch.tensor([False]), fixed[:-1] == BEGIN])[: len(fixed)]
    fixed[follows & (fixed == BEGIN)] = INSIDE
    return fixed


def window_rows(lengths: Sequence[int], window: int, legacy_crop: bool = False) -> tuple[Tensor, Tensor]:
    """Windows of clips that lie end to end; what is missing of a clip's last window is its last row again.

    Args:
        lengths: rows of each clip.
        window: rows of a window.
        legacy_crop: as the published code: of a clip's last window, where r of its rows are the clip's, the last r are
            kept in the place of the first. Of 70 rows in windows of 50, rows 50 to 69 then have what was said of
            places 80 to 99, which all are row 69 again.

    Returns:
        ``(W, window)`` which row is where in the windows; and ``(sum_T,)``, at which place of the W x window each row
        is read.
    """
    rows: list[Tensor] = []
    places: list[Tensor] = []
    begin = at = 0
    for length in lengths:
        count = -(-length // window)
        place = torch.arange(count * window)
        rows.append(begin + place.clamp(max=length - 1))
        read = place[:length].clone()
        whole = length // window * window
        if legacy_crop and whole < length:
            read[whole:] = place[whole - length :]
        places.append(at + read)
        begin, at = begin + length, at + count * window
    none = torch.zeros(0, dtype=torch.int64)
    return torch.cat([none, *rows]).reshape(-1, window), torch.cat([none, *places])


class HandsOnNet(nn.Module):
    """Networks of each stream, one of all, and a transformer over windows (specification of SAGE, section 6.3).

    The sizes are the published ones. Every clip is cut into windows of ``window`` frames which do not see each other,
    so its labels do not depend on the clips beside it.

    Args:
        widths: of the inputs of a frame, one a stream: 288 of hands, 104 of the body.
        stream_dim: width of each stream's network.
        d_model: width of the transformer, even and divisible by ``nhead``.
        nhead: attention heads.
        dim_feedforward: width of its feed-forward blocks.
        num_layers: of the transformer.
        dropout: in its layers, and after the positions.
        window: frames of a window.
    """

    def __init__(
        self,
        widths: Sequence[int] = (288, 104),
        *,
        stream_dim: int = 512,
        d_model: int = 512,
        nhead: int = 4,
        dim_feedforward: int = 1024,
        num_layers: int = 4,
        dropout: float = 0.2,
        window: int = 50,
    ) -> None:
        super().__init__()
        if not widths or min(*widths, stream_dim, d_model, nhead, dim_feedforward, num_layers, window) < 1:
            raise ConfigError(
                "there must be a stream, and sizes must be positive",
                found=f"{widths=}, {stream_dim=}, {d_model=}, {nhead=}, {dim_feedforward=}, {num_layers=}, {window=}",
            )
        if d_model % 2 or d_model % nhead or not 0 <= dropout <= 1:
            raise ConfigError(
                "d_model must be even and divisible by nhead, and dropout a probability",
                found=f"{d_model=}, {nhead=}, {dropout=}",
            )
        self.widths, self.window = tuple(widths), window
        self.streams = nn.ModuleList([_perceptron(width, stream_dim) for width in widths])
        self.joint = _perceptron(stream_dim * len(widths), d_model)
        self.positions = SinusoidalPositions(d_model, window, dropout)
        layer = nn.TransformerEncoderLayer(
            d_model, nhead, dim_feedforward, dropout, layer_norm_eps=1e-6, batch_first=True, norm_first=True
        )
        norm = nn.LayerNorm(d_model, eps=1e-6)
        self.encoder = nn.TransformerEncoder(layer, num_layers, norm, enable_nested_tensor=False)
        self.head = nn.Linear(d_model, LABELS)

    def forward(self, *streams: Tensor) -> Tensor:
        """Streams of windows ``(W, window, width)`` to logits ``(W, window, 3)`` of outside, inside and begin."""
        parts = [net(x) for net, x in zip(self.streams, streams, strict=True)]
        x = self.positions(self.joint(torch.cat(parts, -1)))
        logits: Tensor = self.head(self.encoder(x))
        return logits

    def logits(self, streams: Sequence[Ragged], legacy_crop: bool = False) -> Tensor:
        """Logits of every row of clips.

        Args:
            streams: values ``(sum_T, width)``, of the same lengths.
            legacy_crop: see `window_rows`.

        Returns:
            ``(sum_T, 3)``.
        """
        values = [stream.values for stream in streams]
        rows, places = window_rows(streams[0].lengths.tolist(), self.window, legacy_crop)
        rows, places = rows.to(values[0].device), places.to(values[0].device)
        logits: Tensor = self(*(x[rows] for x in values)).flatten(0, 1)[places]
        return logits


def _perceptron(width: int, out: int) -> nn.Sequential:
    """Three layers, ReLU after each."""
    sizes = (width, out, out)
    return nn.Sequential(*(part for size in sizes for part in (nn.Linear(size, out), nn.ReLU())))
