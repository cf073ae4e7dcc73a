"""Samples of a store, read like those of any other container."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slt_zoo.data.readers.base import Reader, compare_count, frames_of, place, rows_of
from slt_zoo.data.readers.features import FeatureReader
from slt_zoo.data.readers.images import FrameSize, decode_image
from slt_zoo.data.readers.pose import PoseArrays, PoseReader
from slt_zoo.data.stores import Store, open_store
from slt_zoo.errors import MediaError
from slt_zoo.types import Media

__all__ = ["StoredFrames", "open_stored"]


def open_stored(kind: str, media: Media, sample_id: str, frame_size: FrameSize | None = None) -> Reader:
    """Open a sample of a store.

    Args:
        kind: ``"features"``, ``"pose"`` or ``"frames"``.
        media: its ``path`` is the store's folder, its ``item`` the sample.
        sample_id: for messages.
        frame_size: of frames: they are decoded at this size.

    Raises:
        StoreError: the store is damaged, or has no such sample.
        MediaError: it holds another kind.
    """
    store, item = open_store(media.path), str(media.item)
    where = place(sample_id, f"{media.path}[{item}]")
    made = store.manifest.made_by
    if made.kind != kind:
        raise MediaError(f"the store holds {made.kind}, not {kind}", where=where, found=f"extractor {made.extractor}")
    if kind == "features":
        return FeatureReader(store.rows(item, "features"), media, where)  # type: ignore[arg-type]  # as an array
    if kind == "pose":
        coords, conf = (store.rows(item, name).numpy()[:, None] for name in ("pose", "conf"))
        fps = None if media.fps is None else media.fps / (media.stride or 1)
        return PoseReader(PoseArrays(coords, conf, made.points, fps), _in_rows(media, len(coords)), where)
    return StoredFrames(store, item, media, where, frame_size)


def _in_rows(media: Media, rows: int) -> Media:
    """The same media where every row is a frame: readers of poses know no stride."""
    from dataclasses import replace

    stride = media.stride or 1
    if stride == 1:
        return media
    return replace(media, fps=None if media.fps is None else media.fps / stride, num_frames=rows, stride=None)


class StoredFrames:
    """Reads images that a store keeps as JPEG; only those asked for are read and decoded.

    Args:
        store: of frames.
        item: the sample's key in it.
        media: its ``fps``, ``stride``, ``start``, ``end``, ``num_frames``.
        where: sample and store, for messages.
        frame_size: of the frames read; None: as they are stored.
    """

    def __init__(self, store: Store, item: str, media: Media, where: str, frame_size: FrameSize | None = None) -> None:
        self._size = frame_size
        ends = store.rows(item, "ends").tensor().tolist()
        media = _in_rows(media, len(ends))
        compare_count(media, len(ends), where)
        self.fps = media.fps
        part = frames_of(media, len(ends), media.fps, where)
        self.num_frames = len(part)
        self._images, self._where, self._first = store.rows(item, "jpeg"), where, part.start
        self._ranges = list(zip([0, *ends[:-1]], ends, strict=True))[part.start : part.stop]

    def read(self, index: Tensor) -> dict[str, Any]:
        """``frames`` uint8 (T, 3, H, W), RGB; see `Reader.read`. A frame asked for twice is decoded once.

        Raises:
            MediaError: an image that cannot be decoded.
        """
        wanted, back = np.unique(rows_of(index, self.num_frames), return_inverse=True)
        frames = np.stack([self._decode(int(frame)) for frame in wanted]).transpose(0, 3, 1, 2)
        in_order = np.array_equal(back, np.arange(len(wanted)))
        return {"frames": torch.from_numpy(np.ascontiguousarray(frames if in_order else frames[back]))}

    def _decode(self, frame: int) -> NDArray[np.uint8]:
        """``(H, W, 3)``."""
        data = self._images.tensor(*self._ranges[frame]).numpy().tobytes()
        where = f"{self._where}, frame {self._first + frame}"
        return decode_image(data, self._size, "cannot decode an image of a store", where)
