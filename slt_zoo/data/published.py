"""What was published of a corpus, and which version of it a manifest is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slt_zoo.data.manifest import Manifest

__all__ = ["Expected", "differences", "version_of"]


@dataclass(frozen=True)
class Expected:
    """What the published corpus has.

    Attributes:
        samples: of a split.
        annotation_hash: see `slt_zoo.data.manifest.annotation_hash`; None: not known.
        version: what texts and glosses with this hash are called.
    """

    samples: int
    annotation_hash: str | None = None
    version: str = "release"


def version_of(manifest: Manifest, expected: Expected | None, others: Mapping[str, str]) -> str:
    """What the texts and glosses of a split are, told by their hash.

    Args:
        manifest: of the whole split.
        expected: what should be there.
        others: names of other known versions, by hash.

    Returns:
        The expected version's name, that of another, ``"another"``, or ``"unknown"`` where no hash is known.
    """
    if manifest.annotation_hash in others:
        return others[manifest.annotation_hash]
    if expected is None or expected.annotation_hash is None:
        return "unknown"
    return expected.version if manifest.annotation_hash == expected.annotation_hash else "another"


def differences(manifest: Manifest, expected: Expected | None, others: Mapping[str, str]) -> list[str]:
    """How a split differs from the published one, each a sentence."""
    if expected is None:
        return []
    if len(manifest) != expected.samples:
        return [
            f"{len(manifest)} samples, the release has {expected.samples}; "
            "scores are not comparable with published ones"
        ]
    version = version_of(manifest, expected, others)
    if version in (expected.version, "unknown"):
        return []
    named = f"; these are {version}" if version != "another" else ""
    return [
        f"texts or glosses are not those of the release (hash {manifest.annotation_hash[:12]}, known "
        f"{str(expected.annotation_hash)[:12]}){named}"
    ]
