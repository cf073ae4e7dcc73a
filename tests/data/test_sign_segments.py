"""Sign boundaries become segments of rows, whatever was selected and whatever the stride."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slt_zoo import GSL, InputSpec, Phoenix14T
from slt_zoo.data.selection import BlockSample
from slt_zoo.data.sign_segments import SignSegments, runs_of
from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.testing import simulated
from slt_zoo.types import Clip, ClipPipeline, Media, Sample

__all__ = ["simulated"]  # a fixture


def slow_runs(labels):
    """The same, a frame at a time."""
    runs, begin = [], None
    for t, label in enumerate([*labels, 0]):
        if begin is not None and label in (0, 2):
            runs.append([begin, t])
            begin = None
        if label == 2 or (label == 1 and begin is None):
            begin = t
    return runs


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_runs(labels):
    assert runs_of(np.array(labels)).tolist() == slow_runs(labels)


def clip(labels, rows, stride=1, index=None) -> Clip:
    sample = Sample("a", "train", "", "de", "gsg", media={"features": Media("x", stride=stride)})
    index = torch.arange(rows) if index is None else torch.tensor(index)
    return Clip(sample, index=index, features=torch.zeros(len(index), 3), labels=torch.tensor(labels))


def made(*arguments, **more):
    return SignSegments()(clip(*arguments, **more), np.random.default_rng()).segments.tolist()


def test_rows_of_a_stride_and_of_a_selection():
    labels = [0, 0, 2, 1, 1, 1, 2, 1, 1, 1, 1, 0]
    assert made(labels, 12) == [[2, 6], [6, 11]]
    assert made(labels, 3, stride=4) == [[1, 2], [2, 3]]  # middles 1.5, 5.5 and 9.5: one sign each but the first row
    assert made(labels, 12, index=[0, 3, 5, 6, 11]) == [[1, 3], [3, 4]]
    assert made(labels, 12, index=[0, 1, 11]) == [], "no row of a sign is left"
    with pytest.raises(ConfigError, match="sign boundaries and rows"):
        SignSegments()(Clip(clip(labels, 12).sample), np.random.default_rng())


@pytest.mark.parametrize("corpus", [Phoenix14T, GSL])
def test_a_model_that_needs_segments_gets_them(corpus, simulated):
    root = str(simulated(corpus.__name__, samples=(8, 4, 4), seed=3, render=("frames",), frame_size=(32, 32)))
    pipeline = ClipPipeline(select=BlockSample(2))
    spec = InputSpec("frames", frozenset({"segments"}), pipeline, pipeline)
    data = corpus(root, segments="labels", batch_size=4)
    data.bind(spec, ["dev"])
    (batch,) = data.loader("dev")
    for frames, segments, gloss in zip(batch.frames.split(), batch.segments.split(), batch.gloss, strict=True):
        assert len(segments) == len(gloss), "simulated signing has a sign a gloss"
        assert segments.min() >= 0 and segments.max() <= len(frames) and (segments[:, 0] < segments[:, 1]).all()


def test_a_transform_that_gives_back_nothing_is_the_models_fault(simulated):
    data = Phoenix14T(str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3)))
    pipeline = ClipPipeline(transform=lambda clip, rng: None)
    data.bind(InputSpec("pose", train=pipeline, evaluation=pipeline), ["dev"])
    with pytest.raises(ConfigError, match="a transform gave back NoneType"):
        next(iter(data.loader("dev")))


class TestSpec:
    @pytest.mark.parametrize("needs", [{"glosses"}, frozenset({"txt"})])
    def test_unknown_needs(self, needs):
        with pytest.raises(UnknownNameError):
            InputSpec("pose", frozenset(needs))

    def test_unknown_modality(self):
        with pytest.raises(UnknownNameError, match="features"):
            InputSpec("featuers")

    def test_a_list_of_needs_is_one(self):
        assert InputSpec("pose", ["gloss"]).needs == frozenset({"gloss"})

    @pytest.mark.parametrize("size", [0, -3, (0, 4), (4,), "x"])
    def test_sizes(self, size):
        with pytest.raises(ConfigError, match="frame_size"):
            ClipPipeline(frame_size=size)

    @pytest.mark.parametrize("steps", [{"transform": [1]}, {"select": 3}])
    def test_steps_are_called(self, steps):
        with pytest.raises(ConfigError, match="can be called"):
            ClipPipeline(**steps)
