"""Names of the points of a pose: which layouts exist, which choices of points fit them, and what mirrors what.

A point is called ``<part>.<point>`` in lower case. Parts are ``body``, ``left_hand``, ``right_hand``, ``face`` and
``world`` (MediaPipe's body in metres about the hips); left and right are the signer's. Names, not positions, decide:
two layouts share a point when they share its name. Face points of MediaPipe are ``face.<n>`` of its face mesh; those
of OpenPose and COCO-WholeBody, another and smaller set, are ``face.ibug_<n>``.
"""

from __future__ import annotations

import re

from slt_zoo.errors import ConfigError, UnknownNameError, first_few

__all__ = ["LAYOUTS", "POINT_SETS", "describe_layout", "mirror_points", "named_points"]


def _part(part: str, points: str | range) -> tuple[str, ...]:
    return tuple(f"{part}.{p}" for p in (points.split() if isinstance(points, str) else points))


_FINGERS = " ".join(f"{f}_{j}" for f in ("index_finger", "middle_finger", "ring_finger", "pinky") for j in
                    ("mcp", "pip", "dip", "tip"))  # fmt: skip
_HAND = f"wrist thumb_cmc thumb_mcp thumb_ip thumb_tip {_FINGERS}"
_LEFT_HAND, _RIGHT_HAND = _part("left_hand", _HAND), _part("right_hand", _HAND)

_MEDIAPIPE_BODY = (
    "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear "
    "mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist "
    "left_pinky right_pinky left_index right_index left_thumb right_thumb left_hip right_hip left_knee right_knee "
    "left_ankle right_ankle left_heel right_heel left_foot_index right_foot_index"
)
_BODY33, _WORLD33 = _part("body", _MEDIAPIPE_BODY), _part("world", _MEDIAPIPE_BODY)
_REDUCED_BODY = "left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip right_hip"
_UPPER_OPENPOSE = "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist"
_OPENPOSE_BODY25 = (
    f"{_UPPER_OPENPOSE} mid_hip right_hip right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye "
    "right_ear left_ear left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"
)
_COCO_BODY17 = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow "
    "left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
)
_COCO_FEET = "left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"
_IBUG68 = tuple(f"face.ibug_{i}" for i in range(68))  # jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67
# MediaPipe's contours of the face: oval, brows, eyes, lips; as the reduced `.pose` files of spoken-to-signed name them.
_FACE_CONTOURS = (
    "0 7 10 13 14 17 21 33 37 39 40 46 52 53 54 55 58 61 63 65 66 67 70 78 80 81 82 84 87 88 91 93 95 103 "
    "105 107 109 127 132 133 136 144 145 146 148 149 150 152 153 154 155 157 158 159 160 161 162 163 172 "
    "173 176 178 181 185 191 234 246 249 251 263 267 269 270 276 282 283 284 285 288 291 293 295 296 297 "
    "300 308 310 311 312 314 317 318 321 323 324 332 334 336 338 356 361 362 365 373 374 375 377 378 379 "
    "380 381 382 384 385 386 387 388 389 390 397 398 400 402 405 409 415 454 466"
)

_HOLISTIC = (*_BODY33, *_part("face", range(468)), *_LEFT_HAND, *_RIGHT_HAND)
# The joints of `.skels` are in OpenPose's order with the sides exchanged: joints 2-4 and 29-49 are the signer's left.
# Against MediaPipe's points of the same recording (PHOENIX14T train, 11August_2010_Wednesday_tagesschau-1) the wrists
# correlate 0.9 this way and not the other; in all 15 sequences looked at, joint 2 is on the right of the image, and
# the hand at joint 7 moves more, as most signers' right hand does.
_SKELS_BODY = "nose neck left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist"

LAYOUTS: dict[str, tuple[str, ...]] = {
    "holistic": _HOLISTIC,
    "holistic_world": (*_HOLISTIC, *_WORLD33),
    "holistic_refined": (*_BODY33, *_part("face", range(478)), *_LEFT_HAND, *_RIGHT_HAND, *_WORLD33),
    "holistic_reduced": (
        *_part("body", _REDUCED_BODY),
        *_part("face", _FACE_CONTOURS),
        *_LEFT_HAND,
        *_RIGHT_HAND,
    ),
    "skels50": (*_part("body", _SKELS_BODY), *_RIGHT_HAND, *_LEFT_HAND),
    "openpose137": (
        *_part("body", _OPENPOSE_BODY25),
        *_IBUG68,
        "face.right_pupil",
        "face.left_pupil",
        *_LEFT_HAND,
        *_RIGHT_HAND,
    ),
    "wholebody133": (*_part("body", f"{_COCO_BODY17} {_COCO_FEET}"), *_IBUG68, *_LEFT_HAND, *_RIGHT_HAND),
}
"""All points of a file, in its order."""

_ARMS = "left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist"
POINT_SETS: dict[str, tuple[str, ...]] = {
    "holistic75": (*_BODY33, *_LEFT_HAND, *_RIGHT_HAND),
    "upper50": (*_part("body", _UPPER_OPENPOSE), *_LEFT_HAND, *_RIGHT_HAND),
    "hands42": (*_LEFT_HAND, *_RIGHT_HAND),
    "upper_hands48": (*_part("body", _ARMS), *_LEFT_HAND, *_RIGHT_HAND),
}
"""Choices of points for models. ``upper_hands48`` exists in every layout."""

_TITLES = {
    "holistic": "MediaPipe Holistic",
    "holistic_world": "MediaPipe Holistic with world landmarks",
    "holistic_refined": "MediaPipe Holistic with refined face and world landmarks",
    "holistic_reduced": "MediaPipe Holistic reduced to 178 points",
    "skels50": "the 50 joints of Progressive Transformers",
    "openpose137": "OpenPose with face and hands",
    "wholebody133": "COCO-WholeBody",
}


def describe_layout(name: str) -> str:
    """A layout's or point set's name as people know it."""
    return _TITLES.get(name, name)


def named_points(name: str) -> tuple[str, ...]:
    """The points of a layout or point set.

    Raises:
        UnknownNameError: with the nearest names.
    """
    known = LAYOUTS | POINT_SETS
    if name not in known:
        raise UnknownNameError("pose layout or point set", name, known)
    return known[name]


# Where the 68 points of the face (the 300-W markup) change places: in each run, first plus last minus number.
_IBUG_RUNS = ((0, 16), (17, 26), (31, 35), (48, 54), (55, 59), (60, 64), (65, 67))
_IBUG_EYES = {36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46}
_IBUG_OTHER = {
    **{i: a + b - i for a, b in _IBUG_RUNS for i in range(a, b + 1)},
    **{i: i for i in range(27, 31)},  # the bridge of the nose
    **_IBUG_EYES,
    **{left: right for right, left in _IBUG_EYES.items()},
}


def mirror_points(points: tuple[str, ...]) -> tuple[int, ...]:
    """Which point takes each point's place when left and right are exchanged.

    Args:
        points: K names.

    Returns:
        A permutation: point ``i`` of the mirrored pose is point ``permutation[i]`` of the pose.

    Raises:
        ConfigError: points of MediaPipe's face are numbered, so their other side is not known; or the other side is not
            there.
    """
    face = [p for p in points if re.fullmatch(r"face\.\d+", p)]
    if face:
        raise ConfigError(
            "face points cannot be mirrored: their numbers do not say which is the other side",
            found=first_few(face),
            todo="choose points without the face first, or set mirror_p=0",
        )
    position = {p: i for i, p in enumerate(points)}
    other = [_other_side(p) for p in points]
    missing = [o for o in other if o not in position]
    if missing:
        raise ConfigError(
            "a pose with one side only cannot be mirrored",
            expected=f"also {first_few(missing)}",
            todo="choose both sides of each point, or set mirror_p=0",
        )
    return tuple(position[o] for o in other)


def _other_side(point: str) -> str:
    if numbered := re.fullmatch(r"face\.ibug_(\d+)", point):
        return f"face.ibug_{_IBUG_OTHER[int(numbered[1])]}"
    return re.sub(r"(?<![a-z])(left|right)(?![a-z])", _swap, point)


def _swap(side: re.Match[str]) -> str:
    return "left" if side[0] == "right" else "right"
