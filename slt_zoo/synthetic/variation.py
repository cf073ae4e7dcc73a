"""What ``difficulty`` means: the size of every difference between signers, takes and detections."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

import numpy as np

from slt_zoo.errors import ConfigError

__all__ = ["RANGES", "Variation", "stream"]

RANGES: dict[str, tuple[float, float]] = {
    # name: (at difficulty 0, at difficulty 1). Lengths in shoulder widths, angles in degrees.
    "proportions": (0.02, 0.20),
    "placement": (0.02, 0.12),
    "camera_roll": (0.0, 8.0),
    "camera_yaw": (0.0, 35.0),
    "tempo": (0.02, 0.35),
    "signing_space": (0.01, 0.40),
    "space_offset": (0.01, 0.28),
    "hand_habit": (0.0, 0.35),
    "turn_habit": (0.0, 35.0),
    "take_location": (0.01, 0.25),
    "take_shape": (0.0, 0.32),
    "take_turn": (0.0, 38.0),
    "take_tempo": (0.0, 0.32),
    "coarticulation": (0.0, 0.60),
    "weak_drop": (0.0, 0.30),
    "pause": (0.0, 0.20),
    "noise": (0.002, 0.08),
    "drift": (0.0, 0.10),
    "dropout": (0.0, 0.30),
    "lighting": (0.0, 0.35),
}
"""The parameters and their ends; ``docs/synthetic.md`` holds the same table with a description of each."""

_POWER = 1.5  # all errors grow at once, so that the way from easy to hard is steep: it begins gently


@dataclass(frozen=True)
class Variation:
    """The parameters of ``RANGES`` at one difficulty: sizes of differences, shares, probabilities.

    Attributes:
        proportions: of a signer's limb lengths (logarithm).
        placement: of the signer's position and relative size in the image, by shoulder width.
        camera_roll: of the camera's rotation in the image plane.
        camera_yaw: of the body's rotation about its vertical axis.
        tempo: of a signer's tempo (logarithm).
        signing_space: of the size of a signer's signing space (logarithm).
        space_offset: of where a signer's signing space lies.
        hand_habit: of a signer's habitual bend of each finger.
        turn_habit: of a signer's habitual turn of the hand.
        take_location: of a hand's place, each time a sign is made.
        take_shape: of the fingers' bend, each time a sign is made.
        take_turn: of the hand's turn, each time a sign is made.
        take_tempo: of a sign's duration, each time it is made (logarithm).
        coarticulation: how far a sign's begin and end move towards its neighbours.
        weak_drop: probability that a two-handed sign is made with one hand.
        pause: probability of a pause after a sign.
        noise: of a detected coordinate, frame by frame.
        drift: of a detected hand's slow error.
        dropout: share of frames in which a hand is not detected.
        lighting: of the brightness of a rendered clip (logarithm).
    """

    proportions: float
    placement: float
    camera_roll: float
    camera_yaw: float
    tempo: float
    signing_space: float
    space_offset: float
    hand_habit: float
    turn_habit: float
    take_location: float
    take_shape: float
    take_turn: float
    take_tempo: float
    coarticulation: float
    weak_drop: float
    pause: float
    noise: float
    drift: float
    dropout: float
    lighting: float

    @classmethod
    def at(cls, difficulty: float) -> Variation:
        """The parameters at ``difficulty`` in [0, 1].

        Raises:
            ConfigError: ``difficulty`` is outside [0, 1].
        """
        if not 0 <= difficulty <= 1:
            raise ConfigError(
                "difficulty out of range",
                where="difficulty",
                expected="a number from 0 (clean) to 1 (hard)",
                found=difficulty,
            )
        ends = {f.name: RANGES[f.name] for f in fields(cls)}
        return cls(**{name: low + difficulty**_POWER * (high - low) for name, (low, high) in ends.items()})


def stream(*key: object) -> np.random.Generator:
    """A random generator of its own for each key: the same on every machine, whatever was drawn before."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
