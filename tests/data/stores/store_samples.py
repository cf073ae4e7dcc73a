"""Small stores, made on the spot."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import torch
from PIL import Image

from slt_zoo.data.stores.manifest import Extraction, StoreManifest
from slt_zoo.data.stores.naming import extraction_id
from slt_zoo.data.stores.writer import PieceWriter, Record, StoreBuilder

POINTS = ("body.nose", "left_hand.wrist")


def extraction(kind="features", **changes) -> Extraction:
    given = {
        "features": {"extractor": "timm:resnet18", "settings": {"seed": 0, "size": (64, 48)}, "weights": "cafe"},
        "pose": {"extractor": "pose", "dtype": "float32", "points": POINTS},
        "frames": {"extractor": "frames", "settings": {"quality": 90}, "dtype": "jpeg"},
    }[kind]
    made = Extraction(**{"kind": kind, **given, **changes})
    return replace(made, id=extraction_id(made.extractor, {"seed": "0"}, made.digest()))


def builder(folder, made=None, shard_size=4000, **changes) -> StoreBuilder:
    given = {"corpus": "Phoenix14T", "media": {}, "simulated": False, "annotations": {"train": "aa", "dev": "bb"}}
    return StoreBuilder(folder, StoreManifest(made or extraction(), **{**given, **changes}), shard_size)


def records(count=9, split="train", kind="features") -> list[Record]:
    draw = torch.Generator().manual_seed(len(split))
    made = []
    for i in range(count):
        rows = 3 + i
        if kind == "features":
            tensors = {"features": torch.randn(rows, 40, generator=draw)}
        elif kind == "pose":
            tensors = {"pose": torch.rand(rows, 2, 3, generator=draw), "conf": torch.rand(rows, 2, generator=draw)}
        else:
            images = [jpeg(np.full((8, 6, 3), 10 * i + t, dtype=np.uint8)) for t in range(rows)]
            ends = torch.tensor([len(b) for b in images]).cumsum(0)
            tensors = {"ends": ends, "jpeg": torch.frombuffer(bytearray(b"".join(images)), dtype=torch.uint8)}
        made.append(Record(f"{split}/s{i}", split, tensors, frames=rows, fps=25.0 + i))
    return made


def jpeg(image) -> bytes:
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    return file.getvalue()


def write(folder, made=None, kind="features", seconds=1e9, splits=("train", "dev"), **changes) -> StoreBuilder:
    store = builder(folder, made or extraction(kind), **changes)
    store.begin()
    store.reopen()
    order = {split: [r.id for r in records(split=split, kind=kind)] for split in splits}
    writer = PieceWriter(store, seconds=seconds)
    for split in splits:
        wanted = set(store.missing(split, order[split]))
        for record in records(split=split, kind=kind):
            if record.id in wanted:
                writer.add(record)
    writer.flush()
    store.finish(order)
    return store
