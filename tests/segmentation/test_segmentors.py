"""Segmentors label clips; what made the labels is known; how well is counted."""

from __future__ import annotations

import sys
from itertools import permutations
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slt_zoo import Phoenix14T
from slt_zoo.errors import CheckpointError, ConfigError, MediaError
from slt_zoo.segmentation import FixedLengthSegmentor, OracleSegmentor, PrecomputedSegmentor, SLPSegmentor
from slt_zoo.segmentation.scores import count_frames, f1_scores, match_begins
from slt_zoo.segmentation.segmentors import stretch
from slt_zoo.segmentation.slp import remap
from slt_zoo.testing import simulated
from slt_zoo.types import Clip, Sample

__all__ = ["simulated"]  # a fixture

SAMPLE = Sample("a", "test", "", "de", "gsg")


def test_fixed_lengths():
    made = FixedLengthSegmentor(3)
    assert made(Clip(SAMPLE, index=torch.arange(7))).tolist() == [2, 1, 1, 2, 1, 1, 2]
    assert made(Clip(SAMPLE, index=torch.arange(0))).tolist() == []
    assert made.made_by.settings == {"length": 3}
    with pytest.raises(ConfigError, match="counts the rows"):
        made(Clip(SAMPLE))
    with pytest.raises(ConfigError, match="at least one frame"):
        FixedLengthSegmentor(0)
    for length in (2.5, 8.0, True, None, "8"):
        with pytest.raises(ConfigError, match="no whole number of frames"):
            FixedLengthSegmentor(length)
    assert FixedLengthSegmentor(np.int64(3)).made_by == made.made_by


def test_precomputed_labels_are_those_of_the_corpus():
    labels = torch.tensor([0, 2, 1])
    assert PrecomputedSegmentor()(Clip(SAMPLE, labels=labels)) is labels
    with pytest.raises(ConfigError, match="no boundaries"):
        PrecomputedSegmentor()(Clip(SAMPLE))


def test_there_is_no_oracle_of_real_signing(simulated, monkeypatch):
    data = Phoenix14T(str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3)))
    assert OracleSegmentor(data).made_by.segmentor == "oracle"
    monkeypatch.setattr(Phoenix14T, "simulated", False)
    with pytest.raises(ConfigError, match="is not simulated"):
        OracleSegmentor(data)


def test_rows_that_stand_for_several_frames():
    labels = torch.tensor([0, 2, 1])
    assert stretch(labels, 2).tolist() == [0, 0, 2, 1, 1, 1]
    assert stretch(labels, 2, 5).tolist() == [0, 0, 2, 1, 1] and stretch(labels, 2, 7).tolist()[6:] == [0]
    assert stretch(labels, 1).tolist() == labels.tolist()


# The package of sign-language-processing: ours is tested with a stand-in of the same functions.


def test_labels_of_the_package_become_ours():
    assert remap(torch.tensor([0, 1, 2, 3, 2, 2, 3])).tolist() == [0, 0, 2, 1, 2, 2, 1]
    assert remap(torch.zeros(0, dtype=torch.int64)).tolist() == []
    with pytest.raises(ConfigError, match="another package"):
        remap(torch.tensor([4]))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A stand-in that says the label which stands at each frame's x of the nose, and writes down what it gets."""
    program = ModuleType("sign_language_segmentation.bin")
    program.__file__ = str(tmp_path / "bin.py")
    program.seen = []
    program.load_model = lambda folder, device: program.seen.append(folder) or "the model"

    def run_inference(model, pose, device):
        program.seen.append((model, pose, device))
        nose = torch.from_numpy(pose.body.data.filled(0)[:, 0, 0, 0])
        return {"sign": torch.nn.functional.one_hot(nose.long(), 4)[None].float(), "sentence": None}

    program.run_inference = run_inference
    monkeypatch.setitem(sys.modules, "sign_language_segmentation", ModuleType("sign_language_segmentation"))
    monkeypatch.setitem(sys.modules, "sign_language_segmentation.bin", program)
    home = tmp_path / "dist" / "2026"
    home.mkdir(parents=True)
    for name in ("model.safetensors", "config.json"):
        (home / name).write_text("{}")
    return program


def pose_clip(*labels, fps=25.0, dims=3):
    pose = torch.zeros(len(labels), 75, dims)
    pose[:, 0, 0] = torch.tensor(labels).float()
    pose[:, 33, 1] = 5.0  # left wrist
    conf = torch.ones(len(labels), 75)
    conf[0, 33] = 0
    return Clip(SAMPLE, fps=fps, pose=pose, conf=conf)


def test_the_package_gets_its_kind_of_pose(package, tmp_path):
    segmentor = SLPSegmentor()
    assert segmentor(pose_clip(1, 2, 3, 0)).tolist() == [0, 2, 1, 0]
    folder, (model, pose, device) = package.seen
    assert folder == str(tmp_path / "dist/2026") and (model, device) == ("the model", "cpu")
    assert pose.body.fps == 25 and pose.body.data.shape == (4, 1, 75, 3)
    names = {c.name: c.points for c in pose.header.components}
    assert list(names) == ["POSE_LANDMARKS", "LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS"]
    assert [len(points) for points in names.values()] == [33, 21, 21]
    assert names["POSE_LANDMARKS"][0] == "NOSE" and names["LEFT_HAND_LANDMARKS"][1] == "THUMB_CMC"
    assert pose.body.data.mask[0, 0, 33].all() and not pose.body.data.mask[1, 0, 33].any(), "missing is masked"
    assert len(segmentor.made_by.weights) == 64


@pytest.mark.parametrize("clip", [pose_clip(1, 2, fps=None), pose_clip(1, 2, dims=2)], ids=["rate", "depth"])
def test_what_the_package_cannot_use_is_told(package, clip):
    with pytest.raises(MediaError, match="x, y and z, and their frame rate"):
        SLPSegmentor()(clip)


def test_weights_that_are_missing_are_told(package, tmp_path):
    with pytest.raises(CheckpointError, match="not there") as error:
        SLPSegmentor(str(tmp_path / "elsewhere"))
    assert "model.safetensors and config.json" in str(error.value)


def test_without_the_package_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sign_language_segmentation", None)
    with pytest.raises(ConfigError, match="not installed") as error:
        SLPSegmentor()
    assert "github.com/sign-language-processing/segmentation" in str(error.value)


# Scores.


def most_pairs(said, true, tolerance):
    """By trying every order."""
    best = 0
    for order in permutations(true):
        best = max(best, sum(abs(a - b) <= tolerance for a, b in zip(said, order, strict=False)))
    return best


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.sets(st.integers(0, 12), max_size=5), st.sets(st.integers(0, 12), max_size=5), st.integers(0, 3))
def test_matching_finds_the_most_pairs(said, true, tolerance):
    short, long = sorted([sorted(said), sorted(true)], key=len)
    expected = most_pairs(short, long, tolerance)
    assert match_begins(torch.tensor(sorted(said)), torch.tensor(sorted(true)), tolerance) == expected


def test_two_begins_for_one_are_one_hit():
    true = torch.tensor([0, 0, 2, 1, 1, 1, 0, 2])
    said = torch.tensor([0, 2, 1, 2, 1, 0, 0, 0])
    scores = f1_scores(count_frames(said, true))
    assert scores["begin_f1_within_2"] == pytest.approx(2 * 1 / (2 + 2)), "both are near the first"
    assert scores["frame_f1_begin"] == 0 and scores["frame_f1_outside"] == pytest.approx(2 * 2 / (4 + 3))
    assert scores["frame_f1_inside"] == pytest.approx(2 * 1 / (2 + 3))
    exact = f1_scores(count_frames(true, true, 0), 0)
    assert set(exact.values()) == {1.0} and "begin_f1_within_0" in exact


def test_clips_are_summed_and_nothing_is_right_where_nothing_is():
    none = torch.zeros(3, dtype=torch.int64)
    assert f1_scores(count_frames(none, none))["begin_f1_within_2"] == 1
    one = torch.tensor([2, 1, 1])
    both = count_frames(one, one) + count_frames(none, one)
    assert f1_scores(both)["begin_f1_within_2"] == pytest.approx(2 / 3)
    assert np.isclose(f1_scores(both)["frame_f1_outside"], 0)
