"""The reader of feature vectors."""

import logging

import numpy as np
import pytest
import torch

from slt_zoo.data.readers import base, open_reader
from slt_zoo.errors import MediaError
from slt_zoo.types import Media


@pytest.fixture(autouse=True)
def _nothing_told():
    base._told.clear()


def open_features(path, array=None, **media):
    if array is not None:
        np.save(path, array)
    return open_reader("features", Media(str(path), **media), sample_id="s1")


def read(path, array=None, index=None, **media):
    reader = open_features(path, array, **media)
    return reader.read(torch.arange(reader.num_frames) if index is None else torch.tensor(index))["features"]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "int64", "uint8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_types_and_orders(tmp_path, dtype, order):
    array = np.asarray(np.random.default_rng(0).uniform(0, 200, (9, 16)), dtype=dtype, order=order)
    features = read(tmp_path / "a.npy", array)
    assert features.dtype == torch.float32 and features.is_contiguous()
    assert torch.equal(features, torch.from_numpy(array.astype(np.float32)))
    features += 1  # memory of its own: the file is not touched
    assert torch.equal(read(tmp_path / "a.npy"), torch.from_numpy(array.astype(np.float32)))
    for index in ([3], [8, 0, 0, 5]):
        assert torch.equal(read(tmp_path / "a.npy", index=index), torch.from_numpy(array.astype(np.float32))[index])


def test_rate_is_that_of_the_vectors(tmp_path):
    reader = open_features(tmp_path / "a.npy", np.zeros((25, 4)), fps=25.0, stride=4, window=16)
    assert (reader.num_frames, reader.fps) == (25, 6.25)
    assert open_features(tmp_path / "a.npy", fps=25.0).fps == 25
    assert open_features(tmp_path / "a.npy", stride=4).fps is None


def test_segment(tmp_path):
    array = np.arange(25, dtype=np.float32)[:, None]
    part = read(tmp_path / "a.npy", array, fps=25.0, stride=4, start=0.8, end=2.4)
    assert part[:, 0].tolist() == list(range(5, 15))
    with pytest.raises(MediaError, match=r"past the end \(4.00 s\)"):
        read(tmp_path / "a.npy", fps=25.0, stride=4, start=4.0)


def test_not_finite(tmp_path):
    array = np.zeros((30, 8), np.float32)
    array[17, 2:5], array[20, 0] = np.nan, np.inf
    with pytest.raises(MediaError, match=r"4 numbers[\s\S]*s1.*a\.npy[\s\S]*2 of 30 rows read, first row 17"):
        read(tmp_path / "a.npy", array)
    with pytest.raises(MediaError, match="first row 20"):
        read(tmp_path / "a.npy", index=[21, 20, 3])
    assert read(tmp_path / "a.npy", index=[16, 18]).shape == (2, 8)
    with pytest.raises(MediaError, match="1 numbers"):
        read(tmp_path / "b.npy", np.array([[1e300]]))  # beyond float32


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(1024), r"two axes[\s\S]*\(1024,\)"),
        (np.zeros((1, 9, 1024)), r"two axes[\s\S]*\(1, 9, 1024\)"),
        (np.zeros((0, 1024)), "0 frames in an array of shape"),
        (np.zeros((9, 0)), "0 numbers a frame in an array of shape"),
        (np.array([["a"]]), "real numbers"),
        (np.array([True]), "real numbers"),
        (np.array([[None]], dtype=object), r"refused[\s\S]*allow_pickle"),
    ],
)
def test_no_features(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(MediaError, match=message) as error:
        read(tmp_path / "a.npy")
    assert "s1" in str(error.value) and "a.npy" in str(error.value)


def test_no_feature_file(tmp_path):
    (tmp_path / "a.txt").write_text("1 2 3")
    with pytest.raises(MediaError, match=r"not a file of features[\s\S]*\.npy"):
        read(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("count", "media", "message"),
    [
        (27, {"num_frames": 108}, "T=27 features for 108 frames: stride 4? data.feature_stride=4"),
        (107, {"num_frames": 108}, "108 frames annotated, 107 found"),
        (108, {"num_frames": 108}, None),
        (27, {"num_frames": 108, "stride": 4}, None),
        (24, {"num_frames": 108, "stride": 4, "window": 16}, None),  # without padding at the ends
        (20, {"num_frames": 108, "stride": 4, "window": 16}, "T=20 features for 108 frames at stride 4"),
        (20, {"num_frames": 108, "stride": 4, "start": 0.0, "fps": 25.0}, None),  # a part of a longer file
    ],
)
def test_length_against_frames(tmp_path, caplog, count, media, message):
    open_features(tmp_path / "a.npy", np.zeros((count, 4)), **media)
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == (message is not None)
    assert message is None or (message in warnings[0] and "s1" in warnings[0])


@pytest.mark.parametrize(("name", "rows"), [("sample_01", 23), ("sample_02", 18)])
def test_real_features(shared_data, name, rows):
    path = shared_data / "features" / "multimodalhugs" / f"{name}.npy"
    features = read(path)
    assert features.shape == (rows, 1024)
    assert torch.equal(features, torch.from_numpy(np.load(path)))
