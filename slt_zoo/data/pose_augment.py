"""Random changes of poses in training, one draw a clip. A missing point stays missing: zeros with confidence 0.

They come after centring (`slt_zoo.data.transforms`): amounts are in widths of the shoulders, and what turns or mirrors
does so about the origin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from slt_zoo.data.pose_layouts import mirror_points
from slt_zoo.data.transforms import pose_of
from slt_zoo.errors import ConfigError, UnknownNameError, first_few
from slt_zoo.types import Clip

__all__ = ["DropParts", "DropPoints", "PoseJitter", "SpatialAugment"]


@dataclass(frozen=True)
class SpatialAugment:
    """Turns, scales, shears, shifts and mirrors all points of a clip alike, one draw a clip, and shakes each.

    For poses centred at the origin with the shoulders' distance as unit. Each amount is drawn evenly between minus
    and plus its limit.

    Attributes:
        rotate_deg: rotation in the image plane.
        scale: relative, 0.1 is 0.9 to 1.1; of all coordinates.
        shift: of x and of y.
        shear: of x by y.
        noise: standard deviation, each coordinate and frame for itself.
        mirror_p: probability of exchanging left and right, by name and at x = 0.
    """

    rotate_deg: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    shear: float = 0.0
    noise: float = 0.0
    mirror_p: float = 0.0

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`.

        Raises:
            ConfigError: ``mirror_p`` with points that have no other side.
        """
        pose, conf = pose_of(clip, self)
        turn, size, lean, x, y = rng.uniform(-1, 1, 5).tolist()
        mirror = rng.random() < self.mirror_p
        angle, shear = math.radians(self.rotate_deg * turn), self.shear * lean
        cos, sin = math.cos(angle), math.sin(angle)
        dims = pose.shape[-1]
        affine, shift = np.eye(dims, dtype=np.float32), np.zeros(dims, dtype=np.float32)
        affine[:2, :2] = (cos, cos * shear - sin), (sin, sin * shear + cos)
        affine *= 1 + self.scale * size
        shift[:2] = self.shift * x, self.shift * y
        if self.mirror_p > 0:
            other = _other_side(clip.points)  # also where it is not drawn: an error must not wait for chance
            if mirror:
                pose, conf = pose[:, other], conf[:, other]
                affine[:, 0] = -affine[:, 0]
        pose = pose @ torch.from_numpy(affine.T) + torch.from_numpy(shift)
        if self.noise > 0:
            pose = pose + self.noise * torch.from_numpy(rng.standard_normal(pose.shape, dtype=np.float32))
        return replace(clip, pose=torch.where((conf > 0)[..., None], pose, 0.0), conf=conf)


@dataclass(frozen=True)
class PoseJitter:
    """Lets each point wander about its place, slowly: the way detected points swim, which white noise does not show.

    Attributes:
        amount: standard deviation of each coordinate, at every time.
        rows: how slowly, as the standard deviation of the Gaussian window over rows; 0 is white noise.
        parts: all points of a part (a hand, the body) move alike, so that its shape stays.
    """

    amount: float
    rows: float = 5.0
    parts: bool = False

    def __post_init__(self) -> None:
        if self.amount < 0 or self.rows < 0:
            raise ConfigError(
                "amount and rows must not be negative", where="PoseJitter", found=(self.amount, self.rows)
            )

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`."""
        pose, conf = pose_of(clip, self)
        rows, _, dims = pose.shape
        names = [p.split(".")[0] if self.parts else p for p in clip.points]
        number = {name: i for i, name in enumerate(dict.fromkeys(names))}
        reach = math.ceil(3 * self.rows)
        window = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(self.rows, 1e-9)) ** 2)
        window /= np.sqrt((window**2).sum())  # independent draws keep their deviation
        white = rng.standard_normal((rows + 2 * reach, len(number) * dims), dtype=np.float32)
        moved = torch.nn.functional.conv1d(
            torch.from_numpy(white.T[:, None]), torch.from_numpy(window.astype(np.float32))[None, None]
        )
        path = moved[:, 0].T.reshape(rows, -1, dims)[:, [number[n] for n in names]]
        return replace(clip, pose=torch.where((conf > 0)[..., None], pose + self.amount * path.to(pose.dtype), 0.0))


@dataclass(frozen=True)
class DropPoints:
    """Takes points away from the whole clip, each with its own draw; they are missing then.

    Attributes:
        p: probability of each point.
        keep: points that stay, such as those that a later transform needs.
    """

    p: float
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _probability(self.p, "DropPoints")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`.

        Raises:
            ConfigError: a point that is to stay is not among the clip's.
        """
        pose, conf = pose_of(clip, self)
        for name in self.keep:
            if name not in clip.points:
                raise UnknownNameError("point to keep", name, clip.points)
        drawn = rng.random(len(clip.points)) < self.p
        gone = torch.from_numpy(drawn & ~np.isin(np.array(clip.points), self.keep))
        return _without(clip, pose, conf, gone.expand(len(pose), -1))


@dataclass(frozen=True)
class DropParts:
    """Takes whole parts away, each with its own draw: a hand that the detector has not seen.

    Attributes:
        p: probability of each part.
        parts: which ones may go.
        rows: longest run of rows from which a part goes, its length and place drawn evenly; None: from the whole clip.
    """

    p: float
    parts: tuple[str, ...] = ("left_hand", "right_hand")
    rows: int | None = None

    def __post_init__(self) -> None:
        _probability(self.p, "DropParts")
        if self.rows is not None and self.rows < 1:
            raise ConfigError("rows must be at least 1", where="DropParts", found=self.rows)

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """See `TransformClip`.

        Raises:
            ConfigError: the clip has no point of one of the parts.
        """
        pose, conf = pose_of(clip, self)
        gone = torch.zeros(conf.shape, dtype=torch.bool)
        for part in self.parts:
            columns = [i for i, p in enumerate(clip.points) if p.startswith(f"{part}.")]
            if not columns:
                raise ConfigError(
                    f"DropParts: no point belongs to {part!r}",
                    found=f"{len(clip.points)} points: {first_few(clip.points)}",
                )
            does, place = rng.random() < self.p, rng.random()
            length = len(pose) if self.rows is None else min(int(rng.integers(1, self.rows + 1)), len(pose))
            first = int(place * (len(pose) - length + 1))
            if does:
                gone[first : first + length, columns] = True
        return _without(clip, pose, conf, gone)


def _without(clip: Clip, pose: Tensor, conf: Tensor, gone: Tensor) -> Clip:
    return replace(clip, pose=pose.masked_fill(gone[..., None], 0.0), conf=conf.masked_fill(gone, 0.0))


def _probability(p: float, name: str) -> None:
    if not 0 <= p <= 1:
        raise ConfigError("p must be in [0, 1]", where=name, found=p)


@lru_cache(maxsize=64)
def _other_side(points: tuple[str, ...]) -> Tensor:
    return torch.tensor(mirror_points(points))
