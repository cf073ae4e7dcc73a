"""What visual tokens cost: tokens a clip, memory and time of a training step of SAGE, for each way to make tokens.

Each way gets the same clips, whole and without augmentation, in a model of the same sizes. Memory is counted and not
estimated: what autograd keeps from the forward pass for the backward pass, through `saved_tensors_hooks`, a storage
once however many tensors share it, and without parameters, buffers and the batch itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile

from slt_zoo.analysis.data_speed.measure import Amount, Times, interleave, ratio
from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.clips import read_clip
from slt_zoo.data.readers import open_reader
from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.models.sage import SAGE, SAGEPretraining
from slt_zoo.text.mbart import MBartSizes
from slt_zoo.types import Batch, Sample

__all__ = ["BudgetSizes", "Tokenization", "activation_bytes", "token_budget"]

Tokenization = Literal["segment", "maxpool", "stride", "uniform", "window"]
Model = SAGEPretraining | SAGE
STAGES: Mapping[int, type[Model]] = {1: SAGEPretraining, 2: SAGE}


@dataclass(frozen=True)
class BudgetSizes:
    """What a step consists of; the defaults are small, the paper's sizes are in brackets.

    Attributes:
        clips: of the batch (16 in stage 1, 8 in stage 2).
        frame_size: height and width of frames (224).
        encoder: of frames, its name in timm (resnet34).
        width: D (1024).
        layers: of the mBART of stage 2, on either side (12); stage 1 has a TE of three, or of as many where fewer.
        heads: its attention heads (16).
        ffn: width of its feed-forward blocks (4096).
        vocabulary: sub-words at most (2172).
        reduction_factor: frames a token of the fixed ways; `maxpool` always takes four.
        frame_stride: of the frames of a segment that are read; 1: all, as max pooling does.
    """

    clips: int = 4
    frame_size: int = 48
    encoder: str = "resnet10t"
    width: int = 256
    layers: int = 2
    heads: int = 4
    ffn: int = 1024
    vocabulary: int = 300
    reduction_factor: int = 4
    frame_stride: int = 2


def token_budget(
    stages: Sequence[int] = (1, 2),
    tokenizations: Sequence[Tokenization] = get_args(Tokenization),
    *,
    sizes: BudgetSizes | None = None,
    seconds: float = 30.0,
    corpus: Callable[[], SLTDataModule] | None = None,
    device: str = "cpu",
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measure every way to make tokens, on the same clips.

    Args:
        stages: 1, 2 or both.
        tokenizations: what is compared.
        sizes: of model and batch.
        seconds: that timing may take, about, over all stages; three rounds are always made.
        corpus: makes the data module whose training split is read; None: simulated signing, made for this and removed.
        device: of torch.
        tell: called with what is being done.

    Returns:
        Plain data. By stage and way: ``frames_read`` and ``tokens`` a clip, ``ratio`` (tokens over all frames of the
        clips), ``activation_bytes`` and, of them, ``encoder_bytes`` (inside the encoder of frames), ``peak_bytes`` (the
        most that torch holds during a step above what it held before, gradients included), ``step_ms`` and ``cpu_ms``
        (forward and backward, by the clock and of the processor, medians of rounds in turn). ``ratios``: what is
        measured with segments over what is with max pooling.

    Raises:
        UnknownNameError: there is no such way or stage.
        ConfigError: numbers that cannot be, or a corpus without what is needed.
    """
    sizes = sizes or BudgetSizes()
    _check(stages, tokenizations, sizes, seconds)
    with tempfile.TemporaryDirectory(prefix="slt-zoo-bench-") as folder:
        if corpus is None:
            tell("simulating data")
        data = _simulated(Path(folder), sizes) if corpus is None else corpus()
        samples = _evenly(data, sizes.clips)
        frames = sum(open_reader("frames", s.media["frames"], sample_id=s.id).num_frames for s in samples)
        found: dict[str, Any] = {"corpus": data.corpus, "simulated": data.simulated, "sizes": asdict(sizes)}
        found["frames"] = frames / len(samples)
        found["machine"] = {"device": device, "torch": torch.__version__, "threads": torch.get_num_threads()}
        found["stages"], batches = {}, {}
        for stage in stages:
            tell(f"models of stage {stage}")
            models = {name: _model(stage, name, sizes, data).to(device).train() for name in tokenizations}
            for name, model in models.items():
                if name not in batches:  # both stages read the same
                    batches[name] = _batch(model, data, samples).to(device)
            tell(f"memory and time of stage {stage}")
            rows, times = _measure(models, batches, frames, seconds / len(stages), device)
            found["stages"][str(stage)] = {"rows": rows, "ratios": _ratios(rows, times)}
        return found


def activation_bytes(model: nn.Module, batch: Batch, encoder: nn.Module | None = None) -> tuple[int, int]:
    """Bytes that autograd keeps of the forward pass of ``model.losses(batch)``; and how many of them in ``encoder``.

    Args:
        model: an `SLTModule`, in training mode.
        batch: on its device.
        encoder: a part of it; None: the second number is 0.
    """
    known = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers(), *_tensors(batch))}
    kept: dict[int, tuple[torch.UntypedStorage, bool]] = {}
    inside = [False]

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.nbytes() and storage.data_ptr() not in known:
            kept.setdefault(storage.data_ptr(), (storage, inside[0]))  # the storage itself: its address stays taken
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor), _noting(encoder, inside):
        total = model.losses(batch).total  # type: ignore[operator]  # a method, which nn.Module cannot know
    del total
    sizes = [(storage.nbytes(), within) for storage, within in kept.values()]
    return sum(n for n, _ in sizes), sum(n for n, within in sizes if within)


def _check(stages: Sequence[int], tokenizations: Sequence[str], sizes: BudgetSizes, seconds: float) -> None:
    for stage in stages:
        if stage not in STAGES:
            raise UnknownNameError("stage", str(stage), [str(s) for s in STAGES])
    for name in tokenizations:
        if name not in get_args(Tokenization):
            raise UnknownNameError("tokenization", name, get_args(Tokenization))
    if not stages or not tokenizations or sizes.clips < 2 or seconds <= 0:
        raise ConfigError(
            "a stage, a tokenization, two clips (one has nothing to be told apart from) and some time are needed",
            found=f"{len(stages)} stages, {len(tokenizations)} tokenizations, {sizes.clips} clips, {seconds:g} s",
        )


def _simulated(root: Path, sizes: BudgetSizes) -> SLTDataModule:
    from slt_zoo.datamodules.phoenix14t import Phoenix14T
    from slt_zoo.synthetic import simulate

    simulate("Phoenix14T", root, samples=(sizes.clips, 1, 1), render=("frames",))
    return Phoenix14T(str(root), segments="labels")


def _evenly(data: SLTDataModule, count: int) -> list[Sample]:
    manifest = data.manifest("train")
    if len(manifest) < count:
        raise ConfigError(
            "the training split has fewer samples than the batch", where=data.root, found=len(manifest), expected=count
        )
    ids = sorted(manifest.ids)
    return [manifest.by_id(ids[int(i)]) for i in np.linspace(0, len(ids) - 1, count)]


def _measure(
    models: Mapping[Tokenization, Model],
    batches: Mapping[Tokenization, Batch],
    frames: int,
    seconds: float,
    device: str,
) -> tuple[dict[Tokenization, dict[str, float]], dict[str, Times]]:
    rows: dict[Tokenization, dict[str, float]] = {}
    for name, model in models.items():
        batch, visual = batches[name], model.network.visual
        assert batch.segments is not None
        tokens = sum(len(visual.tokens.reads(segments.cpu())) for segments in batch.segments.split())
        # the first call makes the text side, which a run makes once; it is not kept for the backward pass
        total, inside = activation_bytes(model, batch, visual.rows)
        rows[name] = {
            "frames_read": len(model.rows_of(batch)[0].values) / len(batch),
            "tokens": tokens / len(batch),
            "ratio": tokens / frames,
            "activation_bytes": total,
            "encoder_bytes": inside,
            "peak_bytes": _peak_bytes(model, batch, device),
        }
    times = interleave({name: _step(model, batches[name]) for name, model in models.items()}, seconds)
    for name, row in rows.items():
        row["step_ms"], row["cpu_ms"] = 1000 * median(times[name].wall), 1000 * median(times[name].cpu)
        row["rounds"] = len(times[name].wall)
    return rows, times


def _ratios(rows: Mapping[Tokenization, Mapping[str, float]], times: Mapping[str, Times]) -> dict[str, float] | None:
    """Of segments over max pooling; None where one of them was not measured."""
    if not {"segment", "maxpool"} <= rows.keys():
        return None
    keys = ("tokens", "frames_read", "activation_bytes", "peak_bytes")
    ratios = {key: rows["segment"][key] / rows["maxpool"][key] for key in keys}
    for key, clock in (("step_ms", "wall"), ("cpu_ms", "cpu")):
        ratios[key] = ratio(times, "maxpool", "segment", clock)
    return ratios


def _model(stage: int, tokenization: Tokenization, sizes: BudgetSizes, data: SLTDataModule) -> Model:
    torch.manual_seed(0)
    common: dict[str, Any] = {
        "tokenization": tokenization,
        "reduction_factor": 4 if tokenization == "maxpool" else sizes.reduction_factor,
        "frame_stride": sizes.frame_stride,
        "encoder": sizes.encoder,
        "width": sizes.width,
        "frame_size": sizes.frame_size,
        "crop": sizes.frame_size,
        "augment": 0.0,
        "vocabulary": sizes.vocabulary,
    }
    # the teacher's states are read from a cache in a run, so one layer of it is enough here
    layers = 1 if stage == 1 else sizes.layers
    mbart = MBartSizes(
        d_model=sizes.width,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_heads=sizes.heads,
        decoder_heads=sizes.heads,
        encoder_ffn=sizes.ffn,
        decoder_ffn=sizes.ffn,
        max_positions=1024,
    )
    if stage == 2:
        return SAGE(mbart=mbart, **common).prepare(data)
    common |= {"te_layers": min(3, sizes.layers), "te_heads": sizes.heads, "te_ffn": sizes.ffn}
    return SAGEPretraining(teacher=mbart, text_target="sentence", **common).prepare(data)


def _batch(model: Model, data: SLTDataModule, samples: Sequence[Sample]) -> Batch:
    """The clips as the model reads them in evaluation: whole, and the same for every model."""
    read = (
        read_clip(sample, model.input_spec, training=False, rng=np.random.default_rng(0), fps=data.fps)
        for sample in samples
    )
    return Batch.collate(list(read))


def _step(model: Model, batch: Batch) -> Callable[[int], Amount]:
    def step(turn: int) -> Amount:
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(model.losses(batch).total)
        if batch.segments is not None and batch.segments.values.is_cuda:
            torch.cuda.synchronize()
        return Amount(len(batch), len(model.rows_of(batch)[0].values), 0)

    return step


def _peak_bytes(model: Model, batch: Batch, device: str) -> int:
    """Most bytes that torch holds at once while a step runs, above what it held before."""
    model.zero_grad(set_to_none=True)
    step = _step(model, batch)
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(0)
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step(0)
    now = most = 0
    assert recorded.profiler is not None
    for event in recorded.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


def _tensors(batch: Batch) -> list[Tensor]:
    return [
        tensor
        for ragged in (batch.frames, batch.features, batch.pose, batch.pose_conf, batch.segments)
        if ragged is not None
        for tensor in (ragged.values, ragged.lengths)
    ]


@contextmanager
def _noting(part: nn.Module | None, inside: list[bool]) -> Iterator[None]:
    """``inside[0]`` is true while a part of the network computes."""
    if part is None:
        yield
        return
    handles = [
        part.register_forward_pre_hook(lambda *_: inside.__setitem__(0, True)),
        part.register_forward_hook(lambda *_: inside.__setitem__(0, False)),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
