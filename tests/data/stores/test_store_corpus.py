"""Stores beside a corpus: what it reads from them, and what is told where they do not belong to it."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from slt_zoo import InputSpec, Phoenix14T, SignAttention
from slt_zoo.data.stores import open_store
from slt_zoo.data.stores.local import LocalStore
from slt_zoo.data.stores.manifest import StoreManifest
from slt_zoo.data.stores.writer import PieceWriter, Record, StoreBuilder
from slt_zoo.errors import ConfigError, MissingMediaError, StoreError
from slt_zoo.extraction import ExtractOptions, extract, make_plan
from slt_zoo.testing import quick_trainer, simulated
from slt_zoo.types import ClipPipeline

__all__ = ["simulated"]  # a fixture

SPLITS = ("train", "dev", "test")
QUIET = {"accelerator": "cpu", "enable_progress_bar": False}
ENCODER = ExtractOptions("timm:test_resnet.r160_in1k", seed=0, frame_size=(48, 48))


@pytest.fixture(scope="module")
def made(simulated, tmp_path_factory):
    """A simulated corpus with frames and poses, and a store of each kind in its ``features`` folder."""
    first = simulated("Phoenix14T", samples=(6, 3, 3), seed=3, render=("pose", "frames"), frame_size=(48, 48))
    root = tmp_path_factory.mktemp("corpus")
    shutil.copytree(first, root, dirs_exist_ok=True)
    data = Phoenix14T(str(root))
    for name, options in {
        "resnet": ENCODER,
        "s3d": ExtractOptions("s3d", seed=0, frame_size=(32, 32)),
        "poses": ExtractOptions("pose", points="upper_hands48"),
        "jpeg": ExtractOptions("frames", frame_size=(40, 36), quality=95),
    }.items():
        extract(data, make_plan(options), data.corpus_folder() / "features" / name, splits=SPLITS, **QUIET)
    return root


@pytest.fixture
def corpus(made, tmp_path):
    """A copy that may be damaged."""
    shutil.copytree(made, tmp_path / "corpus")
    return tmp_path / "corpus"


def folder(root, name="resnet"):
    return Phoenix14T(str(root)).corpus_folder() / "features" / name


def bound(root, modality="features", splits=SPLITS, **arguments):
    data = Phoenix14T(str(root), **{"features": "resnet", **arguments})
    data.bind(InputSpec(modality=modality), splits)
    return data


def without(store_folder, *ids):
    """Make a store over without these samples."""
    store = open_store(store_folder)
    new = StoreBuilder(store_folder.parent / "new", store.manifest)
    new.manifest = replace(new.manifest, complete=False, shards=())
    kept = {split: [i for i in store.ids(split) if i not in ids] for split in SPLITS}
    new.begin()
    writer = PieceWriter(new)
    for split in SPLITS:
        for sample_id in kept[split]:
            media = store.media(sample_id)
            writer.add(Record(sample_id, split, store.read(sample_id), media.num_frames, media.fps))
    writer.flush()
    new.finish(kept)
    shutil.rmtree(store_folder)
    (store_folder.parent / "new").rename(store_folder)


class TestReading:
    def test_by_name_and_by_path(self, made):
        for given in ("resnet", str(folder(made))):
            data = bound(made, features=given)
            batches = list(data.loader("dev"))
            assert [i for b in batches for i in b.id] == data.manifest("dev").ids
            assert batches[0].features.values.shape[1] == 96 and data.facts().feature_dim == 96
            media = data.manifest("dev")[0].media["features"]
            assert (media.stride, media.window, media.fps) == (1, 1, 25.0)
            assert media.extractor.startswith("timm-test_resnet.r160_in1k,frame-size=48x48,seed=0,")
            assert batches[0].features.lengths[0] == media.num_frames and batches[0].fps[0] == 25.0

    def test_a_stride_of_four(self, made):
        data = bound(made, features="s3d")
        batch = next(iter(data.loader("train")))
        frames = [data.manifest("train").by_id(i).media["features"].num_frames for i in batch.id]
        assert batch.features.lengths.tolist() == [-(-n // 4) for n in frames]
        assert batch.features.values.shape[1] == 832 and batch.fps == [6.25] * len(batch)

    def test_poses_and_frames(self, made):
        own, stored = bound(made, "pose"), bound(made, "pose", poses="poses")
        a, b = (next(iter(data.loader("test"))) for data in (own, stored))
        assert a.id == b.id and torch.equal(a.pose.lengths, b.pose.lengths)
        assert b.pose.values.shape[1:] == (48, 3)
        own, stored = bound(made, "frames"), bound(made, "frames", frames="jpeg")
        a, b = (next(iter(data.loader("test"))) for data in (own, stored))
        assert b.frames.values.shape[1:] == (3, 40, 36) and torch.equal(a.frames.lengths, b.frames.lengths)
        small = torch.nn.functional.interpolate(a.frames.values.float(), (40, 36), mode="bilinear", antialias=True)
        assert (small - b.frames.values.float()).abs().mean() < 6

    def test_lengths_need_no_shard(self, made, monkeypatch):
        data = bound(made, features="s3d", bucket=True)
        monkeypatch.setattr(LocalStore, "_handle", lambda *_: pytest.fail("a shard was opened"))
        loader = data.loader("train", training=True)
        frames = [s.media["features"].num_frames for s in data.manifest("train")]
        assert loader.batches.lengths.tolist() == [-(-n // 4) for n in frames] and min(frames) > 20

    def test_workers_read_the_same(self, made):
        seen = []
        for workers in (0, 2):
            data = bound(made, num_workers=workers, batch_size=2)
            batches = data.loader("train", training=True)
            seen.append([(b.id, b.features.values.double().sum().item()) for b in batches])
        assert seen[0] == seen[1]

    def test_features_and_sign_boundaries_together(self, made, tmp_path):
        """At a stride of four the last row may stand for fewer than four frames."""
        data = Phoenix14T(str(made), features="s3d")
        for split in SPLITS:
            for sample in data.manifest(split):
                labels = np.zeros(sample.media["features"].num_frames, dtype=np.int64)
                np.save(tmp_path / f"{sample.id}.npy", labels)
        seen = []
        keep = ClipPipeline(
            select=lambda clip, count, rng: seen.append((len(clip.labels), count)) or torch.arange(count)
        )
        data = Phoenix14T(str(made), features="s3d", segments=str(tmp_path))
        data.bind(InputSpec("features", frozenset({"segments"}), keep, keep), SPLITS)
        assert len([b for split in SPLITS for b in data.loader(split)]) >= 3
        assert seen and all(count == -(-labels // 4) for labels, count in seen)
        assert any(labels % 4 for labels, _ in seen), "the test needs a short last stride"

    def test_a_model_learns_from_them(self, made, tmp_path):
        model = SignAttention(target="text", modality="features", d_model=16, nhead=2, dim_feedforward=16)
        trainer = quick_trainer(tmp_path, max_steps=2, limit_val_batches=1)
        trainer.fit(model, datamodule=Phoenix14T(str(made), features="resnet", batch_size=2))
        assert torch.isfinite(trainer.callback_metrics["train/loss"])


class TestMissing:
    @pytest.mark.parametrize(("kind", "name"), [("features", "resnet"), ("pose", "poses")])
    def test_samples_that_a_store_lacks_are_missing_media(self, corpus, kind, name):
        ids = open_store(folder(corpus)).ids("train")
        without(folder(corpus, name), ids[1])
        argument = {"features": name} if kind == "features" else {"poses": name}
        with pytest.raises(MissingMediaError, match=f"1 of 6 samples have no {kind}") as error:
            bound(corpus, kind, **argument)
        assert ids[1] in str(error.value) and "slt-zoo extract" in str(error.value)
        data = bound(corpus, kind, on_bad_sample="skip", **argument)
        assert data.manifest("train").ids == [i for i in ids if i != ids[1]] and list(data.skipped["train"]) == [ids[1]]

    def test_dev_and_test_are_never_skipped(self, corpus):
        without(folder(corpus), open_store(folder(corpus)).ids("dev")[0])
        with pytest.raises(MissingMediaError, match="dev: 1 of 3"):
            bound(corpus, on_bad_sample="skip")

    def test_a_store_that_is_not_there(self, made):
        with pytest.raises(MissingMediaError) as error:
            bound(made, features="resnte")
        assert "data.features=resnte is no folder here" in str(error.value) and "slt-zoo extract" in str(error.value)

    def test_an_unfinished_or_damaged_store(self, corpus):
        next(iter(folder(corpus).glob("dev-*"))).unlink()
        with pytest.raises(StoreError, match="missing"):
            bound(corpus)


class TestBelonging:
    @pytest.mark.parametrize("stated", [{"feature_stride": 4}, {"feature_window": 16}])
    def test_a_stride_beside_a_store_is_refused(self, made, stated):
        with pytest.raises(ConfigError, match="a store, which knows its own stride and window") as error:
            bound(made, **stated)
        assert "leave both out" in str(error.value)

    def test_a_store_of_the_same_annotation_is_silent(self, made):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Phoenix14T(str(made), features="resnet", poses="poses", frames="jpeg").manifest("test")

    def test_another_annotation_is_told(self, corpus):
        path = next(corpus.rglob("*.dev.corpus.csv"))
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join([lines[0], lines[1] + " anders", *lines[2:]]) + "\n", encoding="utf-8")
        with pytest.warns(UserWarning, match="another annotation.*the ids are the same; texts or glosses differ"):
            bound(corpus, splits=["dev"])
        path.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
        with pytest.warns(UserWarning, match="1 samples only in the store: "):
            bound(corpus, splits=["dev"])

    def test_simulated_and_real_are_told_apart(self, corpus):
        (corpus / "SIMULATED.json").unlink()
        with pytest.warns(UserWarning, match="made from simulated signing, the corpus is real"):
            bound(corpus, splits=["dev"])

    def test_other_recordings_of_the_same_samples(self, corpus, monkeypatch):
        monkeypatch.setattr(Phoenix14T, "media_settings", lambda self: {"view": "side"})
        with pytest.warns(UserWarning, match="other recordings: view was None and is 'side'"):
            bound(corpus, splits=["dev"])

    def test_a_store_of_another_corpus(self, corpus):
        path = folder(corpus) / "manifest.json"
        content = json.loads(path.read_text()) | {"corpus": "GSL"}
        content["annotations"]["dev"] = "0" * 64
        path.write_text(json.dumps(content))
        with pytest.warns(UserWarning, match="it was made for GSL"):
            bound(corpus, splits=["dev"])

    def test_a_subset_is_no_other_annotation(self, made, tmp_path):
        (tmp_path / "dev.txt").write_text(open_store(folder(made)).ids("dev")[0])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            data = Phoenix14T(str(made), features="resnet", subset=str(tmp_path))
            assert len(data.manifest("dev")) == 1

    def test_a_store_of_another_kind(self, made):
        with pytest.raises(ConfigError, match=r"data.features names a store of pose") as error:
            bound(made, features="poses")
        assert "data.poses" in str(error.value)


class TestFeatureId:
    """A recipe says which features it is for; others are refused with the command that makes the right ones."""

    def model(self, feature_id):
        return SignAttention(target="text", modality="features", feature_id=feature_id)

    def test_the_right_ones(self, made):
        bound(made)
        made_by = open_store(folder(made)).manifest.made_by
        self.model(made_by.id).prepare(Phoenix14T(str(made), features="resnet"))

    @pytest.mark.parametrize("features", ["s3d", None, "plain"])
    def test_others(self, made, features, tmp_path):
        wanted = open_store(folder(made)).manifest.made_by.id
        given = str(tmp_path) if features == "plain" else features
        with pytest.raises(ConfigError, match="set up for the features") as error:
            self.model(wanted).prepare(Phoenix14T(str(made), features=given))
        command = f"slt-zoo extract --corpus Phoenix14T --root {made} --encoder timm:test_resnet.r160_in1k "
        assert f"{command}--frame-size 48 48 --seed 0" in str(error.value)
        assert f"data.features={wanted}" in str(error.value)
        found = {"s3d": "s3d,frame-size=32x32,seed=0", None: "no features are named", "plain": "is no store"}[features]
        assert found in str(error.value)

    def test_the_command_makes_what_was_asked_for(self, made):
        """The settings of the command, hashed, give the id again."""
        assert make_plan(ENCODER).made.id == open_store(folder(made)).manifest.made_by.id

    @pytest.mark.parametrize(
        ("modality", "argument", "name"), [("pose", "poses", "poses"), ("frames", "frames", "jpeg")]
    )
    def test_it_is_of_what_the_model_reads(self, corpus, modality, argument, name):
        wanted = open_store(folder(corpus, name)).manifest.made_by.id
        spec = InputSpec(modality=modality, feature_id=wanted)
        place = str(folder(corpus, name))
        Phoenix14T(str(corpus), **{argument: place}).bind(spec, ["dev"])
        for given, found in ((None, f"no {argument} are named"), (str(corpus), "is no store")):
            with pytest.raises(ConfigError, match=f"set up for the {argument} '{wanted}'") as error:
                Phoenix14T(str(corpus), **{argument: given}).bind(spec, ["dev"])
            assert found in str(error.value) and f"data.{argument}={wanted}" in str(error.value)
        with pytest.raises(ConfigError, match=f"set up for the {argument} 'anything'") as error:
            Phoenix14T(str(corpus), **{argument: place}).bind(replace(spec, feature_id="anything"), ["dev"])
        assert wanted in str(error.value), "what is there is named"

    def test_a_model_that_reads_poses_is_checked(self, made):
        model = SignAttention(target="text", points="upper_hands48", feature_id="anything")
        with pytest.raises(ConfigError, match="set up for the poses 'anything'"):
            model.prepare(Phoenix14T(str(made)))

    def test_nothing_is_read_from_a_store(self):
        with pytest.raises(ConfigError, match="modality='none' reads none"):
            InputSpec(modality="none", feature_id="anything")


class TestLengths:
    """A batch holds rows; a budget and buckets count them, also where they are fewer than the video's frames."""

    @pytest.mark.parametrize(
        ("modality", "arguments"),
        [("features", {}), ("features", {"features": "s3d"}), ("pose", {}), ("frames", {})],
    )
    def test_of_a_store(self, made, tmp_path, modality, arguments, monkeypatch):
        monkeypatch.setenv("SLT_ZOO_CACHE", str(tmp_path))
        options = {
            "pose": ExtractOptions("pose", points="upper_hands48", stride=3),
            "frames": ExtractOptions("frames", frame_size=(16, 16), stride=2),
        }.get(modality)
        if options is not None:
            extract(Phoenix14T(str(made)), make_plan(options), tmp_path / "s", splits=["train"], **QUIET)
            arguments = {"poses" if modality == "pose" else "frames": str(tmp_path / "s")}
        data = bound(made, modality, ["train"], **{"bucket": True, **arguments})
        lengths = data.loader("train", training=True).batches.lengths.tolist()
        rows = [len(getattr(c, modality)) for c in data.loader("train").dataset]
        assert lengths == rows and (tmp_path / "lengths").exists() is False, "no file was opened for it"
        frames = [sample.media[modality].num_frames for sample in data.manifest("train")]
        assert (lengths == frames) == (modality == "features" and not arguments), "the others have a stride"


def test_a_manifest_survives_its_text(made):
    manifest = open_store(folder(made)).manifest
    assert StoreManifest.read(folder(made)) == manifest and manifest.complete
    assert json.loads(manifest.to_text())["made_by"]["settings"]["frame_size"] == [48, 48]
