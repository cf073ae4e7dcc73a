"""Writing poses as OpenPose does: a JSON file a frame, 137 points in pixels, one person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slt_zoo.data.pose_layouts import LAYOUTS

__all__ = ["OpenPoseWriter"]

_POINTS = LAYOUTS["openpose137"]
_PARTS = {
    "pose_keypoints_2d": range(25),
    "face_keypoints_2d": range(25, 95),
    "hand_left_keypoints_2d": range(95, 116),
    "hand_right_keypoints_2d": range(116, 137),
}
_OTHER_NAMES = {  # the skeleton's face has eyes and the corners of a mouth
    "face.right_pupil": "body.right_eye",
    "face.left_pupil": "body.left_eye",
    "face.ibug_48": "body.mouth_right",
    "face.ibug_54": "body.mouth_left",
}


class OpenPoseWriter:
    """Writes folders ``<name>/<name>_<12 digits>_keypoints.json``, numbered from 0.

    Points that the performer has not (hips and legs, most of the face) are missing: zeros, as OpenPose writes them.

    Args:
        points: K names.
    """

    def __init__(self, points: Sequence[str]) -> None:
        place = {name: k for k, name in enumerate(points)}
        self._from = np.array([place.get(name, place.get(_OTHER_NAMES.get(name, ""), -1)) for name in _POINTS])

    def write(self, path: Path, pixels: NDArray[np.float32], conf: NDArray[np.float32]) -> None:
        """A folder from ``(T, K, 3)`` places and ``(T, K)`` confidence."""
        path.mkdir(parents=True, exist_ok=True)
        values = np.concatenate([pixels[..., :2], conf[..., None]], axis=-1)[:, self._from].astype(np.float64)
        values[:, self._from < 0] = 0
        rounded = values.round(3)
        for number, frame in enumerate(rounded):
            person = {"person_id": [-1]} | {part: frame[own].ravel().tolist() for part, own in _PARTS.items()}
            person |= {part.replace("2d", "3d"): [] for part in _PARTS}
            text = json.dumps({"version": 1.3, "people": [person]}, separators=(",", ":"))
            (path / f"{path.name}_{number:012d}_keypoints.json").write_text(text, encoding="utf-8")
