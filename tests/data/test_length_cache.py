"""Lengths of media: kept between runs, asked again when a file changes, and compared with segments at setup."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from slt_zoo import How2Sign, InputSpec, Phoenix14T
from slt_zoo.data import clips, retry, time_segments
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.readers import open_reader
from slt_zoo.errors import MediaError
from slt_zoo.files import cache_folder
from slt_zoo.testing import simulated
from slt_zoo.types import Media, Sample

__all__ = ["simulated"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = {"train": "abcdefghijk", "val": "bbcdefghijk"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SLT_ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/lengths"


@pytest.fixture
def root(simulated, tmp_path) -> Path:
    return Path(shutil.copytree(simulated("Phoenix14T", samples=(6, 3, 3), seed=5), tmp_path / "corpus"))


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Ids of the samples whose media are opened for their length."""
    ids: list[str] = []

    def noted(kind, media, *, sample_id, **more):
        ids.append(sample_id)
        return open_reader(kind, media, sample_id=sample_id, **more)

    monkeypatch.setattr(clips, "open_reader", noted)
    return ids


def lengths(root: Path) -> list[int]:
    data = Phoenix14T(str(root), bucket=True, batch_size=2)
    data.bind(InputSpec(modality="pose"), ["train"])
    return data.loader("train", training=True).batches.lengths.tolist()


def test_a_file_is_asked_again_only_after_it_changed(root, asked, cache):
    first = lengths(root)
    assert len(asked) == 6 == len(first) and len(set(first)) > 1
    asked.clear()
    assert lengths(root) == first and not asked
    ids = Phoenix14T(str(root)).manifest("train").ids
    short, long = (ids[f(range(6), key=first.__getitem__)] for f in (min, max))
    (path,), (other,) = (list(root.rglob(f"{name}.pose")) for name in (short, long))
    path.write_bytes(other.read_bytes())
    changed = lengths(root)
    assert asked == [short] and changed[ids.index(short)] == max(first)
    os.utime(other, ns=(1, 1))
    asked.clear()
    assert lengths(root) == changed and asked == [long]
    assert not [p for p in cache.iterdir() if p.suffix != ".json"], "nothing half written is left"


@pytest.mark.parametrize("damage", ["{", "[]", '{"lengths": {"a": [1, 2]}}', '{"lengths": 3}', "NaN", None])
def test_a_damaged_cache_is_made_again(root, asked, cache, damage):
    first = lengths(root)
    (file,) = cache.iterdir()
    whole = json.loads(file.read_text())
    wrong = {"lengths": {key: [size, time, "x"] for key, (size, time, _) in whole["lengths"].items()}}
    file.write_text(json.dumps(wrong) if damage is None else damage)
    asked.clear()
    assert lengths(root) == first and len(asked) == 6
    assert json.loads(file.read_text()) == whole


def test_a_cache_that_cannot_be_written_is_no_error(root, asked, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SLT_ZOO_CACHE", str(tmp_path / "file"))
    assert lengths(root) == lengths(root) and len(asked) == 12


def test_a_disk_that_is_away_for_a_moment_is_asked_again(root, monkeypatch):
    first, faults = lengths(root), [OSError(errno.EIO, "I/O error")]
    monkeypatch.setattr(retry, "PAUSES", (0, 0))
    monkeypatch.setenv("SLT_ZOO_CACHE", str(root / "other"))

    def failing(kind, media, *, sample_id, **more):
        if faults:
            raise MediaError("cannot read", where=sample_id) from faults.pop()
        return open_reader(kind, media, sample_id=sample_id, **more)

    monkeypatch.setattr(clips, "open_reader", failing)
    assert lengths(root) == first and not faults


def test_all_that_is_kept_lies_in_one_folder(monkeypatch, tmp_path):
    assert cache_folder("lengths") == tmp_path / "cache/lengths"
    for unset in ("", None):
        monkeypatch.delenv("SLT_ZOO_CACHE") if unset is None else monkeypatch.setenv("SLT_ZOO_CACHE", unset)
        assert cache_folder("stream") == Path.home() / ".cache/slt_zoo/stream"


def how2sign(root: Path, **times: list[tuple[float, float]]) -> Path:
    header = ["VIDEO_ID", "VIDEO_NAME", "SENTENCE_ID", "SENTENCE_NAME", "START_REALIGNED", "END_REALIGNED", "SENTENCE"]
    for split, rows in times.items():
        name, lines = NAMES[split], ["\t".join(header)]
        for n, (start, end) in enumerate(rows):
            cells = [name, f"{name}-5-rgb_front", f"{name}_{n}", f"{name}_{n}-5-rgb_front", str(start), str(end)]
            lines.append("\t".join([*cells, f"Sentence {n}."]))
        (root / f"how2sign_realigned_{split}.csv").write_text("\n".join(lines) + "\n", "utf-8")
        path = root / f"videos/{name}-5-rgb_front.mp4"
        path.parent.mkdir(exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width = stream.height = 32
            for _ in range(50):
                image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
                container.mux(stream.encode(image))
            container.mux(stream.encode())
    return root


FRAMES = InputSpec(modality="frames")


def test_segments_past_the_end_are_told_at_setup(tmp_path, monkeypatch):
    root = str(how2sign(tmp_path, train=[(0, 1), (1.5, 2.5), (2.4, 3), (0.5, 2.05)], val=[(0, 1)]))
    with pytest.raises(MediaError, match="train: 1 of 4 segments lie past the end of their video") as error:
        How2Sign(root).bind(FRAMES, ["train", "dev"])
    told = str(error.value)
    assert "abcdefghijk_2-5-rgb_front 2.4-3 s of 2.00 s" in told and "abcdefghijk-5-rgb_front.mp4" in told
    assert "on_bad_sample='skip' goes on with 3" in told
    data = How2Sign(root, on_bad_sample="skip")
    with pytest.warns(UserWarning, match="1 segments end past the end of their video and are cut: abcdefghijk_1-5"):
        data.bind(FRAMES, ["train", "dev"])
    gone = "abcdefghijk_2-5-rgb_front"
    assert data.skipped == {"train": {gone: "whose segment lies past the end of its video"}}
    assert len(data.manifest("train")) == 3 and gone not in data.manifest("train").ids


def test_the_length_of_each_video_is_asked_once_and_kept(tmp_path, monkeypatch):
    root, asked = str(how2sign(tmp_path, train=[(0, 1), (1, 2), (0.5, 2)], val=[(0, 1)])), []
    seconds = time_segments._seconds
    monkeypatch.setattr(time_segments, "_seconds", lambda *given: asked.append(given[1].path) or seconds(*given))
    How2Sign(root).bind(FRAMES, ["train", "dev"])
    assert [Path(p).name[:11] for p in asked] == ["abcdefghijk", "bbcdefghijk"]
    asked.clear()
    How2Sign(root).bind(FRAMES, ["train", "dev"])
    assert not asked
    how2sign(tmp_path, val=[(2.5, 3)])
    os.utime(tmp_path / "videos/bbcdefghijk-5-rgb_front.mp4", ns=(1, 1))
    with pytest.raises(MediaError, match="dev: 1 of 1 segments lie past the end"):
        How2Sign(root, on_bad_sample="skip").bind(FRAMES, ["dev"])
    assert len(asked) == 1


def test_a_video_that_cannot_be_opened_is_told_when_its_turn_comes(tmp_path):
    root = str(how2sign(tmp_path, train=[(0, 1)]))
    (tmp_path / "videos/abcdefghijk-5-rgb_front.mp4").write_bytes(b"\0\0\0\x18ftypmp42cut off")
    data = How2Sign(root)
    data.bind(FRAMES, ["train"])
    with pytest.raises(MediaError, match="incomplete"):
        next(iter(data.loader("train")))


def test_parts_of_arrays_are_compared_too(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((100, 2), np.float32))
    times = {"whole": (None, None), "in": (1, 4), "late": (4, None), "cut": (1, 9), "out": (5, 6), "unknown": (5, 6)}
    samples = [
        Sample(name, "train", "text", "en", "ase", media={"features": Media(str(tmp_path / "a.npy"), *part, fps=25)})
        for name, part in times.items()
    ]
    samples[-1] = replace(samples[-1], media={"features": Media(str(tmp_path / "none.npy"), 5, 6, fps=25)})
    found = time_segments.compare_segments(Manifest(samples, corpus="C", split="train"), "features")
    assert list(found.outside) == ["late", "out"] and list(found.cut) == ["cut"] and list(found.unknown) == ["unknown"]
    assert found.outside["late"] == "late 4-4 s of 4.00 s" and "none.npy" in found.unknown["unknown"]
