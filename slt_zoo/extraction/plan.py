"""What the options of an extraction mean: what is read of each sample, what encodes it, and the store's identity."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from torch import nn

from slt_zoo.data.frame_transforms import CropFrames
from slt_zoo.data.pose_layouts import LAYOUTS, POINT_SETS, named_points
from slt_zoo.data.readers.images import FrameSize
from slt_zoo.data.stores.manifest import Extraction
from slt_zoo.data.stores.naming import extraction_id
from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.extraction.reading import ReadFrames, ReadPose, ReadSample
from slt_zoo.layers.frame_encoder import FrameEncoder, S3DEncoder, read_weights, weights_hash
from slt_zoo.types import Sample, TransformClip

__all__ = ["ExtractOptions", "Plan", "make_plan"]

_DTYPES = ("float16", "bfloat16", "float32")
_IMAGES = ("frame_size", "crop", "stride")
_NETWORKS = (*_IMAGES, "dtype", "seed", "pretrained", "weights", "max_frames", "precision")
_TAKES = {
    "timm": _NETWORKS,
    "s3d": _NETWORKS,
    "pose": ("points", "stride", "dtype"),
    "frames": (*_IMAGES, "quality"),
}
"""Options that each kind of encoder takes."""


@dataclass(frozen=True)
class ExtractOptions:
    """What is extracted, and how; every option but ``max_frames`` changes numbers.

    Attributes:
        encoder: ``"timm:<name>"``, ``"s3d"``, ``"pose"`` (pose files to one form) or ``"frames"`` (resized JPEG).
        frame_size: whole frames are resized to height and width, or their shorter side to one number; an encoder's
            own size by default.
        crop: then the centre is cut out: height and width, or the side of a square.
        stride: every so many frames, one is taken.
        dtype: of stored numbers; ``"float16"`` for features, ``"float32"`` for poses by default.
        quality: of JPEG, 1 to 95.
        points: named choice of points, or a layout; the file's own points by default.
        seed: random weights that it fixes.
        pretrained: download the weights that the library of the encoder offers.
        weights: a file of weights.
        max_frames: frames of one pass through the encoder.
        precision: as Lightning calls it.
    """

    encoder: str
    frame_size: tuple[int, ...] | None = None
    crop: tuple[int, ...] | None = None
    stride: int = 1
    dtype: str | None = None
    quality: int = 90
    points: str | None = None
    seed: int | None = None
    pretrained: bool = False
    weights: str | None = None
    max_frames: int | None = None
    precision: str = "32-true"

    def given(self) -> dict[str, Any]:
        """Options that are not the defaults, by name."""
        values = {f.name: (getattr(self, f.name), f.default) for f in fields(self) if f.name != "encoder"}
        return {name: value for name, (value, default) in values.items() if value != default}


@dataclass(frozen=True, eq=False)
class Plan:
    """What is going to be done.

    Attributes:
        made: identity of the store.
        modality: which media of a sample are read.
        read: makes a record of a sample.
        encoder: what then makes features of its frames; None: the record is stored as it was read.
        precision: for the trainer.
    """

    made: Extraction
    modality: Literal["frames", "pose"]
    read: ReadSample
    encoder: nn.Module | None = None
    precision: str = "32-true"


def make_plan(options: ExtractOptions, example: Sample | None = None, source: Extraction | None = None) -> Plan:
    """Check the options against each other, and make what they ask for.

    Args:
        options: of the person.
        example: a sample with poses, whose points are taken where ``points`` names none.
        source: what made the store that the media are read from; None: they are the corpus's own.

    Raises:
        ConfigError: options that do not fit, or an encoder that nobody has.
    """
    kind = options.encoder.partition(":")[0]
    named = ":" in options.encoder and not options.encoder.endswith(":")
    if kind not in _TAKES or (kind == "timm") != named or (kind != "timm" and ":" in options.encoder):
        raise UnknownNameError("encoder", options.encoder, ["timm:<name>", *(k for k in _TAKES if k != "timm")])
    foreign = [name for name in options.given() if name not in _TAKES[kind]]
    if foreign:
        raise ConfigError(
            f"the encoder {options.encoder!r} does not take {', '.join(_dashed(name) for name in foreign)}",
            expected=", ".join(_dashed(name) for name in _TAKES[kind]),
        )
    _check_numbers(options)
    if kind == "pose":
        plan = _pose(options, example)
    elif kind == "frames":
        plan = _frames(options)
    else:
        plan = _network(options)
    words = {name.replace("_", "-"): _word(value) for name, value in options.given().items() if name != "max_frames"}
    if options.weights is not None:
        words["weights"] = str(plan.made.weights)[:8]
    made = plan.made
    if source is not None:
        words["source"] = source.id.rpartition(",")[2]
        made = replace(
            made,
            settings={**made.settings, "source": source.id},
            window=(made.window - 1) * source.stride + source.window,  # in frames of the video
            stride=made.stride * source.stride,
        )
    return replace(plan, made=replace(made, id=extraction_id(options.encoder, words, made.digest())))


def _check_numbers(options: ExtractOptions) -> None:
    for name in ("frame_size", "crop"):
        size = getattr(options, name)
        if size is not None and (len(size) not in (1, 2) or min(size) < 1):
            raise ConfigError(f"{_dashed(name)} takes one or two numbers of pixels", found=size)
    if options.stride < 1 or (options.max_frames is not None and options.max_frames < 1):
        raise ConfigError("--stride and --max-frames must be at least 1")
    if options.seed is not None and not 0 <= options.seed < 2**63:
        raise ConfigError("--seed must be at least 0, and below 2 to the power of 63", found=options.seed)
    if not 1 <= options.quality <= 95:
        raise ConfigError("--quality must be between 1 and 95", found=options.quality)
    if options.dtype is not None and options.dtype not in _DTYPES:
        raise UnknownNameError("dtype", options.dtype, _DTYPES)


def _pose(options: ExtractOptions, example: Sample | None) -> Plan:
    if options.points is not None:
        if options.points not in POINT_SETS | LAYOUTS:
            raise UnknownNameError("choice of points for --points", options.points, POINT_SETS | LAYOUTS)
        points = named_points(options.points)
    elif example is None:
        raise ConfigError("which points are there is not known", todo="name a point set with --points")
    else:
        points = ReadPose(None).points_of(example)
    settings = {"points": options.points or "as in the files"}
    made = Extraction("pose", "pose", settings, stride=options.stride, dtype=options.dtype or "float32", points=points)
    return Plan(made, "pose", ReadPose(points, options.stride, chosen=options.points is not None))


def _frames(options: ExtractOptions) -> Plan:
    if options.frame_size is None and options.crop is None:
        raise ConfigError("what size frames are to have is not known", todo="pass --frame-size, or --crop, or both")
    size, steps, settings = _images(options, None)
    made = Extraction("frames", "frames", settings | {"quality": options.quality}, stride=options.stride, dtype="jpeg")
    return Plan(made, "frames", ReadFrames(size, steps, options.stride, options.quality))


def _network(options: ExtractOptions) -> Plan:
    sources = {
        "--seed N": options.seed is not None,
        "--pretrained": options.pretrained,
        "--weights FILE": bool(options.weights),
    }
    if sum(sources.values()) != 1:
        raise ConfigError(
            "an encoder needs weights from one place",
            expected="--weights FILE (a file of yours), --pretrained (downloads them), or --seed N (random ones)",
            found=" and ".join(name for name, is_given in sources.items() if is_given) or "none of them",
        )
    arguments: dict[str, Any] = {"pretrained": options.pretrained, "seed": options.seed or 0}
    if options.weights is not None:
        arguments["weights"] = read_weights(options.weights)
    if options.max_frames is not None:
        arguments["max_frames"] = options.max_frames
    name = options.encoder.partition(":")[2]
    encoder = FrameEncoder(name, **arguments) if name else S3DEncoder(**arguments)
    hash_ = weights_hash(encoder)
    size, steps, settings = _images(options, encoder)
    origin = f"seed {options.seed}" if options.seed is not None else "pretrained" if options.pretrained else hash_
    settings |= {
        "mean": [round(float(m), 6) for m in encoder.normalise.mean],
        "std": [round(float(s), 6) for s in encoder.normalise.std],
        "precision": options.precision,
        "weights": origin,
    }
    made = Extraction(
        "features",
        options.encoder,
        settings,
        weights=hash_,
        window=(encoder.window - 1) * options.stride + 1,
        stride=encoder.stride * options.stride,
        dtype=options.dtype or "float16",
    )
    return Plan(made, "frames", ReadFrames(size, steps, options.stride), encoder.eval(), options.precision)


def _images(
    options: ExtractOptions, encoder: FrameEncoder | S3DEncoder | None
) -> tuple[FrameSize | None, tuple[TransformClip, ...], dict[str, Any]]:
    """At which size images are decoded, what happens to them then, and its record."""
    size, crop = options.frame_size, options.crop
    if encoder is not None and size is None and crop is None:
        size = encoder.size
    box = None if crop is None else (crop[0], crop[-1])
    final = box or (size if size is not None and len(size) == 2 else None)
    if encoder is not None and encoder.fixed_size and final != encoder.size:
        raise ConfigError(
            f"{options.encoder} takes frames of one size",
            expected=f"{encoder.size[0]} x {encoder.size[1]}",
            found=f"--frame-size {_word(options.frame_size)} --crop {_word(options.crop)}",
            todo="leave both out",
        )
    decoded = None if size is None else size[0] if len(size) == 1 else (size[0], size[1])
    steps = () if box is None else (CropFrames(box),)
    record = {"frame_size": None if size is None else list(size), "crop": None if box is None else list(box)}
    return decoded, steps, record | {"resize": "while decoding, bilinear, antialias"}


def _word(value: Any) -> str:
    """An option's value as an id holds it."""
    if value is True:
        return ""
    return "x".join(str(n) for n in value) if isinstance(value, tuple) else str(value)


def _dashed(name: str) -> str:
    return "--" + name.replace("_", "-")
