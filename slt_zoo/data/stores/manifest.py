"""``manifest.json`` of a store: what made it, from which annotation, and where each sample lies."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast

from slt_zoo.errors import StoreError
from slt_zoo.types import SPLITS, Split

__all__ = ["FORMAT", "KINDS", "MANIFEST", "VERSION", "Extraction", "Kind", "Shard", "StoreManifest", "compare_fields"]

MANIFEST = "manifest.json"
FORMAT, VERSION = "slt_zoo.store", 1
Kind = Literal["features", "pose", "frames"]
_AXES: dict[Kind, int] = {"features": 1, "pose": 2, "frames": 0}
"""Axes of a row."""
CONTAINERS = ("safetensors", "litdata")
_FILES = {"safetensors": r"(train|dev|test)-\d{5}-of-\d{5}\.safetensors", "litdata": r"chunk-\d+-\d+\.bin"}
KINDS: tuple[Kind, ...] = ("features", "pose", "frames")

TENSORS: dict[Kind, tuple[str, ...]] = {
    "features": ("features",),
    "pose": ("pose", "conf"),
    "frames": ("ends", "jpeg"),
}
"""Names of a shard's tensors. ``ends`` are ends of the images, in bytes from the begin of their sample."""


@dataclass(frozen=True)
class Extraction:
    """What made a store. Samples go into the same store only where all of this is equal.

    Attributes:
        kind: ``"features"`` (T, D), ``"pose"`` (T, K, C) with confidence (T, K), or ``"frames"``, encoded as JPEG.
        extractor: ``"timm:resnet18"``, ``"s3d"``, ``"pose"``, ``"frames"``.
        settings: whatever else changes a number; plain data.
        weights: SHA-256 of the weights; None: there are none.
        window: video frames that a row sees.
        stride: video frames between two rows.
        dtype: ``"float16"``, ``"bfloat16"`` or ``"float32"``; ``"jpeg"`` for frames.
        points: names of the points of poses.
        id: names all of this (`extraction_id`); a recipe asks for it.
    """

    kind: Kind
    extractor: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    window: int = 1
    stride: int = 1
    dtype: str = "float16"
    points: tuple[str, ...] = ()
    id: str = ""

    def signature(self) -> str:
        """Id and weights: what a sample that travels alone says of its making."""
        return f"{self.id} {self.weights}"

    def digest(self) -> str:
        """Eight characters that stand for the settings, without id and weights."""
        plain = {k: v for k, v in asdict(self).items() if k not in ("id", "weights")}
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Shard:
    """Which samples a file holds, in its order; lists have an entry a sample.

    Attributes:
        file: its name.
        split: of its samples.
        size: bytes.
        ids: of the samples.
        rows: how many each has.
        frames: video frames that they were made of.
        fps: frame rate of the video; None: unknown.
        jpeg: bytes of the images, for frames.
    """

    file: str
    split: Split
    size: int
    ids: tuple[str, ...]
    rows: tuple[int, ...]
    frames: tuple[int, ...]
    fps: tuple[float | None, ...]
    jpeg: tuple[int, ...] = ()


@dataclass(frozen=True)
class StoreManifest:
    """Content of ``manifest.json``.

    Attributes:
        made_by: the extraction.
        corpus: class name of the data module.
        media: arguments of the corpus that chose between recordings of a sample (camera, cut).
        simulated: the signing was simulated.
        annotations: by split, the annotation hash of the whole split.
        complete: False while an extraction is under way, or was stopped.
        shape: of a row: ``(D,)``, ``(K, C)``; empty for frames.
        shards: in order; empty until it is complete.
        unreadable: ids that were left out, with the reason.
        code_version: versions of slt_zoo that took part.
        container: of the shards: ``"safetensors"``, or ``"litdata"`` (`slt_zoo.data.stores.streamed`).
    """

    made_by: Extraction
    corpus: str
    media: Mapping[str, str]
    simulated: bool
    annotations: Mapping[Split, str]
    complete: bool = False
    shape: tuple[int, ...] = ()
    shards: tuple[Shard, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    code_version: tuple[str, ...] = ()
    container: str = "safetensors"

    def shards_of(self, split: Split) -> list[Shard]:
        """The shards of a split."""
        return [shard for shard in self.shards if shard.split == split]

    def to_text(self) -> str:
        """As it is written."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, ensure_ascii=False, indent=1) + "\n"

    @staticmethod
    def read(folder: Path, told_as: str | None = None) -> StoreManifest:
        """Read and check ``<folder>/manifest.json``; the shards are not looked at.

        Args:
            folder: of the store.
            told_as: its place in messages, where the folder is a copy.

        Raises:
            StoreError: it is missing, no manifest of a store, or of a later version.
        """
        path = f"{folder if told_as is None else told_as.rstrip('/')}/{MANIFEST}"
        try:
            content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StoreError(
                "the manifest of a store is missing",
                where=path,
                found="shards without it" if any(folder.glob("*.safetensors")) else "no store",
                todo="copy the whole folder, or extract again with `slt-zoo extract`",
            ) from None
        except (ValueError, OSError, RecursionError) as cause:
            raise _foreign(path, f"no JSON that can be read: {cause}") from cause
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise _foreign(path, f'JSON without "format": "{FORMAT}"')
        if content.get("version") != VERSION:
            raise StoreError(
                "a store of another version of the format",
                where=path,
                expected=f"version {VERSION}",
                found=content.get("version"),
                todo="install the version of slt_zoo that wrote it, or extract again with `slt-zoo extract`",
            )
        try:
            return _parse(content)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as cause:
            raise _foreign(path, f"{type(cause).__name__}: {cause}") from cause


def _foreign(path: str, found: str) -> StoreError:
    return StoreError(
        "not the manifest of a store, or damaged",
        where=path,
        found=found,
        todo="name a folder that `slt-zoo extract` wrote, or extract again",
    )


def _parse(content: dict[str, Any]) -> StoreManifest:
    made = dict(content["made_by"])
    extraction = Extraction(**{**made, "points": tuple(made["points"])})
    if extraction.kind not in KINDS or not all(_is_count(n) for n in (extraction.stride, extraction.window)):
        raise ValueError(f"kind {extraction.kind!r}, stride {extraction.stride!r}, window {extraction.window!r}")
    if not all(isinstance(text, str) for text in (extraction.id, extraction.extractor, *extraction.points)):
        raise ValueError("names that are no strings")
    shape = tuple(content["shape"])
    if len(shape) != _AXES[extraction.kind] and (shape or content["complete"]):
        raise ValueError(f"rows of shape {shape} for {extraction.kind}")
    if not all(_is_count(n) for n in shape) or (extraction.points and shape and shape[0] != len(extraction.points)):
        raise ValueError(f"rows of shape {shape} for {len(extraction.points)} points")
    for name in ("media", "annotations", "unreadable"):
        if not isinstance(content[name], dict):
            raise ValueError(f"{name} is {content[name]!r}")
    if not (isinstance(content["complete"], bool) and isinstance(content["simulated"], bool)):
        raise ValueError("complete and simulated are true or false")
    shards = tuple(_parse_shard(entry, extraction.kind) for entry in content["shards"])
    known = {f.name for f in fields(StoreManifest)}
    plain = {k: v for k, v in content.items() if k in known - {"made_by", "shards", "shape", "code_version"}}
    if set(plain["annotations"]) - set(SPLITS):
        raise ValueError(f"splits {sorted(plain['annotations'])}")
    container = plain.get("container", "safetensors")
    if container not in CONTAINERS:
        raise ValueError(f"container {container!r}")
    for shard in shards:
        if not re.fullmatch(_FILES[container], shard.file):
            raise ValueError(f"a shard called {shard.file!r}")
    return StoreManifest(
        made_by=extraction,
        shards=shards,
        shape=shape,
        code_version=tuple(content["code_version"]),
        **plain,
    )


def _parse_shard(entry: dict[str, Any], kind: Kind) -> Shard:
    if entry["split"] not in SPLITS:
        raise ValueError(f"shard {entry['file']!r} of split {entry['split']!r}")
    lists = {name: tuple(entry[name]) for name in ("ids", "rows", "frames", "fps", "jpeg")}
    counts = {len(values) for name, values in lists.items() if name != "jpeg" or kind == "frames"}
    if counts != {len(lists["ids"])} or not _is_count(entry["size"]):
        raise ValueError(f"lists of unequal length, or no size, for {entry['file']!r}")
    for name in ("rows", "frames", "jpeg"):
        if not all(_is_count(n) for n in lists[name]):
            raise ValueError(f"{name} of {entry['file']!r} are not positive whole numbers")
    if not all(isinstance(i, str) and i for i in lists["ids"]):
        raise ValueError(f"ids of {entry['file']!r} are no strings")
    if not all(rate is None or _is_rate(rate) for rate in lists["fps"]):
        raise ValueError(f"frame rates of {entry['file']!r}")
    return Shard(file=entry["file"], split=cast(Split, entry["split"]), size=entry["size"], **lists)


def _is_count(value: Any) -> bool:
    """A positive whole number of a size that something on a disk can have."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**62


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 100_000


def compare_fields(mine: StoreManifest, theirs: StoreManifest) -> Iterator[tuple[str, Any, Any]]:
    """Fields whose difference forbids to put samples of both into one store: ``(name, mine, theirs)``."""
    for f in fields(Extraction):
        a, b = getattr(mine.made_by, f.name), getattr(theirs.made_by, f.name)
        if f.name == "settings":
            for key in sorted({*a, *b}):
                if a.get(key) != b.get(key):
                    yield f"settings.{key}", a.get(key), b.get(key)
        elif f.name != "id" and a != b:
            yield f.name, a, b
    for name in ("corpus", "media", "simulated"):
        if getattr(mine, name) != getattr(theirs, name):
            yield name, getattr(mine, name), getattr(theirs, name)
    for split in SPLITS:
        a, b = mine.annotations.get(split), theirs.annotations.get(split)
        if a is not None and b is not None and a != b:
            yield f"annotations.{split}", a, b
