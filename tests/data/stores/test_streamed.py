"""Stores as shards of litdata: what a store gives, fetched; nothing but bytes is ever read."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys

import pytest
import torch

from slt_zoo import Phoenix14T
from slt_zoo.cli import main
from slt_zoo.data.readers import open_reader
from slt_zoo.data.stores import open_store
from slt_zoo.data.stores.manifest import StoreManifest
from slt_zoo.data.stores.stream_writer import write_stream
from slt_zoo.data.stores.streamed import StreamedStore, _bytes_alone, fetch_manifest
from slt_zoo.errors import ConfigError, StoreError
from slt_zoo.testing import simulated
from slt_zoo.types import InputSpec

__all__ = ["simulated"]  # a fixture

litdata = pytest.importorskip("litdata", reason="the extra 'stream' is not installed")

WORDS = {
    "features": ["timm:test_resnet.r160_in1k", "--seed", "0", "--frame-size", "48", "48"],
    "pose": ["pose", "--points", "upper_hands48"],
    "frames": ["frames", "--frame-size", "32", "40"],
}


@pytest.fixture(scope="module")
def stores(simulated, tmp_path_factory):
    """A simulated corpus, and a store with shards for streaming of each kind."""
    root = simulated("Phoenix14T", samples=(24, 4, 4), seed=3, render=("pose", "frames"), frame_size=(48, 48))
    folder = tmp_path_factory.mktemp("stores")
    for kind, words in WORDS.items():
        where = ["--root", str(root), "--out", str(folder / kind), "--no-progress", "--accelerator", "cpu", "--shards"]
        assert main(["extract", "--corpus", "Phoenix14T", "--encoder", *words, *where]) == 0
        write_stream(folder / kind, chunk_size=100_000)  # small: so few samples would lie in one file
    return root, folder


@pytest.fixture
def afar(stores, tmp_path, monkeypatch):
    """The shards at an address, with an empty place for what is fetched."""
    monkeypatch.setenv("SLT_ZOO_CACHE", str(tmp_path / "cache"))

    def move(kind: str) -> str:
        shutil.copytree(stores[1] / kind / "stream", tmp_path / "bucket" / kind)
        return f"local:{tmp_path / 'bucket' / kind}"

    return move


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize("fetched", [False, True], ids=["in place", "fetched"])
def test_it_gives_what_the_store_gives(stores, afar, kind, fetched):
    store = open_store(stores[1] / kind)
    stream = open_store(afar(kind) if fetched else stores[1] / kind / "stream")
    assert isinstance(stream, StreamedStore) and list(stream) == list(store)
    assert len(stream.manifest.shards_of("train")) > 2, "the test needs several files"
    for sample_id in reversed(list(store)):
        one, other = store.media(sample_id), stream.media(sample_id)
        assert (one.fps, one.num_frames, one.stride, one.extractor) == (
            other.fps, other.num_frames, other.stride, other.extractor,
        )  # fmt: skip
        readers = [open_reader(kind, media, sample_id=sample_id) for media in (one, other)]
        index = torch.tensor([2, 0, 0])
        for name, value in readers[0].read(index).items():
            again = readers[1].read(index)[name]
            assert torch.equal(value, again) if isinstance(value, torch.Tensor) else value == again


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corpus_reads_it_from_an_address(stores, afar, workers):
    spec, seen = InputSpec(modality="features"), []
    for features in (str(stores[1] / "features"), afar("features")):
        data = Phoenix14T(str(stores[0]), features=features, batch_size=4, num_workers=workers, bucket=True)
        data.bind(spec, ["train", "dev"])
        batches = [*data.loader("train", training=True), *data.loader("dev")]
        assert data.facts().feature_dim == batches[0].features.values.shape[1]
        seen.append({i: rows.sum().item() for b in batches for i, rows in zip(b.id, b.features.split(), strict=True)})
    assert seen[0] == seen[1] and len(seen[0]) == 28


def test_only_what_is_read_is_fetched_and_stays(stores, afar, tmp_path):
    place = afar("features")
    stream = open_store(place)
    stream.read(stream.ids("train")[0])
    chunks = [p.name for p in (tmp_path / "cache").rglob("chunk-*.bin")]
    assert len(chunks) == 1
    shutil.rmtree(tmp_path / "bucket" / "features" / "dev")
    with pytest.raises(StoreError, match="cannot be fetched") as error:
        stream.read(stream.ids("dev")[0])
    assert stream.ids("dev")[0] in str(error.value) and "--shards" in str(error.value)


def test_what_was_fetched_of_another_store_is_not_taken(stores, afar, tmp_path):
    place = afar("features")
    _, before = fetch_manifest(place)
    path = tmp_path / "bucket" / "features" / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"stride": 1', '"stride": 2'), encoding="utf-8")
    _, after = fetch_manifest(place)
    assert before != after and before.parent == after.parent
    assert not [p for p in before.parent.iterdir() if p.name.startswith(".")], "nothing is left behind"


def test_other_processes_open_their_own(stores):
    stream = open_store(stores[1] / "features" / "stream")
    again = pickle.loads(pickle.dumps(stream))
    sample_id = stream.ids("dev")[1]
    assert torch.equal(again.read(sample_id)["features"], stream.read(sample_id)["features"])


class TestRefusals:
    def test_shards_with_a_pickle_run_nothing(self, stores, tmp_path):
        class Attack:
            def __reduce__(self):
                return os.system, (f"touch {tmp_path / 'owned'}",)

        folder = tmp_path / "evil"
        shutil.copytree(stores[1] / "features" / "stream", folder)
        shutil.rmtree(folder / "dev")
        (folder / "dev").mkdir()
        writer = litdata.streaming.writer.BinaryWriter(str(folder / "dev"), chunk_bytes=10_000)
        for i in range(4):
            writer.add_item(i, Attack())
        writer.done(), writer.merge(1)
        stream = open_store(folder)
        with pytest.raises(StoreError, match="cut off or damaged"):
            stream.read(stream.ids("dev")[0])
        stream._check_size = lambda number: None  # should the sizes be right
        with pytest.raises(StoreError, match="index is not what the manifest says: refused"):
            stream.read(stream.ids("dev")[0])
        assert not (tmp_path / "owned").exists()

    def test_should_an_index_be_believed_no_pickle_is_opened_either(self):
        refuses = _bytes_alone()["pickle"]
        with pytest.raises(StoreError, match="another kind than bytes: refused"):
            refuses.deserialize(b"anything")
        assert set(_bytes_alone()) == set(litdata.streaming.serializers._SERIALIZERS)

    @pytest.mark.parametrize("name", ["../../../../evil.bin", "/tmp/evil.bin", "chunk-0-0.bin\x00", "other.bin"])
    def test_an_index_that_names_other_files(self, stores, afar, tmp_path, name):
        """In place it is refused; from afar the index is not read at all."""
        place = afar("features")
        folder = tmp_path / "bucket" / "features"
        index = json.loads((folder / "dev" / "index.json").read_text(encoding="utf-8"))
        for chunk in index["chunks"]:
            chunk["filename"] = name
        (folder / "dev" / "index.json").write_text(json.dumps(index), encoding="utf-8")
        before = set(tmp_path.rglob("*.bin"))
        stream = open_store(place)
        sample_id = stream.ids("dev")[0]
        assert torch.equal(
            stream.read(sample_id)["features"], open_store(stores[1] / "features").read(sample_id)["features"]
        )
        written = {p for p in tmp_path.rglob("*.bin") if p not in before}
        assert all(p.is_relative_to(tmp_path / "cache" / "stream") and p.name == "chunk-0-0.bin" for p in written)
        with pytest.raises(StoreError, match="index is not what the manifest says: refused"):
            open_store(folder).read(sample_id)

    @pytest.mark.parametrize("name", ["../chunk-0-0.bin", "chunk-0-0.bin/../x", "evil.bin", "C:\\chunk-0-0.bin"])
    def test_a_manifest_that_names_other_files(self, stores, afar, tmp_path, name):
        place = afar("features")
        path = tmp_path / "bucket" / "features" / "manifest.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["shards"][0]["file"] = name
        path.write_text(json.dumps(content), encoding="utf-8")
        for where in (place, path.parent):
            with pytest.raises(StoreError, match="not the manifest of a store, or damaged"):
                open_store(where)

    def test_shards_of_something_else_are_told(self, stores, tmp_path):
        folder = tmp_path / "other"
        shutil.copytree(stores[1] / "features" / "stream", folder)
        shutil.rmtree(folder / "dev")
        shutil.copytree(stores[1] / "pose" / "stream" / "dev", folder / "dev")
        stream = open_store(folder)
        with pytest.raises(StoreError, match="cut off or damaged"):
            stream.read(stream.ids("dev")[0])

    @pytest.mark.parametrize("what", ["ids", "made_by", "dtype"])
    def test_another_sample_or_another_making_is_not_taken(self, stores, tmp_path, what):
        """Files are called alike in every stream, so a copy that was cut short mixes two of them."""
        folder = tmp_path / "s"
        shutil.copytree(stores[1] / "features" / "stream", folder)
        path = folder / "manifest.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        if what == "ids":
            content["shards"][0]["ids"].reverse()
            content["shards"][0]["rows"] = [content["shards"][0]["rows"][0]] * len(content["shards"][0]["rows"])
        elif what == "made_by":
            content["made_by"]["weights"] = "other"
        else:
            content["made_by"]["dtype"] = "float32"
        path.write_text(json.dumps(content), encoding="utf-8")
        stream = open_store(folder)
        with pytest.raises(StoreError, match="cannot be fetched"):
            stream.read(stream.ids("train")[0])

    def test_addresses(self, stores, tmp_path, monkeypatch):
        monkeypatch.setenv("SLT_ZOO_CACHE", str(tmp_path / "cache"))
        with pytest.raises(ConfigError, match="address of this kind") as error:
            Phoenix14T(str(stores[0]), features="ftp://host/x").stores  # noqa: B018
        assert "s3://" in str(error.value)
        with pytest.raises(StoreError, match="no manifest of a store can be fetched") as error:
            open_store(f"local:{tmp_path / 'nowhere'}")
        assert "nowhere" in str(error.value) and "credentials" in str(error.value)
        assert not list((tmp_path / "cache" / "stream").iterdir())

    def test_an_unfinished_store_is_not_streamed(self, stores, tmp_path):
        shutil.copytree(stores[1] / "features", tmp_path / "s")
        manifest = StoreManifest.read(tmp_path / "s")
        text = manifest.to_text().replace('"complete": true', '"complete": false')
        (tmp_path / "s" / "manifest.json").write_text(text, encoding="utf-8")
        with pytest.raises(StoreError, match="not finished"):
            write_stream(tmp_path / "s")

    def test_without_litdata_the_extra_is_named(self, stores, tmp_path):
        code = (
            "import sys; sys.modules['litdata'] = None\n"
            "from pathlib import Path; from slt_zoo.data.stores.stream_writer import write_stream\n"
            f"write_stream(Path({str(stores[1] / 'features')!r}))"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert ran.returncode == 1 and "slt-zoo[stream]" in ran.stderr


def test_the_package_index_is_not_asked(stores):
    """litdata asks it for a newer version of itself unless told not to."""
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('the network was used')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from slt_zoo.data.stores import open_store\n"
        f"s = open_store({str(stores[1] / 'features' / 'stream')!r})\n"
        "print(len(s.read(s.ids('dev')[0])['features']))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0 and int(ran.stdout) > 0, ran.stderr
