"""The points of the simulated signer: names, order, and which of them are joined by a bone.

Names follow the rest of the package, ``<part>.<point>`` in MediaPipe's words; ``body.neck`` is an extra point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slt_zoo.data.pose_layouts import POINT_SETS

__all__ = ["COMPONENTS", "POINTS", "Component", "components"]

COMPONENTS = {"POSE_LANDMARKS": "body", "LEFT_HAND_LANDMARKS": "left_hand", "RIGHT_HAND_LANDMARKS": "right_hand"}
"""Components of a MediaPipe ``.pose`` file and the part of the body that their points belong to."""

_BODY = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "neck",
)
_HAND = tuple(p.removeprefix("left_hand.") for p in POINT_SETS["hands42"][:21])  # wrist, then four joints a finger

POINTS: tuple[str, ...] = (
    *(f"body.{p}" for p in _BODY),
    *POINT_SETS["hands42"],
)
"""What the skeleton signer writes: 14 points of head, trunk and arms, 21 of each hand."""

_BODY_BONES = (
    ("left_shoulder", "right_shoulder"),
    ("nose", "neck"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("mouth_left", "mouth_right"),
)
_HAND_BONES = tuple(
    pair
    for k in range(5)
    for pair in zip(("wrist", *_HAND[4 * k + 1 : 4 * k + 4]), _HAND[4 * k + 1 : 4 * k + 5], strict=True)
)
_COLOURS = {"body": (70, 110, 200), "left_hand": (210, 90, 60), "right_hand": (60, 160, 90)}


@dataclass(frozen=True)
class Component:
    """One component of a ``.pose`` file.

    Attributes:
        name: as MediaPipe calls it (``POSE_LANDMARKS``).
        points: upper-case names.
        bones: pairs of positions in ``points``.
        colour: RGB, for viewers.
    """

    name: str
    points: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    colour: tuple[int, int, int]


def components(points: Sequence[str]) -> list[Component]:
    """Sort point names, body before left before right hand, into the components of a ``.pose`` file."""
    found = []
    for name, part in COMPONENTS.items():
        own = [p.removeprefix(f"{part}.") for p in points if p.startswith(f"{part}.")]
        bones = _BODY_BONES if part == "body" else _HAND_BONES
        pairs = tuple((own.index(a), own.index(b)) for a, b in bones if a in own and b in own)
        if own:
            found.append(Component(name, tuple(p.upper() for p in own), pairs, _COLOURS[part]))
    return found
