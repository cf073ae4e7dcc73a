"""Poses of image estimators: OpenPose's JSON and pickles of COCO-WholeBody."""

import gzip
import json
import logging
import pickle

import numpy as np
import pytest
import torch

from slt_zoo.data.pose_layouts import LAYOUTS
from slt_zoo.data.readers import base, open_reader
from slt_zoo.errors import MediaError
from slt_zoo.types import Media

PARTS = {"pose": 25, "face": 70, "hand_left": 21, "hand_right": 21}


@pytest.fixture(autouse=True)
def _nothing_told():
    base._told.clear()


def read(path, index=None, **media):
    reader = open_reader("pose", Media(str(path), **media), sample_id="s1")
    return reader.read(torch.arange(reader.num_frames) if index is None else torch.tensor(index))


def person(seed=0, at=0.0, conf=0.5):
    """137 points about a place, x, y, confidence."""
    points = np.random.default_rng(seed).uniform(100, 200, (137, 3))
    points[:, 0] += at
    points[:, 2] = conf
    return points.round(3)


def frame(*people, **changed):
    def parts(points):
        cuts = np.split(points, np.cumsum(list(PARTS.values()))[:-1])
        flat = {f"{p}_keypoints_2d": c.ravel().tolist() for p, c in zip(PARTS, cuts, strict=True)}
        return {"person_id": [-1], **flat, "pose_keypoints_3d": [], **changed}

    return {"version": 1.3, "people": [parts(p) for p in people]}


def write(folder, frames, name="_15CDIexNDM_0-5-rgb_front", first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for i, content in enumerate(frames, start=first):
        (folder / f"{name}_{i:012d}_keypoints.json").write_text(json.dumps(content))
    return folder


def path_of(folder, i):
    return next(folder.glob(f"*_{i:012d}_keypoints.json"))


# OpenPose


def test_openpose(tmp_path):
    people = [person(i) for i in range(12)]
    folder = write(tmp_path / "clip", [frame(p) for p in people])
    (folder / ".DS_Store").touch()
    expected = torch.from_numpy(np.stack(people).astype(np.float32))
    reader = open_reader("pose", Media(str(folder), fps=24.0), sample_id="s1")
    assert (reader.num_frames, reader.fps) == (12, 24.0)
    got = reader.read(torch.arange(12))
    assert got["points"] == LAYOUTS["openpose137"]
    assert got["pose"].shape == (12, 137, 2) and got["pose"].dtype == got["conf"].dtype == torch.float32
    assert torch.equal(got["pose"], expected[..., :2]) and torch.equal(got["conf"], expected[..., 2])
    for index in ([3], [11, 0, 0, 5]):
        part = reader.read(torch.tensor(index))
        assert torch.equal(part["pose"], got["pose"][index]) and torch.equal(part["conf"], got["conf"][index])
    assert read(folder, layout="openpose137")["pose"].shape == (12, 137, 2)
    with pytest.raises(MediaError, match="not those of wholebody133"):
        read(folder, layout="wholebody133")


def test_openpose_segment(tmp_path):
    folder = write(tmp_path / "clip", [frame(person(i)) for i in range(10)])
    path_of(folder, 9).write_text("broken, and not a part of the sample")
    got = read(folder, start=0.2, end=0.6, fps=10.0)
    assert torch.equal(got["pose"], read(folder, start=0.0, end=0.9, fps=10.0)["pose"][2:6])
    with pytest.raises(MediaError, match="needs the frame rate"):
        read(folder, start=0.2)


def test_openpose_missing_points_and_parts(tmp_path):
    points = person()
    points[[4, 100]] = 0
    folder = write(tmp_path / "clip", [frame(points), frame(person(1), face_keypoints_2d=[]), frame()])
    got = read(folder)
    missing = (got["conf"] == 0).nonzero()
    assert missing[missing[:, 0] == 0][:, 1].tolist() == [4, 100]
    assert missing[missing[:, 0] == 1][:, 1].tolist() == list(range(25, 95))
    assert missing[missing[:, 0] == 2][:, 1].tolist() == list(range(137))  # nobody there
    assert not got["pose"][got["conf"] == 0].any()


def test_openpose_nobody_at_all(tmp_path):
    with pytest.raises(MediaError, match=r"no point is valid in any of 3 frames[\s\S]*s1"):
        read(write(tmp_path / "clip", [frame()] * 3))


def test_openpose_one_person_is_followed(tmp_path, caplog):
    """OpenPose does not track: the order of people changes, the other may be seen better for a while, or alone."""
    signer = [person(i, at=0, conf=0.9 if i == 5 else 0.5) for i in range(10)]
    other = [person(100 + i, at=600, conf=0.8) for i in range(10)]
    frames = [frame(s, o) if i % 3 else frame(o, s) for i, (s, o) in enumerate(zip(signer, other, strict=True))]
    frames[4], frames[7] = frame(), frame(signer[7])
    got = read(write(tmp_path / "clip", frames))
    expected = torch.from_numpy(np.stack(signer).astype(np.float32))
    expected[4] = 0
    assert torch.equal(got["pose"], expected[..., :2]) and torch.equal(got["conf"], expected[..., 2])
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1 and "s1" in warnings[0]
    assert "8 of 10 frames have several persons, first frame 0" in warnings[0]


def test_openpose_is_sorted_by_number_and_gaps_are_told(tmp_path, caplog):
    people = [person(i) for i in range(4)]
    folder = write(tmp_path / "clip", [frame(p) for p in people[:2]])
    write(folder, [frame(p) for p in people[2:]], name="a", first=7)
    assert torch.equal(read(folder, num_frames=9)["pose"], torch.from_numpy(np.stack(people)[..., :2]).float())
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "first missing number 2" in warnings[0] and "9 frames annotated, 4 found" in warnings[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"0 bytes"),
        ('{"people": [', "as OpenPose JSON"),
        (b"\xff\xfe\x00", "as OpenPose JSON"),
        ("[1, 2]", "as OpenPose JSON"),
        ('{"version": 1.3}', "no 'people'"),
        ('{"people": [{}]}', "no 'pose_keypoints_2d'"),
        (json.dumps(frame(person(), pose_keypoints_2d=[0.0] * 54)), r"pose_keypoints_2d.*\(54,\).*25 points x 3 = 75"),
        (json.dumps(frame(person(), hand_left_keypoints_2d=["a"] * 63)), "could not convert"),
        (json.dumps(frame(person(), hand_left_keypoints_2d=[None] * 62)), r"\(62,\)"),
        ("[" * 100_000, "as OpenPose JSON"),
    ],
)
def test_broken_json(tmp_path, content, message):
    folder = write(tmp_path / "clip", [frame(person(i)) for i in range(3)])
    path = path_of(folder, 1)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(MediaError, match=message) as error:
        read(folder)
    assert path.name in str(error.value) and "sample s1" in str(error.value)


@pytest.mark.parametrize("names", [[], ["clip.json", "notes.txt"], ["a_00001_keypoints.json"]])
def test_no_openpose_folder(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(MediaError, match=r"0 frames[\s\S]*s1[\s\S]*12 digits") as error:
        read(tmp_path)
    assert (names[0] if names else "an empty folder") in str(error.value)


def test_two_samples_in_one_folder(tmp_path):
    write(tmp_path, [frame(person())], name="a")
    write(tmp_path, [frame(person())], name="b")
    with pytest.raises(MediaError, match=r"two files for frame 0[\s\S]*'a_.*and 'b_"):
        read(tmp_path)


def test_openpose_not_finite(tmp_path, caplog):
    points = person()
    points[3, 0] = np.nan
    got = read(write(tmp_path / "clip", [frame(points)]))
    assert got["conf"][0, 3] == 0 and int((got["conf"] == 0).sum()) == 1
    assert "1 points are NaN or infinite, first in frame 0" in caplog.text


# COCO-WholeBody


def dump(path, content, zipped=False, protocol=None):
    data = pickle.dumps(content, protocol=protocol)
    path.write_bytes(gzip.compress(data) if zipped else data)
    return path


def video(frames=6, persons=1, **more):
    rng = np.random.default_rng(0)
    keypoints = [rng.uniform(0, 1, (persons, 133, 2)) for _ in range(frames)]
    scores = [rng.uniform(0.1, 0.9, (persons, 133)) for _ in range(frames)]
    return {"keypoints": keypoints, "scores": scores, **more}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_wholebody_of_a_video(tmp_path, protocol, zipped):
    content = video()
    got = read(dump(tmp_path / "a.pkl", content, zipped, protocol))
    assert got["points"] == LAYOUTS["wholebody133"]
    assert torch.equal(got["pose"], torch.from_numpy(np.stack(content["keypoints"])[:, 0]).float())
    assert torch.equal(got["conf"], torch.from_numpy(np.stack(content["scores"])[:, 0]).float())


def test_wholebody_persons(tmp_path):
    content = video(4, 2)
    content["keypoints"] = [k + np.array([0.0, 5.0])[:, None, None] for k in content["keypoints"]]  # far apart
    content["scores"] = [s * np.array([0.5, 1.0])[:, None] for s in content["scores"]]
    content["keypoints"][2], content["scores"][2] = np.zeros((0, 133, 2)), np.zeros((0, 133))
    got = read(dump(tmp_path / "a.pkl", content))
    for t in (0, 1, 3):
        assert torch.equal(got["pose"][t], torch.from_numpy(content["keypoints"][t][1]).float())
    assert not got["conf"][2].any()


def test_wholebody_start_and_end(tmp_path):
    whole = read(dump(tmp_path / "a.pkl", video()))
    assert torch.equal(read(dump(tmp_path / "b.pkl", video(start=2, end=5)))["pose"], whole["pose"][2:5])
    for start, end in [(3, 3), (-1, 2), (0, 7), (0.5, 2)]:
        with pytest.raises(MediaError, match=r"start and end are no frames[\s\S]*<= 6"):
            read(dump(tmp_path / "c.pkl", video(start=start, end=end)))


def test_wholebody_of_a_corpus(tmp_path):
    arrays = {f"dev/clip-{i}": np.random.default_rng(i).uniform(0.1, 1, (3 + i, 133, 3)) for i in range(3)}
    path = dump(tmp_path / "keypoints.pkl", {k: {"keypoints": v.astype(np.float32)} for k, v in arrays.items()})
    for i in range(3):
        got = read(path, item=f"clip-{i}")
        expected = torch.from_numpy(arrays[f"dev/clip-{i}"]).float()
        assert torch.equal(got["pose"], expected[..., :2]) and torch.equal(got["conf"], expected[..., 2])
    for item, advice in (("../clip-1", "set item"), ("clip-9", "set item"), (None, "tables name files of one sample")):
        with pytest.raises(MediaError, match=rf"3[\s\S]*keypoints\.pkl[\s\S]*clip-[\s\S]*{advice}"):
            read(path, item=item)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], r"not a pickle of poses[\s\S]*a list"),
        ({}, "not a pickle of poses"),
        ({"a": {"x": 1}}, "an entry 'a' without keypoints"),
        ({"a": {"keypoints": np.zeros((4, 137, 3))}}, r"not COCO-WholeBody[\s\S]*\(4, 137, 3\)"),
        ({"a": {"keypoints": "abc"}}, "not an array of real numbers"),
        ({"keypoints": [np.zeros((1, 133, 2))], "scores": []}, "1 and 0"),
        ({"keypoints": [], "scores": []}, "0 and 0"),
        ({"keypoints": 3, "scores": 3}, "not COCO-WholeBody"),
        ({"keypoints": [np.zeros((1, 17, 2))], "scores": [np.zeros((1, 17))]}, r"frame 0[\s\S]*\(1, 17, 2\)"),
        ({"keypoints": [np.zeros((2, 133, 2))], "scores": [np.zeros((1, 133))]}, r"\(2, 133, 2\) and \(1, 133\)"),
    ],
)
def test_other_pickles(tmp_path, content, message):
    with pytest.raises(MediaError, match=message) as error:
        read(dump(tmp_path / "a.pkl", content))
    assert "s1" in str(error.value) and "a.pkl" in str(error.value)


def test_wholebody_of_another_layout(tmp_path):
    with pytest.raises(MediaError, match="not those of openpose137"):
        read(dump(tmp_path / "a.pkl", video()), layout="openpose137")
