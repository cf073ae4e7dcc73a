"""From hand places, turns and finger bends to the points of a body, for all frames of a clip at once.

Coordinates of the body: origin between the shoulders, unit shoulder width, x to the right of the image, y down, z away
from the camera. A hand's own coordinates differ in x alone, which points outwards, to the hand's own side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slt_zoo.synthetic.signers import Signer
from slt_zoo.synthetic.signs import BEND, PLACE, TURN
from slt_zoo.synthetic.skeleton import POINTS

__all__ = ["body_points"]

Array = NDArray[np.float64]

# A hand of length 1 in its own axes: towards the thumb, along the fingers, out of the palm.
_KNUCKLES = np.array([[0.16, 0.12, 0.03], [0.17, 0.52, 0.0], [0.05, 0.54, 0.0], [-0.06, 0.51, 0.0], [-0.16, 0.45, 0.0]])
_BONES = np.array([[0.20, 0.15, 0.13], [0.24, 0.14, 0.11], [0.27, 0.16, 0.12], [0.25, 0.15, 0.12], [0.19, 0.11, 0.10]])
_FAN = np.array([0.0, 0.28, 0.05, -0.18, -0.40])  # radians at spread 1, about the palm's normal
_FOLD = np.cumsum(np.radians([[80.0, 95.0, 60.0]] * 5), axis=1)  # of each bone against the palm, at bend 1
_THUMB_AXES = np.array([[0.75, 0.66, 0.0], [-0.45, 0.25, 0.86]])  # stretched, and folded over the palm
_THUMB_FOLD = np.radians([55.0, 95.0, 130.0])

_HEAD = np.array(
    # right of the image, down and away from the middle of the head, by the length from neck to nose
    [
        [0.0, 0.0, -0.42],  # nose
        [0.15, -0.20, -0.30],  # eyes
        [-0.15, -0.20, -0.30],
        [0.40, -0.06, 0.0],  # ears
        [-0.40, -0.06, 0.0],
        [0.15, 0.28, -0.30],  # corners of the mouth
        [-0.15, 0.28, -0.30],
    ]
)
_AHEAD, _ELBOW = np.array([0.0, 0.0, -1.0]), np.array([0.8, 0.6, 0.0])  # an arm stretched ahead; its elbow points so


def body_points(hands: Array, nod: Array, signer: Signer) -> Array:
    """Pose of the body in each frame.

    Args:
        hands: ``(T, 2, 12)`` channels of the dominant and the other hand.
        nod: ``(T, 2)`` turn and tilt of the head in radians.
        signer: gives proportions, and which hand is the dominant one.

    Returns:
        ``(T, K, 3)`` in body coordinates, points as in ``POINTS``.
    """
    shoulder = np.array([0.5, 0.0, 0.0])
    elbow, wrist = _arm(hands[..., PLACE], shoulder, signer)
    fingers = wrist[..., None, :] + signer.hand * _hand(hands[..., TURN], hands[..., BEND])
    out = np.zeros((len(hands), len(POINTS), 3))
    out[:, :7] = _head(nod * ((-1, 1) if signer.left_handed else (1, 1)), signer.head)
    left, right = (0, 1) if signer.left_handed else (1, 0)
    for hand, sign, place in ((left, 1.0, 0), (right, -1.0, 1)):
        flip = np.array([sign, 1.0, 1.0])
        out[:, 7 + place] = shoulder * flip
        out[:, 9 + place] = elbow[:, hand] * flip
        out[:, 11 + place] = wrist[:, hand] * flip
        first = 14 + 21 * place
        out[:, first] = wrist[:, hand] * flip
        out[:, first + 1 : first + 21] = fingers[:, hand] * flip
    return out


def _arm(target: Array, shoulder: Array, signer: Signer) -> tuple[Array, Array]:
    """Two bones from the shoulder towards a target ``(..., 3)``: elbow and reached wrist."""
    upper, fore = signer.upper_arm, signer.forearm
    reach = target - shoulder
    length = np.linalg.norm(reach, axis=-1, keepdims=True)
    axis = reach / np.maximum(length, 1e-6)
    length = np.clip(length, abs(upper - fore) + 0.05, upper + fore - 0.01)
    along = (upper**2 - fore**2 + length**2) / (2 * length)
    aside = np.sqrt(np.maximum(upper**2 - along**2, 0.0))
    # The elbow turns with the arm by the smallest rotation from "ahead": smooth wherever the hand is not behind.
    turned = _ELBOW - ((axis @ _ELBOW) / (1 + axis @ _AHEAD + 1e-6))[..., None] * (axis + _AHEAD)
    return shoulder + along * axis + aside * turned, shoulder + length * axis


def _hand(turn: Array, bend: Array) -> Array:
    """Fingers ``(..., 20, 3)`` from the wrist, for a hand of length 1, in the hand's own coordinates."""
    flex, spread = bend[..., :5, None], bend[..., 5:6, None]
    fold = flex * _FOLD  # (..., 5, 3)
    fan = spread * _FAN[:, None]
    bones = np.stack([np.cos(fold) * np.sin(fan), np.cos(fold) * np.cos(fan), np.sin(fold)], axis=-1)
    thumb = flex[..., 0, :] * _THUMB_FOLD
    bones[..., 0, :, :] = np.cos(thumb)[..., None] * _THUMB_AXES[0] + np.sin(thumb)[..., None] * _THUMB_AXES[1]
    joints = np.concatenate([np.zeros_like(bones[..., :1, :]), bones * _BONES[..., None]], axis=-2)
    points = _KNUCKLES[:, None] + np.cumsum(joints, axis=-2)  # (..., 5, 4, 3)
    flat = points.reshape(*points.shape[:-3], 20, 3)
    return np.asarray(flat @ np.swapaxes(_axes(turn), -1, -2))


def _axes(turn: Array) -> Array:
    """Rotation ``(..., 3, 3)`` whose columns are a hand's axes: to the thumb, along the fingers, off the palm."""
    (cz, cx, cy), (sz, sx, sy) = np.moveaxis(np.cos(turn), -1, 0), np.moveaxis(np.sin(turn), -1, 0)
    # Upright hand, palm to the camera: fingers up, thumb inwards. First turned about the fingers, then towards the
    # camera, then in the image plane (positive: fingers go inwards).
    zero, one = np.zeros_like(cx), np.ones_like(cx)
    upright = _columns((-cy, zero, sy), (zero, -one, zero), (-sy, zero, -cy))
    tilt = _columns((one, zero, zero), (zero, cx, sx), (zero, -sx, cx))
    roll = _columns((cz, -sz, zero), (sz, cz, zero), (zero, zero, one))
    return np.asarray(roll @ tilt @ upright)


def _columns(*columns: tuple[Array, Array, Array]) -> Array:
    """Matrices ``(..., 3, 3)`` from the coordinates of their columns."""
    return np.stack([np.stack(column, axis=-1) for column in columns], axis=-1)


def _head(nod: Array, length: float) -> Array:
    """Nose, eyes, ears, corners of the mouth ``(T, 7, 3)``; the viewer's right is the signer's left."""
    (ct, cn), (st, sn) = np.cos(nod).T, np.sin(nod).T
    x, y, z = length * _HEAD.T
    turned = np.multiply.outer(ct, x) - np.multiply.outer(st, z), np.multiply.outer(st, x) + np.multiply.outer(ct, z)
    tilted = cn[:, None] * y - sn[:, None] * turned[1], sn[:, None] * y + cn[:, None] * turned[1]
    return np.stack([turned[0], tilted[0] - length, tilted[1]], axis=-1)
