"""Media of a split as the doctor looks at them: what is missing, cannot be read, or is not as annotated."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from slt_zoo.data.checks import find_missing_media
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.media_checks import (
    check_feature_lengths,
    ctc_steps,
    declared_frames,
    frame_size_hint,
    too_short_for_ctc,
)
from slt_zoo.data.readers import open_reader
from slt_zoo.data.time_segments import compare_segments
from slt_zoo.errors import DatasetError, first_few, one_line

__all__ = ["MediaFindings", "look_at_media"]

STRIDE = 4
"""Frames that become one step in the recognition models of the field."""


class MediaFindings:
    """What was found of one split.

    Attributes:
        there: by kind, how many samples have it.
        faults, notes: sentences.
        opened: media files that were opened.
        frames: by id, the number of frames that was found.
    """

    def __init__(self) -> None:
        self.there: dict[str, int] = {}
        self.faults: list[str] = []
        self.notes: list[str] = []
        self.opened = 0
        self.frames: dict[str, int] = {}


def look_at_media(manifest: Manifest, read: int, advice: str) -> MediaFindings:
    """Missing media of all samples, times past the end of all videos, and the content of some samples.

    Args:
        manifest: of the split.
        read: samples whose media are opened, a kind, spread evenly; -1: all.
        advice: what to do where there are no media at all.
    """
    found = MediaFindings()
    for kind in sorted({kind for sample in manifest for kind in sample.media}):
        missing, example = find_missing_media(manifest, kind)
        found.there[kind] = len(manifest) - len(missing)
        if missing and len(missing) < len(manifest):
            text = f"{len(missing)} samples have no {kind}: {first_few(missing, 3)}"
            found.faults.append(text + (f"; there is no {example!r}" if example else ""))
        if kind != "segments" and len(missing) < len(manifest):
            _past_the_end(found, manifest, kind, set(missing))
            _open_some(found, manifest, kind, set(missing), read)
    if found.there.get("frames"):
        found.notes.extend(filter(None, [frame_size_hint(manifest)]))
    if found.there.get("features"):
        try:
            check_feature_lengths(manifest)
        except DatasetError as error:
            found.faults.append(one_line(error))
    if not any(found.there.values()):
        found.faults.append(f"there are no media of any kind; {advice}")
    _too_short(found, manifest)
    return found


def _open_some(found: MediaFindings, manifest: Manifest, kind: str, missing: set[str], read: int) -> None:
    there = [i for i in manifest.ids if i not in missing]
    step = 1 if read < 0 else max(1, len(there) // max(read, 1))
    for sample_id in there[::step][: len(there) if read < 0 else read]:
        found.opened += 1
        media = manifest.by_id(sample_id).media[kind]
        try:
            with _reader_warnings(found.notes):
                reader = open_reader(kind, media, sample_id=sample_id)
                count = reader.num_frames
                reader.read(torch.tensor(sorted({0, count // 2, count - 1})))
        except (DatasetError, OSError) as error:
            found.faults.append(one_line(error))
            continue
        if not media.is_part and not media.stride and kind != "features":
            found.frames[sample_id] = count
            if media.num_frames is not None and media.num_frames != count:
                found.faults.append(f"sample {sample_id}: {media.num_frames} frames annotated, {count} found")


@contextmanager
def _reader_warnings(notes: list[str]) -> Iterator[None]:
    """What readers warn of (gaps, rates, several persons) becomes notes; counts are compared by the doctor itself."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if "annotated" not in text and "further " not in text:
                notes.append(text)

    log, keep = logging.getLogger("slt_zoo.data.readers"), Keep(logging.WARNING)
    propagate = log.propagate
    log.addHandler(keep)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(keep)
        log.propagate = propagate


def _past_the_end(found: MediaFindings, manifest: Manifest, kind: str, missing: set[str]) -> None:
    segments = compare_segments(manifest, kind, missing=missing)
    for name, why in segments.unknown.items():
        found.faults.append(f"sample {name}: {why}")
    if segments.outside:
        text = first_few([*segments.outside.values()], 3)
        found.faults.append(f"{len(segments.outside)} segments lie past the end of their video: {text}")
    if segments.cut:
        text = first_few([*segments.cut.values()], 3)
        found.notes.append(f"{len(segments.cut)} segments end past the end of their video and are cut: {text}")


def _too_short(found: MediaFindings, manifest: Manifest) -> None:
    lengths = {s.id: n for s in manifest if (n := found.frames.get(s.id) or declared_frames(s)) is not None}
    short, _ = too_short_for_ctc(manifest, STRIDE, lengths)
    if short:
        first = manifest.by_id(short[0])
        found.notes.append(
            f"{len(short)} samples are shorter than {STRIDE} x (glosses + repeats): {first_few(short, 3)}; CTC loss is "
            f"infinite for them at a stride of {STRIDE} ({lengths[first.id]} frames, {ctc_steps(first.gloss or ())} "
            "steps needed)"
        )
