"""The types that travel: from an annotation file to a batch, and from a batch to a score.

``Sample`` --reader and the model's pipeline--> ``Clip`` --collate--> ``Batch`` --model--> ``Losses``, ``Prediction``.
Masks are boolean, True = valid, and always come from lengths; no mask is ever read off a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

from slt_zoo.errors import ConfigError, UnknownNameError

__all__ = [
    "SPLITS",
    "SPLIT_NAMES",
    "Batch",
    "Clip",
    "ClipPipeline",
    "DataFacts",
    "InputSpec",
    "Losses",
    "Media",
    "Modality",
    "Prediction",
    "Ragged",
    "Sample",
    "SelectFrames",
    "Split",
    "TransformClip",
    "as_split",
]

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, Split, Split] = ("train", "dev", "test")
SPLIT_NAMES: Mapping[str, Split] = {
    "train": "train",
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}
"""What files and people call the splits."""
Modality = Literal["frames", "features", "pose", "none"]
NEEDS = ("text", "gloss", "question", "segments")


def as_split(name: str) -> Split:
    """The split of a name; ``val`` and its like are ``dev``.

    Raises:
        UnknownNameError: with the nearest names.
    """
    if name not in SPLIT_NAMES:
        raise UnknownNameError("split", name, SPLIT_NAMES)
    return SPLIT_NAMES[name]


@dataclass(frozen=True, slots=True)
class Media:
    """Where one kind of input of a sample lies.

    Attributes:
        path: file or folder.
        start: begin of the part that belongs to the sample, in seconds; None: from the first frame.
        end: its end (exclusive), in seconds; None: to the last frame.
        fps: frames (or feature vectors times ``stride``) a second; None: the file says it.
        num_frames: declared number of frames, not trusted.
        layout: name of a pose layout; None: the file says it.
        stride: video frames between two feature vectors.
        window: video frames that one feature vector sees.
        extractor: id of what made features or poses.
        item: key of the sample inside a file that holds many.
        joined: further features of the same frames, put behind these along the width.
        row_start: begin of the part in rows (frames, vectors) of the file, where these are counted and not seconds.
        row_end: its end (exclusive).
        source: table and line that name it, for messages.
    """

    path: str
    start: float | None = None
    end: float | None = None
    fps: float | None = None
    num_frames: int | None = None
    layout: str | None = None
    stride: int | None = None
    window: int | None = None
    extractor: str | None = None
    item: str | None = None
    joined: tuple[Media, ...] = ()
    row_start: int | None = None
    row_end: int | None = None
    source: str | None = field(default=None, compare=False)

    @property
    def is_part(self) -> bool:
        """Whether the sample is a part of what lies there, in seconds or in rows."""
        return any(bound is not None for bound in (self.start, self.end, self.row_start, self.row_end))


@dataclass(frozen=True, slots=True)
class Sample:
    """One signed sentence as annotated; strings are untouched, no media is open.

    Attributes:
        id: unique in the corpus, without a split prefix.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        text: the translation, as in the file.
        language: of the text, BCP 47 (``"de"``).
        sign_language: ISO 639-3 (``"gsg"``: German Sign Language).
        gloss: the glosses; None: the corpus has none; ``()``: an empty row.
        question: of a question-answering corpus.
        signer: opaque label.
        references: what a translation is scored against; references come from here and nowhere else.
        media: by kind: ``"frames"``, ``"features"``, ``"pose"``, ``"segments"``.
        meta: whatever else the corpus says; plain data.
    """

    id: str
    split: Split
    text: str
    language: str
    sign_language: str
    gloss: tuple[str, ...] | None = None
    question: str | None = None
    signer: str | None = None
    references: tuple[str, ...] = ()
    media: Mapping[str, Media] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Ragged:
    """Sequences of unequal length, end to end.

    Attributes:
        values: ``(sum_T, ...)``, the rows of all sequences without padding.
        lengths: ``(B,)`` int64, rows a sequence.
    """

    values: Tensor
    lengths: Tensor

    def __post_init__(self) -> None:
        if self.lengths.dtype != torch.int64 or self.lengths.ndim != 1:
            raise ValueError(f"lengths must be (B,) int64, got {tuple(self.lengths.shape)} {self.lengths.dtype}")

    @classmethod
    def pack(cls, sequences: Sequence[Tensor]) -> Ragged:
        """Join ``B`` tensors ``(T_b, ...)`` of equal trailing shape."""
        return cls(torch.cat(list(sequences)), torch.tensor([len(s) for s in sequences], dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.lengths)

    def mask(self, length: int | None = None) -> Tensor:
        """``(B, T_max)`` bool, True = valid; ``length`` sets T_max."""
        length = self._longest() if length is None else length
        return torch.arange(length, device=self.lengths.device) < self.lengths[:, None]

    def padded(self, fill: float = 0, length: int | None = None) -> tuple[Tensor, Tensor]:
        """The sequences as one tensor, and where it is valid.

        Args:
            fill: value of the padding.
            length: T_max; the longest sequence by default. Longer sequences are an error.

        Returns:
            ``(B, T_max, ...)`` and the mask ``(B, T_max)``, True = valid.
        """
        length = self._longest() if length is None else length
        if length < self._longest():
            raise ValueError(f"length {length} is shorter than the longest sequence, {self._longest()}")
        mask = self.mask(length)
        out = self.values.new_full((len(self), length, *self.values.shape[1:]), fill)
        out[mask] = self.values
        return out, mask

    def split(self) -> list[Tensor]:
        """The sequences, ``B`` tensors ``(T_b, ...)`` that share memory with ``values``."""
        return list(torch.split(self.values, self.lengths.tolist()))

    def pin_memory(self) -> Ragged:
        """Copy into page-locked memory."""
        return Ragged(self.values.pin_memory(), self.lengths.pin_memory())

    def to(self, *args: Any, **kwargs: Any) -> Ragged:
        """Move or convert ``values``; ``lengths`` follow to the device and stay int64."""
        values = self.values.to(*args, **kwargs)
        return Ragged(values, self.lengths.to(values.device, non_blocking=kwargs.get("non_blocking", False)))

    def _longest(self) -> int:
        return int(self.lengths.max()) if len(self.lengths) else 0


@dataclass
class Clip:
    """One sample with its decoded input; only what the model's ``InputSpec`` asks for is there.

    Attributes:
        sample: the annotation.
        fps: frame rate of the rows below, after selection.
        index: ``(T,)`` int64, which source frame each row is.
        frames: ``(T, 3, H, W)`` uint8.
        features: ``(T, D)``.
        pose: ``(T, K, C)`` float; a missing point is zeros and ``conf`` 0.
        conf: ``(T, K)`` float in [0, 1]; 0 = the point is missing.
        points: the K names of the points (``"left_hand.wrist"``).
        labels: ``(T_source,)`` int64, per-frame sign boundaries of the whole source: 0 outside, 1 inside, 2 begin.
        segments: ``(S, 2)`` int64, half-open ranges of rows.
    """

    sample: Sample
    fps: float | None = None
    index: Tensor | None = None
    frames: Tensor | None = None
    features: Tensor | None = None
    pose: Tensor | None = None
    conf: Tensor | None = None
    points: tuple[str, ...] = ()
    labels: Tensor | None = None
    segments: Tensor | None = None


@dataclass(eq=False)
class Batch:
    """What a model sees: raw strings and packed input of ``len(batch)`` samples.

    Attributes:
        id, text, language: strings, one a sample.
        gloss: tuples of glosses, or None where the corpus has none.
        question: or None where there is none.
        fps: frame rate of the rows below, a sample, or None where it is unknown.
        frames: values ``(sum_T, 3, H, W)`` uint8.
        features: values ``(sum_T, D)``.
        pose: values ``(sum_T, K, C)``.
        pose_conf: values ``(sum_T, K)``.
        segments: values ``(sum_S, 2)``, half-open ranges of the sample's own rows.
        skipped: ids that could not be read and were left out, and why (training with ``on_bad_sample="skip"`` alone).
    """

    id: list[str]
    text: list[str]
    language: list[str]
    gloss: list[tuple[str, ...] | None]
    question: list[str | None]
    fps: list[float | None]
    frames: Ragged | None = None
    features: Ragged | None = None
    pose: Ragged | None = None
    pose_conf: Ragged | None = None
    segments: Ragged | None = None
    skipped: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def collate(cls, clips: Sequence[Clip]) -> Batch:
        """Join clips; a field is there when every clip has it."""

        def pack(name: str) -> Ragged | None:
            values = [getattr(c, name) for c in clips]
            return None if any(v is None for v in values) else Ragged.pack(values)

        samples = [c.sample for c in clips]
        return cls(
            id=[s.id for s in samples],
            text=[s.text for s in samples],
            language=[s.language for s in samples],
            gloss=[s.gloss for s in samples],
            question=[s.question for s in samples],
            fps=[c.fps for c in clips],
            frames=pack("frames"),
            features=pack("features"),
            pose=pack("pose"),
            pose_conf=pack("conf"),
            segments=pack("segments"),
        )

    def pin_memory(self) -> Batch:
        """Copy every tensor into page-locked memory (called by the DataLoader)."""
        return self._map(Ragged.pin_memory)

    def to(self, device: torch.device | str) -> Batch:
        """Move every tensor to a device; strings stay."""
        return self._map(lambda ragged: ragged.to(device, non_blocking=True))

    def _map(self, change: Callable[[Ragged], Ragged]) -> Batch:
        changed: dict[str, Any] = {
            f.name: change(value) for f in fields(self) if isinstance(value := getattr(self, f.name), Ragged)
        }
        return replace(self, **changed)


class SelectFrames(Protocol):
    """Chooses which source frames are decoded at all."""

    def __call__(self, clip: Clip, num_frames: int, rng: np.random.Generator) -> Tensor:
        """Indices ``(T,)`` int64 into the ``num_frames`` source frames, in the order they are wanted.

        ``clip`` has its sample, its source frame rate and, where asked for, its labels; nothing is decoded yet. A
        selection that follows segments may set ``clip.segments``, in rows of what it selects.
        """


class TransformClip(Protocol):
    """Changes a decoded clip; returns it."""

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """``rng`` is the clip's own: the same run, epoch and sample give the same draws."""


@dataclass(frozen=True)
class ClipPipeline:
    """How a model wants its clips: which frames are read, at which size, and what happens to them then.

    Attributes:
        select: which frames are decoded; None: all.
        transform: what happens to the decoded clip.
        frame_size: height and width of decoded frames, or the length of the shorter side; None: as in the file. Smaller
            than the file it saves most of the decoding, which a resize among the transforms does not.
    """

    select: SelectFrames | None = None
    transform: TransformClip | None = None
    frame_size: int | tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name in ("select", "transform"):
            step = getattr(self, name)
            if step is not None and not callable(step):
                raise ConfigError(
                    f"{name} of a ClipPipeline can be called",
                    found=type(step).__name__,
                    todo="join several with Compose((a, b)) or ChainSelect((a, b))",
                )
        sizes = self.frame_size if isinstance(self.frame_size, tuple) else (self.frame_size,) * 2
        fits = len(sizes) == 2 and all(isinstance(n, int) and n > 0 for n in sizes)
        if self.frame_size is not None and not fits:
            raise ConfigError("frame_size is (H, W) or the shorter side, in pixels", found=self.frame_size)


@dataclass(frozen=True)
class DataFacts:
    """What a network's size and a result's label depend on; travels in checkpoints as plain data.

    Attributes:
        corpus: class name of the data module.
        language: of the text, BCP 47.
        sign_language: ISO 639-3.
        fps: frame rate of the corpus; None: it varies.
        feature_dim: width D of the features, where features are read.
        simulated: the signing was simulated; no score on it is a translation result.
    """

    corpus: str
    language: str
    sign_language: str
    fps: float | None = None
    feature_dim: int | None = None
    simulated: bool = False


@dataclass(frozen=True)
class InputSpec:
    """What a model needs from the data; the model owns it, so own videos get the training transforms.

    Attributes:
        modality: which input is decoded; ``"none"`` for models of text alone.
        needs: further things without which it cannot work: ``"text"``, ``"gloss"``, ``"question"``, ``"segments"``
            (where the pipeline makes none of the clip's labels, `slt_zoo.data.sign_segments.SignSegments` does).
        train: pipeline of the training split.
        evaluation: pipeline of every other use; draws nothing at random unless the model says so.
        feature_id: id of the store that the recipe was made for, of whatever is read: features, poses or frames.

    Raises:
        ConfigError: unknown names, or a ``feature_id`` where nothing is read.
    """

    modality: Modality = "features"
    needs: frozenset[str] = frozenset()
    train: ClipPipeline = ClipPipeline()
    evaluation: ClipPipeline = ClipPipeline()
    feature_id: str | None = None

    def __post_init__(self) -> None:
        known = get_args(Modality)
        if self.modality not in known:
            raise UnknownNameError("modality", self.modality, known)
        object.__setattr__(self, "needs", frozenset(self.needs))
        for need in sorted(self.needs):
            if need not in NEEDS:
                raise UnknownNameError("need of a model", need, NEEDS)
        if self.feature_id is not None and self.modality == "none":
            raise ConfigError(
                "feature_id is the id of a store, and a model with modality='none' reads none", found=self.feature_id
            )


@dataclass(eq=False)
class Losses:
    """What a training step returns.

    Attributes:
        total: ``()``, minimised.
        terms: ``()`` each, logged and nothing else.
        count: of how many things (tokens, say) these are means; None: the clips. Evaluation weighs batches by it, so
            that a split's mean does not depend on how it was cut into batches.
        counts: the same of a term that has another count, by its name, ``"loss"`` being ``total``. Of a weighted mean
            it is the sum of the weights.
        kept: what `SLTModule.measure` needs of each clip, by id; in evaluation, tensors on the CPU.
    """

    total: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)
    count: float | Tensor | None = None
    counts: Mapping[str, float | Tensor] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)

    def means(self, clips: int) -> dict[str, tuple[Tensor, float | Tensor]]:
        """``total`` as ``"loss"`` and each term, ``()``, with its count, of a batch of so many clips.

        Raises:
            ConfigError: ``counts`` names what is no term.
        """
        values = {"loss": self.total, **self.terms}
        for name in self.counts:
            if name not in values:
                raise UnknownNameError("term with a count", name, sorted(values))
        count = clips if self.count is None else self.count
        return {name: (value, self.counts.get(name, count)) for name, value in values.items()}


@dataclass  # not frozen: Lightning refuses to carry frozen ones out of predict_step
class Prediction:
    """One decoded sample, one line of ``predictions/<split>.jsonl``.

    Attributes:
        id: of the sample.
        hypothesis: what the model said.
        references: the annotation's strings.
        extra: anything else; plain data.
    """

    id: str
    hypothesis: str
    references: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as written to JSON lines."""
        plain: dict[str, Any] = {"id": self.id, "hypothesis": self.hypothesis, "references": list(self.references)}
        return plain | ({"extra": dict(self.extra)} if self.extra else {})

    def __iter__(self) -> Iterator[str]:
        """Unpacks as ``id, hypothesis``."""
        yield from (self.id, self.hypothesis)
