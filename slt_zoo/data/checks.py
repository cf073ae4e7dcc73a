"""What is checked once, before anything is read: does the corpus have what the model needs?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from slt_zoo.data.manifest import Manifest
from slt_zoo.errors import ConfigError, DatasetError, first_few
from slt_zoo.types import InputSpec

__all__ = ["check_needs", "check_splits_apart", "find_missing_media"]


def check_needs(manifest: Manifest, spec: InputSpec, model: str, root: str) -> None:
    """The annotation has what the model cannot do without.

    Raises:
        ConfigError: it has not; the message says how to get it.
    """
    if not len(manifest):
        raise DatasetError(f"{manifest.corpus} {manifest.split} has no samples", where=root)
    advice = {
        "gloss": "choose a corpus with glosses, or a model without",
        "question": "choose a question-answering corpus",
        "segments": "run `slt-zoo segment`, or pass data.segments=fixed-8 for a quick try",
    }
    for need in sorted(spec.needs):
        if need == "segments":
            lacking = [s.id for s in manifest if "segments" not in s.media]
        else:
            lacking = [i for i, v in zip(manifest.ids, manifest.column(need), strict=True) if not v]
        if lacking:
            how_many = "none" if len(lacking) == len(manifest) else f"no {need} for {len(lacking)} of {len(manifest)}"
            raise ConfigError(
                f"{model} needs {need}; {manifest.corpus} {manifest.split} under root={root!r} has {how_many}",
                found=f"missing for {first_few(lacking)}",
                todo=advice.get(need),
            )


def check_splits_apart(manifests: Sequence[Manifest]) -> None:
    """No sample is in two splits.

    Raises:
        DatasetError: with the ids.
    """
    where: dict[str, str] = {}
    for manifest in manifests:
        twice = [i for i in manifest.ids if where.setdefault(i, manifest.split) != manifest.split]
        if twice:
            raise DatasetError(
                f"{manifest.corpus}: {len(twice)} samples of {manifest.split} are also in {where[twice[0]]}",
                found=first_few(twice),
                todo="use the official split files",
            )


def find_missing_media(manifest: Manifest, modality: str) -> tuple[list[str], str | None]:
    """Ids without media of a kind, and one place where it should have been.

    One listing a folder, not one look a sample: a folder on a network disk makes the difference between seconds
    and minutes.
    """
    listings: dict[str, set[str]] = {}
    missing: list[str] = []
    example: str | None = None
    for sample in manifest:
        media = sample.media.get(modality)
        if media is not None:
            path = Path(media.path)
            folder = str(path.parent)
            if folder not in listings:
                listings[folder] = {e.name for e in os.scandir(folder)} if path.parent.is_dir() else set()
            if path.name in listings[folder]:
                continue
            example = example or media.path
        missing.append(sample.id)
    return missing, example
