"""Labels become segments by the rules of SAGE's published code (specification 6.2; numbers of its section 12)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slt_zoo import InputSpec, Phoenix14T
from slt_zoo.data.boundaries import fixed_labels, read_labels
from slt_zoo.data.segment_rules import halve, labels_of_runs, runs_of, subsample
from slt_zoo.data.sign_segments import SegmentFrames, SegmentRules, SignSegments
from slt_zoo.errors import ConfigError, MediaError, UnfitSampleError
from slt_zoo.segmentation import labels_to_segments
from slt_zoo.testing import simulated
from slt_zoo.types import Clip, ClipPipeline, Media, Sample

__all__ = ["simulated"]  # a fixture

RNG = np.random.default_rng(0)
EXAMPLE = [0, 0, 2, 1, 1, 0, 2, *[1] * 10, 0]


def segments(labels, **rules):
    return labels_to_segments(torch.tensor(labels, dtype=torch.int64), **rules).tolist()


@pytest.mark.parametrize(
    ("frames", "parts"),
    [
        (4, [4]),
        (11, [5, 6]),
        (12, [6, 6]),
        (20, [10, 10]),
        (21, [10, 5, 6]),
        (25, [6, 6, 6, 7]),
        (41, [10, 10, 10, 5, 6]),
    ],
)
def test_halving(frames, parts):
    ranges = halve(0, frames, 10)
    assert [last - first for first, last in ranges] == parts
    assert [first for first, _ in ranges] == [0, *np.cumsum(parts)[:-1].tolist()] and ranges[-1][1] == frames


def test_the_example_of_the_specification():
    assert segments(EXAMPLE) == [[2, 6], [6, 12], [12, 18]], "raw pieces of 2, 4 and 12 frames"
    index, rows = subsample(labels_to_segments(torch.tensor(EXAMPLE)))
    assert index.tolist() == [2, 4, 6, 8, 10, 12, 14, 16] and rows.tolist() == [[0, 2], [2, 5], [5, 8]]
    assert [last - first for first, last in segments([0] * 25)] == [6, 6, 6, 7]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([2, 1, 1, 0, 0, 0, 2, 1, 1, 1], [[0, 6], [6, 10]]),  # what lies outside stays with the sign before it
        ([0, 0, 0, 0, 0, 2, 1, 1, 1], [[5, 9]]),  # the first piece lies outside
        ([1, 1, 1, 1, 2, 1, 1, 1], [[0, 4], [4, 8]]),  # a first piece without begin, but inside
        ([0, 1, 1, 1, 0, 0, 2, 1, 1], [[0, 6]]),  # an inside after outside cuts nothing; the last piece is short
        ([2, 2, 1, 1, 1], [[1, 5]]),
        ([2], []),
        ([0], [[0, 1]]),
        ([0, 0, 0], [[0, 3]]),  # shorter than min_len: the rule of all outside drops nothing
        ([], []),
    ],
)
def test_each_rule(labels, expected):
    assert segments(labels) == expected


def test_trimming_ends_a_segment_before_its_first_frame_outside():
    labels = [0, 0, 2, 1, 1, 1, 0, 0, 2, 1, 0, 0, 1, 1, 2, 1, 1, 1, 1]
    assert segments(labels) == [[2, 8], [8, 14], [14, 19]]
    assert segments(labels, trim_outside=True) == [[2, 6], [14, 19]], "the second is two frames long now"
    assert segments([0, 1, 1, 1, 1, 1], min_len=1, trim_outside=True) == [], "the first piece ends where it begins"


def slow_rules(labels, min_len, max_len):
    """The same, a frame at a time."""
    if not any(labels):
        pieces = [list(range(len(labels)))] if labels else []
    else:
        pieces = [[]]
        for t, label in enumerate(labels):
            if label == 2 and pieces[-1]:
                pieces.append([])
            pieces[-1].append(t)
        ends = (pieces[0], pieces[-1])
        pieces = [p for p in pieces if len(p) >= min_len and not (p in ends and not any(labels[t] for t in p))]

    def cut(piece):
        half = len(piece) // 2
        return [piece] if len(piece) <= max_len else [*cut(piece[:half]), *cut(piece[half:])]

    return [[part[0], part[-1] + 1] for piece in pieces for part in cut(piece)]


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([0, 0, 1, 1, 1, 2]), max_size=60), st.integers(1, 5), st.integers(0, 8))
def test_against_the_rules_a_frame_at_a_time(labels, min_len, more):
    found = segments(labels, min_len=min_len, max_len=min_len + more)
    assert found == slow_rules(labels, min_len, min_len + more)
    assert all(last - first <= min_len + more for first, last in found)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 2), max_size=40))
def test_signs_to_labels_and_back(labels):
    runs = torch.from_numpy(runs_of(np.array(labels, dtype=np.int64)).reshape(-1, 2))
    again = labels_of_runs(runs, len(labels))
    assert torch.equal(again > 0, torch.tensor(labels, dtype=torch.int64) > 0)
    assert runs_of(again.numpy()).tolist() == runs.tolist()


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 12), max_size=6), st.integers(1, 4))
def test_subsampling_takes_the_ceiling(lengths, stride):
    ends = np.cumsum([0, *lengths])
    ranges = torch.tensor(np.stack([ends[:-1], ends[1:]], 1), dtype=torch.int64)
    index, rows = subsample(ranges, stride)
    assert [last - first for first, last in rows.tolist()] == [-(-n // stride) for n in lengths]
    for (first, last), (begin, end) in zip(ranges.tolist(), rows.tolist(), strict=True):
        assert index[begin:end].tolist() == list(range(first, last, stride))


@pytest.mark.parametrize(
    "labels", [torch.tensor([0, 3]), torch.tensor([-1]), torch.zeros(2, 2), torch.tensor([0.5, 1.0])]
)
def test_other_labels_are_told(labels):
    with pytest.raises(MediaError, match="0 outside, 1 inside, 2 begin"):
        labels_to_segments(labels)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bool])
def test_labels_that_may_be_probabilities_or_a_mask_are_told(kind):
    for labels in (torch.tensor([0, 1, 1, 1, 1]).to(kind), torch.tensor([0, 1, 1, 1, 1]).to(kind).numpy()):
        with pytest.raises(MediaError, match="must be whole numbers"):
            labels_to_segments(labels)
    assert labels_to_segments(torch.zeros(0, dtype=kind)).shape == (0, 2)


def test_integers_of_any_width_are_labels():
    for kind in (np.int8, np.uint8, np.int32, np.int64):
        assert labels_to_segments(np.array(EXAMPLE, dtype=kind)).tolist() == segments(EXAMPLE)


@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        ({"max_len": None}, r"max_len is a number of frames here"),
        ({"max_len": 10.0}, "max_len is no whole number"),
        ({"min_len": 2.5}, "min_len is no whole number"),
        ({"min_len": None}, "min_len is no whole number"),
        ({"min_len": True}, "min_len is no whole number"),
    ],
    ids=["no_max", "float_max", "float_min", "no_min", "bool_min"],
)
def test_lengths_that_are_no_whole_numbers(lengths, says):
    with pytest.raises(ConfigError, match=says) as error:
        labels_to_segments(torch.tensor([2, 1]), **lengths)
    if lengths == {"max_len": None}:
        assert "max_len=len(labels)" in str(error.value)
        assert segments([2, *[1] * 17], max_len=18) == [[0, 18]], "which halves nothing"


@pytest.mark.parametrize("lengths", [(0, 10), (5, 4), (1, 0)])
def test_lengths_that_cannot_be(lengths):
    with pytest.raises(ConfigError, match="1 <= min_len <= max_len"):
        labels_to_segments(torch.tensor([2, 1]), *lengths)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_len": 3}, "need max_len"),
        ({"empty": "halve"}, "need max_len"),
        ({"trim_outside": True}, "need max_len"),
        ({"empty": "drop"}, "empty is"),
        ({"max_segments": 0}, "at least 1"),
        ({"max_len": 3}, "min_len=4, max_len=3"),
    ],
)
def test_rules_that_would_not_be_kept_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        SegmentRules(**arguments)
    with pytest.raises(ConfigError):
        SegmentFrames(empty="keep")
    with pytest.raises(ConfigError):
        subsample(torch.zeros(0, 2, dtype=torch.int64), 0)


def clip(labels, stride=1) -> Clip:
    rows = -(-len(labels) // stride)
    sample = Sample("a", "train", "", "de", "gsg", media={"features": Media("x", stride=stride)})
    return Clip(sample, index=torch.arange(rows), features=torch.zeros(rows, 3), labels=torch.tensor(labels))


def test_the_transform_has_the_rules():
    made = SignSegments(max_len=10)(clip(EXAMPLE), RNG)
    assert made.segments.tolist() == [[2, 6], [6, 12], [12, 18]]
    wide = SignSegments(min_len=4, max_len=10)(clip(EXAMPLE, stride=2), RNG)
    assert wide.segments.tolist() == [[1, 3], [3, 6], [6, 9]], "middles of rows are 0.5, 2.5, ..."


def test_what_becomes_of_a_clip_without_segments():
    short = clip([2, 1, 2, 1, 1])  # nothing is four frames long
    assert SignSegments(max_len=10)(short, RNG).segments.tolist() == []
    assert SignSegments(max_len=10, empty="halve")(short, RNG).segments.tolist() == [[0, 5]]
    assert SignSegments(min_len=4, max_len=4, empty="halve")(short, RNG).segments.tolist() == [[0, 2], [2, 5]]
    with pytest.raises(UnfitSampleError, match="left out of training"):
        SignSegments(max_len=10, empty="leave_out")(short, RNG)
    assert SignSegments(max_len=10, empty="leave_out")(clip([0] * 12), RNG).segments.tolist() == [[0, 6], [6, 12]]
    with pytest.raises(UnfitSampleError, match="more than 2 segments"):
        SignSegments(max_len=10, max_segments=2)(clip(EXAMPLE), RNG)


def test_only_the_frames_of_segments_are_selected():
    chosen = clip(EXAMPLE)
    index = SegmentFrames()(chosen, 18, RNG)
    assert index.tolist() == [2, 4, 6, 8, 10, 12, 14, 16] and chosen.segments.tolist() == [[0, 2], [2, 5], [5, 8]]
    one = clip([2])
    assert SegmentFrames()(one, 1, RNG).tolist() == [0] and one.segments.tolist() == [[0, 1]]
    strided = clip(EXAMPLE, stride=2)
    rows = SegmentFrames(frame_stride=1, modality="features")(strided, 9, RNG)
    assert rows.tolist() == list(range(1, 9)) and strided.segments.tolist() == [[0, 2], [2, 5], [5, 8]]
    with pytest.raises(ConfigError, match="needs"):
        SegmentFrames()(Clip(one.sample), 1, RNG)


@pytest.fixture
def root(simulated):
    return str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3))


def test_training_leaves_out_what_evaluation_keeps(root, tmp_path):
    """Rule 6: the only sample whose signs are all too short is told in training, and halved in evaluation."""
    for split in ("train", "dev"):
        (tmp_path / split).mkdir()
        for number, sample in enumerate(Phoenix14T(root, segments="labels").manifest(split)):
            frames = len(np.load(sample.media["segments"].path))
            labels = fixed_labels(frames, 2 if number == 1 else 8)
            np.save(tmp_path / split / f"{sample.id}.npy", labels.numpy().astype(np.int8))
    train = ClipPipeline(SegmentFrames(empty="leave_out", modality="pose"))
    spec = InputSpec("pose", frozenset({"segments"}), train, ClipPipeline(SegmentFrames(modality="pose")))
    data = Phoenix14T(root, segments=str(tmp_path), batch_size=8)
    data.bind(spec, ["train", "dev"])
    (batch,) = data.loader("train", training=True)
    assert len(batch) == 7 and list(batch.skipped) == [data.manifest("train").ids[1]]
    assert "left out of training" in next(iter(batch.skipped.values()))
    (batch,) = data.loader("dev")
    assert batch.id == data.manifest("dev").ids and (batch.segments.lengths > 0).all()
    for segments, rows in zip(batch.segments.split(), batch.pose.lengths.tolist(), strict=True):
        assert segments[0, 0] == 0 and segments[-1, 1] == rows, "nothing but the frames of segments was read"
        assert torch.equal(segments[1:, 0], segments[:-1, 1])
        assert (segments[:, 1] - segments[:, 0]).max() <= 5


def test_fixed_lengths_need_no_file(root):
    data = Phoenix14T(root, segments="fixed-8", batch_size=4)
    data.bind(InputSpec("pose", frozenset({"segments"})), ["dev"])
    for made in (data.loader("dev").dataset[i] for i in range(4)):
        assert made.labels.tolist() == [2 if t % 8 == 0 else 1 for t in range(len(made.pose))]
        assert made.segments.tolist()[:2] == [[0, 8], [8, 16]] and made.segments[-1, 1] == len(made.pose)
    data.bind(InputSpec("none", frozenset({"segments"})), ["dev"])
    with pytest.raises(ConfigError, match="number of frames is not known"):
        data.loader("dev").dataset[0]


def test_fixed_lengths_of_what_is_declared():
    media = Media("fixed-3", num_frames=4)
    assert read_labels(media, "a").tolist() == [2, 1, 1, 2] and read_labels(media, "a", 2).tolist() == [2, 1]


def test_a_folder_of_that_name_is_a_folder(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fixed-8").mkdir()
    np.save(tmp_path / "fixed-8" / "x.npy", np.zeros(1, np.int8))
    sample = next(iter(Phoenix14T(root, segments="fixed-8").manifest("dev")))
    assert sample.media["segments"].path == f"fixed-8/{sample.id}.npy"


def test_missing_boundaries_are_told_with_the_ways_out(root):
    with pytest.raises(ConfigError, match=r"slt-zoo segment.*fixed-8") as error:
        Phoenix14T(root).bind(InputSpec("pose", frozenset({"segments"})), ["dev"])
    assert "has none" in str(error.value)
    with pytest.raises(ConfigError, match="at least one frame"):
        Phoenix14T(root, segments="fixed-0").manifest("dev")
