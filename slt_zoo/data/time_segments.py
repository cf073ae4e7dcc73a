"""Parts of videos against the lengths of the videos: asked once a file, and nothing is decoded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.length_cache import LengthCache
from slt_zoo.data.listing import require_path
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.readers import open_reader
from slt_zoo.data.readers.base import place
from slt_zoo.data.readers.opening import is_video
from slt_zoo.data.readers.video_file import opened
from slt_zoo.data.retry import retry_read
from slt_zoo.errors import DatasetError, MediaError, first_few, one_line
from slt_zoo.types import Media

__all__ = ["Segments", "check_segments", "compare_segments"]

_SLACK = 0.1
"""Seconds that a segment may end behind its video: rounding, and containers that leave out the last frame."""


@dataclass
class Segments:
    """What does not lie within its file, by id.

    Attributes:
        outside: begins past the end; cannot be read.
        cut: ends past the end; is cut when it is read.
        unknown: the length of the file cannot be read, and why.
    """

    outside: dict[str, str] = field(default_factory=dict)
    cut: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)


def compare_segments(
    manifest: Manifest, kind: str, cache: LengthCache | None = None, missing: Collection[str] = ()
) -> Segments:
    """Every sample that is a part of its media, in seconds or in rows, each file asked once.

    Args:
        manifest: of the split.
        kind: of media.
        cache: of lengths; None: all are looked at anew.
        missing: ids without media.
    """
    found, lengths = Segments(), dict[str, float | None]()
    for sample in manifest:
        media = sample.media.get(kind)
        if media is None or not media.is_part or sample.id in missing:
            continue
        if media.path not in lengths:
            lengths[media.path] = _asked(kind, media, sample.id, cache, found)
        start, end, slack, unit = _bounds(media)
        length = lengths[media.path]
        if length is None or (start < length and (end or 0) <= length + slack):
            continue
        whole = f"{length:.{0 if unit == 'rows' else 2}f}"
        where = f"{sample.id} {start:g}-{length if end is None else end:g} {unit} of {whole} {unit}"
        where += "" if media.source is None else f" ({media.source})"
        if start < length:
            found.cut[sample.id] = where
        elif _refused(kind, media, sample.id):
            found.outside[sample.id] = where
    if cache is not None:
        cache.save()
    return found


def _bounds(media: Media) -> tuple[float, float | None, float, str]:
    """Begin, end, how much it may end behind the file, and what these are counted in."""
    if _in_rows(media):
        return media.row_start or 0, media.row_end, 0, "rows"
    return media.start or 0, media.end, _SLACK, "s"


def _in_rows(media: Media) -> bool:
    return media.row_start is not None or media.row_end is not None


def check_segments(manifest: Manifest, kind: str, cache: LengthCache, skip: bool) -> list[str]:
    """Ids of samples that lie past the end of their files, where these may be skipped; what is cut is told.

    Raises:
        MediaError: there are some, and they may not be skipped, or there are no others.
    """
    found = compare_segments(manifest, kind, cache)
    if found.cut:
        text = f"{len(found.cut)} segments end past the end of their video and are cut"
        rank_zero_warn(f"{manifest.corpus} {manifest.split}: {text}: {first_few([*found.cut.values()], 3)}")
    left = len(manifest) - len(found.outside)
    if found.outside and not (skip and left):
        first = manifest.by_id(next(iter(found.outside)))
        raise MediaError(
            f"{manifest.corpus} {manifest.split}: {len(found.outside)} of {len(manifest)} segments lie past the end of "
            "their video",
            where=f"sample {first.id}, {first.media[kind].path!r}",
            found=first_few([*found.outside.values()]),
            todo="are annotation and videos of one release, and the videos whole?"
            + (f" on_bad_sample='skip' goes on with {left}" if manifest.split == "train" and left else ""),
        )
    return list(found.outside)


def _asked(kind: str, media: Media, sample_id: str, cache: LengthCache | None, found: Segments) -> float | None:
    def measure() -> float | None:
        ask = _count if _in_rows(media) else _seconds
        return retry_read(lambda: ask(kind, media, sample_id), f"sample {sample_id}")

    whole, unit = replace(media, row_start=None, row_end=None), "rows" if _in_rows(media) else "seconds"
    try:
        return measure() if cache is None else cache.ask(whole, unit, measure)
    except (DatasetError, OSError) as error:
        found.unknown[sample_id] = f"cannot read the length of {media.path!r}: {one_line(error)}"
        return None


def _count(kind: str, media: Media, sample_id: str) -> int:
    return open_reader(kind, replace(media, row_start=None, row_end=None), sample_id=sample_id).num_frames


def _seconds(kind: str, media: Media, sample_id: str) -> float | None:
    path = require_path(media.path, sample_id)
    if is_video(path):
        with opened(path, place(sample_id, path)) as (container, _):
            return None if container.duration is None else container.duration / 1e6
    reader = open_reader(kind, replace(media, start=None, end=None), sample_id=sample_id)
    return None if reader.fps is None else reader.num_frames / reader.fps


def _refused(kind: str, media: Media, sample_id: str) -> bool:
    """Whether the reader says so too: it knows when the last frame is shown, a container's header need not."""
    try:
        retry_read(lambda: open_reader(kind, media, sample_id=sample_id), f"sample {sample_id}")
    except MediaError as fault:
        return "past the end" in fault.what
    return False
