"""Drawing a signer: a figure with head, face, trunk, arms and hands, so that models of frames have something to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slt_zoo.synthetic.signers import Colour, Signer

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

__all__ = ["draw_clip"]

Places = dict[str, tuple[float, float]]

_FINE = 2  # drawn so many times larger, then averaged: smooth edges
_HEAD = ("nose", "left_eye", "right_eye")
_FINGERS = (
    ("thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip"),
    *(
        tuple(f"{f}_{j}" for j in ("mcp", "pip", "dip", "tip"))
        for f in ("index_finger", "middle_finger", "ring_finger")
    ),
    ("pinky_mcp", "pinky_pip", "pinky_dip", "pinky_tip"),
)


def draw_clip(
    points: Sequence[str],
    pixels: NDArray[np.float64],
    conf: NDArray[np.float64],
    signer: Signer,
    frame_size: tuple[int, int],
    brightness: float = 1.0,
) -> list[NDArray[np.uint8]]:
    """Draw each frame of a clip.

    Args:
        points: K names.
        pixels: ``(T, K, 3)`` places in an image of ``frame_size``.
        conf: ``(T, K)``; points with confidence 0 are not drawn.
        signer: gives the colours.
        frame_size: width and height.
        brightness: factor of all colours.

    Returns:
        T images ``(height, width, 3)``.
    """
    from PIL import Image, ImageDraw

    width, height = frame_size
    large = (width * _FINE, height * _FINE)
    look = {k: _shade(getattr(signer, k), brightness) for k in ("skin", "clothes", "hair", "background")}
    images = []
    for frame, sure in zip(pixels[..., :2] * _FINE, conf > 0, strict=True):
        places = {p: (float(x), float(y)) for p, (x, y), there in zip(points, frame, sure, strict=True) if there}
        image = Image.new("RGB", large, look["background"])
        _draw_body(ImageDraw.Draw(image), places, look, large)
        images.append(np.asarray(image.reduce(_FINE)))
    return images


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, max(0, round(c * factor))) for c in colour)
    return red, green, blue


def _draw_body(pen: ImageDraw, at: Places, look: dict[str, Colour], size: tuple[int, int]) -> None:
    left, right = at.get("body.left_shoulder"), at.get("body.right_shoulder")
    if left is None or right is None:
        return
    unit = float(np.hypot(left[0] - right[0], left[1] - right[1]))
    neck = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2)
    pen.polygon(
        [left, right, (right[0] + 0.08 * unit, size[1]), (left[0] - 0.08 * unit, size[1])], fill=look["clothes"]
    )
    for joint in (left, right):
        _disc(pen, joint, 0.14 * unit, look["clothes"])
    _draw_head(pen, at, neck, unit, look)
    sleeve, edge = _shade(look["clothes"], 1.35), _shade(look["clothes"], 0.6)
    for side in ("left", "right"):
        arm = [at.get(f"body.{side}_{joint}") for joint in ("shoulder", "elbow", "wrist")]
        known = [p for p in arm if p is not None]
        for colour, thickness in ((edge, 0.25), (sleeve, 0.21)):
            _line(pen, known, thickness * unit, colour)
    for side in ("left", "right"):
        _draw_hand(pen, at, f"{side}_hand", unit, look["skin"])


def _draw_head(pen: ImageDraw, at: Places, neck: tuple[float, float], unit: float, look: dict[str, Colour]) -> None:
    nose = at.get("body.nose", (neck[0], neck[1] - 0.62 * unit))
    skin, dark = look["skin"], _shade(look["skin"], 0.45)
    _line(pen, [neck, nose], 0.26 * unit, _shade(skin, 0.85))
    _oval(pen, (nose[0], nose[1] - 0.12 * unit), 0.31 * unit, 0.38 * unit, look["hair"])
    _oval(pen, (nose[0], nose[1] - 0.02 * unit), 0.25 * unit, 0.35 * unit, skin)
    for eye in ("body.left_eye", "body.right_eye"):
        if eye in at:
            _disc(pen, at[eye], 0.035 * unit, (20, 20, 20))
    _disc(pen, nose, 0.025 * unit, dark)
    mouth = [at[p] for p in ("body.mouth_left", "body.mouth_right") if p in at]
    if len(mouth) == 2:
        _line(pen, mouth, 0.035 * unit, (150, 40, 50))


def _draw_hand(pen: ImageDraw, at: Places, hand: str, unit: float, skin: Colour) -> None:
    wrist = at.get(f"{hand}.wrist")
    if wrist is None:
        return
    fingers = [[at[f"{hand}.{j}"] for j in finger if f"{hand}.{j}" in at] for finger in _FINGERS]
    edge = _shade(skin, 0.5)
    palm = [wrist, *(finger[0] for finger in fingers if finger)]
    for colour, grow in ((edge, 0.035), (skin, 0.0)):
        pen.polygon(palm, fill=colour)
        _line(pen, [*palm, wrist], (0.05 + grow) * unit, colour)
    for k, finger in enumerate(fingers):
        base = [wrist, *finger] if k == 0 else finger
        _line(pen, base, 0.085 * unit, edge)
        _line(pen, base, 0.055 * unit, _shade(skin, 1.0 - 0.06 * k))


def _line(pen: ImageDraw, path: Sequence[tuple[float, float]], width: float, colour: Colour) -> None:
    """A thick line with round joints and ends."""
    if len(path) < 2:
        return
    pen.line(list(path), fill=colour, width=max(1, round(width)))
    for point in path:
        _disc(pen, point, width / 2, colour)


def _disc(pen: ImageDraw, centre: tuple[float, float], radius: float, colour: Colour) -> None:
    _oval(pen, centre, radius, radius, colour)


def _oval(pen: ImageDraw, centre: tuple[float, float], across: float, down: float, colour: Colour) -> None:
    x, y = centre
    pen.ellipse([x - across, y - down, x + across, y + down], fill=colour)
