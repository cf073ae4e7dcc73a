"""`ClipDataset`: a manifest and a model's `InputSpec` make clips."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from slt_zoo.data.boundaries import read_labels
from slt_zoo.data.draws import draws
from slt_zoo.data.length_cache import LengthCache
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.readers import open_reader
from slt_zoo.data.readers.opening import feature_widths
from slt_zoo.data.retry import retry_read
from slt_zoo.data.samplers import Key
from slt_zoo.data.selection import effective_fps
from slt_zoo.data.sign_segments import SignSegments
from slt_zoo.data.stores import Store, open_store
from slt_zoo.data.workers import give_back_memory
from slt_zoo.errors import ConfigError, MediaError, UnfitSampleError, first_few, one_line
from slt_zoo.types import Batch, Clip, InputSpec, Media, Sample

__all__ = ["ClipDataset", "Unreadable", "read_clip"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unreadable:
    """A sample that could not be read and may be skipped: its id, and why."""

    id: str
    why: str


def read_clip(
    sample: Sample, spec: InputSpec, *, training: bool, rng: np.random.Generator, fps: float | None = None
) -> Clip:
    """Select, decode, transform.

    Args:
        sample: its ``media`` says where the input lies.
        spec: what the model wants.
        training: which of the model's pipelines.
        rng: for random draws.
        fps: frame rate where neither file nor annotation has one.

    Raises:
        MediaError: the input cannot be read.
    """
    pipeline = spec.train if training else spec.evaluation
    clip = Clip(sample)
    labels = sample.media["segments"] if "segments" in spec.needs else None
    if labels is not None and spec.modality == "none":
        clip.labels = read_labels(labels, sample.id)
    if spec.modality != "none":
        media = sample.media[spec.modality]
        reader = open_reader(spec.modality, media, sample_id=sample.id, frame_size=pipeline.frame_size)
        source_fps = reader.fps or (None if fps is None else fps / (media.stride or 1))
        clip.fps = source_fps
        count = reader.num_frames
        if labels is not None:
            frames, rows = _source_frames(media, count), f"{count} rows of {media.path!r}"
            clip.labels = read_labels(labels, sample.id, frames[0], frames, rows)
        index = torch.arange(count) if pipeline.select is None else pipeline.select(clip, count, rng)
        try:
            fields = reader.read(index)
        except OSError as cause:
            where = f"sample {sample.id}, {media.path!r}"
            raise MediaError(f"cannot read: {cause.strerror or cause}", where=where) from cause
        clip = replace(
            clip, index=index, fps=None if source_fps is None else effective_fps(source_fps, index), **fields
        )
    if pipeline.transform is not None:
        clip = pipeline.transform(clip, rng)
        if not isinstance(clip, Clip):
            raise ConfigError(
                f"a transform gave back {type(clip).__name__}, not a clip", where=f"{pipeline.transform!r}"
            )
    if "segments" in spec.needs and clip.segments is None and spec.modality != "none":
        clip = SignSegments()(clip, rng)
    return clip


def _source_frames(media: Media, rows: int) -> list[int]:
    """How many frames the video of so many rows may have, the likeliest first.

    An extractor's last stride may be a short one, or be left out like the last window.
    """
    stride = media.stride or 1
    fits = range((rows - 1) * stride + 1, rows * stride + max(media.window or 1, stride))
    declared = [] if stride == 1 or media.num_frames is None else [media.num_frames]
    return [*declared, rows * stride, *fits]


def _require_one_shape(clips: Sequence[Clip]) -> None:
    """All clips of a batch have the shape of the first, but for their length.

    Raises:
        MediaError: one has not; names both.
    """
    for name in ("features", "frames", "pose"):
        first = getattr(clips[0], name)
        for clip in clips[1:]:
            other = getattr(clip, name)
            if first is None or other is None or first.shape[1:] == other.shape[1:]:
                continue
            good, bad = clips[0].sample, clip.sample
            expected, found = _shapes(name, good, first), _shapes(name, bad, other)
            at_fault = [k for k in range(len(found)) if expected[k][0] != found[k][0]] or range(len(found))
            raise MediaError(
                f"{name} of different shapes in one batch",
                where=f"samples {good.id} and {bad.id}",
                expected="as in "
                + "; ".join(f"{shape} a row of {path}" for shape, path in (expected[k] for k in at_fault)),
                found="; ".join(f"{shape} a row of {path}" for shape, path in (found[k] for k in at_fault)),
                todo="features of one extractor, and frames of one size: the model's transform may resize them",
            )


def _shapes(kind: str, sample: Sample, rows: Tensor) -> list[tuple[tuple[int, ...], str]]:
    """Shape of a row and path, of each place where the media of a sample were joined from several."""
    media = sample.media[kind]
    if not media.joined:
        return [(tuple(rows.shape[1:]), repr(media.path))]
    return [((width,), where) for where, width in feature_widths(media, sample.id)]


class ClipDataset(Dataset[Clip]):
    """Clips of a split.

    Asked with an index it gives a clip; asked with the keys of a batch (`TrainBatches`) it gives their clips. Random
    draws depend on seed, epoch and the sample's id alone: workers, processes, resumed runs and subsets see the same.

    Args:
        manifest: the samples.
        spec: what the model wants.
        fps: frame rate where neither file nor annotation has one.
        training: which of the model's pipelines.
        skip_bad: give `Unreadable` for what cannot be read, in training; otherwise the error. What a model's own rules
            leave out of training is given so too.
        seed: of random draws.
    """

    def __init__(
        self, manifest: Manifest, spec: InputSpec, fps: float | None, training: bool, skip_bad: bool, seed: int
    ) -> None:
        self.manifest, self.spec, self.fps, self.training, self.seed = manifest, spec, fps, training, seed
        self.skip_bad = skip_bad and training

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, key: int | Sequence[Key]) -> Clip | list[Clip | Unreadable]:  # type: ignore[override]
        if isinstance(key, int):
            return self._read(key, epoch=0)
        clips = [self._read_or_skip(index, epoch) for index, epoch in key]
        (index, epoch), tries = key[-1], len(self)
        while tries and all(isinstance(c, Unreadable) for c in clips):  # a step needs something: take the next one
            index, tries = (index + 1) % len(self), tries - 1
            clips.append(self._read_or_skip(index, epoch))
        return clips

    def _read(self, index: int, epoch: int) -> Clip:
        sample = self.manifest[index]
        log.debug("reading %s", sample.id)  # before decoding: a decoder that crashes cannot say it afterwards

        def read() -> Clip:
            rng = draws(self.seed, epoch, sample.id)  # anew each time: a second try draws the same
            return read_clip(sample, self.spec, training=self.training, rng=rng, fps=self.fps)

        return retry_read(read, f"sample {sample.id}")

    def _read_or_skip(self, index: int, epoch: int) -> Clip | Unreadable:
        try:
            return self._read(index, epoch)
        except MediaError as fault:
            unfit = self.training and isinstance(fault, UnfitSampleError)
            if not (self.skip_bad or unfit):
                raise
            log.warning("skipped: %s", fault)
            return Unreadable(self.manifest.ids[index], one_line(fault))

    def collate(self, clips: Sequence[Clip | Unreadable]) -> Batch:
        """Join clips to a batch; what could not be read is named in ``skipped``.

        Raises:
            MediaError: nothing of the batch could be read.
        """
        good = [c for c in clips if isinstance(c, Clip)]
        bad = {c.id: c.why for c in clips if isinstance(c, Unreadable)}
        if not good:
            raise MediaError(
                f"{self.manifest.corpus} {self.manifest.split}: no sample of a batch could be read",
                found=first_few(list(bad.values()), 3),
            )
        _require_one_shape(good)
        batch = Batch.collate(good)
        batch.skipped = bad
        give_back_memory()
        return batch

    def lengths(self, cache: LengthCache) -> list[int]:
        """Rows of each sample before the model selects: frames, or vectors of features; characters of text alone.

        A store's manifest says them; frames and poses have as many as declared. Else the file says it: what the
        annotation declares are frames of the video, and an extractor makes fewer vectors of them.

        Args:
            cache: of what files said before.
        """
        stores: dict[str, Store] = {}
        lengths = [self._length(sample, cache, stores) for sample in self.manifest]
        cache.save()
        return lengths

    def _length(self, sample: Sample, cache: LengthCache, stores: dict[str, Store]) -> int:
        kind = self.spec.modality
        if kind == "none":
            return max(1, len(sample.text))
        media = sample.media[kind]
        if media.extractor is not None and media.item is not None:  # both are said by a store alone
            if media.path not in stores:
                stores[media.path] = open_store(media.path)
            return stores[media.path].num_rows(media.item)
        if media.num_frames is not None and kind != "features":
            return media.num_frames

        def measure() -> int:
            return retry_read(lambda: open_reader(kind, media, sample_id=sample.id).num_frames, f"sample {sample.id}")

        try:
            return int(cache.ask(media, "frames", measure) or 1)
        except MediaError:
            if not self.skip_bad:
                raise
            return 1  # it is skipped, and told, when its turn comes
