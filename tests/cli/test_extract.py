"""slt-zoo extract: what is stored, that it can be stopped anywhere, and that nothing is mixed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from slt_zoo import Phoenix14T
from slt_zoo.cli import main
from slt_zoo.data.readers import open_reader
from slt_zoo.data.stores import open_store
from slt_zoo.data.stores.naming import extract_command
from slt_zoo.layers.frame_encoder import FrameEncoder, weights_hash
from slt_zoo.testing import simulated

__all__ = ["simulated"]  # a fixture

NET = "timm:test_resnet.r160_in1k"
ENCODER = ["--encoder", NET, "--seed", "0", "--frame-size", "48", "48"]
QUIET = ["--no-progress", "--accelerator", "cpu"]
TWO = ["--devices", "2", "--strategy", "ddp_fork"]


@pytest.fixture
def root(simulated, tmp_path):
    copy = tmp_path / "corpus"
    made = simulated("Phoenix14T", samples=(6, 3, 3), seed=3, render=("pose", "frames"), frame_size=(48, 48))
    shutil.copytree(made, copy)
    return copy


@pytest.fixture
def extract(root, tmp_path, capfd):
    """Runs the command into a folder; gives its status and what it said."""

    def run(*words, out="s", encoder=ENCODER) -> tuple[int, str]:
        where = ["--out", str(tmp_path / out)] if out else []
        capfd.readouterr()
        status = main(["extract", "--corpus", "Phoenix14T", "--root", str(root), *encoder, *QUIET, *where, *words])
        said = capfd.readouterr()
        return status, said.out + said.err

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def samples(root, split="train"):
    return list(Phoenix14T(str(root)).manifest(split))


def frames_of(sample):
    reader = open_reader("frames", sample.media["frames"], sample_id=sample.id)
    return reader.read(torch.arange(reader.num_frames))["frames"]


def break_frame(sample) -> Path:
    path = sorted(Path(sample.media["frames"].path).glob("*.png"))[3]
    path.write_bytes(path.read_bytes()[:40])
    return path


class TestContent:
    def test_features_are_those_of_the_encoder(self, extract, root, tmp_path):
        status, said = extract()
        assert status == 0
        store = open_store(tmp_path / "s")
        net = FrameEncoder(NET.removeprefix("timm:"), seed=0).eval()
        for sample in samples(root):
            with torch.no_grad():
                expected = net(frames_of(sample))  # they have 48 x 48 pixels already
            torch.testing.assert_close(store.read(sample.id)["features"], expected.half(), atol=2e-3, rtol=2e-3)
            media = store.media(sample.id)
            assert (media.num_frames, media.fps, media.stride, media.window) == (len(expected), 25.0, 1, 1)
        made = store.manifest.made_by
        assert made.weights == weights_hash(net) and made.settings["weights"] == "seed 0"
        assert made.settings["mean"] == [0.5, 0.5, 0.5] and made.settings["frame_size"] == [48, 48]
        assert store.manifest.simulated and "Simulated signing is no sign language" in said
        assert {s: len(store.ids(s)) for s in ("train", "dev", "test")} == {"train": 6, "dev": 3, "test": 3}
        assert "12 samples" in said and "MiB" in said

    def test_the_words_that_it_prints_are_those_to_use(self, extract, root, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        _, said = extract(out=None)
        words = re.search(r"to use it: (\S+)", said)[1]
        assert words == "--data.features=" + re.search(r"id: (\S+)", said)[1]
        feature_id = words.partition("=")[2]
        assert (Phoenix14T(str(root)).corpus_folder() / "features" / feature_id / "manifest.json").is_file()
        small = ["--model.d_model", "16", "--model.nhead", "2", "--trainer.fast_dev_run", "true"]
        model = ["--model", "SignAttention", "--model.modality", "features", f"--model.feature_id={feature_id}"]
        assert main(["fit", *model, *small, "--data", "Phoenix14T", "--data.root", str(root), words]) == 0

    def test_every_second_frame_smaller_and_cut(self, extract, root, tmp_path):
        encoder = ["--encoder", NET, "--seed", "0", "--frame-size", "40", "--crop", "32", "24", "--stride", "2"]
        assert extract("--splits", "dev", encoder=encoder)[0] == 0
        store, sample = open_store(tmp_path / "s"), samples(root, "dev")[0]
        frames = frames_of(sample)
        assert store.media(sample.id).stride == 2 and store.media(sample.id).num_frames == len(frames)
        assert len(store.read(sample.id)["features"]) == -(-len(frames) // 2)
        assert (store.manifest.made_by.settings["frame_size"], store.manifest.made_by.settings["crop"]) == (
            [40],
            [32, 24],
        )
        reader = open_reader("features", store.media(sample.id), sample_id=sample.id)
        assert reader.fps == 12.5

    def test_s3d(self, extract, root, tmp_path):
        encoder = ["--encoder", "s3d", "--seed", "0", "--frame-size", "32", "32"]
        assert extract("--splits", "dev", encoder=encoder)[0] == 0
        store, sample = open_store(tmp_path / "s"), samples(root, "dev")[0]
        assert store.manifest.shape == (832,)
        assert (store.media(sample.id).stride, store.media(sample.id).window) == (4, 63)

    @pytest.mark.parametrize(("points", "count"), [("upper_hands48", 48), (None, 56)])
    def test_poses(self, extract, root, tmp_path, points, count):
        words = ["--points", points] if points else []
        status, said = extract(*words, encoder=["--encoder", "pose"])
        assert status == 0 and "--data.poses=" in said
        store, sample = open_store(tmp_path / "s"), samples(root)[0]
        own = open_reader("pose", sample.media["pose"], sample_id=sample.id)
        whole = own.read(torch.arange(own.num_frames))
        stored = open_reader("pose", store.media(sample.id), sample_id=sample.id)
        got = stored.read(torch.arange(stored.num_frames))
        assert len(got["points"]) == count and stored.fps == own.fps
        index = [whole["points"].index(p) for p in got["points"]]
        assert torch.equal(got["pose"], whole["pose"][:, index]) and torch.equal(got["conf"], whole["conf"][:, index])

    def test_frames(self, extract, root, tmp_path):
        status, said = extract("--frame-size", "32", "40", "--quality", "95", encoder=["--encoder", "frames"])
        assert status == 0 and "--data.frames=" in said
        store, sample = open_store(tmp_path / "s"), samples(root)[0]
        reader = open_reader("frames", store.media(sample.id), sample_id=sample.id)
        small = reader.read(torch.arange(reader.num_frames))["frames"]
        assert small.shape == (len(frames_of(sample)), 3, 32, 40)
        exact = np.asarray(Image.fromarray(frames_of(sample)[5].permute(1, 2, 0).numpy()).resize((40, 32)))
        assert np.abs(small[5].permute(1, 2, 0).numpy() - exact.astype(float)).mean() < 8

    def test_features_of_stored_frames_are_another_making(self, extract, root, tmp_path):
        assert (
            extract("--splits", "dev", "--frame-size", "48", "48", encoder=["--encoder", "frames"], out="jpeg")[0] == 0
        )
        source = open_store(tmp_path / "jpeg").manifest.made_by.id
        status, said = extract("--splits", "dev", "--frames", str(tmp_path / "jpeg"))
        made = open_store(tmp_path / "s").manifest.made_by
        assert status == 0 and made.settings["source"] == source
        assert extract_command(made.id, "C", "R").endswith("--seed 0 --frames STORE")
        status, said = extract("--splits", "test")
        assert status == 2 and f"settings.source is '{source}' there and None now" in said

    def test_weights_of_a_file(self, extract, tmp_path):
        net = FrameEncoder(NET.removeprefix("timm:"), seed=5)
        torch.save(net.encoder.state_dict(), tmp_path / "w.pt")
        encoder = ["--encoder", NET, "--weights", str(tmp_path / "w.pt"), "--frame-size", "48", "48"]
        status, said = extract("--splits", "dev", encoder=encoder)
        made = open_store(tmp_path / "s").manifest.made_by
        assert status == 0 and made.weights == weights_hash(net) == made.settings["weights"]
        assert f",weights={made.weights[:8]}," in said

    def test_precision_is_lightnings_and_another_making(self, extract, tmp_path):
        ids = []
        for precision in ("32-true", "bf16-mixed", "bf16-true"):
            assert extract("--splits", "dev", "--precision", precision, out=precision)[0] == 0
            ids.append(open_store(tmp_path / precision).manifest.made_by.id)
        rows = [open_store(tmp_path / p).read(next(iter(open_store(tmp_path / p)))) for p in ("32-true", "bf16-mixed")]
        assert len(set(ids)) == 3 and not torch.equal(rows[0]["features"], rows[1]["features"])
        torch.testing.assert_close(rows[0]["features"], rows[1]["features"], atol=0.1, rtol=0.1)

    def test_nothing_is_downloaded(self, extract, monkeypatch):
        import socket

        monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was made"))
        assert extract("--splits", "dev")[0] == 0

    def test_a_dry_run_tells_and_leaves_nothing(self, extract, tmp_path):
        status, said = extract("--dry-run")
        assert status == 0 and "stride 1" in said and "weights: SHA-256" in said and not (tmp_path / "s").exists()


class TestStopped:
    """Whatever stops it, what is there counts, and what comes out is what an uninterrupted run makes."""

    @pytest.mark.parametrize("devices", [[], TWO], ids=["one", "two"])
    def test_a_kill(self, extract, root, tmp_path, devices):
        assert extract(out="whole")[0] == 0
        out = tmp_path / "s"
        words = ["extract", "--corpus", "Phoenix14T", "--root", str(root), *ENCODER, *QUIET, "--out", str(out)]
        code = (
            "import sys, time\nfrom slt_zoo.extraction import reading\nread = reading.ReadFrames.__call__\n"
            "def slow(self, *given):\n    time.sleep(0.5)\n    return read(self, *given)\n"
            "reading.ReadFrames.__call__ = slow\nfrom slt_zoo.cli import main\nsys.exit(main(sys.argv[1:]))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words, *devices, "--save-every", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 90
        while len(list(out.glob("parts/*.safetensors"))) < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)  # the process and what it has forked
        said = process.communicate()[0].decode()
        pieces = len(list(out.glob("parts/*.safetensors")))
        assert 3 <= pieces < 12, said
        assert not json.loads((out / "manifest.json").read_text())["complete"]
        status, said = extract(*devices)
        assert status == 0 and f"{pieces} were there" in said and f"extracted {12 - pieces} samples" in said
        assert files(out) == files(tmp_path / "whole")

    def test_two_processes_give_what_one_gives(self, extract, tmp_path):
        assert extract(out="one")[0] == 0
        assert extract(*TWO, "--num-workers", "1", out="two")[0] == 0
        assert files(tmp_path / "one") == files(tmp_path / "two")

    def test_fewer_samples_are_left_than_processes(self, extract, root, tmp_path, simulated):
        broken = break_frame(samples(root, "dev")[1])
        status, said = extract(*TWO)
        assert status == 2 and "1 samples could not be read" in said
        whole = simulated("Phoenix14T", samples=(6, 3, 3), seed=3, render=("pose", "frames"), frame_size=(48, 48))
        shutil.copy(whole / broken.relative_to(root), broken)
        status, said = extract(*TWO)
        assert status == 0 and "extracted 1 samples" in said and "11 were there" in said
        assert extract(out="one")[0] == 0
        assert files(tmp_path / "s") == files(tmp_path / "one")

    def test_a_finished_store_is_left_as_it_is(self, extract, tmp_path):
        assert extract()[0] == 0
        times = {p: p.stat().st_mtime_ns for p in (tmp_path / "s").iterdir()}
        status, said = extract()
        assert status == 0 and "extracted 0 samples" in said and "12 were there" in said
        assert {p: p.stat().st_mtime_ns for p in (tmp_path / "s").iterdir()} == times

    def test_splits_one_after_the_other(self, extract, tmp_path):
        assert extract("--splits", "test")[0] == 0
        assert extract("--splits", "train", "val")[0] == 0
        assert extract(out="whole")[0] == 0
        assert files(tmp_path / "s") == files(tmp_path / "whole")

    def test_an_overwritten_store_is_another(self, extract, tmp_path):
        assert extract("--splits", "dev")[0] == 0
        other = [*ENCODER[:2], "--seed", "1", *ENCODER[4:]]
        assert extract("--splits", "test", "--overwrite", encoder=other)[0] == 0
        store = open_store(tmp_path / "s")
        assert store.manifest.made_by.settings["weights"] == "seed 1" and not store.ids("dev")


class TestRefused:
    @pytest.mark.parametrize(
        ("encoder", "told"),
        [
            ([*ENCODER[:2], "--seed", "1", *ENCODER[4:]], ["settings.weights", "seed 0", "seed 1"]),
            ([*ENCODER[:4], "--frame-size", "64", "64"], ["settings.frame_size", "[48, 48]", "[64, 64]"]),
            ([*ENCODER, "--stride", "2"], ["stride is 1 there and 2 now"]),
            ([*ENCODER, "--precision", "bf16-mixed"], ["settings.precision", "bf16-mixed"]),
            (["--encoder", "pose", "--points", "hands42"], ["kind is 'features' there and 'pose' now"]),
        ],
        ids=["seed", "size", "stride", "precision", "kind"],
    )
    def test_another_making_in_the_same_folder(self, extract, tmp_path, encoder, told):
        assert extract("--splits", "dev")[0] == 0
        before = files(tmp_path / "s")
        status, said = extract("--splits", "test", encoder=encoder)
        assert status == 2 and "must not be mixed" in said and all(part in said for part in told)
        assert files(tmp_path / "s") == before

    def test_another_annotation(self, extract, root, tmp_path):
        assert extract("--splits", "dev")[0] == 0
        path = next(root.rglob("*.dev.corpus.csv"))
        path.write_text(
            path.read_text(encoding="utf-8").replace(samples(root, "dev")[0].text, "anders"), encoding="utf-8"
        )
        status, said = extract("--splits", "dev", "test")
        assert status == 2 and "annotations.dev is '" in said

    def test_a_folder_of_something_else(self, extract, tmp_path):
        (tmp_path / "s").mkdir()
        (tmp_path / "s" / "thesis.tex").write_text("mine")
        for words in ([], ["--overwrite"]):
            status, said = extract(*words)
            assert status == 2 and "holds no store" in said
        assert files(tmp_path / "s") == {"thesis.tex": b"mine"}

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["--encoder", NET], "--weights FILE"),
            (["--encoder", NET, "--seed", "0", "--pretrained"], "--seed N and --pretrained"),
            (["--encoder", "timm:resnet_18", "--seed", "0"], "did you mean"),
            (["--encoder", "s3", "--seed", "0"], "did you mean 's3d'"),
            (["--encoder", NET, "--weights", "nowhere.pt"], "nowhere.pt"),
            (["--encoder", NET, "--seed", "0", "--points", "hands42"], "does not take --points"),
            (["--encoder", "pose", "--frame-size", "10"], "does not take --frame-size"),
            (["--encoder", "pose", "--points", "hand42"], "did you mean 'hands42'"),
            (["--encoder", "pose", "--points", "12"], "for --points '12'"),
            (["--encoder", "frames"], "pass --frame-size"),
            (["--encoder", "frames", "--frame-size", "1", "2", "3"], "one or two numbers"),
            (["--encoder", NET, "--seed", "0", "--dtype", "float61"], "did you mean 'float16'"),
            (["--encoder", NET, "--seed", "0", "--precision", "61"], "61"),
            (["--encoder", NET, "--seed", "0", "--splits", "tset"], "unknown split 'tset'"),
            (["--encoder", NET, "--seed", "0", "--set", "framse=x"], "did you mean 'frames'"),
            (["--encoder", NET, "--seed", "0", "--framesize", "4"], "--frame-size"),
            (["--encoder", "timm:test_vit.r160_in1k", "--seed", "0", "--frame-size", "48"], "frames of one size"),
        ],
        ids=lambda value: "" if isinstance(value, list) else value[:20],
    )
    def test_what_does_not_fit_is_told(self, extract, tmp_path, words, told):
        status, said = extract(encoder=words)
        assert status == 2 and told in said, said
        assert not (tmp_path / "s").exists()

    def test_points_that_the_files_have_not(self, extract):
        status, said = extract(encoder=["--encoder", "pose", "--points", "openpose137"])
        assert status == 2 and "83 of 137 points are not among the 56" in said
        assert "choose others with --points" in said and "model.points" not in said

    @pytest.mark.parametrize("encoder", [NET, "s3d"])
    def test_weights_that_cannot_be_fetched(self, extract, encoder, monkeypatch, tmp_path):
        import torch.hub

        def no_network(*_, **__):
            raise urllib.error.URLError("Name or service not known")

        monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        status, said = extract(encoder=["--encoder", encoder, "--pretrained"])
        assert (
            status == 2 and "cannot be fetched" in said and "--weights FILE" in said and "is there a network?" in said
        )
        assert "check the path" not in said and "Traceback" not in said

    def test_a_corpus_without_the_media(self, extract, root):
        shutil.rmtree(Phoenix14T(str(root)).corpus_folder() / "features" / "fullFrame-210x260px" / "dev")
        status, said = extract()
        assert status == 2 and "dev: 3 of 3 samples have no frames" in said and "unpack the frames" in said


class TestBadSamples:
    def test_all_that_cannot_be_read_is_told_at_once(self, extract, root, tmp_path):
        bad = [samples(root)[i] for i in (1, 4)]
        for sample in bad:
            break_frame(sample)
        status, said = extract()
        assert status == 2 and "2 samples could not be read" in said and all(s.id in said for s in bad)
        assert not json.loads((tmp_path / "s" / "manifest.json").read_text())["complete"]
        status, said = extract("--on-bad-sample", "skip")
        assert status == 0 and "10 were there" in said and f"left out {bad[0].id}" in said
        store = open_store(tmp_path / "s")
        assert set(store.manifest.unreadable) == {s.id for s in bad} and len(store) == 10
        assert "cannot decode" in store.manifest.unreadable[bad[0].id]

    def test_where_nothing_can_be_read_it_stops_early(self, extract, root):
        for split in ("train", "dev", "test"):
            for sample in samples(root, split):
                break_frame(sample)
        status, said = extract("--on-bad-sample", "skip")
        assert status == 2 and "none of the first 10 samples can be read" in said

    @pytest.mark.parametrize("devices", [[], TWO], ids=["one", "two"])
    @pytest.mark.parametrize(("value", "told"), [(1e6, "do not fit into float16"), (float("nan"), "NaN or infinite")])
    def test_numbers_that_cannot_be_stored(self, extract, root, tmp_path, monkeypatch, devices, value, told):
        bad = {len(frames_of(samples(root)[2]))}
        forward = FrameEncoder.forward

        def spoilt(self, frames):
            rows = forward(self, frames)
            return rows + value if len(frames) in bad else rows

        monkeypatch.setattr(FrameEncoder, "forward", spoilt)
        status, said = extract(*devices, "--splits", "train")
        assert status == 2 and told in said and f"sample {samples(root)[2].id}" in said
        monkeypatch.undo()
        assert extract("--splits", "train")[0] == 0, "what was made before the fault is whole"
        assert extract("--splits", "train", out="whole")[0] == 0
        assert files(tmp_path / "s") == files(tmp_path / "whole")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--encoder", "timm:", "--seed", "0"], "unknown encoder 'timm:'"),
        (["--encoder", "s3d:x", "--seed", "0"], "unknown encoder 's3d:x'"),
        (["--encoder", NET, "--seed", str(2**70)], "--seed must be"),
        (["--encoder", "pose", "--id", "../../evil"], "--id is a name"),
        (["--encoder", "pose", "--out", "FILE/s"], "is no folder"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_made(extract, tmp_path, words, message):
    (tmp_path / "file").write_text("x")
    words = [word.replace("FILE", str(tmp_path / "file")) for word in words]
    status, said = extract(out=None, encoder=words)
    assert status == 2 and message in said
    assert not list(tmp_path.rglob("manifest.json"))


def test_an_empty_file_of_weights(extract, tmp_path):
    (tmp_path / "w.pt").write_bytes(b"")
    status, said = extract(encoder=["--encoder", NET, "--weights", str(tmp_path / "w.pt")])
    assert status == 2 and "cannot be read: EOFError" in said
