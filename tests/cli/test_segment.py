"""slt-zoo segment: what is written, that it goes on after a stop, that nothing is mixed, and that it is used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import slt_zoo
from slt_zoo import InputSpec, Phoenix14T, SignSegmentor
from slt_zoo.cli import main
from slt_zoo.data.selection import Stride
from slt_zoo.data.sign_segments import SegmentFrames, SignSegments
from slt_zoo.errors import ConfigError
from slt_zoo.segmentation import FixedLengthSegmentor, writing
from slt_zoo.testing import quick_trainer, simulated
from slt_zoo.types import SPLITS, ClipPipeline

__all__ = ["simulated"]  # a fixture


@pytest.fixture
def root(simulated, tmp_path):
    copy = tmp_path / "corpus"
    shutil.copytree(simulated("Phoenix14T", samples=(6, 3, 3), seed=3), copy)
    return copy


@pytest.fixture
def segment(root, capfd):
    """Runs the command; gives its status and what it said."""

    def run(*words, corpus="Phoenix14T", place=None) -> tuple[int, str]:
        capfd.readouterr()
        status = main(["segment", "--corpus", corpus, "--root", str(place or root), "--no-progress", *words])
        said = capfd.readouterr()
        return status, said.out + said.err

    return run


def labels_of(data, split="dev"):
    return {s.id: np.load(s.media["segments"].path) for s in data.manifest(split)}


def folder_of(root, name) -> Path:
    return Phoenix14T(str(root)).corpus_folder() / "segments" / name


def manifest_of(folder) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def test_the_oracle_s_labels_are_the_simulated_ones_and_it_says_so(segment, root):
    status, said = segment("--segmentor", "oracle", "--id", "truth")
    assert status == 0 and "--data.segments=truth" in said
    assert "true boundaries of simulated signing" in said and "no sign language" in said
    theirs = labels_of(Phoenix14T(str(root), segments="labels"))
    ours = labels_of(Phoenix14T(str(root), segments="truth"))
    assert len(ours) == 3 and all(np.array_equal(ours[i], theirs[i]) and ours[i].dtype == np.int8 for i in theirs)
    manifest = manifest_of(folder_of(root, "truth"))
    assert manifest["made_by"] == {"segmentor": "oracle", "settings": {}, "weights": ""}
    assert manifest["complete"] and manifest["samples"] == {"train": 6, "dev": 3, "test": 3} and manifest["simulated"]
    assert manifest["annotations"]["dev"] == Phoenix14T(str(root)).manifest("dev").annotation_hash
    assert manifest["fps"] == 25 and manifest["code_version"] == [slt_zoo.__version__]
    assert not (folder_of(root, "truth") / ".writing").exists()


def test_fixed_lengths_are_those_of_the_quick_try(segment, root):
    status, said = segment("--segmentor", "fixed:8")
    assert status == 0 and "--data.segments=fixed-8" in said
    made = []
    for remove in (False, True):
        if remove:
            shutil.rmtree(folder_of(root, "fixed-8"))
        data = Phoenix14T(str(root), segments="fixed-8")
        pipeline = ClipPipeline(transform=SignSegments(max_len=10, empty="halve"))
        data.bind(InputSpec("pose", frozenset({"segments"}), pipeline, pipeline), ["test"])
        made.append([c.segments.tolist() for c in (data.loader("test").dataset[i] for i in range(3))])
        assert ("segments" in data.manifest("test")[0].media["segments"].path) is not remove
    assert made[0] == made[1] and all(last - first <= 8 for clip in made[0] for first, last in clip)


@pytest.mark.parametrize("corpus", ["GSL", "How2Sign", "CSLDaily"])
def test_every_corpus_finds_them(corpus, segment, simulated, tmp_path):
    copy = tmp_path / "other"
    shutil.copytree(simulated(corpus, samples=(8, 4, 4), seed=3), copy)
    status, _ = segment("--segmentor", "fixed:5", "--id", "mine", corpus=corpus, place=copy)
    data = getattr(slt_zoo, corpus)(str(copy), segments="mine")
    data.bind(InputSpec("pose", frozenset({"segments"})), ["train", "test"])
    clips = [data.loader("test").dataset[i] for i in range(4)]
    assert status == 0 and all(len(clip.labels) == len(clip.pose) and clip.labels[5] == 2 for clip in clips)


def test_rows_of_a_store_with_a_stride_become_frames(segment, root, tmp_path):
    words = ["--corpus", "Phoenix14T", "--root", str(root), "--splits", "dev", "--encoder", "pose", "--stride", "2"]
    assert main(["extract", *words, "--out", str(tmp_path / "half"), "--no-progress"]) == 0
    path = trained(root, tmp_path)
    status, _ = segment("--segmentor", str(path), "--id", "s", "--splits", "dev", "--poses", str(tmp_path / "half"))
    assert status == 0
    frames = {i: len(labels) for i, labels in labels_of(Phoenix14T(str(root), segments="labels")).items()}
    found = labels_of(Phoenix14T(str(root), segments="s"))
    assert {i: len(labels) for i, labels in found.items()} == frames
    assert all((labels[1::2] != 2).all() for labels in found.values()), "a begin is the first frame of its row"
    assert manifest_of(folder_of(root, "s"))["store"]


def trained(root, tmp_path) -> Path:
    sizes = {"stream_dim": 8, "d_model": 8, "nhead": 2, "dim_feedforward": 8, "num_layers": 1}
    torch.manual_seed(0)
    trainer = quick_trainer(tmp_path, max_steps=1, limit_val_batches=0)
    trainer.fit(SignSegmentor(**sizes), datamodule=Phoenix14T(str(root), segments="labels"))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    return tmp_path / "a.ckpt"


def test_a_checkpoint_labels_a_corpus_without_boundaries(segment, root, tmp_path):
    path = trained(root, tmp_path)
    shutil.rmtree(Phoenix14T(str(root)).corpus_folder() / "labels")
    status, said = segment("--segmentor", str(path), "--id", "mine", "--splits", "dev")
    assert status == 0 and "labelled 3 samples" in said
    made = manifest_of(folder_of(root, "mine"))["made_by"]
    assert made["segmentor"] == "SignSegmentor" and made["weights"] == slt_zoo.loading.sha256_of(path)
    assert made["settings"]["trained_on"] == "Phoenix14T" and made["settings"]["fix_up"] is True
    model = slt_zoo.load(path)
    data = Phoenix14T(str(root), segments="mine", eval_batch_size=3)
    data.bind(model.input_spec, ["dev"])
    (batch,) = data.loader("dev")
    for sample_id, labels in zip(batch.id, model.label(batch), strict=True):
        assert np.array_equal(labels_of(data)[sample_id], labels.numpy())
    folder = model.save_pretrained(tmp_path / "pretrained")
    status, said = segment("--segmentor", str(folder), "--id", "mine", "--splits", "dev")
    assert status == 2 and "weights" in said, "another file of weights is another making"


def test_real_skeletons_are_labelled_and_read_with_their_labels(root, tmp_path, shared_data, capfd):
    """Whether the labels are right is another question: the model has learnt next to nothing, of simulated signing."""
    path, poses = trained(root, tmp_path), str(shared_data / "poses/phoenix14t_skels")
    corpus = str(shared_data / "phoenix14t")
    words = ["--corpus", "Phoenix14T", "--root", corpus, "--poses", poses, "--set", f"subset={poses}", "--no-progress"]
    assert main(["segment", *words, "--segmentor", str(path), "--out", str(tmp_path / "real")]) == 0
    said = capfd.readouterr().out
    assert "labelled 15 samples" in said and "do not trust" in said
    data = Phoenix14T(corpus, poses=poses, subset=poses, segments=str(tmp_path / "real"))
    pipeline = ClipPipeline(SegmentFrames(modality="pose"))
    data.bind(InputSpec("pose", frozenset({"segments"}), pipeline, pipeline), SPLITS)
    clips = [data.loader(split).dataset[i] for split in SPLITS for i in range(len(data.manifest(split)))]
    assert len(clips) == 15 and all(len(clip.segments) and clip.segments[-1, 1] == len(clip.pose) for clip in clips)


class TestGoingOn:
    def test_what_is_missing_is_done_and_nothing_else(self, segment, root, monkeypatch):
        calls = []
        original = FixedLengthSegmentor.__call__

        def stopped(self, clip):
            calls.append(clip.sample.id)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return original(self, clip)

        monkeypatch.setattr(FixedLengthSegmentor, "__call__", stopped)
        with pytest.raises(KeyboardInterrupt):
            segment("--segmentor", "fixed:8", "--id", "a")
        folder = folder_of(root, "a")
        assert not manifest_of(folder)["complete"] and len(list(folder.glob("*.npy"))) == 2
        assert sorted(p.name for p in folder.iterdir() if p.suffix != ".npy") == ["manifest.json"], "no lock, no rest"
        status, said = segment("--segmentor", "fixed:8", "--id", "a")
        assert status == 0 and "labelled 10 samples; 2 were there" in said and manifest_of(folder)["complete"]
        assert len(calls) == 13 and calls[2] == calls[3]
        status, said = segment("--segmentor", "fixed:8", "--id", "a")
        assert "labelled 0 samples; 12 were there" in said and len(calls) == 13

    def test_splits_one_after_the_other(self, segment, root):
        for split, samples in (("dev", {"dev": 3}), ("train", {"dev": 3, "train": 6})):
            assert segment("--segmentor", "fixed:8", "--id", "a", "--splits", split)[0] == 0
            assert manifest_of(folder_of(root, "a"))["samples"] == samples

    def test_a_stop_while_a_file_is_written_leaves_no_part(self, segment, root, monkeypatch):
        monkeypatch.setattr(writing.np, "save", lambda file, array, **_: file.write(b"half") and 1 / 0)
        with pytest.raises(ZeroDivisionError):
            segment("--segmentor", "fixed:8", "--id", "a")
        assert [p.name for p in folder_of(root, "a").iterdir()] == ["manifest.json"]


class TestNothingIsMixed:
    def test_another_segmentor(self, segment, root):
        segment("--segmentor", "fixed:8", "--id", "a")
        before = {p: p.read_bytes() for p in folder_of(root, "a").iterdir()}
        status, said = segment("--segmentor", "fixed:9", "--id", "a")
        assert status == 2 and "settings: {'length': 8} there, {'length': 9} now" in said and "--overwrite" in said
        assert {p: p.read_bytes() for p in folder_of(root, "a").iterdir()} == before
        assert segment("--segmentor", "fixed:9", "--id", "a", "--overwrite")[0] == 0
        assert all(labels[9] == 2 for labels in labels_of(Phoenix14T(str(root), segments="a")).values())

    def test_another_annotation(self, segment, root):
        segment("--segmentor", "fixed:8", "--id", "a")
        path = next(root.rglob("*dev.corpus.csv"))
        path.write_text(path.read_text().replace("regen", "schnee").replace("sonne", "wolken") + "", encoding="utf-8")
        text = path.read_text().splitlines()
        text[1] = text[1] + " anders"
        path.write_text("\n".join(text) + "\n", encoding="utf-8")
        status, said = segment("--segmentor", "fixed:8", "--id", "a")
        assert status == 2 and "annotations.dev" in said

    @pytest.mark.parametrize("name", ["labels", "poses"])
    def test_folders_of_others_stay(self, segment, root, name):
        folder = Phoenix14T(str(root)).corpus_folder() / name
        before = sorted(folder.rglob("*"))
        for words in ([], ["--overwrite"]):
            status, said = segment("--segmentor", "fixed:8", "--out", str(folder), *words)
            assert status == 2 and "not empty" in said and sorted(folder.rglob("*")) == before

    def test_a_store_of_features_stays(self, segment, root, tmp_path):
        words = ["--corpus", "Phoenix14T", "--root", str(root), "--splits", "dev", "--encoder", "pose"]
        assert main(["extract", *words, "--out", str(tmp_path / "store"), "--no-progress"]) == 0
        before = sorted((tmp_path / "store").rglob("*"))
        status, said = segment("--segmentor", "fixed:8", "--out", str(tmp_path / "store"), "--overwrite")
        assert status == 2 and "another file of this name" in said and sorted((tmp_path / "store").rglob("*")) == before

    @pytest.mark.parametrize("text", ["{}", "[1]", "no json", '{"format": "slt_zoo sign boundaries"}'])
    def test_a_damaged_manifest(self, segment, root, text):
        segment("--segmentor", "fixed:8", "--id", "a")
        (folder_of(root, "a") / "manifest.json").write_text(text)
        status, said = segment("--segmentor", "fixed:8", "--id", "a")
        assert status == 2 and "damaged" in said


class TestMistakes:
    @pytest.mark.parametrize(
        ("word", "message"),
        [
            ("fixed", "a number of frames"),
            ("fixed:x", "a number of frames"),
            ("fixed:0", "at least one frame"),
            ("orakle", "oracle"),
            ("nowhere.ckpt", "unknown segmentor"),
            ("slp", "not installed"),
        ],
    )
    def test_of_the_segmentor(self, segment, root, word, message):
        status, said = segment("--segmentor", word)
        assert status == 2 and message in said and not (folder_of(root, "a").parent).exists()

    def test_a_checkpoint_of_another_model(self, segment, root, tmp_path):
        trainer = quick_trainer(tmp_path, max_steps=1, limit_val_batches=0)
        sizes = {"points": "upper_hands48", "d_model": 8, "nhead": 2, "dim_feedforward": 8}
        trainer.fit(slt_zoo.SignAttention(**sizes), datamodule=Phoenix14T(str(root)))
        trainer.save_checkpoint(tmp_path / "b.ckpt")
        status, said = segment("--segmentor", str(tmp_path / "b.ckpt"))
        assert status == 2 and "labels no frames" in said and "SignAttention" in said

    def test_an_id_that_is_a_path(self, segment):
        status, said = segment("--segmentor", "fixed:8", "--id", "../x")
        assert status == 2 and "a name, not a path" in said

    def test_a_sample_that_cannot_be_read(self, segment, root):
        bad = Phoenix14T(str(root)).manifest("dev")[1]
        Path(bad.media["pose"].path).write_bytes(b"no pose")
        status, said = segment("--segmentor", "fixed:8", "--id", "a")
        assert status == 2 and bad.id in said and "--on-bad-sample skip" in said
        assert not manifest_of(folder_of(root, "a"))["complete"]
        status, said = segment("--segmentor", "fixed:8", "--id", "a", "--on-bad-sample", "skip")
        manifest = manifest_of(folder_of(root, "a"))
        assert status == 0 and list(manifest["unreadable"]) == [bad.id] and manifest["samples"]["dev"] == 2

    def test_a_segmentor_that_does_not_see_every_frame(self, root, tmp_path):
        segmentor = FixedLengthSegmentor(8)
        spec = InputSpec("pose", evaluation=ClipPipeline(select=Stride(2)))
        with (
            pytest.MonkeyPatch.context() as patch,
            pytest.raises(ConfigError, match="every frame"),
        ):
            patch.setattr(FixedLengthSegmentor, "input_spec", spec)
            writing.write_labels(Phoenix14T(str(root)), segmentor, tmp_path / "x", splits=["dev"])
        assert not (tmp_path / "x").exists()

    def test_labels_of_another_number_of_rows(self, segment, root, monkeypatch, tmp_path):
        path = trained(root, tmp_path)
        monkeypatch.setattr(SignSegmentor, "label", lambda self, batch: [torch.zeros(3, dtype=torch.int64)])
        status, said = segment("--segmentor", str(path), "--id", "a")
        assert status == 2 and "one label a row" in said
