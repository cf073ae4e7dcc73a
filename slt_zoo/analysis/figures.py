"""Figures for reports and notebooks, readable without colour."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slt_zoo.analysis.alignment import TokenAlignment, unmatched
from slt_zoo.analysis.curves import Curve
from slt_zoo.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["HeatMap", "alignment_figure", "curves_figure", "heat_map_figure", "to_svg"]

# Okabe and Ito's colours, told apart with any colour vision; the line style says the same again
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#9A4B87", "#000000")
STYLES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
RC: Any = {  # Any: matplotlib's stubs want each key as a literal type
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "svg.fonttype": "none",  # text stays text: the reader's fonts have the glyphs of every script
    "svg.hashsalt": "slt_zoo",  # the same figure gives the same bytes
}


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Cross-attention of one sample: how much each token looked at each frame.

    Attributes:
        matrix: ``(n_tokens, n_frames)``, weights >= 0 over valid frames only.
        tokens: the ``n_tokens`` generated tokens.
        fps: frames a second of the matrix's columns; None: the axis counts frames.
        title: says which sample and which layer.
        boundaries: half-open frame ranges of the signs, where they are known.
        labels: names of these signs; none, or one each.
    """

    matrix: NDArray[np.floating[Any]]
    tokens: Sequence[str]
    fps: float | None = None
    title: str = "Cross-attention"
    boundaries: Sequence[tuple[int, int]] = ()
    labels: Sequence[str] = ()

    def __post_init__(self) -> None:
        shape = np.shape(self.matrix)
        if len(shape) != 2 or 0 in shape or shape[0] != len(self.tokens) or not np.isfinite(self.matrix).all():
            raise ConfigError(
                "a heat map needs one row of finite weights a token",
                expected=f"({len(self.tokens)}, frames) finite",
                found=f"{shape}",
            )
        if any(not 0 <= begin < end <= shape[1] for begin, end in self.boundaries):
            raise ConfigError(
                "sign boundaries lie outside the frames",
                expected=f"0 <= begin < end <= {shape[1]}",
                found=list(self.boundaries),
            )
        if self.labels and len(self.labels) != len(self.boundaries):
            raise ConfigError(
                "a heat map needs one label a sign", expected=len(self.boundaries), found=len(self.labels)
            )

    def describe(self) -> str:
        """Where each token's attention is highest, in words."""
        peaks = np.asarray(self.matrix).argmax(axis=1)
        where = [f"{(p + 0.5) / self.fps:.1f} s" if self.fps else f"frame {p}" for p in peaks]
        return f"{self.title}. Highest weight: " + "; ".join(
            f"{token!r} at {place}" for token, place in zip(self.tokens, where, strict=True)
        )


def curves_figure(losses: Sequence[Curve], scores: Sequence[Curve]) -> Figure:
    """Losses on the left, scores in percent on the right; a side without a curve is left out."""
    import matplotlib
    from matplotlib.figure import Figure

    sides = [
        (title, unit, curves) for title, unit, curves in (("Loss", "", losses), ("Dev scores", "%", scores)) if curves
    ]
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(4.9 * max(len(sides), 1), 3.1), layout="constrained")
        for axes, (title, unit, curves) in zip(
            np.atleast_1d(figure.subplots(1, max(len(sides), 1))), sides, strict=False
        ):
            axes.set(title=title, xlabel="training step", ylabel=unit)
            axes.grid(axis="y", color="#dddddd", linewidth=0.6)
            for curve, colour, style in zip(curves, COLOURS, STYLES, strict=False):
                _draw_curve(axes, curve, colour, style)
            axes.margins(x=0.02)
            if unit:
                axes.set_ylim(bottom=0)
            axes.legend(frameon=False, handlelength=3.2, fontsize=9)
    return figure


def _draw_curve(axes: Axes, curve: Curve, colour: str, style: Any) -> None:
    steps = np.array([p[0] for p in curve.points])
    values = np.array([p[1] for p in curve.points], dtype=float)
    marker = "o" if len(steps) <= 30 else None
    if len(steps) > 100:  # a loss of every few steps: the raw values faint, their running mean as the line
        axes.plot(steps, values, color=colour, linewidth=0.6, alpha=0.3)
        steps, values = _running_mean(steps, values, len(values) // 30)
    axes.plot(
        steps, values, color=colour, linestyle=style, linewidth=1.7, marker=marker, markersize=3.5, label=curve.name
    )


def _running_mean(steps: NDArray[Any], values: NDArray[Any], width: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Means of ``width`` neighbours, each at the middle of its steps."""
    kernel = np.ones(width) / width
    return np.convolve(steps, kernel, "valid"), np.convolve(values, kernel, "valid")


def heat_map_figure(heat_map: HeatMap) -> Figure:
    """The heat map, time from left to right; a dot marks each row's highest weight, bars above show the signs."""
    import matplotlib
    from matplotlib.figure import Figure

    matrix = np.asarray(heat_map.matrix, dtype=float)
    tokens, frames = matrix.shape
    scale = 1 / heat_map.fps if heat_map.fps else 1.0
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(9, min(1.5 + 0.32 * tokens, 12)), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(
            matrix,
            aspect="auto",
            interpolation="nearest",
            cmap="viridis",
            vmin=0,
            extent=(0, frames * scale, tokens - 0.5, -0.5),
        )
        axes.plot(
            (matrix.argmax(axis=1) + 0.5) * scale, np.arange(tokens), "o", ms=5, mfc="white", mec="black", mew=0.9
        )
        axes.set_yticks(range(tokens), [_shown(t) for t in heat_map.tokens])
        axes.set_xlabel("seconds" if heat_map.fps else "frame")
        axes.tick_params(axis="y", length=0)
        _draw_signs(axes, heat_map, scale)
        figure.suptitle(_shown(heat_map.title), x=0.01, ha="left", fontsize=11, fontweight="bold")
        figure.colorbar(image, ax=axes, label="attention weight", pad=0.015, fraction=0.04)
    return figure


def _draw_signs(axes: Axes, heat_map: HeatMap, scale: float) -> None:
    """Signs as brackets above the map, their limits as lines through it."""
    labels = heat_map.labels or [""] * len(heat_map.boundaries)
    above: Any = {"transform": axes.get_xaxis_transform(), "clip_on": False}  # x in data, y in heights of the map
    for (begin, end), label in zip(heat_map.boundaries, labels, strict=True):
        left, right = begin * scale, end * scale
        for x in (left, right):
            axes.axvline(x, color="white", linewidth=0.8, linestyle=(0, (3, 2)))
        axes.plot([left, right], [1.03, 1.03], color="#333333", linewidth=3, solid_capstyle="butt", **above)
        axes.text((left + right) / 2, 1.055, _shown(label), ha="center", va="bottom", fontsize=7.5, **above)


def alignment_figure(alignment: TokenAlignment, title: str | None = None, threshold: float = 0.6) -> Figure:
    """What each visual token gives each text token (SAGE, figure 4), and above it what each text token gets of all.

    Rows are visual tokens from the first frame down, a dot marks each one's highest weight. Columns are the text; one
    that gets less than ``threshold`` of all visual tokens together is in brackets, its bar hatched.

    Args:
        alignment: whose ``weight`` is drawn.
        title: in the place of one that says so.
        threshold: see `unmatched`.
    """
    import matplotlib
    from matplotlib.figure import Figure

    weight = alignment.weight
    tokens, words = weight.shape
    with matplotlib.rc_context(RC):
        size = min(max(2.4 + 0.5 * words, 5.5), 16), min(2.9 + 0.26 * tokens, 14)
        figure = Figure(figsize=size, layout="constrained")
        above, axes = figure.subplots(2, 1, sharex=True, height_ratios=(1, max(2.0, 0.3 * tokens)))
        image = axes.imshow(weight, aspect="auto", interpolation="nearest", cmap="viridis", vmin=0, vmax=1)
        axes.plot(weight.argmax(1), np.arange(tokens), "o", ms=5, mfc="white", mec="black", mew=0.9)
        rows = [f"{begin}\u2013{end - 1}" for begin, end in alignment.spans] or [str(i) for i in range(tokens)]
        axes.set_yticks(range(tokens), rows, fontsize=8)
        axes.set_ylabel("visual token: its frames" if alignment.spans else "visual token")
        left = unmatched(alignment, threshold)
        names = [f"({_shown(t)})" if j in left else _shown(t) for j, t in enumerate(alignment.text)]
        axes.set_xticks(range(words), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.tick_params(length=0)
        bars = above.bar(range(words), weight.sum(0), color="#cfd8e3", edgecolor="#333333", linewidth=0.8)
        for j in left:
            bars[j].set(hatch="////", facecolor="white")
        above.axhline(threshold, color="#333333", linewidth=1, linestyle=(0, (4, 3)))
        above.set_ylabel("sum of\nweights", fontsize=9)
        above.tick_params(axis="x", length=0, labelbottom=False)
        figure.suptitle(
            _shown(title or f"Visual tokens and text of {alignment.id}"),
            x=0.01,
            ha="left",
            fontsize=11,
            fontweight="bold",
        )
        figure.colorbar(image, ax=axes, label="weight, softmax over the text", pad=0.015, fraction=0.04)
    return figure


def _shown(text: str) -> str:
    """Text that matplotlib draws as it is: a pair of dollar signs would begin a formula."""
    return text.replace("$", r"\$")


def to_svg(figure: Figure) -> str:
    """The figure as an SVG document."""
    import matplotlib

    with matplotlib.rc_context(RC), warnings.catch_warnings():
        # it lays out with its own font, which lacks some scripts; the text is drawn by the reader's program
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
