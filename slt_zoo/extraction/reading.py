"""One sample from its media to a record, in a worker process; what cannot be read is an answer and no exception."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from slt_zoo.data.manifest import Manifest
from slt_zoo.data.readers import Reader, open_reader
from slt_zoo.data.readers.base import place
from slt_zoo.data.readers.images import FrameSize
from slt_zoo.data.retry import retry_read
from slt_zoo.data.stores.writer import Record
from slt_zoo.data.transforms import ChoosePoints
from slt_zoo.errors import ConfigError, MediaError, SLTError
from slt_zoo.types import Clip, Media, Sample, Split, TransformClip

__all__ = ["ReadFrames", "ReadPose", "ReadSample", "SamplesToRead", "Unread"]

_NO_DRAWS = np.random.default_rng(0)  # nothing here is drawn; the transforms ask for a generator
_AT_ONCE = 64  # frames decoded at a time: a clip at its full size may not fit into memory


class ReadSample(Protocol):
    """Makes a record of a sample."""

    def __call__(self, sample: Sample, fps: float | None) -> Record:
        """``fps`` is the frame rate where neither file nor annotation has one.

        Raises:
            SLTError: the media cannot be read, or are not what the options need.
        """


@dataclass(frozen=True)
class Unread:
    """A sample that could not be read.

    Attributes:
        id: of the sample.
        why: the message.
    """

    id: str
    why: str


@dataclass(frozen=True)
class ReadFrames:
    """Frames, decoded at a size, as a model's pipeline decodes them.

    Attributes:
        frame_size: height and width, or the shorter side; None: as in the file.
        steps: what happens to them then.
        stride: every so many frames, one is taken.
        quality: of JPEG; None: they stay uint8, ``frames`` (T, 3, H, W), for an encoder.
    """

    frame_size: FrameSize | None = None
    steps: tuple[TransformClip, ...] = ()
    stride: int = 1
    quality: int | None = None

    def __call__(self, sample: Sample, fps: float | None) -> Record:
        """See `ReadSample`."""
        reader = open_reader("frames", sample.media["frames"], sample_id=sample.id, frame_size=self.frame_size)
        index = torch.arange(0, reader.num_frames, self.stride)
        parts = [self._decode(reader, part, sample) for part in torch.split(index, _AT_ONCE)]
        frames = torch.cat(parts)
        tensors = {"frames": frames} if self.quality is None else _as_jpeg(frames, self.quality)
        return Record(sample.id, sample.split, tensors, *_video(sample.media["frames"], reader, fps))

    def _decode(self, reader: Reader, index: Tensor, sample: Sample) -> Tensor:
        clip = Clip(sample, **_read("frames", sample, reader, index))
        for step in self.steps:
            clip = step(clip, _NO_DRAWS)
        assert clip.frames is not None
        return clip.frames


@dataclass(frozen=True)
class ReadPose:
    """Poses of a person by named points.

    Attributes:
        points: their names; None: nothing is expected yet.
        stride: every so many frames, one is taken.
        chosen: True: these are taken out of whatever a file has; False: a file has these and no others.
    """

    points: tuple[str, ...] | None
    stride: int = 1
    chosen: bool = False

    def __call__(self, sample: Sample, fps: float | None) -> Record:
        """See `ReadSample`."""
        reader = open_reader("pose", sample.media["pose"], sample_id=sample.id)
        clip = Clip(sample, **_read("pose", sample, reader, torch.arange(0, reader.num_frames, self.stride)))
        if self.chosen and self.points is not None:
            try:
                clip = ChoosePoints(self.points)(clip, _NO_DRAWS)
            except ConfigError as fault:  # it speaks of a model's points
                todo = "choose others with --points, or leave it out: all points of the files"
                raise MediaError(fault.what, expected=fault.expected, found=fault.found, todo=todo) from fault
        elif clip.points != self.points:
            raise MediaError(
                "the poses have other points than those before",
                where=f"sample {sample.id}",
                expected=f"{len(self.points or ())} points",
                found=f"{len(clip.points)} points",
                todo="name a point set that all files have, with --points",
            )
        assert clip.pose is not None and clip.conf is not None
        tensors = {"pose": clip.pose, "conf": clip.conf}
        return Record(sample.id, sample.split, tensors, *_video(sample.media["pose"], reader, fps))

    @staticmethod
    def points_of(sample: Sample) -> tuple[str, ...]:
        """The points that a sample's file has."""
        reader = open_reader("pose", sample.media["pose"], sample_id=sample.id)
        points: tuple[str, ...] = _read("pose", sample, reader, torch.arange(1))["points"]
        return points


def _read(kind: str, sample: Sample, reader: Reader, index: Tensor) -> dict[str, Any]:
    try:
        return reader.read(index)
    except OSError as cause:
        raise MediaError(
            f"cannot read: {cause.strerror or cause}", where=place(sample.id, sample.media[kind].path)
        ) from cause


def _video(media: Media, reader: Reader, fps: float | None) -> tuple[int, float | None]:
    """Frames of the video, and its frame rate; what is read may itself have one row for several frames."""
    stride = media.stride or 1
    if stride == 1:
        return reader.num_frames, reader.fps or fps
    rate = None if reader.fps is None else reader.fps * stride
    return media.num_frames or reader.num_frames * stride, media.fps or rate or fps


def _as_jpeg(frames: Tensor, quality: int) -> dict[str, Tensor]:
    from PIL import Image

    images = []
    for frame in frames.permute(0, 2, 3, 1).contiguous().numpy():
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=quality)
        images.append(file.getvalue())
    ends = torch.tensor([len(image) for image in images]).cumsum(0)
    return {"ends": ends, "jpeg": torch.frombuffer(bytearray(b"".join(images)), dtype=torch.uint8)}


class SamplesToRead(Dataset[Record | Unread]):
    """Records of samples, in the order given.

    Args:
        manifests: by split.
        wanted: split and id of each sample.
        read: what makes a record.
        fps: frame rate where neither file nor annotation has one.
    """

    def __init__(
        self,
        manifests: Mapping[Split, Manifest],
        wanted: Sequence[tuple[Split, str]],
        read: ReadSample,
        fps: float | None,
    ) -> None:
        self.manifests, self.wanted, self.read, self.fps = manifests, wanted, read, fps

    def __len__(self) -> int:
        return len(self.wanted)

    def __getitem__(self, index: int) -> Record | Unread:
        split, sample_id = self.wanted[index]
        sample = self.manifests[split].by_id(sample_id)
        try:
            record = retry_read(lambda: self.read(sample, self.fps), f"sample {sample_id}")
        except SLTError as fault:
            return Unread(sample_id, str(fault))
        return replace(record, split=split)
