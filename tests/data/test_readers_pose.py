"""The reader of `.pose`, and what `open_reader` makes of kinds and containers."""

import csv
import logging
import struct

import numpy as np
import pytest
import torch

from slt_zoo.data.pose_layouts import LAYOUTS, POINT_SETS
from slt_zoo.data.readers import base, open_reader
from slt_zoo.errors import MediaError, UnknownNameError
from slt_zoo.types import Media

HAND = [p.split(".")[1] for p in POINT_SETS["hands42"][:21]]
BODY = ["nose", "left_shoulder", "right_shoulder"]
COMPONENTS = {
    "POSE_LANDMARKS": [p.upper() for p in BODY],
    "LEFT_HAND_LANDMARKS": [p.upper() for p in HAND],
    "EXTRA": ["Tip"],
}


@pytest.fixture(autouse=True)
def _nothing_told():
    base._told.clear()


def write_pose(path, coords, conf, version=0.2, fps=25, components=COMPONENTS, frames=None, form="XYZC"):
    """A `.pose` file, written here byte by byte from the format's description; returns the bytes of the header."""

    def string(s):
        return struct.pack("<H", len(s.encode())) + s.encode()

    out = struct.pack("<fHHHH", version, 210, 260, 0, len(components))
    for name, points in components.items():
        out += string(name) + string(form) + struct.pack("<HHH", len(points), 1, 1)
        out += b"".join(map(string, points)) + struct.pack("<HH", 0, 0) + struct.pack("<HHH", 1, 2, 3)
    frames = coords.shape[0] if frames is None else frames
    body = struct.pack("<HHH", int(fps), frames & 0xFFFF, coords.shape[1])
    out += body if version == 0.1 else struct.pack("<fIH", fps, frames, coords.shape[1])
    path.write_bytes(out + coords.astype("<f4").tobytes() + conf.astype("<f4").tobytes())
    return out


def random_pose(frames=12, persons=1, points=25, dims=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(frames, persons, points, dims)), rng.uniform(0.1, 1, (frames, persons, points))


def read(path, index=None, sample_id="s1", **media):
    reader = open_reader("pose", Media(str(path), **media), sample_id=sample_id)
    return reader.read(torch.arange(reader.num_frames) if index is None else torch.tensor(index))


@pytest.mark.parametrize("version", [0.1, 0.2])
def test_pose_file(tmp_path, version):
    coords, conf = random_pose()
    conf[3, 0, 4] = 0
    write_pose(tmp_path / "a.pose", coords, conf, version=version)
    reader = open_reader("pose", Media(str(tmp_path / "a.pose")), sample_id="s1")
    assert (reader.num_frames, reader.fps) == (12, 25.0)
    got = reader.read(torch.arange(12))
    assert got["points"] == (*(f"body.{p}" for p in BODY), *(f"left_hand.{p}" for p in HAND), "extra.tip")
    assert got["pose"].dtype == got["conf"].dtype == torch.float32
    assert got["pose"][3, 4].tolist() == [0, 0, 0]  # missing: zeros, though the file has numbers there
    expected = coords[:, 0].copy()
    expected[3, 4] = 0
    assert torch.equal(got["pose"], torch.from_numpy(expected.astype(np.float32)))
    assert torch.equal(got["conf"], torch.from_numpy(conf[:, 0].astype(np.float32)))


def test_image_size_and_component_change_between_files(tmp_path):
    """Headers are kept between files; each file has its own all the same."""
    coords, conf = random_pose()
    write_pose(tmp_path / "a.pose", coords, conf)
    renamed = {("OTHER" if name == "EXTRA" else name): points for name, points in COMPONENTS.items()}
    write_pose(tmp_path / "b.pose", coords, conf, components=renamed)
    data = bytearray((tmp_path / "a.pose").read_bytes())
    data[4:6] = struct.pack("<H", 999)  # width
    (tmp_path / "c.pose").write_bytes(data)
    for _ in range(2):
        assert read(tmp_path / "a.pose")["points"][-1] == "extra.tip"
        assert read(tmp_path / "b.pose")["points"][-1] == "other.tip"
        assert torch.equal(read(tmp_path / "c.pose")["pose"], read(tmp_path / "a.pose")["pose"])


def test_frames_of_version_1_overflow(tmp_path):
    frames = 65_536 + 3
    coords = np.arange(frames * 2, dtype=np.float32).reshape(frames, 1, 1, 2)
    write_pose(tmp_path / "a.pose", coords, np.ones((frames, 1, 1)), 0.1, components={"X": ["p"]}, form="XYC")
    reader = open_reader("pose", Media(str(tmp_path / "a.pose")), sample_id="s1")
    assert reader.num_frames == frames
    last = reader.read(torch.tensor([frames - 1]))
    assert last["pose"].tolist() == [[coords[-1, 0, 0].tolist()]]
    assert last["conf"].tolist() == [[1.0]]
    (tmp_path / "a.pose").write_bytes((tmp_path / "a.pose").read_bytes()[:-4])  # then the size says 3 frames and more
    with pytest.raises(MediaError, match="cut off or damaged"):
        read(tmp_path / "a.pose")


@pytest.mark.parametrize("version", [0.1, 0.2])
@pytest.mark.parametrize("missing", [1, 4, 1000])
def test_cut_pose_file(tmp_path, version, missing):
    path = tmp_path / "a.pose"
    write_pose(path, *random_pose(), version=version)
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(MediaError, match=r"cut off[\s\S]*s1.*a\.pose'[\s\S]*Expected: \d+ bytes for 12 frames"):
        read(path)


def test_not_a_pose_file(tmp_path):
    path = tmp_path / "a.pose"
    header = write_pose(path, *random_pose())
    for content, message in [
        (b"", "0 bytes"),
        (b"<html>not found</html>", "not a .pose file"),
        (struct.pack("<f", 0.0) + header[4:], "version 0, or another"),
        (header[:40], "header is cut off"),
        (header[:-3], "header is cut off"),
        (header[:12] + b"\x04\x00\xff\xfe\xff\xfe" + bytes(200), "header is cut off or damaged"),
    ]:
        path.write_bytes(content)
        with pytest.raises(MediaError, match=message) as error:
            read(path)
        assert "s1" in str(error.value) and "a.pose" in str(error.value)


def test_most_confident_person(tmp_path):
    coords, conf = random_pose(persons=3)
    conf[:, 1] = 0.99
    conf[5, 1] = 0  # not there in one frame: still the same person
    conf[0, 0, 0] = np.nan
    write_pose(tmp_path / "a.pose", coords, conf)
    got = read(tmp_path / "a.pose")
    assert torch.equal(got["pose"][4], torch.from_numpy(coords[4, 1].astype(np.float32)))
    assert not got["conf"][5].any() and not got["pose"][5].any()


@pytest.mark.parametrize("shape", [(0, 1), (5, 0)])
def test_nobody_there(tmp_path, shape):
    for version in (0.1, 0.2):
        write_pose(tmp_path / "a.pose", np.zeros((*shape, 25, 3)), np.zeros((*shape, 25)), version)
        with pytest.raises(MediaError, match=r"0 frames|no person[\s\S]*s1"):
            read(tmp_path / "a.pose")


def test_no_point_ever_valid(tmp_path):
    coords, conf = random_pose()
    write_pose(tmp_path / "a.pose", coords, conf * 0)
    with pytest.raises(MediaError, match=r"no point is valid in any of 12 frames[\s\S]*s1"):
        read(tmp_path / "a.pose")
    conf[[2, 3]] = 0
    write_pose(tmp_path / "b.pose", coords, conf)
    assert not read(tmp_path / "b.pose", [3, 2])["conf"].any()  # two frames without a person are no error


def test_not_finite(tmp_path, caplog):
    coords, conf = random_pose()
    coords[7, 0, 3, 1], coords[8, 0, 5, 0], conf[9, 0, 1] = np.nan, np.inf, np.nan
    coords[2, 0, 2], conf[2, 0, 2] = np.nan, 0  # missing, and said so: no fault
    write_pose(tmp_path / "a.pose", coords, conf)
    for index in ([6, 7], None):
        got = read(tmp_path / "a.pose", index)
        assert got["pose"].isfinite().all() and got["conf"].isfinite().all()
    assert got["conf"][[7, 8, 9, 2], [3, 5, 1, 2]].tolist() == [0, 0, 0, 0]
    assert not got["pose"][[7, 8, 9, 2], [3, 5, 1, 2]].any()
    assert got["conf"][7, 4] > 0
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1  # once a sample
    assert "s1" in warnings[0] and "3 points" in warnings[0] and "first in frame 7" in warnings[0]
    write_pose(tmp_path / "b.pose", coords * np.nan, conf)
    with pytest.raises(MediaError, match="no point is valid in any of 12 frames"):
        read(tmp_path / "b.pose")


def test_warnings_do_not_flood(tmp_path, caplog):
    coords, conf = random_pose(frames=3)
    coords[1, 0, 0] = np.nan
    write_pose(tmp_path / "a.pose", coords, conf)
    for i in range(9):
        read(tmp_path / "a.pose", sample_id=f"s{i}")
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len([w for w in warnings if "NaN" in w]) == 5
    assert warnings[-1] == "further poses that are not finite are logged at debug level"


def test_confidence_stays_in_range(tmp_path):
    coords, conf = random_pose()
    conf[0, 0, 0], conf[0, 0, 1] = 1.5, -0.5
    write_pose(tmp_path / "a.pose", coords, conf)
    got = read(tmp_path / "a.pose")
    assert got["conf"][0, :2].tolist() == [1, 0]
    assert not got["pose"][0, 1].any()


def test_segment_in_seconds(tmp_path):
    coords, conf = random_pose(frames=50)
    coords[40, 0, 0] = np.nan
    write_pose(tmp_path / "a.pose", coords, conf, fps=25)
    whole = read(tmp_path / "a.pose")["pose"]
    part = [read(tmp_path / "a.pose", start=a, end=b)["pose"] for a, b in ((None, 0.4), (0.4, 1.2), (1.2, None))]
    assert [len(p) for p in part] == [10, 20, 20]
    assert torch.equal(torch.cat(part), whole)
    assert len(read(tmp_path / "a.pose", end=1.16)["pose"]) == 29  # 1.16 * 25 is 28.999999999999996
    assert len(read(tmp_path / "a.pose", start=1.0, end=2.04)["pose"]) == 25  # one frame past the end is rounding
    assert len(read(tmp_path / "a.pose", start=1.0, end=2.0, fps=10.0)["pose"]) == 10  # the annotation's rate counts


def test_frame_number_in_messages_is_the_files(tmp_path, caplog):
    coords, conf = random_pose(frames=50)
    coords[40, 0, 0] = np.nan
    write_pose(tmp_path / "a.pose", coords, conf, fps=25)
    read(tmp_path / "a.pose", start=1.0)
    assert "first in frame 40" in caplog.text


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (142.64, 143.67, r"segment 142.64-143.67 s lies past the end \(2.00 s\)"),
        (2.0, None, "past the end"),
        (0.5, 0.51, "holds no frame at 25"),
        (0.5, 0.5, "no segment"),
        (1.0, 0.5, "no segment"),
        (-1.0, 0.5, "no segment"),
        (float("nan"), 0.5, "no segment"),
    ],
)
def test_segment_that_is_none(tmp_path, start, end, message):
    write_pose(tmp_path / "a.pose", *random_pose(frames=50), fps=25)
    with pytest.raises(MediaError, match=message + r"[\s\S]*s1.*a\.pose"):
        read(tmp_path / "a.pose", start=start, end=end)


def test_segment_needs_the_rate(tmp_path):
    write_pose(tmp_path / "a.pose", *random_pose(), fps=0)
    assert open_reader("pose", Media(str(tmp_path / "a.pose")), sample_id="s1").fps is None
    with pytest.raises(MediaError, match="needs the frame rate"):
        read(tmp_path / "a.pose", start=0.1)


def test_declared_number_of_frames(tmp_path, caplog):
    write_pose(tmp_path / "a.pose", *random_pose())
    assert len(read(tmp_path / "a.pose", num_frames=13)["pose"]) == 12
    assert "s1" in caplog.text and "13 frames annotated, 12 found; what was found is used" in caplog.text
    caplog.clear()
    read(tmp_path / "a.pose", num_frames=12, sample_id="s2")
    assert not caplog.records


def test_layout_of_a_file_that_names_its_points(tmp_path):
    write_pose(tmp_path / "a.pose", *random_pose())
    with pytest.raises(MediaError, match="own 25 points are not those of openpose137"):
        read(tmp_path / "a.pose", layout="openpose137")
    with pytest.raises(UnknownNameError, match="did you mean 'openpose137'"):
        read(tmp_path / "a.pose", layout="openpose173")


def test_index_outside(tmp_path):
    write_pose(tmp_path / "a.pose", *random_pose())
    for index in ([12], [-1], []):
        with pytest.raises(IndexError, match=r"\[0, 12\)"):
            read(tmp_path / "a.pose", index)


def test_part_of_a_read_is_the_read_of_a_part(tmp_path):
    coords, conf = random_pose(frames=30)
    conf[3:5, 0, 2:9] = 0
    coords[8, 0, 1] = np.nan
    write_pose(tmp_path / "a.pose", coords, conf)
    media = Media(str(tmp_path / "a.pose"), start=0.2)
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


def test_kinds_and_containers(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(MediaError, match=r"not a file of poses[\s\S]*\.skels"):
        read(tmp_path / "a.txt")
    with pytest.raises(UnknownNameError, match="did you mean 'pose'"):
        open_reader("poses", Media(str(tmp_path)), sample_id="s1")
    for kind in ("pose", "features"):
        with pytest.raises(MediaError, match=r"a video file holds no[\s\S]*s1[\s\S]*PNG or JPEG[\s\S]*\.pose, \.skels"):
            open_reader(kind, Media("x/clip.MP4"), sample_id="s1")


# Real files


def _compare_with_pose_format(path):
    from pose_format import Pose

    pose = Pose.read(path.read_bytes())
    got = read(path)
    assert pose.body.data.shape[1] == 1
    conf = torch.from_numpy(pose.body.confidence[:, 0])
    expected = torch.from_numpy(pose.body.data.filled(0)[:, 0])
    assert int((conf < 0).sum()) in (0, 6)  # one recording has six, interpolated below 0
    assert torch.equal(got["pose"], torch.where(conf[..., None] > 0, expected, 0.0))
    assert torch.equal(got["conf"], conf.clamp(min=0))
    return got


def test_real_fingerspelling(shared_data):
    folder = shared_data / "poses" / "fingerspelling_gsg"
    with (folder / "index.csv").open(encoding="utf-8") as file:
        paths = [folder / row["path"] for row in csv.DictReader(file)]
    assert len(paths) == len(set(paths)) == 30
    frames = []
    for path in paths:
        got = _compare_with_pose_format(path)
        assert got["points"] == LAYOUTS["holistic_refined"]
        assert got["pose"].shape[1:] == (586, 3)
        assert open_reader("pose", Media(str(path)), sample_id="s1").fps == 30
        frames.append(len(got["pose"]))
    assert (min(frames), max(frames)) == (22, 38)


@pytest.mark.parametrize(
    ("path", "frames", "points", "fps"),
    [
        ("lexicon_sgg/sgg/essen.pose", 73, 178, 24),
        ("lexicon_sgg/sgg/kinder.pose", 45, 178, 24),
        ("lexicon_sgg/sgg/kleine.pose", 68, 178, 25),
        ("lexicon_sgg/sgg/pizza.pose", 53, 178, 24),
        ("multimodalhugs/sample_01.pose", 22, 586, 24),
        ("multimodalhugs/sample_02.pose", 16, 586, 24),
        ("phoenix14t_holistic/25October_2010_Monday_tagesschau-17.pose", 86, 543, 25),
    ],
)
def test_real_pose_files(shared_data, path, frames, points, fps):
    path = shared_data / "poses" / path
    got = _compare_with_pose_format(path)
    reader = open_reader("pose", Media(str(path)), sample_id="s1")
    assert (reader.num_frames, got["pose"].shape, reader.fps) == (frames, (frames, points, 3), fps)
    if points == 178:
        assert got["points"] == LAYOUTS["holistic_reduced"]

    else:
        assert got["points"] == LAYOUTS["holistic_refined" if points == 586 else "holistic"]


def test_real_frame_count_mismatch(shared_data, caplog):
    path = shared_data / "poses/phoenix14t_holistic/25October_2010_Monday_tagesschau-17.pose"
    read(path, num_frames=181)
    assert "181 frames annotated, 86 found" in caplog.text
