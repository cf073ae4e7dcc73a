"""slt-zoo extract: at which size it reads, from a store with a stride, and from a disk that is away for a moment."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from slt_zoo import Phoenix14T
from slt_zoo.cli import main
from slt_zoo.data import retry
from slt_zoo.data.readers import open_reader
from slt_zoo.data.readers.frames import FrameReader
from slt_zoo.data.readers.stored import StoredFrames
from slt_zoo.data.stores import local, open_store
from slt_zoo.errors import MediaError, StoreError
from slt_zoo.extraction import ExtractOptions, make_plan
from slt_zoo.testing import simulated
from slt_zoo.types import Media, Sample

__all__ = ["simulated"]  # a fixture

NET = ["--encoder", "timm:test_resnet.r160_in1k", "--seed", "0", "--frame-size", "32", "32"]
JPEG = ["--encoder", "frames", "--frame-size", "32", "32"]


@pytest.fixture
def root(simulated) -> Path:
    return simulated("Phoenix14T", samples=(6, 3, 3), seed=3, render=("pose", "frames"), frame_size=(48, 48))


@pytest.fixture
def extract(root, tmp_path):
    def run(name: str, *words: str) -> int:
        common = ["extract", "--corpus", "Phoenix14T", "--root", str(root), "--splits", "dev", "--no-progress"]
        return main([*common, "--accelerator", "cpu", "--out", str(tmp_path / name), *words])

    return run


class TestStride:
    """Of a store that was made from a store: rows are told in frames of the video."""

    @pytest.mark.parametrize(
        ("words", "stride", "window"),
        [(NET, 2, 1), ([*NET, "--stride", "3"], 6, 1), (["--encoder", "s3d", *NET[2:]], 8, 125)],
        ids=["each", "third", "s3d"],
    )
    def test_frames_then_features(self, extract, root, tmp_path, words, stride, window):
        assert extract("jpeg", *JPEG, "--stride", "2") == 0
        assert extract("s", *words, "--frames", str(tmp_path / "jpeg")) == 0
        store = open_store(tmp_path / "s")
        for sample in Phoenix14T(str(root)).manifest("dev"):
            own = open_reader("frames", sample.media["frames"], sample_id=sample.id)
            media = store.media(sample.id)
            assert (media.num_frames, media.fps, media.stride) == (own.num_frames, 25.0, stride)
            assert media.window == window
            rows = len(store.read(sample.id)["features"])
            assert rows == -(-own.num_frames // stride)
            assert open_reader("features", media, sample_id=sample.id).fps == 25.0 / stride

    def test_poses_then_poses(self, extract, root, tmp_path):
        assert extract("first", "--encoder", "pose", "--stride", "2") == 0
        assert extract("s", "--encoder", "pose", "--stride", "2", "--poses", str(tmp_path / "first")) == 0
        sample = next(iter(Phoenix14T(str(root)).manifest("dev")))
        own = open_reader("pose", sample.media["pose"], sample_id=sample.id)
        media = open_store(tmp_path / "s").media(sample.id)
        assert (media.num_frames, media.fps, media.stride) == (own.num_frames, own.fps, 4)
        stored = open_reader("pose", media, sample_id=sample.id)
        expected = own.read(torch.arange(0, own.num_frames, 4))["pose"]
        assert torch.equal(stored.read(torch.arange(stored.num_frames))["pose"], expected)


@pytest.fixture
def photos(tmp_path) -> Sample:
    """A folder of large JPEG with fine detail, where decoding at a smaller size differs from resizing afterwards."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)).save(folder / f"{number}.jpg", quality=95)
    return Sample("s", "dev", "", "de", "gsg", media={"frames": Media(str(folder), fps=25.0)})


@pytest.mark.parametrize("size", [(60, 80), (60,)], ids=["both", "shorter"])
@pytest.mark.parametrize("crop", [None, (40, 50)])
def test_frames_have_the_pixels_that_a_pipeline_reads(photos, size, crop):
    plan = make_plan(ExtractOptions("timm:test_resnet.r160_in1k", seed=0, frame_size=size, crop=crop))
    frames = plan.read(photos, None).tensors["frames"]
    wanted = size[0] if len(size) == 1 else size
    reader = open_reader("frames", photos.media["frames"], sample_id="s", frame_size=wanted)
    expected = reader.read(torch.arange(3))["frames"]
    assert expected.shape == (3, 3, 60, 80)
    assert torch.equal(frames, expected if crop is None else expected[..., 10:50, 15:65])
    assert plan.made.settings["resize"].startswith("while decoding")


def stale(*_: object, **__: object) -> None:
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


class TestDiskThatIsAway:
    @pytest.fixture(autouse=True)
    def no_pauses(self, monkeypatch):
        monkeypatch.setattr(retry, "PAUSES", (0.0, 0.0))

    @pytest.mark.parametrize("reader", [FrameReader, StoredFrames])
    def test_for_a_moment(self, extract, tmp_path, monkeypatch, reader):
        """One fault leaves no sample out."""
        words = [*NET, "--on-bad-sample", "skip"]
        if reader is StoredFrames:
            assert extract("jpeg", *JPEG) == 0
            words += ["--frames", str(tmp_path / "jpeg")]
        read, faults = reader.read, []

        def once(self, index):
            if not faults:
                faults.append(self)
                stale()
            return read(self, index)

        monkeypatch.setattr(reader, "read", once)
        assert extract("s", *words) == 0 and faults
        assert len(open_store(tmp_path / "s").ids("dev")) == 3 and not open_store(tmp_path / "s").manifest.unreadable

    def test_for_good(self, extract, tmp_path, monkeypatch, capfd):
        monkeypatch.setattr(FrameReader, "read", stale)
        assert extract("s", *NET) == 2
        said = capfd.readouterr().err
        assert "3 samples could not be read" in said and "Stale file handle" in said and "Traceback" not in said

    @pytest.mark.parametrize("kind", ["pose", "frames"])
    def test_a_store_that_cannot_be_opened_names_the_sample(self, extract, tmp_path, monkeypatch, kind):
        assert extract("s", *(["--encoder", "pose"] if kind == "pose" else JPEG)) == 0
        store = open_store(tmp_path / "s")
        sample_id = store.ids("dev")[1]
        monkeypatch.setattr(local, "read_rows", stale)
        with pytest.raises(MediaError, match="cannot read: Stale file handle") as error:
            open_reader(kind, store.media(sample_id), sample_id=sample_id)
        assert f"sample {sample_id}" in str(error.value) and str(tmp_path / "s") in str(error.value)

    def test_a_store_that_is_fetched(self, monkeypatch):
        """What fetches tells its fault as one of the store, with the connection's somewhere behind it."""
        tries = []

        def read() -> str:
            tries.append(1)
            if len(tries) < 3:
                try:
                    try:
                        raise ConnectionResetError("reset by peer")
                    except OSError:
                        raise RuntimeError("EndpointConnectionError")  # noqa: B904  # as botocore does
                except RuntimeError as cause:
                    raise StoreError("a sample cannot be fetched from the store") from cause
            return "read"

        assert retry.retry_read(read, "sample s") == "read" and len(tries) == 3

    def test_a_damaged_store_is_not_tried_again(self):
        tries = []

        def read() -> None:
            tries.append(1)
            raise StoreError("damaged") from PermissionError(errno.EACCES, "no")

        with pytest.raises(StoreError):
            retry.retry_read(read, "sample s")
        assert len(tries) == 1
