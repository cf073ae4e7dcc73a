"""The reader of `.skels`."""

import gzip
import json

import numpy as np
import pytest
import torch

from slt_zoo.data.pose_layouts import LAYOUTS
from slt_zoo.data.readers import open_reader, skels_ids
from slt_zoo.errors import MediaError, MissingMediaError
from slt_zoo.types import Media


def read(path, index=None, sample_id="s1", **media):
    reader = open_reader("pose", Media(str(path), **media), sample_id=sample_id)
    return reader.read(torch.arange(reader.num_frames) if index is None else torch.tensor(index))


def write_skels(folder, lengths, name="dev", zipped=False, seed=0):
    rng = np.random.default_rng(seed)
    lines, all_coords = [], []
    for length in lengths:
        coords = rng.normal(size=(length, 150)).round(5)
        all_coords.append(coords.reshape(length, 50, 3).astype(np.float32))
        counted = np.c_[coords, (np.arange(length) / length).round(5)]
        lines.append(" ".join(f"{x:.5f}" for x in counted.ravel()))
    (folder / f"{name}.files").write_text("".join(f"{name}/clip-{i}\n" for i in range(len(lengths))))
    text = ("\n".join(lines) + "\n").encode()
    path = folder / (f"{name}.skels.gz" if zipped else f"{name}.skels")
    path.write_bytes(gzip.compress(text) if zipped else text)
    return path, all_coords


@pytest.mark.parametrize("zipped", [False, True])
def test_skels(tmp_path, zipped):
    path, coords = write_skels(tmp_path, [4, 1, 7], zipped=zipped)
    assert skels_ids(path) == ["clip-0", "clip-1", "clip-2"]
    for i in (2, 0, 1, 2):
        reader = open_reader("pose", Media(str(path), item=f"clip-{i}", fps=25), sample_id=f"clip-{i}")
        assert (reader.num_frames, reader.fps) == (len(coords[i]), 25)
        got = reader.read(torch.arange(reader.num_frames))
        assert torch.equal(got["pose"], torch.from_numpy(coords[i]))
        assert got["conf"].shape == (len(coords[i]), 50) and bool((got["conf"] == 1).all())
        assert got["points"] == LAYOUTS["skels50"]


def test_skels_file_that_changes(tmp_path):
    path, _ = write_skels(tmp_path, [4])
    assert len(read(path, item="clip-0")["pose"]) == 4
    write_skels(tmp_path, [6])
    assert len(read(path, item="clip-0")["pose"]) == 6


def test_skels_without_the_sample(tmp_path):
    path, _ = write_skels(tmp_path, [4, 5])
    with pytest.raises(MediaError, match=r"no sequence 'clip-7' among 2[\s\S]*similar: clip-"):
        read(path, item="clip-7")
    (tmp_path / "dev.files").write_text("dev/clip-0\n")
    path.touch()
    with pytest.raises(MediaError, match=r"differ[\s\S]*1 lines[\s\S]*2 lines"):
        read(path, item="clip-0")
    (tmp_path / "dev.files").unlink()
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(MissingMediaError, match=r"list of its samples[\s\S]*dev\.files"):
        read(path, item="clip-0")


@pytest.mark.parametrize("zipped", [False, True])
def test_bad_skels_line_is_its_samples_alone(tmp_path, zipped):
    path, coords = write_skels(tmp_path, [4, 4, 4, 4, 4])
    lines = path.read_text().splitlines()
    lines[1] = lines[1].rsplit(" ", 1)[0]
    lines[2] = lines[2].replace(" ", " x", 1)
    lines[3] = ""
    shuffled = lines[4].split()
    shuffled[301], shuffled[150] = shuffled[150], shuffled[301]
    lines[4] = " ".join(shuffled)
    text = ("\n".join(lines) + "\n").encode()
    if zipped:
        path = path.with_suffix(".skels.gz")
    path.write_bytes(gzip.compress(text) if zipped else text)
    assert torch.equal(read(path, item="clip-0")["pose"], torch.from_numpy(coords[0]))
    for item, message in [
        ("clip-1", r"wrong number of columns[\s\S]*line 2[\s\S]*multiple of 151[\s\S]*603 numbers"),
        ("clip-2", r"not a number[\s\S]*line 3"),
        ("clip-3", r"0 frames[\s\S]*line 4"),
        ("clip-4", r"should count from 0 to 1[\s\S]*line 5, frame 1[\s\S]*0\.25 then 0"),
    ]:
        with pytest.raises(MediaError, match=message) as error:
            read(path, item=item, sample_id=item)
        assert item in str(error.value) and path.name in str(error.value)


def test_cut_gzip(tmp_path):
    path, _ = write_skels(tmp_path, [40], zipped=True)
    whole = path.read_bytes()
    for content in (whole[:-200], b"no gzip at all", whole[:30] + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(MediaError, match=r"gzip file is cut off or damaged[\s\S]*s1"):
            read(path, item="clip-0")


def test_part_of_a_read_is_the_read_of_a_part(tmp_path):
    path, _ = write_skels(tmp_path, [30, 20])
    media = Media(str(path), item="clip-1")
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


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_real_skels(shared_data, split):
    path = shared_data / "poses/phoenix14t_skels" / f"{split}.skels.gz"
    with gzip.open(shared_data / f"phoenix14t/variants/signjoey_annotations.{split}.jsonl.gz", "rt") as file:
        annotated = {row["name"]: row["num_frames"] for row in map(json.loads, file)}
    ids = skels_ids(path)
    assert len(ids) == 5
    for sample_id in ids:
        got = read(path, item=sample_id)
        assert len(got["pose"]) == annotated[f"{split}/{sample_id}"]
        assert 42 <= len(got["pose"]) <= 198
        assert got["pose"].shape[1:] == (50, 3) and got["points"] == LAYOUTS["skels50"]
        neck, right, left = (got["points"].index(f"body.{p}") for p in ("neck", "right_shoulder", "left_shoulder"))
        assert not got["pose"][:, neck].any()  # the origin
        width = (got["pose"][:, right] - got["pose"][:, left]).norm(dim=1)
        assert 0.3 < float(width.median()) < 0.4
