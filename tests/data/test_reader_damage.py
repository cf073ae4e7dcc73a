"""Media files with damaged bytes: they are read, or refused with a `MediaError`; nothing else ever comes out.

What is read then is not looked at: a byte of a picture or a number can be any other, and no reader can know.
"""

from __future__ import annotations

import gzip
import json
import logging
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lmdb_folders import details_of, write_lmdb
from PIL import Image
from safetensors.numpy import save_file

from slt_zoo.data.readers import open_reader
from slt_zoo.errors import MediaError, MissingMediaError
from slt_zoo.types import Media

RNG = np.random.default_rng(0)


def features(path: Path) -> None:
    np.save(path, RNG.normal(size=(6, 4)).astype(np.float32))


def poses(path: Path) -> None:
    np.save(path, RNG.normal(size=(3, 50, 3)).astype(np.float32))


def tensors(path: Path) -> None:
    save_file({"a": np.ones((6, 4), np.float32)}, path)


def torch_file(path: Path) -> None:
    torch.save({"a": torch.ones(6, 4)}, path)


def signs(path: Path) -> None:
    rows = [{"name": "train/a", "sign": torch.ones(6, 4)}, {"name": "train/b", "sign": np.ones((6, 4))}]
    data = pickle.dumps(rows)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def persons(path: Path) -> None:
    rows = {"keypoints": [np.ones((1, 133, 2))] * 2, "scores": [np.ones((1, 133))] * 2}
    path.write_bytes(pickle.dumps(rows))


def skels(path: Path) -> None:
    line = " ".join(f"{v:.2f}" for t in range(2) for v in [*RNG.normal(size=150), t / 2]) + "\n"
    path.write_bytes(gzip.compress(line.encode(), mtime=0) if path.suffix == ".gz" else line.encode())
    path.with_name("train.files").write_text("a\n", encoding="utf-8")


def pose_file(path: Path) -> None:
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

    component = PoseHeaderComponent("POSE_LANDMARKS", ["NOSE", "LEFT_EYE"], [(0, 1)], [(255, 0, 0)], "XYZC")
    header = PoseHeader(0.2, PoseHeaderDimensions(10, 10, 0), [component])
    body = NumPyPoseBody(25.0, RNG.normal(size=(3, 1, 2, 3)).astype(np.float32), np.ones((3, 1, 2), np.float32))
    with path.open("wb") as file:
        Pose(header, body).write(file)


def keypoints(path: Path) -> None:
    parts = {"pose": 25, "face": 70, "hand_left": 21, "hand_right": 21}
    person = {f"{part}_keypoints_2d": [1.5] * 3 * count for part, count in parts.items()}
    path.write_text(json.dumps({"people": [person]}), encoding="utf-8")


def picture(path: Path) -> None:
    Image.fromarray(RNG.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path)


def database(path: Path) -> None:
    image = path.with_name("image.jpg")
    picture(image)
    write_lmdb(path.parent, [image.read_bytes()] * 2, details_of(2, "a"))
    image.unlink()


def video(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        for shade in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), shade * 20, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


FILES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a.npy": ("features", features),
    "pose.npy": ("pose", poses),
    "a.safetensors": ("features", tensors),
    "a.pt": ("features", torch_file),
    "train.pkl": ("features", signs),
    "train.gz": ("features", signs),
    "persons.pkl": ("pose", persons),
    "train.skels": ("pose", skels),
    "train.skels.gz": ("pose", skels),
    "a.pose": ("pose", pose_file),
    "json/a_000000000000_keypoints.json": ("pose", keypoints),
    "png/images0001.png": ("frames", picture),
    "jpg/000000.jpg": ("frames", picture),
    "lmdb/data.mdb": ("frames", database),
    "a.mp4": ("frames", video),
    "a.mkv": ("frames", video),
}
HEADERS = [
    b"(" * 4000,
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904)}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}",
    b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 4)}",
    b"[]",
]


def opened(name: str, path: Path) -> None:
    folder = "/" in name
    media = Media(str(path.parent if folder else path), item=None if folder else "a", fps=25, num_frames=3)
    reader = open_reader(FILES[name][0], media, sample_id="a")
    reader.read(torch.arange(reader.num_frames)[:5])


@pytest.mark.parametrize("examples", [60, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FILES)
def test_damaged_bytes(name, examples, tmp_path, caplog):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    FILES[name][1](path)
    whole = path.read_bytes()
    caplog.set_level(logging.ERROR, "slt_zoo")  # until the test is over
    caplog.set_level(logging.CRITICAL, "libav")
    opened(name, path)  # the undamaged file
    place = st.integers(0, len(whole) - 1) | st.integers(0, min(200, len(whole) - 1))

    @settings(max_examples=examples, derandomize=True, deadline=None, database=None)
    @given(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=4), st.none() | place)
    def check(changes, cut):
        data = bytearray(whole)
        for at, byte in changes:
            data[at] = byte
        path.write_bytes(bytes(data if cut is None else data[:cut]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                opened(name, path)
            except (MediaError, MissingMediaError) as error:
                assert "a" in str(error) and str(tmp_path) in str(error)

    check()


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("kind", ["pose", "features"])
def test_array_headers_that_lie(tmp_path, kind, header):
    path = tmp_path / "a.npy"
    padded = header + b" " * (63 - (len(header) + 10) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + bytes(64))
    with pytest.raises(MediaError) as error:
        open_reader(kind, Media(str(path)), sample_id="a")
    assert "sample a" in str(error.value) and str(path) in str(error.value)
