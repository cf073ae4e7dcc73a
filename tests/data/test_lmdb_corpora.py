"""Corpora whose frames were put into LMDB files: the batches of the folders of images, without being told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from lmdb_folders import details_of, pack_folder, write_lmdb

import slt_zoo
from slt_zoo import InputSpec
from slt_zoo.data.examine_media import look_at_media
from slt_zoo.data.media_checks import frame_size_hint
from slt_zoo.data.readers import base
from slt_zoo.data.readers.lmdb_file import DATA_FILE
from slt_zoo.errors import MediaError
from slt_zoo.testing import simulated
from slt_zoo.types import SPLITS, ClipPipeline

__all__ = ["simulated"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore")
FRAMES = InputSpec(modality="frames")
CLIPS = {"How2Sign": {"cut": "clips"}}


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    base._told.clear()
    monkeypatch.setenv("SLT_ZOO_CACHE", str(tmp_path / "cache"))


@pytest.fixture(params=["Phoenix14T", "CSLDaily", "How2Sign", "GSL"])
def corpus(request, simulated, tmp_path):
    """Makes a data module on a copy with folders of images, with arguments."""
    made = simulated(request.param, samples=(4, 2, 2), seed=3, render=("frames",), frame_size=(40, 48))
    root = shutil.copytree(made, tmp_path / "corpus")
    return lambda **more: getattr(slt_zoo, request.param)(str(root), **CLIPS.get(request.param, {}), **more)


@pytest.fixture
def phoenix(simulated, tmp_path):
    made = simulated("Phoenix14T", samples=(4, 2, 2), seed=3, render=("frames",), frame_size=(40, 48))
    root = shutil.copytree(made, tmp_path / "corpus")
    pack(slt_zoo.Phoenix14T(str(root)))
    return lambda **more: slt_zoo.Phoenix14T(str(root), **more)


def pack(data, home: Path | None = None) -> None:
    """Images become LMDB files in their place, or in ``home`` by id, without a level for the split."""
    for split in SPLITS:
        for sample in data.manifest(split):
            folder = Path(sample.media["frames"].path)
            pack_folder(folder, f"{split}/{sample.id}")
            if home is not None:
                (home / sample.id).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(folder, home / sample.id)


def batches(data, epochs: int = 1) -> list[tuple[str, list[str], torch.Tensor, torch.Tensor]]:
    """Of all splits; those of training in training order, with random draws."""
    data.bind(FRAMES, SPLITS)
    loaders = [(split, data.loader(split, training=split == "train")) for split in SPLITS]
    return [
        (split, batch.id, batch.frames.values, batch.frames.lengths)
        for _ in range(epochs)
        for split, loader in loaders
        for batch in loader
    ]


def same(found, expected) -> bool:
    return len(found) == len(expected) and all(
        a[:2] == b[:2] and torch.equal(a[2], b[2]) and torch.equal(a[3], b[3])
        for a, b in zip(found, expected, strict=True)
    )


def test_in_place_of_the_images(corpus):
    expected = batches(corpus(batch_size=2, bucket=True))
    assert sum(len(ids) for _, ids, _, _ in expected) == 8
    pack(corpus())
    data = corpus(batch_size=2, bucket=True)
    assert same(batches(data), expected)
    media = data.manifest("dev")[0].media["frames"]
    assert [path.name for path in Path(media.path).iterdir()] == [DATA_FILE]


def test_in_a_folder_that_is_named(corpus, tmp_path):
    expected = batches(corpus(batch_size=2))
    pack(corpus(), tmp_path / "databases")
    assert same(batches(corpus(batch_size=2, frames=str(tmp_path / "databases"))), expected)


def test_in_worker_processes_over_epochs(phoenix):
    expected = batches(phoenix(batch_size=2), epochs=2)
    assert same(batches(phoenix(batch_size=2, num_workers=2), epochs=2), expected)


def test_the_doctor_sees_them(phoenix):
    manifest = phoenix().manifest("train")
    found = look_at_media(manifest, -1, "unpack")
    lengths = {sample.id: len(phoenix_frames(sample)) for sample in manifest}
    assert found.there["frames"] == 4 and found.frames == lengths and not found.faults
    first, second, third = (Path(sample.media["frames"].path) for sample in list(manifest)[:3])
    write_lmdb(first, [], details_of(lengths[first.name] + 2, first.name))
    write_lmdb(second, [], details_of(lengths[second.name], third.name))
    (third / DATA_FILE).write_bytes((third / DATA_FILE).read_bytes()[:-9000])
    base._told.clear()
    found = look_at_media(manifest, -1, "unpack")
    assert any(f"num_frames is {lengths[first.name] + 2}, {lengths[first.name]} found" in note for note in found.notes)
    assert len(found.faults) == 2 and "another sample" in found.faults[0] and "cut off" in found.faults[1]


def phoenix_frames(sample):
    from slt_zoo.data.readers import open_reader

    reader = open_reader("frames", sample.media["frames"], sample_id=sample.id)
    return reader.read(torch.arange(reader.num_frames))["frames"]


def test_pictures_of_another_size_than_the_folder_says(phoenix):
    hint = frame_size_hint(phoenix().manifest("train"))
    assert "expected 210x260" in hint and "got 40x48 (key '0' of '" in hint


def test_what_cannot_be_read_is_skipped_in_training(phoenix):
    sample = phoenix().manifest("train")[1]
    path = Path(sample.media["frames"].path) / DATA_FILE
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(MediaError, match=rf"cut off[\s\S]*{sample.id}"):
        batches(phoenix(batch_size=4))
    data = phoenix(batch_size=4, on_bad_sample="skip")
    data.bind(FRAMES, ["train"])
    (batch,) = data.loader("train", training=True)
    assert list(batch.skipped) == [sample.id] and len(batch.id) == 3


def test_only_selected_frames_at_the_size_wanted(phoenix):
    from slt_zoo.data.selection import Stride

    spec = InputSpec(modality="frames", train=ClipPipeline(), evaluation=ClipPipeline(Stride(2), frame_size=(20, 24)))
    data = phoenix(batch_size=2)
    data.bind(spec, ["dev"])
    (batch,) = data.loader("dev")
    lengths = [len(phoenix_frames(sample)) for sample in data.manifest("dev")]
    assert batch.frames.lengths.tolist() == [(n + 1) // 2 for n in lengths]
    assert batch.frames.values.shape[1:] == (3, 20, 24)
