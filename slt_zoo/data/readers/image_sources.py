"""Where the images of a sample lie: a folder of PNG or JPEG, or an LMDB environment; in the order of their numbers."""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from numbers import Integral
from pathlib import Path
from typing import Protocol

from slt_zoo.data.readers.base import place, warn_few
from slt_zoo.data.readers.lmdb_file import DATA_FILE, LmdbFile, is_lmdb
from slt_zoo.data.readers.plain_pickle import load_pickled
from slt_zoo.errors import MediaError, first_few

__all__ = ["Images", "holds_images", "open_images"]

log = logging.getLogger(__name__)

_SUFFIXES = (".png", ".jpg", ".jpeg")
_DETAILS = b"details"
_EXPECTED = "a dict {'num_frames': a number, 'id': a name}"
_SPLITS = {"train", "dev", "val", "test"}


class Images(Protocol):
    """Images of one sample, listed and not decoded."""

    @property
    def numbers(self) -> list[int]:
        """Of the images, ascending; at least one."""

    @property
    def gap(self) -> int | None:
        """The first number that is missing."""

    def name(self, row: int) -> str:
        """Of the image in this row of ``numbers``, for messages."""

    def opened(self) -> AbstractContextManager[Callable[[int], Path | bytes]]:
        """Context in which images are had: gives a function from a row to a file or to what is in it."""


def open_images(folder: Path, sample_id: str) -> Images:
    """Images of a folder: of the LMDB file in it, where there is one, else the PNG and JPEG files.

    Args:
        folder: of the sample.
        sample_id: for messages, and for the name that an LMDB environment has of itself.

    Raises:
        MediaError: no folder, no image in it, names that give no order, or an LMDB environment that is damaged or of
            another sample.
    """
    if not folder.is_dir():
        raise MediaError("frames are read from a folder of PNG or JPEG", where=place(sample_id, folder))
    images: Images = _LmdbImages(folder, sample_id) if is_lmdb(folder) else _ImageFolder(folder, sample_id)
    if images.gap is not None:
        text = f"the frames have a gap, first missing number {images.gap}"
        warn_few("gaps in frame numbers", place(sample_id, folder), lambda: text)
    return images


def holds_images(folder: Path) -> bool:
    """Whether a folder is one that `open_images` reads, as far as names tell."""
    names = os.listdir(folder)  # noqa: PTH208  # no Path an image
    return any(name == DATA_FILE or name.lower().endswith(_SUFFIXES) for name in names) or (folder / "1").is_dir()


class _ImageFolder:
    """Files in the order of the last number in their names; what is no image by its ending is not seen.

    Images may also lie in a folder ``1`` within, as in PHOENIX-2014 and copies laid out after it.
    """

    def __init__(self, folder: Path, sample_id: str) -> None:
        files = _list_images(folder, sample_id)
        if not files and (folder / "1").is_dir():
            log.debug("sample %s: frames are in the folder '1'", sample_id)
            files = _list_images(folder / "1", sample_id)
        if not files:
            raise MediaError(f"sample {sample_id}: 0 frames in {str(folder)!r}", expected="PNG or JPEG files")
        self.numbers, self._files = list(files), list(files.values())
        self.gap = _first_gap(self.numbers)

    def name(self, row: int) -> str:
        return repr(str(self._files[row]))

    @contextmanager
    def opened(self) -> Iterator[Callable[[int], Path]]:
        yield self._files.__getitem__


def _list_images(folder: Path, sample_id: str) -> dict[int, Path]:
    """Images by frame number, in its order."""
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if e.name.lower().endswith(_SUFFIXES) and not e.name.startswith("."))
    files: dict[int, Path] = {}
    for name in names:
        numbers = re.findall(r"\d+", Path(name).stem)
        if not numbers:
            raise MediaError(
                "an image without a frame number in its name",
                where=place(sample_id, folder),
                found=first_few([n for n in names if not re.search(r"\d", Path(n).stem)]),
                todo="remove it, or number it",
            )
        number = int(numbers[-1])
        if number in files:
            raise MediaError(
                f"two images for frame {number}",
                where=place(sample_id, folder),
                found=f"{files[number].name!r} and {name!r}",
                todo="remove one of them",
            )
        files[number] = folder / name
    return dict(sorted(files.items()))


class _LmdbImages:
    """Values of an LMDB environment whose keys are numbers from 0 on, as Sign2GPT keeps the frames of a video.

    ``details``, a pickled dict, is compared where it is there: ``id`` must be the sample's, with or without levels in
    front, and ``num_frames`` should be the number of images. Other keys are not seen.
    """

    def __init__(self, folder: Path, sample_id: str) -> None:
        self._path, self._where = folder / DATA_FILE, place(sample_id, folder / DATA_FILE)
        self._file = LmdbFile(self._path, self._where)
        values = {
            int(key): (key, value) for key, value in self._file.values.items() if re.fullmatch(rb"0|[1-9]\d*", key)
        }
        self.numbers = sorted(values)
        self.gap = _first_gap([-1, *self.numbers])
        self._values = [values[number] for number in self.numbers]
        if not values:
            keys = [key.decode("ascii", "backslashreplace")[:40] for key in self._file.values]
            raise MediaError(
                "0 frames in the LMDB file",
                where=self._where,
                expected="keys '0', '1', ... with a JPEG or PNG each",
                found=f"keys {first_few(keys)}" if keys else "no keys",
            )
        self._compare_details(folder, sample_id)

    def name(self, row: int) -> str:
        return f"key '{self._values[row][0].decode('ascii')}' of {str(self._path)!r}"

    @contextmanager
    def opened(self) -> Iterator[Callable[[int], bytes]]:
        with self._file.opened() as read:
            yield lambda row: read(self._values[row][1])

    def _compare_details(self, folder: Path, sample_id: str) -> None:
        if _DETAILS not in self._file.values:
            warn_few("LMDB files without 'details'", self._where, lambda: "no key 'details': nothing to compare with")
            return
        where = f"{self._where}, key 'details'"
        with self._file.opened() as read:
            details = load_pickled(read(self._file.values[_DETAILS]), where)
        if not isinstance(details, dict):
            raise MediaError("not a dict", where=where, expected=_EXPECTED, found=f"a {type(details).__name__}")
        name, count = details.get("id"), details.get("num_frames")
        if not isinstance(name, str) or not isinstance(count, Integral):
            found = first_few([f"{_word(key)}: {type(value).__name__}" for key, value in details.items()])
            warn_few(
                "LMDB files with other 'details'", where, lambda: f"expected {_EXPECTED}, found {found or 'nothing'}"
            )
        if isinstance(name, str) and not _is_name_of(name, sample_id, folder.name):
            raise MediaError(
                "the LMDB file says that it is of another sample",
                where=where,
                expected=f"id {sample_id!r}, with or without the split in front",
                found=f"id {name[:200]!r}",
                todo="put it in the folder of that sample",
            )
        if isinstance(count, Integral) and count != len(self.numbers):
            gap = "" if self.gap is None else f" (first missing number {self.gap})"
            text = f"num_frames is {_word(count)}, {len(self.numbers)} found{gap}; what was found is used"
            warn_few("frame counts other than in 'details'", where, lambda: text)


def _is_name_of(name: str, sample_id: str, folder: str) -> bool:
    """Whether a name is the sample's or its folder's, with levels in front or without those of the sample's."""
    found = unicodedata.normalize("NFC", name).split("/")
    wanted = unicodedata.normalize("NFC", sample_id).split("/")
    same = min(len(found), len(wanted))
    if found[-same:] == wanted[-same:]:
        return True
    return found[-1] == unicodedata.normalize("NFC", folder) and set(found[:-1]) <= _SPLITS


def _word(value: object) -> str:
    """Something out of a file for a message: whole numbers may have millions of digits there."""
    if isinstance(value, str):
        return repr(value[:20])
    return str(value) if isinstance(value, Integral) and abs(int(value)) < 2**63 else f"some {type(value).__name__}"


def _first_gap(numbers: list[int]) -> int | None:
    return next((a + 1 for a, b in pairwise(numbers) if b != a + 1), None)
