"""The reader of frame folders."""

import io
import logging
import os
import random

import numpy as np
import pytest
import torch
from PIL import Image

from slt_zoo.data.clips import read_clip
from slt_zoo.data.frame_transforms import CropFrames, ResizeFrames
from slt_zoo.data.readers import base, open_reader
from slt_zoo.errors import MediaError
from slt_zoo.types import Clip, ClipPipeline, InputSpec, Media, Sample


@pytest.fixture(autouse=True)
def _nothing_told():
    base._told.clear()


def image(seed=0, size=(21, 26), mode="RGB"):
    """Blocks of colour, so that JPEG keeps them well."""
    blocks = np.random.default_rng(seed).integers(0, 255, (4, 3, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).convert(mode)


def write(folder, names, **options):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        image(seed, **options).save(folder / name)
    return folder


def open_folder(folder, sample_id="s1", **media):
    return open_reader("frames", Media(str(folder), **media), sample_id=sample_id)


def read(folder, index=None, **media):
    reader = open_folder(folder, **media)
    return reader.read(torch.arange(reader.num_frames) if index is None else torch.tensor(index))["frames"]


def pixels(seed):
    return torch.from_numpy(np.array(image(seed))).permute(2, 0, 1)


def test_frames(tmp_path):
    write(tmp_path / "clip", [f"images{i:04d}.png" for i in range(1, 6)])
    reader = open_folder(tmp_path / "clip", fps=25.0)
    assert (reader.num_frames, reader.fps) == (5, 25.0)
    frames = reader.read(torch.arange(5))["frames"]
    assert frames.dtype == torch.uint8 and frames.shape == (5, 3, 26, 21)
    assert torch.equal(frames, torch.stack([pixels(i) for i in range(5)]))
    for index in ([3], [4, 0, 0, 2], [1, 1]):
        assert torch.equal(reader.read(torch.tensor(index))["frames"], frames[index])
    assert open_folder(tmp_path / "clip").fps is None


def test_only_the_frames_asked_for_are_decoded(tmp_path):
    write(tmp_path / "clip", ["0.png", "1.png", "2.png"])
    (tmp_path / "clip" / "1.png").write_bytes(b"broken")
    assert torch.equal(read(tmp_path / "clip", [2, 0]), torch.stack([pixels(2), pixels(0)]))


def test_sorted_by_number(tmp_path):
    write(tmp_path / "clip", ["f_9.png", "f_10.png", "f_011.png", "f_8.png"])
    assert torch.equal(read(tmp_path / "clip"), torch.stack([pixels(i) for i in (3, 0, 1, 2)]))


def test_the_last_number_of_a_name_counts(tmp_path):
    write(tmp_path / "clip", ["S000005_P0004_T00-000001.png", "S000005_P0004_T00-000000.png"])
    assert torch.equal(read(tmp_path / "clip"), torch.stack([pixels(1), pixels(0)]))


def test_order_of_the_listing_does_not_matter(tmp_path, monkeypatch):
    folder = write(tmp_path / "clip", [f"{i:06d}.png" for i in range(12)])
    expected = read(folder)
    scandir, draw = os.scandir, random.Random(0)

    class Shuffled:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = list(entries)
            draw.shuffle(self.entries)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Shuffled)
    for _ in range(3):
        assert torch.equal(read(folder), expected)


def test_foreign_files_are_not_counted(tmp_path):
    folder = write(tmp_path / "clip", ["images0001.png", "images0002.JPG"])
    for name in (
        "createDnnTrainingLabels-profile.py.lprof",
        ".DS_Store",
        "Thumbs.db",
        "._images0001.png",
        "notes7.txt",
    ):
        (folder / name).write_bytes(b"x")
    assert len(read(folder)) == 2


def test_folder_1(tmp_path):
    write(tmp_path / "clip" / "1", ["images0001.png", "images0002.png"])
    assert torch.equal(read(tmp_path / "clip"), torch.stack([pixels(0), pixels(1)]))


def test_gap(tmp_path, caplog):
    folder = write(tmp_path / "clip", ["000000.png", "000001.png", "000003.png", "000009.png"])
    assert len(read(folder, num_frames=10)) == 4
    read(folder)
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 2  # once each
    assert "s1" in warnings[0] and "first missing number 2" in warnings[0]
    assert "10 frames annotated, 4 found (first missing number 2)" in warnings[1]


def test_no_gap_where_numbers_begin_anywhere(tmp_path, caplog):
    read(write(tmp_path / "clip", ["images0001.png", "images0002.png"]))
    read(write(tmp_path / "other", ["000017.png", "000018.png"]))
    assert not caplog.records


@pytest.mark.parametrize("names", [[], ["Thumbs.db"]])
def test_empty_folder(tmp_path, names):
    (tmp_path / "clip").mkdir()
    for name in names:
        (tmp_path / "clip" / name).touch()
    with pytest.raises(MediaError, match=r"sample s1: 0 frames in '.*clip'"):
        read(tmp_path / "clip")


def test_a_file_is_no_folder(tmp_path):
    image().save(tmp_path / "a.png")
    with pytest.raises(MediaError, match=r"a folder of PNG or JPEG[\s\S]*s1.*a\.png"):
        read(tmp_path / "a.png")


def test_names_without_order(tmp_path):
    with pytest.raises(MediaError, match=r"without a frame number[\s\S]*cover\.png"):
        read(write(tmp_path / "a", ["0.png", "cover.png"]))
    with pytest.raises(MediaError, match=r"two images for frame 1[\s\S]*'01\.png' and '1\.jpg'"):
        read(write(tmp_path / "b", ["0.png", "1.jpg", "01.png"]))


def test_broken_images(tmp_path):
    folder = write(tmp_path / "clip", [f"{i:06d}.jpg" for i in range(18)])
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (26, 21, 3), dtype=np.uint8))
    jpeg, png = io.BytesIO(), io.BytesIO()
    noise.save(jpeg, "JPEG")
    noise.save(png, "PNG")
    flipped = bytearray(png.getvalue())
    flipped[len(flipped) // 2] ^= 0xFF
    for content, message in [
        (jpeg.getvalue()[:-300], r": image file is truncated"),
        (png.getvalue()[:-300], r""),
        (bytes(flipped), r""),  # a decoder that crashes would end this process
        (b"", r": 0 bytes"),
    ]:
        (folder / "000017.jpg").write_bytes(content)
        with pytest.raises(
            MediaError, match=r"cannot decode '.*000017\.jpg' \(sample s1, frame 17\)" + message
        ) as error:
            read(folder)
        assert isinstance(error.value.__cause__, (OSError, SyntaxError))
    (folder / "000017.jpg").unlink()
    with pytest.raises(MediaError, match=r"frame 16\)"):
        reader = open_folder(folder)
        (folder / "000016.jpg").unlink()  # gone since the listing
        reader.read(torch.tensor([16]))


def test_images_of_different_sizes(tmp_path):
    folder = write(tmp_path / "clip", ["0.png", "1.png"])
    image(size=(30, 26)).save(folder / "2.png")
    assert len(read(folder, [0, 1])) == 2
    with pytest.raises(MediaError, match=r"different sizes[\s\S]*s1.*frame 2[\s\S]*21x26, as frame 0[\s\S]*30x26"):
        read(folder)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1"])
def test_modes_of_png_become_rgb(tmp_path, mode):
    frames = read(write(tmp_path / "clip", ["0.png"], mode=mode))
    expected = np.array(image(0, mode=mode).convert("RGB"))
    assert torch.equal(frames[0], torch.from_numpy(expected).permute(2, 0, 1))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_modes_of_jpeg_become_rgb(tmp_path, mode):
    frames = read(write(tmp_path / "clip", ["0.jpg"], mode=mode, size=(64, 64)))
    expected = np.array(image(0, size=(64, 64), mode=mode).convert("RGB")).transpose(2, 0, 1).astype(int)
    assert frames.shape == (1, 3, 64, 64)
    assert np.abs(frames[0].numpy() - expected).mean() < 15  # JPEG's loss, not another colour


def test_sixteen_bits(tmp_path):
    (tmp_path / "clip").mkdir()
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(tmp_path / "clip" / "0.png")
    with pytest.raises(MediaError, match="more than 8 bits"):
        read(tmp_path / "clip")


def test_segment(tmp_path):
    folder = write(tmp_path / "clip", [f"{i}.png" for i in range(10)])
    assert torch.equal(read(folder, start=0.2, end=0.6, fps=10.0), read(folder)[2:6])
    with pytest.raises(MediaError, match="needs the frame rate"):
        read(folder, start=0.2)
    with pytest.raises(MediaError, match=r"past the end \(1.00 s\)"):
        read(folder, start=1.0, end=2.0, fps=10.0)


def test_real_frames(shared_data):
    name = "25October_2010_Monday_tagesschau-17"
    release = shared_data / "phoenix14t/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/features/fullFrame-210x260px"
    frames = read(release / "test" / name, fps=25.0)
    assert frames.shape == (2, 3, 260, 210) and frames.dtype == torch.uint8
    assert not torch.equal(frames[0], frames[1])
    with Image.open(release / "test" / name / "images0002.png") as expected:
        assert torch.equal(frames[1], torch.from_numpy(np.array(expected)).permute(2, 0, 1))


@pytest.mark.parametrize("name", ["0.png", "0.jpg"])
def test_frame_size(tmp_path, name):
    folder = write(tmp_path / "clip", [name], size=(210, 260))
    for size, shape in [(None, (260, 210)), (256, (316, 256)), (105, (130, 105)), ((64, 80), (64, 80))]:
        reader = open_reader("frames", Media(str(folder)), sample_id="s1", frame_size=size)
        frames = reader.read(torch.tensor([0, 0]))["frames"]
        assert frames.shape == (2, 3, *shape) and frames.dtype == torch.uint8 and frames.is_contiguous()
    whole = read(folder)
    small = ResizeFrames((65, 53))(Clip(None, frames=whole), None).frames
    reader = open_reader("frames", Media(str(folder)), sample_id="s1", frame_size=(65, 53))
    near = (reader.read(torch.tensor([0]))["frames"].float() - small.float()).abs().mean()
    assert near < (0.01 if name == "0.png" else 2), "blocks with hard edges are the worst case of a JPEG"


def test_the_pipeline_says_the_size(tmp_path):
    folder = write(tmp_path / "clip", ["0.png", "1.png"], size=(64, 48))
    sample = Sample("s1", "train", "", "de", "gsg", media={"frames": Media(str(folder))})
    small = ClipPipeline(frame_size=(24, 32), transform=CropFrames((16, 16)))
    spec = InputSpec(modality="frames", train=ClipPipeline(), evaluation=small)
    rng = np.random.default_rng(0)
    assert read_clip(sample, spec, training=True, rng=rng).frames.shape == (2, 3, 48, 64)
    clip = read_clip(sample, spec, training=False, rng=rng)
    expected = ResizeFrames((24, 32))(Clip(None, frames=read(folder)), None).frames[..., 4:20, 8:24]
    assert torch.equal(clip.frames, expected)
