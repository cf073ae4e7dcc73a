"""Features: a store against one ``.npy`` a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from slt_zoo.analysis.data_speed.measure import Amount, interleave, ratio, table_of
from slt_zoo.data.readers import open_reader
from slt_zoo.data.stores import open_store
from slt_zoo.data.stores.local import LocalStore
from slt_zoo.data.stores.manifest import Extraction, StoreManifest
from slt_zoo.data.stores.writer import PieceWriter, Record, StoreBuilder

__all__ = ["bench_features", "write_features"]

WIDTH = 832  # of S3D's block 4, at a stride of 4 frames
ROWS = (4, 60)


def write_features(folder: Path, samples: int, seed: int = 0) -> tuple[Path, Path]:
    """The same random features as a store and as one ``.npy`` a sample, both float16; the two folders."""
    draw = np.random.default_rng(seed)
    made = Extraction("features", "bench", stride=4, window=4, id="bench")
    builder = StoreBuilder(folder / "store", StoreManifest(made, "bench", {}, True, {"train": "bench"}))
    builder.begin()
    builder.reopen()
    writer, arrays = PieceWriter(builder), folder / "arrays"
    arrays.mkdir(parents=True)
    ids = [f"{i:06d}" for i in range(samples)]
    for sample_id in ids:
        values = draw.standard_normal((int(draw.integers(*ROWS)), WIDTH), dtype=np.float32).astype(np.float16)
        np.save(arrays / f"{sample_id}.npy", values)
        writer.add(Record(sample_id, "train", {"features": torch.from_numpy(values)}, 4 * len(values), 25.0))
    writer.flush()
    builder.finish({"train": ids})
    return folder / "store", arrays


def bench_features(store: Path, arrays: Path, seconds: float) -> dict[str, Any]:
    """Every sample once, in random order, as float32: from the store, and from files that are looked for first.

    A round begins cold, as an epoch of a new process does: the store's manifest and the folder's listing are read anew.
    ``open`` is the store as it is during training, where it was opened before. Files are in the system's cache for
    both.
    """
    open_store(store)
    size = sum(shard.size for shard in open_store(store).manifest.shards)

    def checked(rows: list[int], samples: int) -> Amount:
        return Amount(samples, sum(rows), size)

    def from_open(turn: int) -> Amount:
        known = open_store(store)
        rows = []
        for sample_id in _shuffled(known.ids("train"), turn):
            media = known.media(sample_id)
            assert media is not None
            reader = open_reader("features", media, sample_id=sample_id)
            rows.append(len(reader.read(torch.arange(reader.num_frames))["features"]))
        return checked(rows, len(rows))

    def from_cold(turn: int) -> Amount:
        cold = LocalStore(store)
        rows = [len(cold.read(i)["features"].float()) for i in _shuffled(cold.ids("train"), turn)]
        return checked(rows, len(rows))

    def from_arrays(turn: int) -> Amount:
        known = {p.stem: p for p in sorted(arrays.glob("*.npy"))}
        rows = [len(torch.from_numpy(np.load(known[i])).float()) for i in _shuffled(list(known), turn)]
        return checked(rows, len(rows))

    times = interleave({"open": from_open, "store": from_cold, "arrays": from_arrays}, seconds)
    return {
        "samples": len(open_store(store)),
        "mib": size / 2**20,
        "store": table_of(times["store"]),
        "open": table_of(times["open"]),
        "arrays": table_of(times["arrays"]),
        "ratio": ratio(times, "store", "arrays"),
        "cpu_ratio": ratio(times, "store", "arrays", "cpu"),
    }


def _shuffled(ids: list[str], turn: int) -> list[str]:
    return [ids[i] for i in np.random.default_rng(turn).permutation(len(ids))]
