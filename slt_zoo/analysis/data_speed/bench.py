"""`bench_data`: everything that ``slt-zoo bench data`` measures."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slt_zoo.analysis.data_speed.features import bench_features, write_features
from slt_zoo.analysis.data_speed.frames import FRAMES_SPEC, bench_frames, image_files
from slt_zoo.analysis.data_speed.loading import MakeData, bench_memory, bench_waiting, bench_workers, cores
from slt_zoo.data.base import SLTDataModule
from slt_zoo.errors import ConfigError
from slt_zoo.types import ClipPipeline, InputSpec, Modality, Sample

__all__ = ["Sizes", "bench_data"]

Tell = Callable[[str], None]

TARGETS = (
    ("JPEG folders against the common pipeline", ("frames", "ratio"), 2.5, "at least"),
    ("feature store, samples a second", ("features", "open", "samples_per_s"), 10_000, "at least"),
    ("feature store against one .npy a sample", ("features", "ratio"), 3.0, "at least"),
    ("2 workers against 1", ("workers", "ratio"), 1.6, "at least"),
    ("growth of memory over 5 epochs", ("memory", "growth"), 0.05, "at most"),
)
"""What the project asks of itself: name, where the value is, bound, direction."""


@dataclass(frozen=True)
class Sizes:
    """How much is simulated.

    Attributes:
        clips: of JPEG frames.
        frame_size: width and height of them; CSL-Daily's by default.
        samples: of features.
        fps: frames a second of the clips, which last two or three seconds.
    """

    clips: int = 24
    frame_size: tuple[int, int] = (512, 512)
    samples: int = 2000
    fps: float = 25.0


def bench_data(
    seconds: float = 60.0,
    step_ms: float = 200.0,
    *,
    sizes: Sizes | None = None,
    corpus: Callable[..., SLTDataModule] | None = None,
    modality: Modality | None = None,
    tell: Tell = lambda text: None,
) -> dict[str, Any]:
    """Measure reading, in ratios of one run.

    Without a corpus the data are simulated in a folder that is removed afterwards, and everything is measured. With one
    it is told what loading it costs, and, where it has folders of frames, how that compares with the common pipeline.

    Args:
        seconds: that timing may take, about; a few rounds are always made.
        step_ms: milliseconds a training step of a model, for the share of time that it would wait.
        sizes: of what is simulated.
        corpus: makes a data module of one's own, called with ``num_workers=`` and ``batch_size=``.
        modality: what is read of it; by default the first of frames, features and poses that it has.
        tell: called with what is being done.

    Returns:
        Plain data; ``targets`` has a line for each of the project's own bounds that were measured.
    """
    found: dict[str, Any] = {"machine": _machine(), "simulated": corpus is None, "seconds": seconds}
    if corpus is not None:
        found |= _of_corpus(corpus, modality, seconds, step_ms, tell)
    else:
        with tempfile.TemporaryDirectory(prefix="slt-zoo-bench-") as folder:
            found |= _of_simulated(Path(folder), sizes or Sizes(), seconds, step_ms, tell)
    found["targets"] = [
        {"name": name, "bound": bound, "direction": direction, "value": value, "met": _met(value, bound, direction)}
        for name, keys, bound, direction in TARGETS
        for value in [_at(found, keys)]
        if keys[0] in found
    ]
    return found


def _of_simulated(root: Path, sizes: Sizes, seconds: float, step_ms: float, tell: Tell) -> dict[str, Any]:
    from slt_zoo.datamodules.phoenix14t import Phoenix14T

    tell("simulating data")
    simulate_jpeg(root / "corpus", sizes.clips, sizes.frame_size, sizes.fps)

    def make(workers: int) -> SLTDataModule:
        return Phoenix14T(str(root / "corpus"), batch_size=2, num_workers=workers)

    found = {"sizes": asdict(sizes)} | _of_frames(make, seconds * 0.35, tell)
    tell("features")
    store, arrays = write_features(root / "features", sizes.samples)
    found["features"] = bench_features(store, arrays, seconds * 0.2)
    return found | _of_loading(make, FRAMES_SPEC, seconds * 0.45, step_ms, tell)


def _of_corpus(
    corpus: Callable[..., SLTDataModule], modality: Modality | None, seconds: float, step_ms: float, tell: Tell
) -> dict[str, Any]:
    def make(workers: int) -> SLTDataModule:
        return corpus(batch_size=2, num_workers=workers)

    data = make(0)
    media = next(iter(data.manifest("train"))).media
    kinds: tuple[Modality, ...] = ("frames", "features", "pose")
    kind = modality or next((k for k in kinds if k in media), None)
    if kind is None or kind not in media:
        raise ConfigError(
            f"{data.corpus} has no {kind or 'media'} here",
            where=data.root,
            found=f"{', '.join(sorted(media)) or 'nothing'} for the first sample of train",
            todo="name folders with --poses, --features or --set, as for `slt-zoo doctor`",
        )
    spec = FRAMES_SPEC if kind == "frames" else InputSpec(modality=kind, train=ClipPipeline())
    found: dict[str, Any] = {"corpus": data.corpus, "root": str(data.root), "modality": kind}
    if kind == "frames" and Path(media["frames"].path).is_dir() and media["frames"].item is None:
        found |= _of_frames(make, seconds * 0.4, tell)
    return found | _of_loading(make, spec, seconds * 0.6, step_ms, tell)


def _of_frames(make: MakeData, seconds: float, tell: Tell) -> dict[str, Any]:
    tell("frames against the common pipeline")
    manifest = make(0).manifest("train")
    chosen = [manifest[int(i)] for i in np.linspace(0, len(manifest) - 1, min(len(manifest), 50))]
    return {"frames": bench_frames([s for s in chosen if _has_images(s)], seconds)}


def _has_images(sample: Sample) -> bool:
    folder = Path(sample.media["frames"].path)
    return folder.is_dir() and bool(image_files(folder))


def _of_loading(make: MakeData, spec: InputSpec, seconds: float, step_ms: float, tell: Tell) -> dict[str, Any]:
    tell("one worker and two")
    found = {"workers": bench_workers(make, spec, seconds)}
    tell("memory over five epochs")
    found["memory"] = bench_memory(make, spec)
    tell("waiting for data")
    return found | {"waiting": bench_waiting(make, spec, step_ms)}


def simulate_jpeg(root: Path, clips: int, frame_size: tuple[int, int], fps: float) -> None:
    """Simulated signing in PHOENIX14T's layout, its PNG made JPEG (quality 90) with a camera's noise.

    Flat colours decode faster than any recording. With this noise a frame of 512x512 has about 35 kB, as many as one
    that was cut out of a recording of How2Sign.
    """
    from PIL import Image

    from slt_zoo.synthetic import simulate

    simulate("Phoenix14T", root, samples=(clips, 1, 1), render=("frames",), frame_size=frame_size, fps=fps)
    draw = np.random.default_rng(0)
    for path in sorted(root.rglob("*.png")):
        with Image.open(path) as opened:
            drawn = np.asarray(opened, dtype=np.float32)
        noise = 1.7 * draw.standard_normal((*drawn.shape[:2], 1), dtype=np.float32)
        Image.fromarray((drawn + noise).clip(0, 255).astype(np.uint8)).save(path.with_suffix(".jpg"), quality=90)
        path.unlink()


def _machine() -> dict[str, Any]:
    import PIL
    import torch

    return {
        "cores": cores(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pillow": PIL.__version__,
    }


def _at(found: Any, keys: tuple[str, ...]) -> float | None:
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, (int, float)) else None


def _met(value: float | None, bound: float, direction: str) -> bool | None:
    if value is None:
        return None
    return value >= bound if direction == "at least" else value <= bound
