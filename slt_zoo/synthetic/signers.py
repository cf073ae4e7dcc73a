"""Signers: body, habits, place before the camera and looks, all fixed by name and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slt_zoo.synthetic.variation import Variation, stream

__all__ = ["Camera", "Colour", "Signer", "make_signers"]

Colour = tuple[int, int, int]

_SKINS: tuple[Colour, ...] = ((245, 214, 190), (226, 180, 145), (198, 146, 108), (150, 102, 70), (98, 64, 44))
_CLOTHES: tuple[Colour, ...] = ((38, 42, 60), (84, 30, 46), (30, 74, 58), (70, 70, 74), (24, 60, 104), (92, 66, 34))
_HAIRS: tuple[Colour, ...] = ((40, 28, 22), (92, 60, 34), (168, 130, 78), (120, 120, 122), (20, 18, 20))
_BACKGROUNDS: tuple[Colour, ...] = ((205, 208, 214), (176, 188, 200), (214, 205, 190), (190, 202, 190))

_SHOULDERS, _NECK = 0.42, (0.52, 0.47)  # shoulder width and place of the neck, in image widths and heights (210 x 260)


@dataclass(frozen=True)
class Signer:
    """One signer. Lengths in shoulder widths, angles in radians.

    Attributes:
        name: label (``Signer01``).
        left_handed: the left hand is dominant; everything is signed as a mirror image.
        upper_arm, forearm, hand, head: lengths; ``head`` is from neck to nose.
        tempo: signs a second, relative to 1.
        space: ``(3,)`` size of the signing space by axis, relative to 1.
        offset: ``(3,)`` shift of the signing space; outwards, down, away from the camera.
        bend: ``(6,)`` added to each finger's bend and to their spread.
        turn: ``(3,)`` added to the hand's angles.
        rest: ``(3,)`` where the wrists rest.
        place: ``(2,)`` shift of the neck in the image.
        size: of the body in the image, relative to 1.
        roll, yaw: camera rotation in the image plane, body rotation about the vertical axis.
        skin, clothes, hair, background: colours of the drawn figure.
    """

    name: str
    left_handed: bool
    upper_arm: float
    forearm: float
    hand: float
    head: float
    tempo: float
    space: NDArray[np.float64]
    offset: NDArray[np.float64]
    bend: NDArray[np.float64]
    turn: NDArray[np.float64]
    rest: NDArray[np.float64]
    place: NDArray[np.float64]
    size: float
    roll: float
    yaw: float
    skin: Colour
    clothes: Colour
    hair: Colour
    background: Colour

    @classmethod
    def create(cls, name: str, seed: int, variation: Variation, *, left_handed: bool = False) -> Signer:
        """The signer of this name: difficulty changes how far, not in which direction, one differs from the mean."""
        rng = stream(seed, "signer", name)

        def draw(*shape: int) -> NDArray[np.float64]:
            return rng.uniform(-1.5, 1.5, shape)  # bounded: no signer is unlike all others

        limbs = np.exp(variation.proportions * draw(4)) * (0.80, 0.72, 0.50, 0.62)
        return cls(
            name=name,
            left_handed=left_handed,
            upper_arm=float(limbs[0]),
            forearm=float(limbs[1]),
            hand=float(limbs[2]),
            head=float(limbs[3]),
            tempo=float(np.exp(variation.tempo * draw(1)[0])),
            space=np.exp(variation.signing_space * draw(3)),
            offset=variation.space_offset * draw(3),
            bend=variation.hand_habit * draw(6),
            turn=np.radians(variation.turn_habit) * draw(3),
            rest=np.array([0.28, 1.15, -0.35]) + variation.space_offset * draw(3) * 0.5,
            place=variation.placement * draw(2),
            size=float(np.exp(variation.placement * draw(1)[0])),
            roll=float(np.radians(variation.camera_roll) * draw(1)[0]),
            yaw=float(np.radians(variation.camera_yaw) * draw(1)[0]),
            skin=_SKINS[rng.integers(len(_SKINS))],
            clothes=_CLOTHES[rng.integers(len(_CLOTHES))],
            hair=_HAIRS[rng.integers(len(_HAIRS))],
            background=_BACKGROUNDS[rng.integers(len(_BACKGROUNDS))],
        )


def make_signers(names: Sequence[str], seed: int, variation: Variation) -> dict[str, Signer]:
    """The signers by name; every third one is left-handed."""
    return {n: Signer.create(n, seed, variation, left_handed=k % 3 == 2) for k, n in enumerate(names)}


@dataclass(frozen=True)
class Camera:
    """How body coordinates fall into an image.

    Attributes:
        width, height: of the image, in pixels.
        centre: ``(2,)`` pixel of the neck.
        scale: pixels a shoulder width.
        roll, yaw: angles in radians.
    """

    width: int
    height: int
    centre: NDArray[np.float64]
    scale: float
    roll: float
    yaw: float

    @classmethod
    def of(cls, signer: Signer, frame_size: tuple[int, int], variation: Variation, rng: np.random.Generator) -> Camera:
        """The camera of one clip: the signer's own, and how one happens to sit this time."""
        width, height = frame_size
        unit = _SHOULDERS * min(width, height * 210 / 260)
        sway = 0.3 * np.clip(rng.standard_normal(5), -2, 2)
        place = signer.place + variation.placement * sway[:2]
        return cls(
            width=width,
            height=height,
            centre=np.multiply(_NECK, frame_size) + unit * place,
            scale=float(unit * signer.size * np.exp(variation.placement * sway[2])),
            roll=float(signer.roll + np.radians(variation.camera_roll) * sway[3]),
            yaw=float(signer.yaw + np.radians(variation.camera_yaw) * sway[4]),
        )

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Body coordinates ``(..., 3)`` (shoulder widths; x right, y down, z away) to pixels; z in the same unit."""
        cos, sin = np.cos([self.yaw, self.roll]), np.sin([self.yaw, self.roll])
        x, y, z = np.moveaxis(points, -1, 0)
        x, z = cos[0] * x + sin[0] * z, cos[0] * z - sin[0] * x
        x, y = cos[1] * x - sin[1] * y, sin[1] * x + cos[1] * y
        out = self.scale * np.stack([x, y, z], axis=-1)
        out[..., :2] += self.centre
        return out
