"""The skeleton signer performs a sequence of glosses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from slt_zoo.synthetic.anatomy import body_points
from slt_zoo.synthetic.signers import Signer
from slt_zoo.synthetic.signs import BEND, CHANNELS, PLACE, RELAXED, TURN, Sign, sign_for
from slt_zoo.synthetic.skeleton import POINTS
from slt_zoo.synthetic.variation import Variation

__all__ = ["Motion", "Performer", "SharedSigns", "SkeletonPerformer", "through"]

Array = NDArray[np.float64]

_CENTRE = np.array([0.25, 0.15, -0.5])  # of the signing space; it grows and shrinks about this place
_SECONDS_PER_WIDTH = 0.075  # a hand takes this long for one shoulder width between two signs, and at least:
_SHORTEST_WAY = 0.06


@dataclass(frozen=True)
class Motion:
    """What a body does, before any camera sees it.

    Attributes:
        points: K names.
        xyz: ``(T, K, 3)``, shoulder widths from the neck; x right in the image, y down, z away from the camera.
        conf: ``(T, K)`` in [0, 1]; 0: nobody knows where the point is.
        labels: ``(T,)`` int8: 0 outside of signs, 1 inside, 2 a sign's first frame.
    """

    points: tuple[str, ...]
    xyz: Array
    conf: Array
    labels: NDArray[np.int8]


class Performer(Protocol):
    """Turns glosses into motion."""

    @property
    def points(self) -> tuple[str, ...]:
        """K names of the points that every motion has."""

    def perform(self, gloss: Sequence[str], signer: Signer, rng: np.random.Generator) -> Motion:
        """One clip; ``rng`` draws what differs from take to take."""


@dataclass
class SharedSigns:
    """Performs homonyms, glosses that have one sign, as another performer performs that sign.

    Attributes:
        performer: does it.
        signs: glosses to those whose signs are made.
    """

    performer: Performer
    signs: Callable[[Sequence[str]], Sequence[str]]

    @property
    def points(self) -> tuple[str, ...]:
        """The performer's."""
        return self.performer.points

    def perform(self, gloss: Sequence[str], signer: Signer, rng: np.random.Generator) -> Motion:
        """The signs of the glosses."""
        return self.performer.perform(self.signs(gloss), signer, rng)


@dataclass
class SkeletonPerformer:
    """Performs made-up signs (``sign_for``) with a skeleton of 56 points.

    Attributes:
        seed: of the lexicon.
        variation: how much signers and takes differ.
        fps: frames a second.
    """

    seed: int
    variation: Variation
    fps: float

    def __post_init__(self) -> None:
        self._lexicon: dict[str, Sign] = {}

    @property
    def points(self) -> tuple[str, ...]:
        """The skeleton's."""
        return POINTS

    def sign(self, gloss: str) -> Sign:
        """The lexicon's entry."""
        if gloss not in self._lexicon:
            self._lexicon[gloss] = sign_for(gloss, self.seed)
        return self._lexicon[gloss]

    def perform(self, gloss: Sequence[str], signer: Signer, rng: np.random.Generator) -> Motion:
        """Rest, the signs with the ways between them, rest."""
        signs = [self.sign(g) for g in gloss]
        takes = [self._take(s, signer, rng) for s in signs]
        both = [s.two_handed and rng.random() >= self.variation.weak_drop for s in signs]
        self._coarticulate(takes, both, rng)
        rest = np.broadcast_to(RELAXED, (2, CHANNELS)).copy()
        rest[:, PLACE] = signer.rest
        for take, two_handed in zip(takes, both, strict=True):
            if not two_handed:
                take[:, 1] = rest[1]
        keys, times, spans = self._timeline(takes, signs, rest, signer.tempo, rng)
        frames = np.arange(int(times[-1] * self.fps) + 1) / self.fps
        nods = np.zeros((len(keys), 2))
        for sign, (first, last) in zip(signs, spans, strict=True):
            nods[first : last + 1] = sign.nod
        flat = np.concatenate([keys.reshape(len(keys), -1), nods], axis=1)
        curve = through(times, flat, frames)
        hands = curve[:, :-2].reshape(-1, 2, CHANNELS)
        return Motion(
            points=POINTS,
            xyz=body_points(hands, curve[:, -2:], signer),
            conf=np.ones((len(frames), len(POINTS))),
            labels=_labels(len(frames), [(times[a] * self.fps, times[b] * self.fps) for a, b in spans]),
        )

    def _take(self, sign: Sign, signer: Signer, rng: np.random.Generator) -> Array:
        """The sign's keys ``(N, 2, 12)`` as this signer makes them this time."""
        v = self.variation
        size = np.repeat([v.take_location, np.radians(v.take_turn), v.take_shape], [3, 3, 6])
        jitter = 0.8 * rng.standard_normal((1, 2, CHANNELS)) + 0.6 * rng.standard_normal((len(sign.keys), 2, CHANNELS))
        keys = sign.keys + size * np.clip(jitter, -2, 2)
        keys[..., PLACE] = _CENTRE + (keys[..., PLACE] - _CENTRE) * signer.space + signer.offset
        keys[..., TURN] += signer.turn
        keys[..., BEND] = np.clip(keys[..., BEND] + signer.bend, 0.0, 1.0)
        return np.asarray(keys)

    def _coarticulate(self, takes: list[Array], both: list[bool], rng: np.random.Generator) -> None:
        """Ends and begins of neighbours move towards each other, in place; the other hand only if both use it."""
        for k in range(len(takes) - 1):
            hands = slice(0, 2 if both[k] and both[k + 1] else 1)
            gap = takes[k + 1][0, hands] - takes[k][-1, hands]
            back, ahead = self.variation.coarticulation * rng.uniform(0.2, 1.0, 2)
            takes[k][-1, hands] += 0.5 * ahead * gap
            takes[k + 1][0, hands] -= 0.5 * back * gap

    def _timeline(
        self, takes: list[Array], signs: list[Sign], rest: Array, tempo: float, rng: np.random.Generator
    ) -> tuple[Array, Array, list[tuple[int, int]]]:
        """All keys ``(K, 2, 12)``, their times in seconds, and the first and last key of each sign."""
        v = self.variation
        keys, times, spans = [rest, rest], [0.0, float(rng.uniform(0.05, 0.09))], []
        for take, sign in zip(takes, signs, strict=True):
            begin = times[-1] + _way(keys[-1], take[0]) / tempo
            seconds = sign.seconds / tempo * np.exp(v.take_tempo * np.clip(rng.standard_normal(), -2, 2))
            spans.append((len(keys), len(keys) + len(take) - 1))
            keys += list(take)
            times += list(begin + seconds * np.linspace(0, 1, len(take)))
            if rng.random() < v.pause:
                keys.append(keys[-1])
                times.append(times[-1] + rng.uniform(0.12, 0.4))
        keys += [rest, rest]
        times += [times[-1] + _way(keys[-3], rest) / tempo]
        times += [times[-1] + rng.uniform(0.05, 0.09)]
        return np.stack(keys), np.array(times), spans


def _way(a: Array, b: Array) -> float:
    """Seconds that the hands need from key to key ``(2, 12)``."""
    distance = np.linalg.norm(b[:, PLACE] - a[:, PLACE], axis=-1).max()
    return float(_SHORTEST_WAY + _SECONDS_PER_WIDTH * distance)


def _labels(frames: int, spans: Sequence[tuple[float, float]]) -> NDArray[np.int8]:
    """``(T,)`` labels from begin and end of each sign, in frames."""
    labels = np.zeros(frames, dtype=np.int8)
    for begin, end in spans:
        first = int(np.ceil(begin))
        labels[first : max(int(np.ceil(end)), first + 1)] = 1
        labels[first] = 2
    return labels


def through(times: Array, keys: Array, at: Array) -> Array:
    """A smooth curve through key values: cubic Hermite pieces, tangents from both neighbours, still at the ends.

    Args:
        times: ``(K,)`` increasing.
        keys: ``(K, D)``.
        at: ``(T,)`` within ``times``.

    Returns:
        ``(T, D)``.
    """
    step = np.diff(times)[:, None]
    slope = np.diff(keys, axis=0) / step
    tangent = np.zeros_like(keys)
    tangent[1:-1] = (slope[:-1] * step[1:] + slope[1:] * step[:-1]) / (step[:-1] + step[1:])
    tangent[1:-1][(slope[:-1] == 0) | (slope[1:] == 0)] = 0  # where a value is held it stays still
    piece = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
    h = step[piece]
    u = (at[:, None] - times[piece][:, None]) / h
    a, b = keys[piece], keys[piece + 1]
    blend = u * u * (3 - 2 * u)
    return np.asarray(
        a + (b - a) * blend + h * (u * (1 - u) ** 2 * tangent[piece] - u * u * (1 - u) * tangent[piece + 1])
    )
