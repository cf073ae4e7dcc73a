"""`SLPSegmentor`: the pretrained segmentor of sign-language-processing, where its package is installed.

https://github.com/sign-language-processing/segmentation (MIT; trained on the Public DGS Corpus): MediaPipe Holistic
poses and their velocities to frames that are unknown, outside, begin or inside. Its package has the weights in it.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slt_zoo.data.boundaries import BEGIN, INSIDE, OUTSIDE
from slt_zoo.data.pose_layouts import named_points
from slt_zoo.data.transforms import ChoosePoints
from slt_zoo.errors import CheckpointError, ConfigError, MediaError
from slt_zoo.segmentation.segmentors import MadeBy
from slt_zoo.types import Clip, ClipPipeline, InputSpec

__all__ = ["SLPSegmentor", "remap"]

_PACKAGE = "sign_language_segmentation"
_WEIGHTS, _CONFIG = "model.safetensors", "config.json"
_THEIRS = (OUTSIDE, OUTSIDE, BEGIN, INSIDE)
"""Ours, by their number: unknown 0, outside 1, begin 2, inside 3."""
_COMPONENTS = {"body": "POSE_LANDMARKS", "left_hand": "LEFT_HAND_LANDMARKS", "right_hand": "RIGHT_HAND_LANDMARKS"}
_POINTS = named_points("holistic75")


def remap(labels: Tensor) -> Tensor:
    """Their labels ``(T,)`` (0 unknown, 1 outside, 2 begin, 3 inside) as ours (0 outside, 1 inside, 2 begin).

    A begin is kept wherever it is, so signs without a gap stay apart; their own decoder joins them.
    """
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(_THEIRS):
        raise ConfigError(
            "labels of another package, or version", expected="0 to 3", found=sorted(set(labels.tolist()))
        )
    return torch.tensor(_THEIRS)[labels.long()]


class SLPSegmentor:
    """Labels of the package's model, the likeliest of each frame.

    Args:
        folder: with the model's ``model.safetensors`` and ``config.json``; those inside the package by default.
        device: where it runs.

    Raises:
        ConfigError: the package is not installed.
        CheckpointError: there are no weights; nothing is downloaded, and no pickle is read.
    """

    def __init__(self, folder: str | None = None, device: str = "cpu") -> None:
        self._program = _load_program()
        home = Path(str(self._program.__file__)).parent
        place = home / "dist" / "2026" if folder is None else Path(folder).expanduser()
        lacking = [name for name in (_WEIGHTS, _CONFIG) if not (place / name).is_file()]
        if lacking:
            raise CheckpointError(
                "the weights of the segmentor are not there",
                where=place,
                expected=" and ".join(lacking),
                todo="install the package from its repository, or name a folder with slp:FOLDER; nothing is downloaded",
            )
        self.device = device
        self._model: Any = self._program.load_model(str(place), device)
        with (place / _WEIGHTS).open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").hexdigest()
        self.made_by = MadeBy(_PACKAGE, {"decoder": "likeliest"}, weights)

    @property
    def input_spec(self) -> InputSpec:
        """Bodies and hands of MediaPipe Holistic with depth."""
        pipeline = ClipPipeline(transform=ChoosePoints("holistic75"))
        return InputSpec("pose", train=pipeline, evaluation=pipeline)

    def __call__(self, clip: Clip) -> Tensor:
        """See `slt_zoo.segmentation.segmentors.Segmentor`.

        Raises:
            MediaError: no depth, or no frame rate.
        """
        if clip.fps is None or clip.pose is None or clip.conf is None or clip.pose.shape[-1] < 3:
            raise MediaError(
                "the segmentor needs poses of MediaPipe Holistic with x, y and z, and their frame rate",
                where=f"sample {clip.sample.id}",
                found=f"{None if clip.pose is None else tuple(clip.pose.shape)}, {clip.fps} frames a second",
            )
        said = self._program.run_inference(self._model, _pose(clip.pose, clip.conf, clip.fps), self.device)
        return remap(said["sign"][0].argmax(-1).cpu())


def _load_program() -> ModuleType:
    try:
        return importlib.import_module(f"{_PACKAGE}.bin")
    except ModuleNotFoundError as cause:
        raise ConfigError(
            "the segmentor of sign-language-processing is not installed, or one of the packages that it needs is not",
            found=f"no module {cause.name!r}",
            todo="python -m pip install git+https://github.com/sign-language-processing/segmentation",
        ) from cause


def _pose(places: Tensor, conf: Tensor, fps: float) -> Any:
    """A pose of `pose_format` with MediaPipe's components; a missing point is masked there."""
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

    parts = []
    for part, name in _COMPONENTS.items():
        points = [point.partition(".")[2].upper() for point in _POINTS if point.startswith(f"{part}.")]
        parts.append(PoseHeaderComponent(name, points, [], [(0, 0, 0)], "XYZC"))
    header = PoseHeader(0.2, PoseHeaderDimensions(1, 1, 1), parts)
    data = places[:, None, :, :3].numpy().astype(np.float32)
    return Pose(header, NumPyPoseBody(fps, data, conf[:, None].numpy().astype(np.float32)))
