"""The reader of poses in `.npy`."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from slt_zoo.data.pose_layouts import LAYOUTS
from slt_zoo.data.readers import base, open_reader
from slt_zoo.errors import MediaError
from slt_zoo.types import Media


@pytest.fixture(autouse=True)
def _nothing_told():
    base._told.clear()


def read(path, index=None, sample_id="s1", **media):
    reader = open_reader("pose", Media(str(path), **media), sample_id=sample_id)
    return reader.read(torch.arange(reader.num_frames) if index is None else torch.tensor(index))


def save(path, array):
    np.save(path, array)
    return path


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("dims", [2, 3])
def test_array_layouts(tmp_path, layout, dims):
    count = len(LAYOUTS[layout])
    array = np.random.default_rng(0).uniform(0.1, 1, (5, count, dims)).astype(np.float32)
    third_is_confidence = layout in ("openpose137", "wholebody133") and dims == 3
    got = read(save(tmp_path / "a.npy", array))  # the layout is guessed
    assert got["points"] == LAYOUTS[layout]
    assert torch.equal(got["pose"], torch.from_numpy(array[..., :2] if third_is_confidence else array))
    conf = array[..., 2] if third_is_confidence else np.ones((5, count), np.float32)
    assert torch.equal(got["conf"], torch.from_numpy(conf))
    for shape in ((5, -1), (5, 1, count, dims)):
        again = read(save(tmp_path / "b.npy", np.asfortranarray(array.reshape(shape), dtype=np.float64)), layout=layout)
        assert torch.equal(got["pose"], again["pose"]) and torch.equal(got["conf"], again["conf"])


def test_array_guess_is_said(tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "slt_zoo")
    read(save(tmp_path / "a.npy", np.ones((5, 133, 2))))
    assert "taken as wholebody133" in caplog.text


def test_array_persons(tmp_path):
    array = np.random.default_rng(0).uniform(0.1, 0.5, (5, 2, 137, 3)).astype(np.float32)
    array[:, 1, :, 2] = 0.9
    got = read(save(tmp_path / "a.npy", array))
    assert torch.equal(got["pose"], torch.from_numpy(array[:, 1, :, :2]))


@pytest.mark.parametrize("dims", [2, 3])
def test_array_persons_without_confidence(tmp_path, dims):
    """Who signs would be a guess; where the others are missing throughout, it is none."""
    mediapipe = np.random.default_rng(0).normal(size=(5, 2, 543, dims)).astype(np.float32)
    with pytest.raises(MediaError, match="2 persons without confidence") as error:
        read(save(tmp_path / "b.npy", mediapipe))
    for part in ("s1", "b.npy", f"(5, 2, 543, {dims})", "the highest is taken", "numpy.save"):
        assert part in str(error.value)
    mediapipe[:, 0] = np.nan
    assert torch.equal(read(save(tmp_path / "c.npy", mediapipe))["pose"], torch.from_numpy(mediapipe[:, 1]))
    alone = mediapipe[:, 1:]
    assert torch.equal(read(save(tmp_path / "d.npy", alone))["pose"], torch.from_numpy(alone[:, 0]))
    mediapipe[:] = np.nan
    with pytest.raises(MediaError, match="no point is valid"):
        read(save(tmp_path / "e.npy", mediapipe))


def test_openpose_persons_without_confidence(tmp_path):
    array = np.random.default_rng(0).uniform(1, 200, (5, 3, 137, 2)).astype(np.float32)
    with pytest.raises(MediaError, match="3 persons without confidence"):
        read(save(tmp_path / "a.npy", array))
    array[:, [0, 2]] = 0  # how that program has a person who is not there
    assert torch.equal(read(save(tmp_path / "b.npy", array))["pose"], torch.from_numpy(array[:, 1]))


def test_array_missing_is_nan(tmp_path, caplog):
    array = np.ones((5, 75, 2), np.float32)
    array[1, 3:6] = np.nan
    got = read(save(tmp_path / "a.npy", array), layout="holistic75")
    assert not got["conf"][1, 3:6].any() and not got["pose"][1, 3:6].any()
    assert int((got["conf"] == 1).sum()) == 5 * 75 - 3
    assert not caplog.records  # how such arrays say it
    array[4, 0, 0] = np.inf
    got = read(save(tmp_path / "b.npy", array), layout="holistic75")
    assert got["conf"][4, 0] == 0
    assert "1 points are NaN or infinite, first in frame 4" in caplog.text


def test_zeros_are_points(tmp_path):
    got = read(save(tmp_path / "a.npy", np.zeros((2, 50, 3))))
    assert bool((got["conf"] == 1).all())


@pytest.mark.parametrize(
    ("shape", "layout", "parts"),
    [
        (
            (5, 133, 2),
            "openpose137",
            ["133 points", "COCO-WholeBody", "set to openpose137", "data.pose_layout=wholebody133"],
        ),
        ((5, 399), "openpose137", ["399 numbers a frame", "COCO-WholeBody", "data.pose_layout=wholebody133"]),
        ((5, 140, 2), "openpose137", ["140 points; the dataset is set to openpose137", "137 points"]),
        ((5, 140, 2), None, ["cannot be told from the shape (5, 140, 2)", "openpose137 (137)"]),
        ((5, 150), None, ["cannot be told", "'skels50'", "'holistic75'", " or "]),
        ((5, 42, 2), None, ["cannot be told", "'hands42' by the shape"]),
        ((5, 543, 4), None, ["cannot be told"]),
        ((543,), None, ["2 to 4 axes", "(543,)"]),
    ],
)
def test_array_of_another_layout(tmp_path, shape, layout, parts):
    with pytest.raises(MediaError) as error:
        read(save(tmp_path / "a.npy", np.ones(shape)), layout=layout)
    for part in (*parts, "s1", "a.npy"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array([{"a": 1}], dtype=object), r"pickled object[\s\S]*refused[\s\S]*convert it: numpy\.save"),
        (np.zeros((0, 50, 3)), r"0 frames in an array of shape \(0, 50, 3\)"),
        (np.zeros((5, 50, 3), complex), "real numbers"),
        (np.float32(3), "0 frames|2 to 4 axes"),
    ],
)
def test_array_that_is_none(tmp_path, content, message):
    np.save(tmp_path / "a.npy", content, allow_pickle=True)
    with pytest.raises(MediaError, match=message) as error:
        read(tmp_path / "a.npy")
    assert "s1" in str(error.value) and "a.npy" in str(error.value)


def test_array_file_that_is_none(tmp_path):
    path = save(tmp_path / "a.npy", np.zeros((5, 50, 3)))
    whole = path.read_bytes()
    for content, message in [
        (b"", "not a .npy file"),
        (b"hello", "not a .npy file"),
        (b"\x80\x04K\x01.", "refused"),
        (whole[:-8], "cannot read as .npy"),
        (whole[:50], "cannot read as .npy"),
    ]:
        path.write_bytes(content)
        with pytest.raises(MediaError, match=message):
            read(path)


def test_part_of_a_read_is_the_read_of_a_part(tmp_path):
    array = np.random.default_rng(1).normal(size=(30, 75, 3))
    array[4, 5:9] = np.nan
    media = Media(str(save(tmp_path / "a.npy", array)), layout="holistic75")
    reader = open_reader("pose", media, sample_id="s1")
    whole = reader.read(torch.arange(reader.num_frames))
    rng = np.random.default_rng(0)
    for _ in range(10):
        index = torch.from_numpy(rng.integers(0, reader.num_frames, rng.integers(1, 40)))
        part = open_reader("pose", media, sample_id="s1").read(index)
        assert torch.equal(part["pose"], whole["pose"][index]) and torch.equal(part["conf"], whole["conf"][index])
        assert part["points"] == whole["points"]
    first = reader.read(torch.tensor([0]))["pose"]
    first += 1  # a caller may change what it got
    assert torch.equal(reader.read(torch.tensor([0]))["pose"], whole["pose"][:1])


def test_no_permission(tmp_path, monkeypatch):
    path = save(tmp_path / "a.npy", np.zeros((5, 50, 3)))

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MediaError, match=r"cannot read: Permission denied[\s\S]*s1.*a\.npy") as error:
        read(path)
    assert isinstance(error.value.__cause__, PermissionError)


def test_openpose_without_confidence_has_its_missing_points(tmp_path):
    """(0, 0) is how OpenPose says missing; in other layouts a zero is a place."""
    for layout, points, seen in (("openpose137", 137, 0.0), ("wholebody133", 133, 1.0)):
        array = np.random.default_rng(0).uniform(50, 500, (5, points, 2)).astype(np.float32)
        array[:, 95:98] = 0
        np.save(tmp_path / "a.npy", array)
        media = Media(str(tmp_path / "a.npy"), layout=layout, fps=25.0)
        clip = open_reader("pose", media, sample_id="a").read(torch.arange(5))
        assert (clip["conf"][:, 95:98] == seen).all() and (clip["conf"][:, :95] == 1).all()
        assert not clip["pose"][:, 95:98].any()


@pytest.mark.parametrize("confidence", [1.0, 0.5])
def test_equal_confidences_decide_nothing(tmp_path, confidence):
    array = np.random.default_rng(0).uniform(1, 200, (20, 3, 133, 3)).astype(np.float32)
    array[..., 2] = confidence
    array[:, 2, :, 2] = 0.1  # one of the three is out
    with pytest.raises(MediaError, match="2 persons with the same confidence: which one signs") as error:
        read(save(tmp_path / "a.npy", array))
    for part in ("s1", "a.npy", "(20, 3, 133)", "the highest is taken", "numpy.save"):
        assert part in str(error.value)
    array[3, 1, 5, 2] += 0.2  # a point of one frame tells
    assert torch.equal(read(save(tmp_path / "b.npy", array))["pose"], torch.from_numpy(array[:, 1, :, :2]))
    array[..., 2] = 0
    with pytest.raises(MediaError, match="no point is valid"):
        read(save(tmp_path / "c.npy", array))


@pytest.mark.parametrize("shape", [(2, 40, 133, 3), (1, 40, 133, 3), (40, 9, 133, 3), (1, 2, 75, 2)])
def test_exchanged_axes_are_no_persons(tmp_path, shape):
    array = np.random.default_rng(0).uniform(1, 200, shape).astype(np.float32)
    with pytest.raises(MediaError, match=rf"{shape[1]} persons in {shape[0]} frames: are the axes exchanged") as error:
        read(save(tmp_path / "a.npy", array))
    for part in ("s1", "a.npy", str(shape), "swapaxes(0, 1)"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("shape", "what"), [((5, 0, 133, 3), "0 persons"), ((5, 0, 3), "0 points"), ((0, 2, 133, 3), "0 frames")]
)
def test_the_axis_that_is_empty_is_named(tmp_path, shape, what):
    with pytest.raises(MediaError, match=f"^{what} in an array of shape"):
        read(save(tmp_path / "a.npy", np.zeros(shape, np.float32)))
