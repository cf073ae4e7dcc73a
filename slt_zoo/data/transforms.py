"""How decoded poses are brought into form: `TransformClip` as small frozen classes; `pose_augment` has the random ones.

Everywhere a missing point stays what it is: zeros with confidence 0. The usual order:
``Compose((ChoosePoints("holistic75"), CentreOnShoulders(), KeepDims(2), SpatialAugment(...)))``. Centring needs the
shoulders, so it comes before a choice without them (``hands42``), and always before augmentation, which turns and
mirrors about the origin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from slt_zoo.data.pose_layouts import LAYOUTS, POINT_SETS, named_points
from slt_zoo.errors import ConfigError, MediaError, first_few
from slt_zoo.types import Clip, TransformClip

__all__ = [
    "CentreHands",
    "CentreOnShoulders",
    "ChoosePoints",
    "Compose",
    "FillMissing",
    "InterpolateFrames",
    "KeepDims",
    "pose_of",
]

SHOULDERS = ("body.left_shoulder", "body.right_shoulder")


@dataclass(frozen=True)
class Compose:
    """One transform after the other."""

    steps: tuple[TransformClip, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.steps, tuple | list) or not all(callable(step) for step in self.steps):
            raise ConfigError("Compose takes a tuple of transforms: Compose((a, b))", found=repr(self.steps))

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`."""
        for step in self.steps:
            clip = step(clip, rng)
        return clip


@dataclass(frozen=True)
class ChoosePoints:
    """Keeps points by name, in the order given, whatever the layout of the file.

    Attributes:
        points: names, or the name of a point set or layout of `slt_zoo.data.pose_layouts`.
        allow_missing: points that the file's layout lacks are missing in every frame, instead of an error.
    """

    points: tuple[str, ...] | str
    allow_missing: bool = False

    def __post_init__(self) -> None:
        if not self.names:
            raise ConfigError("no points chosen")

    @property
    def names(self) -> tuple[str, ...]:
        """The names chosen."""
        return named_points(self.points) if isinstance(self.points, str) else tuple(self.points)

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`.

        Raises:
            ConfigError: the file's layout lacks some of the points; the message names the point sets it has.
        """
        pose, conf = pose_of(clip, self)
        names = self.names
        index = _positions(clip.points, names, self.allow_missing)
        pose, conf = pose[:, index], conf[:, index]
        if self.allow_missing:
            absent = index < 0
            pose[:, absent], conf[:, absent] = 0, 0
        return replace(clip, pose=pose, conf=conf, points=names)


@dataclass(frozen=True)
class CentreOnShoulders:
    """Origin between the shoulders and, with ``scale``, their distance as the unit: independent of the image's size.

    Origin and unit are medians over the frames in which both shoulders are there, so the body's own motion stays
    and a bad frame does not count. The distance is that in the image plane (x, y), which is also how z is scaled.
    ``world.*`` points, in metres about the hips, stay as they are.

    Attributes:
        scale: divide by the shoulders' distance.
        per_frame: an origin for each frame (frames without shoulders take the clip's); the unit is the clip's.
    """

    scale: bool = True
    per_frame: bool = False

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`.

        Raises:
            ConfigError: the points have no shoulders.
            MediaError: no frame has both, or they are at one place.
        """
        pose, conf = pose_of(clip, self)
        if not set(SHOULDERS) <= set(clip.points):
            raise ConfigError(
                f"CentreOnShoulders needs {' and '.join(SHOULDERS)}",
                found=f"{len(clip.points)} points: {first_few(clip.points)}",
                todo="put it before ChoosePoints, or choose points with the shoulders",
            )
        sides = _positions(clip.points, SHOULDERS, False)
        both = (conf[:, sides] > 0).all(1)
        if not both.any():
            raise MediaError("no frame has both shoulders", where=f"sample {clip.sample.id}, {len(pose)} frames")
        left, right = pose[:, sides].unbind(1)
        middle = (left + right) / 2
        origin = middle[both].median(0).values
        if self.per_frame:
            origin = torch.where(both[:, None], middle, origin)[:, None]
        centred = pose - origin
        if self.scale:
            width = (left - right)[both, :2].norm(dim=1).median()
            if not width > 0:
                raise MediaError(
                    "the shoulders are at one place: their distance is 0", where=f"sample {clip.sample.id}"
                )
            centred = centred / width
        moved = (conf > 0) & ~_world(clip.points)
        return replace(clip, pose=torch.where(moved[..., None], centred, pose))


@dataclass(frozen=True)
class CentreHands:
    """The points of each hand about its wrist, with the hand's size as unit: its shape, wherever and whosever it is.

    The unit is the greatest distance in the image plane between wrist and middle knuckle, in the frames where both
    are there: that of the palm turned to the camera. The wrist itself stays where it is, and tells the place. In
    frames without the wrist the hand counts as missing, as does a hand of size 0.
    """

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`.

        Raises:
            ConfigError: the points have no wrist and middle knuckle of either hand.
        """
        pose, conf = pose_of(clip, self)
        pose, conf = pose.clone(), conf.clone()
        hands = [s for s in ("left_hand", "right_hand") if {f"{s}.{p}" for p in _PALM} <= set(clip.points)]
        if not hands:
            raise ConfigError(
                "CentreHands needs the wrist and the middle knuckle of a hand",
                found=f"{len(clip.points)} points: {first_few(clip.points)}",
                todo="choose points with hands, such as 'hands42' or 'holistic75'",
            )
        for hand in hands:
            wrist, knuckle = _positions(clip.points, tuple(f"{hand}.{p}" for p in _PALM), False).tolist()
            others = torch.tensor([i for i, p in enumerate(clip.points) if p.startswith(f"{hand}.") and i != wrist])
            both = (conf[:, [wrist, knuckle]] > 0).all(1)
            lengths = (pose[both, knuckle] - pose[both, wrist])[:, :2].norm(dim=1)
            size = lengths.max() if len(lengths) else pose.new_zeros(())
            seen = (conf[:, others] > 0) & (conf[:, wrist, None] > 0) & (size > 0)
            about = (pose[:, others] - pose[:, wrist, None]) / size.clamp(min=torch.finfo(pose.dtype).tiny)
            pose[:, others] = torch.where(seen[..., None], about, 0.0)
            conf[:, others] = torch.where(seen, conf[:, others], 0.0)
        return replace(clip, pose=pose, conf=conf)


_PALM = ("wrist", "middle_finger_mcp")


@dataclass(frozen=True)
class KeepDims:
    """The first ``dims`` coordinates of each point: 2 for x and y."""

    dims: int = 2

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`.

        Raises:
            ConfigError: the pose has fewer.
        """
        pose, _ = pose_of(clip, self)
        if not 1 <= self.dims <= pose.shape[-1]:
            raise ConfigError(f"cannot keep {self.dims} dimensions of {pose.shape[-1]}")
        return replace(clip, pose=pose[..., : self.dims])


@dataclass(frozen=True)
class FillMissing:
    """Fills short gaps of a point by the straight line between the rows around them; confidence likewise.

    Attributes:
        max_gap: longest gap, in rows; longer ones and those at an end stay missing.
    """

    max_gap: int = 5

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`."""
        pose, conf = pose_of(clip, self)
        valid = conf > 0
        time = torch.arange(len(pose))[:, None].expand_as(valid)
        before = torch.where(valid, time, -1).cummax(0).values
        after = torch.where(valid, time, len(pose)).flip(0).cummin(0).values.flip(0)
        fill = ~valid & (before >= 0) & (after < len(pose)) & (after - before <= self.max_gap + 1)
        row, point = fill.nonzero(as_tuple=True)
        a, b = before[row, point], after[row, point]
        weight = (row - a) / (b - a)
        pose, conf = pose.clone(), conf.clone()
        pose[row, point] = torch.lerp(pose[a, point], pose[b, point], weight[:, None])
        conf[row, point] = torch.lerp(conf[a, point], conf[b, point], weight)
        return replace(clip, pose=pose, conf=conf)


@dataclass(frozen=True)
class InterpolateFrames:
    """A fixed number of rows, by straight lines in time from the first to the last row (SignAttention: 30).

    A point that is missing in one of two neighbours takes the other's place; ``index`` becomes the nearest row's.
    """

    num_frames: int

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`.

        Raises:
            ConfigError: the clip has other rows besides the pose, which would no longer fit it.
        """
        pose, conf = pose_of(clip, self)
        if clip.frames is not None or clip.features is not None or clip.segments is not None:
            raise ConfigError(
                "InterpolateFrames is for clips of poses alone", todo="interpolate before making segments"
            )
        rows = len(pose)
        at = torch.linspace(0, rows - 1, self.num_frames, dtype=torch.float64)
        whole = at.round()
        at = torch.where((at - whole).abs() < 1e-6, whole, at).to(pose.dtype)  # no trace of a neighbour by rounding
        low = at.long().clamp(max=max(rows - 2, 0))
        high = (low + 1).clamp(max=rows - 1)
        weight = at - low
        weights = torch.stack([1 - weight, weight])[..., None]  # (2, T, 1)
        confs = torch.stack([conf[low], conf[high]])
        seen = weights * (confs > 0)
        total = seen.sum(0)
        mean = (seen[0, ..., None] * pose[low] + seen[1, ..., None] * pose[high]) / total.clamp(min=1e-12)[..., None]
        return replace(
            clip,
            pose=mean,
            conf=(weights * confs).sum(0),
            index=None if clip.index is None else clip.index[at.round().long()],
            fps=clip.fps if clip.fps is None or rows < 2 else clip.fps * (self.num_frames - 1) / (rows - 1),
        )


def pose_of(clip: Clip, transform: TransformClip) -> tuple[Tensor, Tensor]:
    """Points and confidence of a clip.

    Raises:
        ConfigError: the clip has no poses.
    """
    if clip.pose is None or clip.conf is None:
        raise ConfigError(
            f"{type(transform).__name__} needs poses; the clip of sample {clip.sample.id} has none",
            todo="use a model or recipe whose modality is 'pose'",
        )
    return clip.pose, clip.conf


@lru_cache(maxsize=64)
def _positions(source: tuple[str, ...], wanted: tuple[str, ...], allow_missing: bool) -> Tensor:
    """Where each wanted point is in the source; -1 for those that are not there."""
    where = {name: i for i, name in enumerate(source)}
    missing = [name for name in wanted if name not in where]
    if missing and not allow_missing:
        fitting = [name for name, points in (POINT_SETS | LAYOUTS).items() if where.keys() >= set(points)]
        raise ConfigError(
            f"{len(missing)} of {len(wanted)} points are not among the {len(source)} of the file: {first_few(missing)}",
            expected=f"a choice that the file has: {', '.join(fitting) or 'none of the named ones'}",
            found=f"points {first_few(source)}",
            todo="choose other points: model.points, or ChoosePoints(..., allow_missing=True) in Python",
        )
    return torch.tensor([where.get(name, -1) for name in wanted])


@lru_cache(maxsize=64)
def _world(points: tuple[str, ...]) -> Tensor:
    """``(K,)`` bool, which points are in metres about the hips."""
    return torch.tensor([p.startswith("world.") for p in points])
