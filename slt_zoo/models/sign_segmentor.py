"""SignSegmentor: sign boundaries from poses by the network of Hands-On.

Low, Walsh, Sincan, Bowden: "Hands-On: Segmenting Individual Signs from Continuous Sequences", FG 2025, arXiv
2504.08593. In the place of their inputs (rotations of hand joints, angles of a 3-D body): points and their velocities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn import functional as F

from slt_zoo.data.pose_augment import SpatialAugment
from slt_zoo.data.pose_layouts import named_points
from slt_zoo.data.segment_rules import labels_of_runs
from slt_zoo.data.selection import SpeedJitter
from slt_zoo.data.transforms import CentreHands, CentreOnShoulders, ChoosePoints, Compose, KeepDims
from slt_zoo.errors import ConfigError
from slt_zoo.models.base import SLTModule
from slt_zoo.segmentation.hands_on import HandsOnNet, fix_up
from slt_zoo.segmentation.scores import count_frames, f1_scores
from slt_zoo.text import TextCodec
from slt_zoo.types import Batch, ClipPipeline, InputSpec, Losses, Ragged, Sample, Split, TransformClip

__all__ = ["SignSegmentor"]

_NUMBERS = 5  # of a point: place and velocity (x, y each), and whether it is there


class SignSegmentor(SLTModule):
    """Labels each frame of a pose sequence: outside, inside or begin of a sign (arXiv 2504.08593).

    It is trained on the per-frame boundaries of a corpus (``data.segments``) and translates nothing; ``dev`` and
    ``test`` are scored by the F1 of begins within ``tolerance`` frames, each matched once, and the exact F1 of each
    label (``dev/begin_f1_within_2``, ``dev/frame_f1_outside``, ``..._inside``, ``..._begin``). Its labels become
    files by ``slt-zoo segment``.

    Hands and body are streams of their own. The body is centred and scaled by the shoulders, the fingers about their
    wrist. Each point is its place, its velocity and whether it was seen. Defaults are the published sizes.

    Args:
        points: named choice of points with hands and shoulders, or a list of names.
        stream_dim: width of each stream's network.
        d_model: width of the transformer.
        nhead: attention heads.
        dim_feedforward: width of its feed-forward blocks.
        num_layers: of the transformer.
        dropout: in its layers, and after the positions.
        window: frames that are labelled together; what is missing of a clip's last window is its last frame again.
        begin_weight: of a begin in the loss, where other frames have 1.
        augment: strength of random rotation, scale, shift, shear and speed of training poses; 0: none, 1: 15 degrees,
            20 % of scale and shift, 10 % of shear, speed between 0.7 and 1.4.
        mirror: probability that a training pose is mirrored.
        fix_up: mend labels by the published rules before they are scored or written.
        tolerance: frames by which a begin may be off.
        optimizer: Adam at 3e-4, no schedule.
        base: arguments of `SLTModule`.
    """

    translates: ClassVar[bool] = False

    def __init__(
        self,
        *,
        points: str | list[str] = "upper_hands48",
        stream_dim: int = 512,
        d_model: int = 512,
        nhead: int = 4,
        dim_feedforward: int = 1024,
        num_layers: int = 4,
        dropout: float = 0.2,
        window: int = 50,
        begin_weight: float = 1.0,
        augment: float = 0.0,
        mirror: float = 0.0,
        fix_up: bool = True,
        tolerance: int = 2,
        optimizer: OptimizerCallable = lambda p: torch.optim.Adam(p, lr=3e-4),
        **base: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, **base)
        if not begin_weight > 0 or tolerance < 0 or augment < 0 or not 0 <= mirror <= 1:
            raise ConfigError(
                "begin_weight must be above 0, tolerance and augment at least 0, mirror a probability",
                found=f"{begin_weight=}, {tolerance=}, {augment=}, {mirror=}",
            )
        hands, body = self._parts()
        if not hands or not body:
            raise ConfigError(
                "a segmentor sees points of hands and of the body",
                found=f"{len(hands)} points of hands, {len(body)} others",
                todo="choose 'upper_hands48', 'upper50' or 'holistic75'",
            )

    @property
    def input_spec(self) -> InputSpec:
        """Whole clips of poses, by shoulders and wrists, with each sign as a segment."""
        hp = self.hparams
        strength = float(hp["augment"])
        speed = SpeedJitter(1.4**-strength, 1.4**strength) if strength else None
        return InputSpec(
            modality="pose",
            needs=frozenset({"segments"}),
            train=ClipPipeline(speed, self._transform(training=True)),
            evaluation=ClipPipeline(transform=self._transform(training=False)),
        )

    def _transform(self, training: bool) -> TransformClip:
        strength, mirror = float(self.hparams["augment"]), float(self.hparams["mirror"])
        steps: list[TransformClip] = [CentreOnShoulders(), ChoosePoints(self._points()), KeepDims(2)]
        if training and (strength or mirror):
            sizes = {"rotate_deg": 15 * strength, "scale": 0.2 * strength, "shift": 0.2 * strength}
            steps.append(SpatialAugment(**sizes, shear=0.1 * strength, mirror_p=mirror))
        return Compose((*steps, CentreHands()))

    def build(self) -> HandsOnNet:
        """The network for the points of hands and of the body."""
        names = ("stream_dim", "d_model", "nhead", "dim_feedforward", "num_layers", "dropout", "window")
        widths = [_NUMBERS * len(part) for part in self._parts()]
        return HandsOnNet(widths, **{name: self.hparams[name] for name in names})

    @property
    def network(self) -> HandsOnNet:
        """The network, with its type."""
        return cast(HandsOnNet, self.net)

    def make_codecs(self, samples: Sequence[Sample]) -> dict[str, TextCodec]:
        """None: nothing is written."""
        return {}

    def losses(self, batch: Batch) -> Losses:
        """Cross-entropy over all frames, and the share of right labels; in evaluation also what F1 is measured on."""
        pose, logits = self._logits(batch)
        labels = self._truth(batch, pose)
        truth = torch.cat(labels)
        weight = logits.new_tensor([1.0, 1.0, self.hparams["begin_weight"]], dtype=torch.float32)
        total, count = F.cross_entropy(logits.float(), truth, weight, reduction="sum"), weight[truth].sum()
        terms = {"accuracy": (logits.argmax(-1) == truth).float().mean()}
        kept = {} if self.training else self._keep(batch, self._decode(logits, pose), labels)
        return Losses(self.mean(total, count), terms, count=len(truth), counts={"loss": count}, kept=kept)

    def label(self, batch: Batch) -> list[Tensor]:
        """Labels ``(T,)`` int64 of each clip's rows, mended where ``fix_up`` says so; on the CPU."""
        pose, logits = self._logits(batch)
        return self._decode(logits, pose)

    def measure(self, split: Split, kept: Mapping[str, Any]) -> dict[str, float]:
        """F1 of begins and of each label, over the frames of all clips of the split."""
        counts = torch.stack(list(kept.values())).sum(0)
        return f1_scores(counts, self.hparams["tolerance"])

    def decoding_settings(self) -> dict[str, Any]:
        """What changes labels beside the weights."""
        return {name: self.hparams[name] for name in ("fix_up", "window")}

    def _points(self) -> tuple[str, ...]:
        points = self.hparams["points"]
        return named_points(points) if isinstance(points, str) else tuple(points)

    def _parts(self) -> tuple[list[int], list[int]]:
        """Which points are of the hands, and which are not."""
        of_hands = [name.startswith(("left_hand.", "right_hand.")) for name in self._points()]
        return [i for i, yes in enumerate(of_hands) if yes], [i for i, yes in enumerate(of_hands) if not yes]

    def _logits(self, batch: Batch) -> tuple[Ragged, Tensor]:
        """The poses, and logits ``(sum_T, 3)``."""
        assert batch.pose is not None and batch.pose_conf is not None
        pose, seen = batch.pose, (batch.pose_conf.values > 0)
        speed, known = torch.zeros_like(pose.values), torch.zeros_like(seen)
        speed[1:] = pose.values[1:] - pose.values[:-1]
        known[1:] = seen[1:] & seen[:-1]
        known[(pose.lengths.cumsum(0) - pose.lengths)[pose.lengths > 0]] = False  # the frame before is another clip's
        speed = torch.where(known[..., None], speed, 0.0)
        points = torch.cat([pose.values, speed, seen[..., None].to(pose.values.dtype)], -1)
        streams = [Ragged(points[:, part].flatten(1), pose.lengths) for part in self._parts()]
        return pose, self.network.logits(streams)

    def _truth(self, batch: Batch, pose: Ragged) -> list[Tensor]:
        assert batch.segments is not None
        runs = batch.segments.split()
        return [labels_of_runs(r, n) for r, n in zip(runs, pose.lengths.tolist(), strict=True)]

    def _keep(self, batch: Batch, said: list[Tensor], truth: list[Tensor]) -> dict[str, Tensor]:
        """Of each clip the counts of its frames and begins."""
        labels = zip(batch.id, said, truth, strict=True)
        return {i: count_frames(heard, true, self.hparams["tolerance"]) for i, heard, true in labels}

    def _decode(self, logits: Tensor, pose: Ragged) -> list[Tensor]:
        labels = Ragged(logits.argmax(-1).cpu(), pose.lengths.cpu()).split()
        return [fix_up(part) for part in labels] if self.hparams["fix_up"] else labels
