"""`open_reader`: the reader that fits kind and container."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slt_zoo.data.listing import require_path
from slt_zoo.data.readers.base import Reader, place
from slt_zoo.data.readers.feature_files import feature_ids, load_features
from slt_zoo.data.readers.features import FeatureReader
from slt_zoo.data.readers.frames import FrameReader
from slt_zoo.data.readers.images import FrameSize
from slt_zoo.data.readers.openpose import OpenPoseReader
from slt_zoo.data.readers.plain_pickle import is_pickle
from slt_zoo.data.readers.pose import PoseArrays, PoseReader
from slt_zoo.data.readers.pose_array import load_pose_array
from slt_zoo.data.readers.pose_file import load_pose_file
from slt_zoo.data.readers.skels import load_skels, skels_ids
from slt_zoo.data.readers.stored import open_stored
from slt_zoo.data.readers.video import VideoReader
from slt_zoo.data.readers.wholebody import load_wholebody, wholebody_ids
from slt_zoo.data.stores import is_store
from slt_zoo.errors import MediaError, UnknownNameError
from slt_zoo.types import Media

__all__ = ["VIDEO_SUFFIXES", "feature_widths", "is_video", "open_reader", "sample_ids"]

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts", ".flv")
_POSE: dict[str, Callable[[Path, Media, str], PoseArrays]] = {
    ".pose": load_pose_file,
    ".npy": load_pose_array,
    ".skels": load_skels,
    ".skels.gz": load_skels,
}


def is_video(path: Path) -> bool:
    """Whether a path names a file of video, as far as its name tells."""
    return path.name.lower().endswith(VIDEO_SUFFIXES) and not path.is_dir()


def open_reader(kind: str, media: Media, *, sample_id: str, frame_size: FrameSize | None = None) -> Reader:
    """Open the media of a sample; frames are decoded by `Reader.read`, and only those asked for.

    Args:
        kind: ``"pose"`` (``.pose``, ``.skels``, ``.skels.gz``, ``.npy``, a folder of OpenPose JSON, a pickle of
            COCO-WholeBody), ``"features"`` (``.npy``, ``.safetensors``, ``.pt``, a pickle) or ``"frames"``
            (a video, a folder of PNG or JPEG, or one with an LMDB file of them); or the folder of a store of the
            kind, with ``media.item``.
        media: where it lies.
        sample_id: for messages.
        frame_size: of frames: they are decoded at this height and width, or with this shorter side.

    Raises:
        MissingMediaError: there is nothing at the path; similar names are in the message.
        MediaError: what is there cannot be used.
        UnknownNameError: unknown kind.
    """
    openers: dict[str, Callable[[Path, Media, str], Reader]] = {
        "pose": _open_pose,
        "features": _open_features,
        "frames": partial(_open_frames, frame_size=frame_size),
    }
    if kind not in openers:
        raise UnknownNameError("kind of media", kind, openers)
    if kind != "frames" and media.path.lower().endswith(VIDEO_SUFFIXES):
        raise MediaError(
            f"a video file holds no {'poses' if kind == 'pose' else kind}",
            where=place(sample_id, media.path),
            expected="kind 'frames': a video, or a folder of PNG or JPEG; 'pose': .pose, .skels, .npy, or a folder of "
            "OpenPose JSON; 'features': .npy, .safetensors, .pt",
            todo="read the video as frames, or give the file that was extracted from it",
        )
    try:
        if media.item is not None and is_store(media.path):
            return open_stored(kind, media, sample_id, frame_size)
        return openers[kind](require_path(media.path, sample_id), media, sample_id)
    except OSError as cause:
        raise MediaError(f"cannot read: {cause.strerror or cause}", where=place(sample_id, media.path)) from cause


def sample_ids(kind: str, path: Path) -> list[str]:
    """Ids of the samples in a file of many, without a split in front.

    Args:
        kind: ``"features"`` or ``"pose"``.
        path: of the file.

    Raises:
        MediaError: damaged, or a file of one sample.
        OSError: it cannot be read at all.
    """
    if kind == "features":
        return feature_ids(path)
    if path.name.lower().endswith((".skels", ".skels.gz")):
        return skels_ids(path)
    if is_pickle(path):
        return wholebody_ids(path)
    raise MediaError(
        "not a file of poses of many samples",
        where=repr(str(path)),
        expected=".skels with its .files, or a pickle of COCO-WholeBody",
        todo="pass the folder of files with one sample each",
    )


def _open_pose(path: Path, media: Media, sample_id: str) -> Reader:
    where = place(sample_id, path if media.item is None else f"{path}[{media.item}]")
    if path.is_dir():
        return OpenPoseReader(path, media, where)
    for suffix in sorted(_POSE, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return PoseReader(_POSE[suffix](path, media, where), media, where)
    if is_pickle(path):
        return PoseReader(load_wholebody(path, media, where), media, where)
    raise MediaError(
        "not a file of poses",
        where=where,
        expected=f"a file ending in {', '.join(_POSE)}, a folder of OpenPose JSON, or a pickle of COCO-WholeBody",
    )


def feature_widths(media: Media, sample_id: str) -> list[tuple[str, int]]:
    """Sample and path of each place that features are joined from, and the width of its vectors; for messages.

    Raises:
        MediaError: one of them cannot be read.
    """
    return [(where, array.shape[1]) for where, array in _places(require_path(media.path, sample_id), media, sample_id)]


def _places(path: Path, media: Media, sample_id: str) -> list[tuple[str, NDArray[Any]]]:
    arrays: list[tuple[str, NDArray[Any]]] = []
    for part in (media, *media.joined):
        file = path if part is media else require_path(part.path, sample_id)
        where = place(sample_id, file if part.item is None else f"{file}[{part.item}]")
        if file.is_dir():
            raise MediaError("features are read from a file or a store", where=where, found="a folder that is no store")
        arrays.append((where, load_features(file, part, where)))
    return arrays


def _open_features(path: Path, media: Media, sample_id: str) -> Reader:
    arrays = _places(path, media, sample_id)
    where, array = arrays[0]
    if len({len(array) for _, array in arrays}) > 1:
        raise MediaError(
            "features that are to be joined have different lengths",
            where=where,
            found="; ".join(f"{array.shape} in {name}" for name, array in arrays),
            expected="one vector for each of the same frames in all of them",
            todo="take features of one stride, or name one of the places only",
        )
    if not media.joined:
        return FeatureReader(array, media, where)
    widths = [(name, one.shape[1]) for name, one in arrays]
    return FeatureReader(np.concatenate([one for _, one in arrays], axis=1), media, where, widths)


def _open_frames(path: Path, media: Media, sample_id: str, frame_size: FrameSize | None) -> Reader:
    if is_video(path):
        return VideoReader(path, media, sample_id, frame_size)
    return FrameReader(path, media, sample_id, frame_size)
