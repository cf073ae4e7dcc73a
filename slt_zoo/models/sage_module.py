"""What both stages of SAGE (arXiv 2507.09266) share: from clips to rows, segments and visual tokens; the profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal, Self

from torch import Tensor

from slt_zoo.data.frame_transforms import AffineFrames, ColourFrames, CropFrames, MirrorFrames
from slt_zoo.data.pose_augment import SpatialAugment
from slt_zoo.data.pose_layouts import named_points
from slt_zoo.data.sign_segments import SegmentFrames
from slt_zoo.data.token_selection import FixedTokens
from slt_zoo.data.transforms import CentreOnShoulders, ChoosePoints, Compose, KeepDims
from slt_zoo.errors import CheckpointMismatchError, ConfigError, first_few
from slt_zoo.models.base import SLTModule
from slt_zoo.models.sage_net import VisualEncoder
from slt_zoo.models.sage_official import from_official, to_official
from slt_zoo.text import TextCodec
from slt_zoo.types import Batch, ClipPipeline, DataFacts, InputSpec, Ragged, SelectFrames, TransformClip

__all__ = ["PROFILES", "Profile", "SAGEModule"]

Profile = Literal["slt_zoo", "paper", "code"]

_RECOMMENDED: Mapping[str, Any] = {
    "mapper": "code",
    "mapper_dropout": 0.1,
    "bn_over_padding": False,
    "beta": 0.6,
    "direction": "paper",
    "legacy_mask": False,
    "text_target": "pseudo_gloss",
    "stage2_init": "vle",
}

PROFILES: Mapping[str, Mapping[str, Any]] = {
    "slt_zoo": _RECOMMENDED,
    "paper": {**_RECOMMENDED, "mapper": "paper"},
    "code": {
        "mapper": "code",
        "mapper_dropout": 0.2,
        "bn_over_padding": True,
        "beta": 0.5,
        "direction": "code",
        "legacy_mask": True,
        "text_target": "sentence",
        "stage2_init": "vle_te",
    },
}
"""What an argument is where it is not given: by the paper's text, by its released code, or as we recommend."""


_OF_THE_ENCODER = ("width", "tokenization", "mapper", "mapper_dropout", "bn_over_padding", "freeze_norm")


class SAGEModule(SLTModule):
    """What both stages share: how clips become rows and segments, and these visual tokens.

    Args:
        profile: what the arguments are that are None: ``"paper"`` (its text), ``"code"`` (what was released),
            ``"slt_zoo"`` (the paper, with what is mended).
        modality: ``"frames"``, ``"features"`` a frame, or ``"pose"``, which a linear layer embeds.
        feature_id: id of the store that the features must come from (``slt-zoo extract`` prints it); None: any.
        encoder: of frames, by its name in timm.
        embed_dim: width of the linear layer for poses.
        width: D of tokens and text.
        tokenization: ``"segment"``; or a fixed scheme to compare with: ``"maxpool"``, ``"stride"``, ``"uniform"``,
            ``"window"`` (see `FixedTokens`).
        reduction_factor: frames a token of the fixed schemes.
        min_len: shortest segment, in frames.
        max_len: longest segment; longer ones are halved.
        frame_stride: of the frames of a segment that are read.
        trim_outside: end a segment where its sign ends, not where the next begins.
        max_segments: clips with more segments, or none, are left out of training; None: none is.
        mapper: ``"paper"`` or ``"code"``, see `Mapper`.
        mapper_dropout: of its blocks.
        bn_over_padding: batch norm as in the released code, see `TemporalConv`.
        freeze_norm: batch norm keeps its statistics in training: what a clip gives then depends on no other, so that
            processes, parts and batches of any size give the same.
        frame_size: frames are resized to this height and width.
        crop: and a square of this size is cut out: anywhere in training, from the middle elsewhere.
        augment: strength of what training clips go through, one draw a clip: rotation by 30 degrees and shift by 10
            pixels at most, each in half of the clips, brightness and colour; 0: none.
        mirror: probability that a training clip is mirrored, as the other-handed sign; 0 in the paper. Signs that point
            to a place then point to the opposite one.
        points: of poses, by name (``"upper_hands48"``), or a list of names.
        clips_at_a_time: of the visual encoder, which then computes them again in the backward pass: a large batch of
            negatives in the memory of a small one. None: all.
        base: arguments of `SLTModule`.
    """

    def __init__(
        self,
        *,
        profile: Profile = "slt_zoo",
        modality: Literal["frames", "features", "pose"] = "frames",
        feature_id: str | None = None,
        encoder: str = "resnet34",
        embed_dim: int = 512,
        width: int = 1024,
        tokenization: Literal["segment", "maxpool", "stride", "uniform", "window"] = "segment",
        reduction_factor: int = 4,
        min_len: int = 4,
        max_len: int = 10,
        frame_stride: int = 2,
        trim_outside: bool = False,
        max_segments: int | None = 45,
        mapper: Literal["paper", "code"] | None = None,
        mapper_dropout: float | None = None,
        bn_over_padding: bool | None = None,
        freeze_norm: bool = False,
        frame_size: int = 256,
        crop: int = 224,
        augment: float = 1.0,
        mirror: float = 0.0,
        points: str | list[str] = "upper_hands48",
        clips_at_a_time: int | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        if profile not in PROFILES:
            raise ConfigError("unknown profile", expected=", ".join(PROFILES), found=repr(profile))
        for name, value in PROFILES[profile].items():
            if name in self.hparams and self.hparams[name] is None:
                self.hparams[name] = value
        if not 0 <= mirror <= 1:
            raise ConfigError("mirror is a probability", found=f"{mirror=}")
        if crop > frame_size or augment < 0 or (clips_at_a_time is not None and clips_at_a_time < 1):
            raise ConfigError(
                "crop is at most frame_size, augment at least 0, clips_at_a_time at least 1",
                found=f"{crop=}, {frame_size=}, {augment=}, {clips_at_a_time=}",
            )
        self._select(training=True), self._points()  # what cannot be is told now

    @property
    def input_spec(self) -> InputSpec:
        """Frames of the tokens, or rows of features or poses, and which token they are of."""
        hp = self.hparams
        size = (hp["frame_size"], hp["frame_size"]) if hp["modality"] == "frames" else None
        needs = {"text", "segments"} if hp["tokenization"] == "segment" else {"text"}
        return InputSpec(
            modality=hp["modality"],
            needs=frozenset(needs),
            train=ClipPipeline(self._select(training=True), self._transform(training=True), size),
            evaluation=ClipPipeline(self._select(training=False), self._transform(training=False), size),
            feature_id=hp["feature_id"],
        )

    def _select(self, training: bool) -> SelectFrames:
        hp = self.hparams
        if hp["tokenization"] != "segment":
            return FixedTokens(hp["tokenization"], hp["reduction_factor"])
        leaves_out = training and hp["max_segments"] is not None
        return SegmentFrames(
            **{name: hp[name] for name in ("min_len", "max_len", "frame_stride", "trim_outside", "modality")},
            empty="leave_out" if leaves_out else "halve",
            max_segments=hp["max_segments"] if leaves_out else None,
        )

    def _transform(self, training: bool) -> TransformClip | None:
        hp, strength = self.hparams, float(self.hparams["augment"]) if training else 0.0
        mirror = float(hp["mirror"]) if training else 0.0
        steps: list[TransformClip] = []
        if hp["modality"] == "frames":
            if strength:
                steps.append(AffineFrames(rotate_deg=30 * strength, shift=10 * strength, p=0.5))
                steps.append(
                    ColourFrames(brightness=0.4 * strength, contrast=0.2 * strength, saturation=0.2 * strength)
                )
            steps += [MirrorFrames(mirror)] if mirror else []
            steps.append(CropFrames((hp["crop"], hp["crop"]), random=training))
        elif hp["modality"] == "pose":
            steps += [CentreOnShoulders(), ChoosePoints(self._points()), KeepDims(2)]
            if strength or mirror:
                limits = {"rotate_deg": 15 * strength, "scale": 0.2 * strength, "shift": 0.2 * strength}
                steps.append(SpatialAugment(**limits, mirror_p=mirror))
        return Compose(tuple(steps)) if steps else None

    def _points(self) -> tuple[str, ...]:
        points = self.hparams["points"]
        return named_points(points) if isinstance(points, str) else tuple(points)

    def visual_encoder(self) -> VisualEncoder:
        """The network's first part, for what is read."""
        hp = self.hparams
        pose = hp["modality"] == "pose"
        return VisualEncoder(
            hp["encoder"] if hp["modality"] == "frames" else None,
            2 * len(self._points()) if pose else self.facts.feature_dim,
            embed_dim=hp["embed_dim"] if pose else None,
            **{name: hp[name] for name in _OF_THE_ENCODER},
        )

    @classmethod
    def from_official(
        cls, state: Mapping[str, Tensor], *, codec: TextCodec, facts: DataFacts, **arguments: Any
    ) -> Self:
        """A model with the weights of a checkpoint of the released code, in eval mode.

        Args:
            state: the dict under ``model`` of the file, which `slt_zoo.layers.frame_encoder.read_weights` reads.
            codec: the vocabulary that they belong to, whose rows are in their order.
            facts: of the data that they were trained on.
            arguments: of the class; sizes must be those of the weights.

        Raises:
            CheckpointMismatchError: names or shapes differ.
        """
        plain: dict[str, Any] = {"codecs": {"text": codec.to_dict()}, "facts": asdict(facts), "initialised_from": []}
        model = cls(**{"profile": "code", **arguments, **plain})
        model.configure_model()
        given = from_official(state, cls.__name__)
        own = {n: v for n, v in model.state_dict().items() if ".lora." not in n}  # these updates are ours
        wrong = sorted(set(given) ^ set(own)) + [n for n in own if n in given and own[n].shape != given[n].shape]
        if wrong:
            raise CheckpointMismatchError(
                f"the released weights do not fit this {cls.__name__}: {len(wrong)} differ",
                found=first_few([f"{n} {tuple(given[n].shape) if n in given else 'missing'}" for n in wrong]),
                expected=first_few([f"{n} {tuple(own[n].shape) if n in own else 'not there'}" for n in wrong]),
                todo="pass the sizes that they were trained with, and their vocabulary",
            )
        model.load_state_dict(given, strict=False)
        return model.eval()

    def to_official(self) -> dict[str, Tensor]:
        """Weights by the names of the released code."""
        return to_official(self.state_dict(), type(self).__name__)

    def rows_of(self, batch: Batch) -> tuple[Ragged, Ragged]:
        """Rows of the clips, and their segments."""
        rows = getattr(batch, self.hparams["modality"])
        assert rows is not None and batch.segments is not None, "the data module decodes what input_spec asks for"
        return rows, batch.segments
