"""The lexicon of the skeleton signer: each gloss has one sign, fixed by gloss and seed.

A sign is put together as real signs are described: places, hand shapes, turns of the hand, a movement, one or two
hands. It is made up all the same, and means nothing in any sign language.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slt_zoo.synthetic.variation import stream

__all__ = ["BEND", "CHANNELS", "PLACE", "RELAXED", "TURN", "Sign", "sign_for"]

CHANNELS = 12
"""Numbers of one hand: place 3, turn 3, bend of five fingers and their spread 6."""
PLACE, TURN, BEND = slice(0, 3), slice(3, 6), slice(6, 12)

RELAXED = np.array([0.0, 0.0, 0.0, 1.9, 0.2, 1.2, 0.3, 0.3, 0.35, 0.4, 0.4, 0.2])
"""A hand at rest; its place is the signer's own."""

# Wrist from the neck, in shoulder widths: outwards (to the hand's own side), down, away from the camera.
_PLACES = np.array(
    [
        [0.12, -0.88, -0.35],  # forehead
        [0.34, -0.55, -0.35],  # cheek
        [0.05, -0.30, -0.42],  # chin
        [0.62, -0.72, -0.30],  # beside the head
        [-0.38, 0.08, -0.38],  # other shoulder
        [0.00, 0.30, -0.35],  # chest
        [0.10, 0.75, -0.38],  # belly
        [0.12, 0.42, -0.75],  # before the body
        [0.70, 0.38, -0.60],  # to the side
        [0.48, -0.15, -0.65],  # high, before the body
        [1.00, -0.25, -0.40],  # high, to the side
        [0.72, 0.90, -0.45],  # low, to the side
        [-0.40, 0.50, -0.60],  # across the body
    ]
)
# Bend of thumb, index, middle, ring and little finger (0 straight, 1 closed), and spread.
_SHAPES = np.array(
    [
        [0.1, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        [0.9, 1.0, 1.0, 1.0, 1.0, 0.0],
        [0.9, 0.0, 1.0, 1.0, 1.0, 0.0],
        [0.9, 0.0, 0.0, 1.0, 1.0, 1.0],
        [0.9, 0.0, 0.0, 1.0, 1.0, 0.0],
        [0.9, 0.0, 0.0, 0.0, 1.0, 0.8],
        [0.0, 0.0, 1.0, 1.0, 1.0, 0.5],
        [0.0, 1.0, 1.0, 1.0, 0.0, 0.8],
        [0.0, 1.0, 1.0, 1.0, 1.0, 0.0],
        [0.6, 0.6, 0.6, 0.6, 0.6, 0.0],
        [0.4, 0.5, 0.5, 0.5, 0.5, 1.0],
        [0.7, 0.7, 0.0, 0.0, 0.0, 0.8],
        [0.3, 0.35, 0.35, 0.35, 0.35, 0.1],
    ]
)
_TURNS = np.radians(
    # in the image plane (0 fingers up, 90 inwards, 180 down), towards the camera, about the fingers (0 palm ahead)
    [
        [0, 0, 0],
        [0, 0, 90],
        [0, 10, 180],
        [-30, 30, 20],
        [45, 10, 90],
        [45, 20, 180],
        [90, 0, 0],
        [90, 10, 90],
        [90, 20, 180],
        [20, 60, 0],
        [20, 60, 90],
        [150, 20, 180],
    ]
)
# Paths in the plane of the movement, one row a key posture.
_PATHS: dict[str, list[tuple[float, float]]] = {
    "straight": [(-0.5, 0.0), (0.5, 0.0)],
    "arc": [(-0.5, 0.0), (0.0, 0.45), (0.5, 0.0)],
    "there and back": [(-0.4, 0.0), (0.6, 0.0), (-0.4, 0.0)],
    "zigzag": [(-0.5, -0.25), (0.1, 0.35), (-0.1, -0.35), (0.5, 0.25)],
    "circle": [(0.0, 0.45), (0.45, 0.0), (0.0, -0.45), (-0.45, 0.0)],
    "hold": [(0.0, 0.0), (0.0, 0.0)],
    "relocate": [(0.0, 0.0), (0.0, 0.0)],
}
_HANDS = {"one": 0.45, "mirrored": 0.27, "in turn": 0.10, "on the other": 0.18}


@dataclass(frozen=True)
class Sign:
    """One sign of the lexicon.

    Attributes:
        gloss: its name.
        keys: ``(N, 2, 12)`` key postures, 2 <= N <= 4, of the dominant and the other hand (``CHANNELS``).
        seconds: duration at tempo 1.
        two_handed: whether the other hand takes part; else its keys are not used.
        nod: ``(2,)`` turn and tilt of the head in radians.
    """

    gloss: str
    keys: NDArray[np.float64]
    seconds: float
    two_handed: bool
    nod: NDArray[np.float64]


def sign_for(gloss: str, seed: int) -> Sign:
    """The sign of a gloss; the same gloss and seed give the same sign in every corpus."""
    rng = stream(seed, "sign", gloss)
    kind = str(rng.choice(list(_PATHS)))
    hands = str(rng.choice(list(_HANDS), p=list(_HANDS.values())))
    path = np.array(_PATHS[kind])
    count = len(path)
    keys = np.empty((count, 2, CHANNELS))
    strong = keys[:, 0]
    strong[:, PLACE] = _places(rng, kind, path)
    strong[:, TURN] = _TURNS[rng.integers(len(_TURNS))] + rng.normal(0, 0.1, 3)
    shapes = _SHAPES[rng.permutation(len(_SHAPES))[:2]] + rng.uniform(-0.05, 0.05, (2, 6))
    opens = kind == "hold" or rng.random() < 0.3  # a sign without a path changes its shape instead
    ramp = np.linspace(0, 1, count)[:, None]
    strong[:, BEND] = shapes[0] + (shapes[1] - shapes[0]) * ramp if opens else shapes[0]
    if rng.random() < 0.3:
        strong[:, TURN] += ramp * np.radians(rng.choice([-80, 80])) * (0, 0, 1)
    keys[:, 1] = _other_hand(rng, hands, strong)
    return Sign(
        gloss=gloss,
        keys=keys,
        seconds=0.12 + 0.055 * count + float(rng.uniform(0, 0.08)),
        two_handed=hands != "one",
        nod=rng.uniform(-0.12, 0.12, 2),
    )


def _places(rng: np.random.Generator, kind: str, path: NDArray[np.float64]) -> NDArray[np.float64]:
    """The wrist at each key, ``(N, 3)``."""
    first, second = _PLACES[rng.permutation(len(_PLACES))[:2]] + rng.normal(0, 0.06, (2, 3))
    if kind == "relocate":
        return np.stack([first, second])
    angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 0.65)
    across = np.array([np.cos(angle), np.sin(angle), rng.uniform(-0.5, 0.5)])
    along = np.array([-np.sin(angle), np.cos(angle), 0.0])
    return np.asarray(first + size * (path[:, :1] * across + path[:, 1:] * along))


def _other_hand(rng: np.random.Generator, hands: str, strong: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys of the other hand, ``(N, 12)``, in its own mirrored coordinates."""
    weak = strong.copy()
    if hands in ("mirrored", "in turn"):
        weak[:, 0] = np.maximum(weak[:, 0], 0.12)  # the hands do not pass through each other
        return weak[::-1] if hands == "in turn" else weak
    base = np.array([0.05, 0.45, -0.55]) + rng.normal(0, 0.05, 3)
    weak[:, PLACE] = base
    weak[:, TURN] = _TURNS[rng.integers(6, 9)]
    weak[:, BEND] = _SHAPES[rng.choice([0, 2, 13])]
    return weak
