"""Folders of frames: our reader and transforms against the common pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slt_zoo.analysis.data_speed.common_pipeline import Draw, read_clip_commonly
from slt_zoo.analysis.data_speed.measure import Amount, interleave, ratio, table_of
from slt_zoo.data.clips import read_clip
from slt_zoo.data.frame_transforms import AffineFrames, ColourFrames, CropFrames
from slt_zoo.data.transforms import Compose
from slt_zoo.layers.frames import NormaliseFrames
from slt_zoo.types import ClipPipeline, InputSpec, Sample, TransformClip

__all__ = ["FRAMES_SPEC", "bench_frames", "image_files"]

RESIZE, CROP = 256, 224
_CHANGES: dict[str, TransformClip] = {
    "rotation": AffineFrames(rotate_deg=30, p=1.0),
    "colours": ColourFrames(0.4, 0.4, 0.4, p=1.0),
}


def _spec(change: TransformClip) -> InputSpec:
    transform = Compose((CropFrames((CROP, CROP), random=True), change))
    return InputSpec(modality="frames", train=ClipPipeline(transform=transform, frame_size=(RESIZE, RESIZE)))


FRAMES_SPEC = _spec(_CHANGES["rotation"])
"""What a model of frames asks for: 256, a crop of 224, a rotation."""


def image_files(folder: Path) -> list[Path]:
    """PNG and JPEG of a folder, by name."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg"))


def bench_frames(samples: Sequence[Sample], seconds: float) -> dict[str, Any]:
    """Clips through our reader and through the common pipeline, one thread, with a rotation and with colours.

    Ours ends at uint8, which is what crosses to the device, and the common one at normalised floats; what normalising
    on this processor would cost is measured too.

    Args:
        samples: with folders of frames; a round reads one of them.
        seconds: for all.
    """
    files = {s.id: image_files(Path(s.media["frames"].path)) for s in samples}
    stored = {sample_id: sum(p.stat().st_size for p in paths) for sample_id, paths in files.items()}
    frames = sum(map(len, files.values()))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        changes = {name: _compare(samples, files, stored, name, seconds / len(_CHANGES)) for name in _CHANGES}
    finally:
        torch.set_num_threads(threads)
    return {
        "clips": len(samples),
        "frames": frames,
        "bytes_per_frame": sum(stored.values()) / frames,
        "work": f"decode, {RESIZE}x{RESIZE}, crop {CROP}, and",
        "changes": changes,
        "ratio": min(change["ratio"] for change in changes.values()),
    }


def _compare(
    samples: Sequence[Sample], files: dict[str, list[Path]], stored: dict[str, int], name: str, seconds: float
) -> dict[str, Any]:
    spec, normalise = _spec(_CHANGES[name]), NormaliseFrames()

    def amount(sample: Sample) -> Amount:
        return Amount(1, len(files[sample.id]), stored[sample.id])

    def ours(turn: int, then: Callable[[torch.Tensor], Any] | None = None) -> Amount:
        sample = samples[turn % len(samples)]
        clip = read_clip(sample, spec, training=True, rng=np.random.default_rng(turn))
        assert clip.frames is not None and clip.frames.shape == (len(files[sample.id]), 3, CROP, CROP)
        if then is not None:
            then(clip.frames)
        return amount(sample)

    def common(turn: int) -> Amount:
        sample, draw = samples[turn % len(samples)], np.random.default_rng(turn)
        top, left = (int(n) for n in draw.integers(RESIZE - CROP + 1, size=2))
        if name == "rotation":
            drawn = Draw(top, left, degrees=float(draw.uniform(-30, 30)))
        else:
            drawn = Draw(top, left, None, *(float(f) for f in draw.uniform(0.6, 1.4, 3)))
        assert len(read_clip_commonly(files[sample.id], drawn, RESIZE, CROP)) == len(files[sample.id])
        return amount(sample)

    times = interleave(
        {"ours": ours, "ours, normalised here": lambda turn: ours(turn, normalise), "common": common}, seconds
    )
    return {
        "pipelines": {key: table_of(value) for key, value in times.items()},
        "ratio": ratio(times, "ours", "common"),
        "cpu_ratio": ratio(times, "ours", "common", "cpu"),
        "ratio_normalised_here": ratio(times, "ours, normalised here", "common"),
    }
