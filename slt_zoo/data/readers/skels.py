"""``.skels`` text of Progressive Transformers: one line a sequence, 50 joints in three dimensions and a counter."""

from __future__ import annotations

import gzip
import re
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slt_zoo.data.annotations import read_text
from slt_zoo.data.compressed import ExpandsTooFarError, is_gzip, open_bounded
from slt_zoo.data.ids import bare_id
from slt_zoo.data.pose_layouts import LAYOUTS
from slt_zoo.data.readers.pose import PoseArrays, check_layout
from slt_zoo.errors import MediaError, MissingMediaError, nearest
from slt_zoo.types import Media

__all__ = ["load_skels", "skels_ids"]

_COLUMNS = 151  # 50 x 3 and the counter


def skels_ids(path: str | Path) -> list[str]:
    """Sample ids of a ``.skels`` file, in its order, without split prefix, from the ``.files`` beside it.

    Raises:
        MissingMediaError: the list is not there.
    """
    path = Path(path)
    companion = path.with_name(re.sub(r"\.skels(\.gz)?$", ".files", path.name))
    if not companion.is_file():
        raise MissingMediaError(
            "a .skels file needs the list of its samples",
            where=repr(str(path)),
            expected=repr(str(companion)),
            found="no such file",
        )
    stat = companion.stat()
    return list(_ids(str(companion), stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=8)
def _ids(path: str, mtime: int, size: int) -> tuple[str, ...]:
    """Kept while the list stays as it is, since a corpus asks once a sample."""
    lines = read_text(Path(path)).split("\n")
    return tuple(bare_id(li.strip())[0] for li in lines if li.strip())


def load_skels(path: Path, media: Media, where: str) -> PoseArrays:
    """The sequence ``media.item`` of a ``.skels`` or ``.skels.gz`` file.

    The format has neither confidence nor frame rate, so all points count as seen, the neck (the origin) included. A
    plain file is indexed once and read line by line; a gzipped one cannot be entered in the middle, so all of it
    stays in memory (over a kilobyte a frame, 1 GB for the whole of PHOENIX14T): unpack large ones.

    Raises:
        MediaError: no such sequence, or a line that is no sequence.
    """
    stat = path.stat()
    check_layout(LAYOUTS["skels50"], media.layout, where)
    try:
        index = _index(str(path), stat.st_mtime_ns, stat.st_size)
    except ExpandsTooFarError as cause:
        raise MediaError(str(cause.strerror), where=where, found=f"{stat.st_size} bytes of gzip") from cause
    except (EOFError, zlib.error, gzip.BadGzipFile) as cause:
        raise MediaError(f"the gzip file is cut off or damaged: {cause}", where=where) from cause
    item = media.item or ""
    if item not in index.lines:
        near = nearest(item, index.lines)
        raise MediaError(
            f"no sequence {item!r} among {len(index.lines)}",
            where=where,
            found=f"similar: {', '.join(near)}" if near else None,
            todo="set item of the media to the sample's id as in the .files beside it, without split prefix",
        )
    coords = index.sequence(index.lines[item], where)
    return PoseArrays(coords[:, None], None, LAYOUTS["skels50"])


class _SkelsIndex:
    """Where each sequence of a file is, or, for a gzipped file, what it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        ids = skels_ids(path)
        self.lines = {sample_id: line for line, sample_id in enumerate(ids)}
        zipped = path.suffix == ".gz"
        if zipped and not is_gzip(path):
            raise gzip.BadGzipFile("it does not begin as gzip files do")
        self._kept: list[bytes | NDArray[np.float32]] = []
        self._offsets = [0]
        with open_bounded(path) as file:
            for text in file:
                self._offsets.append(self._offsets[-1] + len(text))
                if zipped:
                    self._kept.append(text)
        if len(self._offsets) - 1 != len(ids):
            raise MediaError(
                "a .skels file and its list of samples differ",
                where=repr(str(path)),
                expected=f"{len(ids)} lines, as in the .files beside it",
                found=f"{len(self._offsets) - 1} lines",
            )

    def sequence(self, line: int, where: str) -> NDArray[np.float32]:
        """Coordinates ``(T, 50, 3)`` of a line (from 0)."""
        if not self._kept:
            with self.path.open("rb") as file:
                file.seek(self._offsets[line])
                return _parse(file.read(self._offsets[line + 1] - self._offsets[line]), line, where)
        kept = self._kept[line]
        if isinstance(kept, bytes):
            kept = self._kept[line] = _parse(kept, line, where)
        return kept


@lru_cache(maxsize=8)
def _index(path: str, mtime: int, size: int) -> _SkelsIndex:
    """Kept while the file stays as it is: time and size are part of the key."""
    return _SkelsIndex(Path(path))


def _parse(text: bytes, line: int, where: str) -> NDArray[np.float32]:
    where = f"{where}, line {line + 1}"
    words = text.split()
    if not words:
        raise MediaError("0 frames in a .skels line", where=where)
    if len(words) % _COLUMNS:
        raise MediaError(
            "a .skels line has a wrong number of columns",
            where=where,
            expected=f"a multiple of {_COLUMNS}: 50 joints x 3 and a counter a frame",
            found=f"{len(words)} numbers, {len(words) % _COLUMNS} more than {len(words) // _COLUMNS} frames",
        )
    try:
        numbers = np.array(words, dtype=np.float32).reshape(-1, _COLUMNS)
    except ValueError as cause:
        raise MediaError(f"not a number in a .skels line: {cause}", where=where) from cause
    counter = numbers[:, -1]
    if not (np.diff(counter) > 0).all() or not (counter[0] >= 0 and counter[-1] <= 1):
        bad = int(np.argmin(np.diff(counter) > 0)) + 1 if len(counter) > 1 else 0
        raise MediaError(
            f"the last of {_COLUMNS} columns should count from 0 to 1",
            where=f"{where}, frame {bad}",
            found=f"{counter[max(bad - 1, 0)]:g} then {counter[bad]:g}",
            todo="these columns are not 50 joints and a counter",
        )
    return np.ascontiguousarray(numbers[:, :-1]).reshape(-1, 50, 3)
