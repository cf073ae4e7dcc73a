"""Sign boundaries: a label a video frame, 0 outside of signs, 1 inside, 2 a sign's first frame (BIO)."""

from __future__ import annotations

import re
from collections.abc import Collection
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.readers.base import NPY_FAULTS
from slt_zoo.errors import ConfigError, MediaError
from slt_zoo.types import Media

__all__ = ["BEGIN", "INSIDE", "OUTSIDE", "as_labels", "check_whole", "fixed_labels", "fixed_length", "read_labels"]

OUTSIDE, INSIDE, BEGIN = 0, 1, 2


def as_labels(values: NDArray[Any] | Tensor, where: str | None = None) -> Tensor:
    """Checked labels ``(T,)`` int64.

    Args:
        values: one whole number a frame; of no frame, of any type.
        where: for the message.

    Raises:
        MediaError: not one number a frame, other numbers than 0, 1 and 2, or floats or booleans, which may be
            probabilities or a mask.
    """
    array = np.asarray(values)
    if array.ndim != 1 or not np.isin(array, (OUTSIDE, INSIDE, BEGIN)).all():
        raise MediaError(
            "sign boundaries must be one number a frame: 0 outside, 1 inside, 2 begin",
            where=where,
            found=f"shape {array.shape}, values {np.unique(array)[:6].tolist()}",
        )
    if array.size and array.dtype.kind not in "iu":
        raise MediaError(
            "sign boundaries must be whole numbers: 0 outside, 1 inside, 2 begin",
            where=where,
            expected="integers",
            found=str(array.dtype),
            todo="a mask or probabilities do not say where signs begin; where these are labels, convert them",
        )
    return torch.from_numpy(array.astype(np.int64))


def check_whole(value: object, name: str) -> None:
    """Refuse what is no whole number.

    Raises:
        ConfigError: ``value`` is a float, a boolean or no number.
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ConfigError(f"{name} is no whole number of frames", expected="an integer", found=repr(value))


def fixed_labels(frames: int, length: int) -> Tensor:
    """``(frames,)`` labels of signs of one length each, end to end: no sign was looked for."""
    check_whole(length, "the length of signs")
    if length < 1:
        raise ConfigError("signs of a fixed length have at least one frame", found=length)
    labels = torch.full((frames,), INSIDE)
    labels[::length] = BEGIN
    return labels


def fixed_length(path: str) -> int | None:
    """The k of ``fixed-<k>``, which stands for `fixed_labels` where no folder has this name; None: it is none."""
    named = re.fullmatch(r"fixed-(\d+)", path)
    if named is None or Path(path).exists():
        return None
    if int(named[1]) < 1:
        raise ConfigError("signs of a fixed length have at least one frame", found=path, todo="fixed-8")
    return int(named[1])


def read_labels(
    media: Media, sample_id: str, frames: int | None = None, fits: Collection[int] = (), of: str = ""
) -> Tensor:
    """The labels of a sample ``(T,)`` int64, of its whole video.

    Args:
        media: of kind ``"segments"``.
        sample_id: for messages.
        frames: how many there should be; None: not known, and not compared.
        fits: further lengths that are taken.
        of: what the input is, for the message.

    Raises:
        MediaError: the file cannot be read, holds something else, or has another length.
        ConfigError: ``fixed-<k>`` for a sample whose number of frames is not known.
    """
    length = fixed_length(media.path)
    if length is not None:
        frames = media.num_frames if frames is None else frames
        if frames is None:
            raise ConfigError(
                f"the number of frames is not known, and {media.path} makes boundaries of it",
                where=f"sample {sample_id}",
                todo="write them with `slt-zoo segment`, or choose a model of frames, poses or features",
            )
        return fixed_labels(frames, length)
    where = f"sample {sample_id}, {media.path!r}"
    try:
        array = np.load(media.path, allow_pickle=False)
    except (OSError, *NPY_FAULTS) as cause:
        raise MediaError("cannot read sign boundaries", where=where) from cause
    labels = as_labels(array, where)
    if frames is not None and len(labels) != frames and len(labels) not in fits:
        raise MediaError(
            "sign boundaries and input have different lengths",
            where=f"sample {sample_id}",
            expected=f"{frames} labels for {of}",
            found=len(labels),
        )
    return labels
