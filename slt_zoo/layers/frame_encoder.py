"""Encoders of frames: timm's image encoders, and S3D for clips. Frames come as they were decoded, uint8.

Nothing is downloaded unless ``pretrained=True`` asks for it.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from slt_zoo.errors import CheckpointError, CheckpointMismatchError, ConfigError, first_few, nearest
from slt_zoo.layers.frames import NormaliseFrames

__all__ = ["FrameEncoder", "S3DEncoder", "read_weights", "weights_hash"]

KINETICS_MEAN, KINETICS_STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


class FrameEncoder(nn.Module):
    """An image encoder of timm without its classifier, frame by frame.

    Args:
        name: as timm knows it (``"resnet18"``, ``"test_resnet.r160_in1k"``).
        pretrained: download timm's weights.
        seed: of random weights, where no others are given.
        weights: weights by name (`read_weights`), all of the encoder's; those of its classifier may be there.
        max_frames: frames of one pass, in evaluation; all at once in training.

    Raises:
        ConfigError: timm knows no such encoder, or its weights cannot be fetched.
        CheckpointMismatchError: names or shapes of the weights differ.
    """

    stride = window = 1

    def __init__(
        self,
        name: str,
        *,
        pretrained: bool = False,
        seed: int = 0,
        weights: Mapping[str, Tensor] | None = None,
        max_frames: int = 64,
    ) -> None:
        super().__init__()
        if max_frames < 1:
            raise ConfigError("max_frames must be at least 1", found=max_frames)
        encoder = _seeded(seed, lambda: _create_timm(name, pretrained))
        config: Mapping[str, Any] = encoder.pretrained_cfg
        if weights is not None:
            heads = config.get("classifier") or ()
            heads = (heads,) if isinstance(heads, str) else heads
            _load_strictly(encoder, _without(weights, tuple(f"{head}." for head in heads)), f"timm encoder {name!r}")
        self.encoder = encoder
        self.normalise = NormaliseFrames(config["mean"], config["std"])
        self.width = int(getattr(encoder, "head_hidden_size", None) or encoder.num_features)
        self.size: tuple[int, int] = tuple(config["input_size"][1:])
        self.fixed_size = bool(config.get("fixed_input_size"))
        self.max_frames = max_frames

    def forward(self, frames: Tensor) -> Tensor:
        """``(N, 3, H, W)`` uint8 to ``(N, D)``."""
        parts = [frames] if self.training else list(torch.split(frames, self.max_frames))
        done = [self.encoder(self.normalise(p).contiguous(memory_format=torch.channels_last)) for p in parts]
        return torch.cat(done)


class S3DEncoder(nn.Module):
    """Blocks 1 to 4 of torchvision's S3D on a clip, pooled over space: a row of 832 for 4 frames.

    A row sees 63 frames, 31 on either side of its own. Long clips are done in parts that overlap by so many, which
    gives what the whole clip gives. ``blocks`` are ``torchvision.models.video.s3d().features[:13]``, the layout of
    the published sign recognisers (block 1 is 0, block 2 is 1-3, block 3 is 4-6, block 4 is 7-12).

    Args:
        pretrained: download torchvision's weights for Kinetics-400.
        seed: of random weights, where no others are given.
        weights: weights of torchvision's whole S3D by name, or of its ``features`` alone.
        max_frames: frames of one pass, in evaluation, without the overlap; all at once in training.

    Raises:
        ConfigError: the weights cannot be fetched.
        CheckpointMismatchError: names or shapes of the weights differ.
    """

    width, stride, window = 832, 4, 63
    size, fixed_size = (224, 224), False
    _OVERLAP = 32  # frames, a multiple of the stride

    def __init__(
        self,
        *,
        pretrained: bool = False,
        seed: int = 0,
        weights: Mapping[str, Tensor] | None = None,
        max_frames: int = 128,
    ) -> None:
        super().__init__()
        from torchvision.models.video import S3D_Weights, s3d

        if max_frames < self.stride:
            raise ConfigError(f"max_frames must be at least {self.stride} for S3D", found=max_frames)
        offered = S3D_Weights.KINETICS400_V1 if pretrained else None
        try:
            whole = _seeded(seed, lambda: s3d(weights=offered))
        except OSError as cause:
            raise _not_fetched("torchvision's weights of S3D", S3D_Weights.KINETICS400_V1.url, cause) from cause
        if weights is not None:
            with_head = any(name.startswith("features.") for name in weights)
            _load_strictly(whole if with_head else whole.features, weights, "torchvision's S3D")
        self.blocks: nn.Sequential = whole.features[:13]
        self.normalise = NormaliseFrames(KINETICS_MEAN, KINETICS_STD)
        self.max_frames = max_frames // self.stride * self.stride

    def forward(self, frames: Tensor) -> Tensor:
        """The frames ``(T, 3, H, W)`` uint8 of one clip to ``(ceil(T / 4), 832)``."""
        total, step, around = len(frames), self.max_frames, self._OVERLAP
        if self.training or total <= step + around:
            return self._part(frames)
        rows = []
        for first in range(0, total, step):
            begin = max(0, first - around)
            part = self._part(frames[begin : first + step + around])
            count = -(-min(step, total - first) // self.stride)
            rows.append(part[(first - begin) // self.stride :][:count])
        return torch.cat(rows)

    def _part(self, frames: Tensor) -> Tensor:
        clip = self.normalise(frames).transpose(0, 1)[None]
        pooled: Tensor = self.blocks(clip).mean((3, 4))[0].T
        return pooled


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Weights by name of a file, or of ``model.safetensors`` or ``pytorch_model.bin`` in a folder; nothing is run.

    A dict under ``state_dict`` or ``model`` is taken out, as training scripts write it.

    Raises:
        CheckpointError: it is not there, or holds something else than weights.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    place = Path(path).expanduser()
    if place.is_dir():
        names = ("model.safetensors", "pytorch_model.bin")
        place = next((place / n for n in names if (place / n).is_file()), place / names[0])
    if not place.is_file():
        raise CheckpointError("the file of weights is not there", where=place, todo="correct the path")
    try:
        if place.suffix == ".safetensors":
            return load_file(place)
        content: Any = torch.load(place, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as cause:
        raise CheckpointError(
            f"the file of weights cannot be read: {(str(cause).splitlines() or [type(cause).__name__])[0]}",
            where=place,
            expected="safetensors, or a file of torch.save that holds tensors alone",
            todo="a pickle can run any code when it is opened. Where you trust it, convert it to safetensors",
        ) from cause
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(
            "the file holds no weights by name", where=place, found=f"a {type(content).__name__} of something else"
        )
    return {str(name): value for name, value in content.items()}


def weights_hash(module: nn.Module) -> str:
    """SHA-256 of names, types, shapes and values of all parameters and buffers that a checkpoint would hold."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        tensor = value.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _seeded(seed: int, make: Callable[[], Any]) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def _create_timm(name: str, pretrained: bool) -> Any:
    import timm

    arch = name.split(".")[0]
    if not timm.is_model(arch):  # names of other places, whose settings would be downloaded, are none either
        near = nearest(arch, timm.list_models(), cutoff=0.6)
        raise ConfigError(
            f"timm {timm.__version__} has no encoder {name!r}",
            todo=f"did you mean {' or '.join(near)}?" if near else "timm.list_models() names them",
        )
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0)
    except RuntimeError as cause:
        raise ConfigError(f"timm cannot make {name!r}: {cause}") from cause
    except OSError as cause:
        config = timm.get_pretrained_cfg(name)
        raise _not_fetched(f"timm's weights of {name!r}", (config and config.hf_hub_id) or name, cause) from cause


def _not_fetched(what: str, where: str, cause: OSError) -> ConfigError:
    return ConfigError(
        f"{what} cannot be fetched",
        where=where,
        found=(str(cause).splitlines() or [type(cause).__name__])[0],
        todo="is there a network? Without one, fetch the file elsewhere and pass it: slt-zoo extract --weights FILE "
        "in the place of --pretrained (weights= in Python)",
    )


def _without(weights: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if not (prefixes and name.startswith(prefixes))}


def _load_strictly(module: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    target = module.state_dict()
    lacking, surplus = sorted(set(target) - set(weights)), sorted(set(weights) - set(target))
    shapes = [
        f"{name}: {tuple(weights[name].shape)} for {tuple(target[name].shape)}"
        for name in sorted(set(target) & set(weights))
        if weights[name].shape != target[name].shape
    ]
    if lacking or surplus or shapes:
        faults = {"missing": lacking, "not known": surplus, "of other shapes": shapes}
        found = "; ".join(f"{len(names)} {kind}: {first_few(names, 3)}" for kind, names in faults.items() if names)
        raise CheckpointMismatchError(
            f"the weights are not those of {what}", expected=f"{len(target)} tensors by its names", found=found
        )
    module.load_state_dict(dict(weights))
