"""`MediaFinder`: from a place that a person named, or a corpus has, to the `Media` of a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.boundaries import fixed_length
from slt_zoo.data.bundles import Bundle, find_bundle
from slt_zoo.data.media_tables import MediaTable, find_table, why_no_place
from slt_zoo.data.places import Place, find_place
from slt_zoo.data.readers import VIDEO_SUFFIXES
from slt_zoo.errors import AnnotationError, ConfigError, MediaError, first_few
from slt_zoo.types import Media, Sample, Split

__all__ = ["SUFFIXES", "FilesOf", "MediaFinder", "check_timing"]

SUFFIXES: dict[str, tuple[str, ...]] = {
    "frames": ("", *VIDEO_SUFFIXES),
    "features": (".npy", ".safetensors", ".pt", ".pth"),
    "pose": (".pose", ".npy", ".pkl", ""),
    "segments": (".npy",),
}
"""What a file of one sample ends in, by kind, those preferred first; empty: a folder (images, OpenPose JSON)."""

_OWN_RATE = (".pose", *VIDEO_SUFFIXES)

FilesOf = Callable[[Path, Sequence[str], Sample], tuple[str, str] | None]
"""From a folder, suffixes and a sample to the path of its file and the suffix that it has, if any."""


@dataclass
class MediaFinder:
    """Finds media of samples in whatever container; looks at a place once a split.

    Attributes:
        fps: frames a second of the corpus, for what does not say its own rate.
        stride: video frames between two vectors of the features.
        window: video frames that one vector sees.
        notes: what a corpus has to say where samples of a kind and split are missing.
    """

    fps: float | None = None
    stride: int | None = None
    window: int | None = None
    notes: dict[tuple[str, Split], dict[str, None]] = field(default_factory=dict, init=False, repr=False)
    _bundles: dict[tuple[str, Path, Split], Bundle | None] = field(default_factory=dict, init=False, repr=False)
    _places: dict[tuple[str, Path, Split], Place | None] = field(default_factory=dict, init=False, repr=False)
    _tables: dict[tuple[str, Path, Split], MediaTable | None] = field(default_factory=dict, init=False, repr=False)
    _lacking: dict[tuple[str, Path, Split], list[str]] = field(default_factory=dict, init=False, repr=False)

    _told: set[tuple[str, Path, Split]] = field(default_factory=set, init=False, repr=False)

    def find(
        self,
        kind: str,
        place: Path | Sequence[Path] | None,
        sample: Sample,
        layout: str | None = None,
        files: FilesOf | None = None,
        other_names: Sequence[str] = (),
    ) -> Media | None:
        """The media of a sample; None: the place has none of the kind, or a file of many has not this sample.

        A file (or folder) a sample is looked for in the folder of the split first, then a file of many samples in
        ``place``, then a file a sample in ``place``. A file a sample need not be there: its path says where it should
        be. A table says where each file lies, see `find_table`.

        Args:
            kind: one of `SUFFIXES`.
            place: folder; or a file of many samples or a table, with ``{split}`` in its name where there is one a
                split. Several: the sample is joined from all of them, and one that lacks it makes it missing. For
                segments also ``fixed-<k>``, which is no place.
            sample: whose media.
            layout: of ``.npy`` poses, where the number of points does not tell it.
            files: finds files of one sample, where a corpus has folders of its own.
            other_names: what programs call the sample beside its id.
        """
        if place is None:
            return None
        if not isinstance(place, Path):
            parts = [self.find(kind, one, sample, layout, files, other_names) for one in place]
            return _joined([part for part in parts if part is not None], len(parts), sample)
        if kind == "segments" and fixed_length(str(place)) is not None:
            return Media(str(place), num_frames=sample.meta.get("num_frames"))
        key = (kind, place, sample.split)
        if key not in self._tables:
            of_files = kind != "segments"  # boundaries are read whole, whatever part a table would name
            self._tables[key] = find_table(place, sample.split, kind, SUFFIXES[kind]) if of_files else None
            _tell_overlaps(self._tables[key])
        table = self._tables[key]
        if table is not None:
            return self._in_table(table, key, sample, layout, other_names)
        if files is None and key not in self._places:
            self._places[key] = find_place(place, sample.split, SUFFIXES[kind])
        one = self._places.get(key)
        if (one is None or one.folder == place) and key not in self._bundles:
            self._bundles[key] = find_bundle(place, sample.split, kind)
        many = self._bundles.get(key)
        if many is not None:
            item = next((name for name in (sample.id, *other_names) if name in many.ids), None)
            if item is None:
                return None
            return self._media(kind, str(many.path), many.path.suffix or ".pkl", sample, layout, item)
        if files is not None:
            found = files(place, SUFFIXES[kind], sample)
            return None if found is None else self._media(kind, *found, sample, layout)
        if one is not None and one.rivals and key not in self._told:
            self._told.add(key)
            rank_zero_warn(
                f"{one.folder}: {len(one.rivals)} samples have a file {one.suffix}, which is read, and another: "
                f"{first_few(one.rivals, 3)}"
            )
        return None if one is None else self._media(kind, one.path(sample.id, other_names), one.suffix, sample, layout)

    def advice(self, kind: str, split: Split) -> str | None:
        """What tables of a kind have instead of the samples that they lack, and what else is known of a place.

        None: nothing is.
        """
        told: list[str] = list(self.notes.get((kind, split), ()))
        for key, table in self._tables.items():
            if key[0] != kind or key[2] != split:
                continue
            if table is None:
                told += filter(None, [why_no_place(key[1], kind, split)])
            elif key in self._lacking:
                told.append(table.lacks(self._lacking[key]))
            elif table.note is not None:
                told.append(table.note)
        return "; ".join(told) or None

    def _in_table(
        self, table: MediaTable, key: tuple[str, Path, Split], sample: Sample, layout: str | None, names: Sequence[str]
    ) -> Media | None:
        part, kind = table.find((sample.id, *names)), key[0]
        if part is None:
            self._lacking.setdefault(key, []).append(sample.id)
            return None
        suffix = next((s for s in SUFFIXES[kind] if s and part.path.lower().endswith(s)), "")
        bounds = {name: getattr(part, name) for name in ("start", "end", "row_start", "row_end")}
        source = f"{table.path}, line {part.line}"
        media = replace(self._media(kind, part.path, suffix, sample, layout), **bounds, source=source)
        if media.fps is None and suffix not in _OWN_RATE and (media.start, media.end) != (None, None):
            raise AnnotationError(
                f"line {part.line}: a part in seconds of {part.path!r}, and neither file nor corpus has a frame rate",
                where=source,
                expected="parts in rows (frames, vectors) of the file, or whole files",
                todo="write a table with the columns id, signs_file, signs_offset, signs_length, the last two in rows",
            )
        return media

    def _media(
        self, kind: str, path: str, suffix: str, sample: Sample, layout: str | None, item: str | None = None
    ) -> Media:
        of_features = kind == "features"
        return Media(
            path,
            fps=None if suffix in _OWN_RATE else self.fps,
            num_frames=sample.meta.get("num_frames"),
            layout=_layout(path, suffix, layout) if kind == "pose" else None,
            stride=self.stride if of_features else None,
            window=self.window if of_features else None,
            item=item,
        )


def _tell_overlaps(table: MediaTable | None) -> None:
    overlaps = [] if table is None else table.overlaps()
    if overlaps and table is not None:
        rank_zero_warn(f"{table.path}: parts of one file overlap, so samples share frames: {first_few(overlaps, 3)}")


def _joined(parts: list[Media], wanted: int, sample: Sample) -> Media | None:
    if len(parts) < wanted:
        return None
    if len({(part.start, part.end, part.row_start, part.row_end) for part in parts}) > 1:
        raise MediaError(
            "tables of features that are to be joined name different parts of their files",
            where=f"sample {sample.id}, " + " and ".join(repr(part.path) for part in parts),
            expected="the same begin and end in all of them",
        )
    return replace(parts[0], joined=tuple(parts[1:]))


def _layout(path: str, suffix: str, given: str | None) -> str | None:
    """Of poses: only arrays need to be told theirs; ``.pose`` files name their points, and are compared with it."""
    if path.endswith((".skels", ".skels.gz")):
        return "skels50"
    if suffix in (".pose", ".npy"):
        return given
    return "wholebody133" if suffix else "openpose137"


def check_timing(features: str | list[str] | None, stride: int | None, window: int | None) -> None:
    """Refuse what cannot be the stride or window of features.

    Raises:
        ConfigError: below 1, or no features are named.
    """
    found = f"feature_stride={stride}, feature_window={window}"
    if any(number is not None and number < 1 for number in (stride, window)):
        raise ConfigError("feature_stride and feature_window must be at least 1", found=found)
    if features is None and not (stride is None and window is None):
        raise ConfigError(
            "feature_stride and feature_window are of data.features, and none are named",
            found=found,
            todo="pass data.features=<folder or file>, or leave them out",
        )
