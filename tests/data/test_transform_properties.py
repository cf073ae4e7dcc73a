"""What every random change keeps, for any clip: one draw a clip, missing stays missing, nothing at strength 0."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slt_zoo.data.frame_transforms import (
    AffineFrames,
    ColourFrames,
    CropFrames,
    MirrorFrames,
    ResizedCropFrames,
    ResizeFrames,
)
from slt_zoo.data.pose_augment import DropParts, DropPoints, PoseJitter, SpatialAugment
from slt_zoo.data.pose_layouts import POINT_SETS
from slt_zoo.data.selection import (
    AtMost,
    BlockSample,
    ChainSelect,
    DropRandom,
    Resample,
    SpeedJitter,
    Stride,
    Truncate,
    Window,
)
from slt_zoo.errors import ConfigError
from slt_zoo.types import Clip, Sample

SAMPLE = Sample("s1", "train", "", "de", "gsg")
POINTS = POINT_SETS["upper_hands48"]
seeds = st.integers(0, 2**31)
share = st.floats(0, 1)
check = settings(max_examples=40, deadline=None)


def draws(seed):
    return np.random.default_rng(seed)


# Frames


frame_changes = st.one_of(
    st.builds(ResizeFrames, st.integers(4, 40) | st.tuples(st.integers(4, 40), st.integers(4, 40))),
    st.builds(CropFrames, st.tuples(st.integers(1, 12), st.integers(1, 12)), st.booleans()),
    st.builds(
        AffineFrames,
        rotate_deg=st.floats(0, 45),
        scale=st.floats(0, 0.5),
        shift=st.floats(0, 8),
        p=share,
    ),
    st.builds(
        ColourFrames,
        brightness=st.floats(0, 0.9),
        contrast=st.floats(0, 0.9),
        saturation=st.floats(0, 0.9),
        hue=st.sampled_from([0.0, 0.2]),
        p=share,
    ),
    st.builds(ResizedCropFrames, st.tuples(st.integers(2, 30), st.integers(2, 30)), st.just((0.2, 0.9))),
    st.builds(MirrorFrames, share),
)


@check
@given(
    change=frame_changes, seed=seeds, count=st.integers(1, 18), height=st.integers(12, 25), width=st.integers(12, 25)
)
def test_equal_frames_stay_equal_and_uint8(change, seed, count, height, width):
    one = torch.from_numpy(draws(seed).integers(0, 256, (1, 3, height, width), dtype=np.uint8))
    clip = Clip(SAMPLE, fps=25.0, index=torch.arange(count), frames=one.repeat(count, 1, 1, 1))
    before = clip.frames.clone()
    out = change(clip, draws(seed))
    assert out.frames.dtype == torch.uint8 and out.frames.shape[:2] == (count, 3) and out.frames.is_contiguous()
    assert all(torch.equal(frame, out.frames[0]) for frame in out.frames)
    assert torch.equal(out.frames, change(clip, draws(seed)).frames) and torch.equal(clip.frames, before)
    alone = change(Clip(SAMPLE, frames=one), draws(seed))
    assert torch.equal(alone.frames[0], out.frames[0]), "the length of a clip does not change its frames"
    assert pickle.loads(pickle.dumps(change)) == change


@check
@given(seed=seeds)
def test_frames_at_strength_0(seed):
    frames = torch.from_numpy(draws(seed).integers(0, 256, (3, 3, 13, 17), dtype=np.uint8))
    clip = Clip(SAMPLE, frames=frames)
    whole = ResizedCropFrames((13, 17), area=(1.0, 1.0), ratio=(17 / 13, 17 / 13))
    for change in (AffineFrames(p=1.0), ColourFrames(p=1.0), MirrorFrames(0.0), CropFrames((13, 17), True), whole):
        assert torch.equal(change(clip, draws(seed)).frames, frames)
    mirrored = MirrorFrames(1.0)(clip, draws(seed))
    assert torch.equal(mirrored.frames, frames.flip(-1))
    assert torch.equal(MirrorFrames(1.0)(mirrored, draws(seed)).frames, frames)


@check
@given(seed=seeds, brightness=st.floats(0.1, 0.9), contrast=st.floats(0.1, 0.9), saturation=st.floats(0.1, 0.9))
def test_colours_are_those_of_torchvision(seed, brightness, contrast, saturation):
    """One after the other in floats, on a clip of one frame, whose mean is the clip's."""
    from torchvision.transforms.v2 import functional as tv

    frame = torch.from_numpy(draws(seed).integers(80, 150, (1, 3, 8, 9), dtype=np.uint8))
    rng = draws(seed)
    rng.random()
    amounts = [1 + d * a for d, a in zip(rng.uniform(-1, 1, 4), (brightness, contrast, saturation), strict=False)]
    for pick in ([0], [1], [2], [0, 1, 2]):
        expected = frame.float() / 255
        for k in pick:
            apply = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation)[k]
            expected = apply(expected, amounts[k])
            if not 0 < float(expected.min()) <= float(expected.max()) < 1:
                return  # torchvision cuts off in between
        names = ("brightness", "contrast", "saturation")
        limits = dict(zip(names, (brightness, contrast, saturation), strict=True))
        change = ColourFrames(**{names[k]: limits[names[k]] for k in pick}, p=1.0)
        got = change(Clip(SAMPLE, frames=frame), draws(seed)).frames
        assert (got.float() - 255 * expected).abs().max() <= 0.56  # rounding, and torchvision's weights sum to 0.9999


@check
@given(seed=seeds, height=st.integers(12, 30), width=st.integers(12, 30))
def test_moved_as_torchvision_does(seed, height, width):
    from torchvision.transforms.v2 import functional as tv

    frames = torch.from_numpy(draws(seed).integers(0, 256, (2, 3, height, width), dtype=np.uint8))
    got = AffineFrames(rotate_deg=40, scale=0.3, shift=6, p=1.0)(Clip(SAMPLE, frames=frames), draws(seed)).frames
    turn, size, x, y = draws(seed).uniform(-1, 1, 4)
    expected = tv.affine(
        frames,
        40 * turn,
        [round(6 * x), round(6 * y)],
        1 + 0.3 * size,
        [0.0, 0.0],
        interpolation=tv.InterpolationMode.BILINEAR,
    )
    assert (got.int() - expected.int()).abs().max() <= 1


def test_a_part_of_the_picture():
    ramp = torch.arange(100, dtype=torch.uint8).expand(2, 3, 100, 100).contiguous()
    shares = []
    for seed in range(60):
        out = ResizedCropFrames((20, 20), area=(0.25, 0.5), ratio=(0.5, 2.0))(Clip(SAMPLE, frames=ramp), draws(seed))
        shares.append(int(out.frames.max()) - int(out.frames.min()))
    assert 30 < min(shares) < 50 and 70 < max(shares) <= 100  # widths of the part
    for wrong in ({"area": (0.0, 1.0)}, {"area": (0.5, 1.5)}, {"ratio": (2.0, 1.0)}):
        with pytest.raises(ConfigError, match="ResizedCropFrames"):
            ResizedCropFrames((4, 4), **wrong)


# Poses


def pose_clip(seed, rows, dims=2, missing=0.3):
    rng = draws(seed)
    conf = torch.from_numpy(rng.uniform(0.1, 1, (rows, len(POINTS))).astype(np.float32))
    conf[torch.from_numpy(rng.random(conf.shape) < missing)] = 0
    pose = torch.from_numpy(rng.standard_normal((rows, len(POINTS), dims)).astype(np.float32))
    pose[conf == 0] = 0
    return Clip(SAMPLE, fps=25.0, index=torch.arange(rows), pose=pose, conf=conf, points=POINTS)


pose_changes = st.one_of(
    st.builds(
        SpatialAugment,
        rotate_deg=st.floats(0, 30),
        scale=st.floats(0, 0.5),
        shift=st.floats(0, 1),
        shear=st.floats(0, 0.5),
        noise=st.floats(0, 0.1),
        mirror_p=share,
    ),
    st.builds(PoseJitter, st.floats(0, 1), st.floats(0, 9), st.booleans()),
    st.builds(DropPoints, share, st.sampled_from([(), POINTS[:3]])),
    st.builds(DropParts, share, rows=st.none() | st.integers(1, 9)),
)


@check
@given(change=pose_changes, seed=seeds, rows=st.integers(1, 30), dims=st.integers(2, 3))
def test_missing_points_stay_missing(change, seed, rows, dims):
    clip = pose_clip(seed, rows, dims)
    pose, conf = clip.pose.clone(), clip.conf.clone()
    out = change(clip, draws(seed))
    assert torch.equal(clip.pose, pose) and torch.equal(clip.conf, conf)
    assert out.pose.shape == pose.shape and out.conf.shape == conf.shape and out.points == POINTS
    assert out.pose.dtype == out.conf.dtype == torch.float32 and out.pose.isfinite().all()
    assert not out.pose[out.conf == 0].any()
    if not isinstance(change, SpatialAugment) or change.mirror_p == 0:
        assert not out.conf[conf == 0].any() and ((out.conf == conf) | (out.conf == 0)).all()
    again = change(clip, draws(seed))
    assert torch.equal(again.pose, out.pose) and torch.equal(again.conf, out.conf)
    assert pickle.loads(pickle.dumps(change)) == change


@check
@given(seed=seeds, rows=st.integers(1, 12))
def test_poses_at_strength_0(seed, rows):
    clip = pose_clip(seed, rows)
    for change in (SpatialAugment(), PoseJitter(0.0), DropPoints(0.0), DropParts(0.0), DropParts(0.0, rows=3)):
        out = change(clip, draws(seed))
        assert torch.equal(out.pose, clip.pose) and torch.equal(out.conf, clip.conf)
    mirror = SpatialAugment(mirror_p=1.0)
    twice = mirror(mirror(clip, draws(seed)), draws(seed))
    assert torch.equal(twice.pose, clip.pose) and torch.equal(twice.conf, clip.conf)


def test_jitter_is_as_large_and_as_slow_as_said():
    clip = replace(pose_clip(0, 4000, missing=0), pose=torch.zeros(4000, len(POINTS), 2))
    for rows in (0.0, 3.0):
        path = PoseJitter(0.5, rows)(clip, draws(1)).pose.flatten(1)
        assert path.std(0).mean() == pytest.approx(0.5, rel=0.05) and path.mean().abs() < 0.02
        step = float((path[1:] - path[:-1]).std()) / 0.5
        expected = np.sqrt(2 - 2 * np.exp(-0.25 / rows**2)) if rows else np.sqrt(2)
        assert step == pytest.approx(expected, rel=0.05)
        assert abs(np.corrcoef(path[:, 0], path[:, 1])[0, 1]) < 0.15
    whole = PoseJitter(0.5, 3.0, parts=True)(clip, draws(1)).pose
    left = [i for i, p in enumerate(POINTS) if p.startswith("left_hand.")]
    right = [i for i, p in enumerate(POINTS) if p.startswith("right_hand.")]
    assert torch.equal(whole[:, left], whole[:, left[:1]].expand(-1, 21, -1)) and whole[:, left[0]].any()
    assert not torch.allclose(whole[:, left[0]], whole[:, right[0]])
    for wrong in ({"amount": -1.0}, {"amount": 1.0, "rows": -1.0}):
        with pytest.raises(ConfigError, match="PoseJitter"):
            PoseJitter(**wrong)


def test_dropped_points_and_hands():
    clip = pose_clip(0, 20, missing=0)
    gone = [(DropPoints(0.3, keep=POINTS[:6])(clip, draws(s)).conf == 0) for s in range(60)]
    assert all(torch.equal(g, g[:1].expand_as(g)) and not g[:, :6].any() for g in gone)  # the whole clip
    assert float(torch.stack(gone)[:, :, 6:].float().mean()) == pytest.approx(0.3, abs=0.04)
    hands = {"left": [POINTS.index(p) for p in POINT_SETS["hands42"][:21]]}
    hands["right"] = [POINTS.index(p) for p in POINT_SETS["hands42"][21:]]
    seen, runs = {"left": 0, "right": 0, "both": 0}, set()
    for seed in range(200):
        whole = DropParts(0.4)(clip, draws(seed)).conf == 0
        does = {side: bool(whole[:, columns].any()) for side, columns in hands.items()}
        assert all(whole[:, hands[side]].all() for side in hands if does[side])
        assert not whole[:, : POINTS.index("left_hand.wrist")].any()
        for side in hands:
            seen[side] += does[side]
        seen["both"] += all(does.values())
        for columns in hands.values():
            part = (DropParts(1.0, rows=5)(clip, draws(seed)).conf == 0)[:, columns]
            rows = part.all(1).nonzero().flatten().tolist()
            assert torch.equal(part.any(1), part.all(1)) and rows == list(range(rows[0], rows[-1] + 1))
            runs.add((rows[0], len(rows)))
    assert 60 < seen["left"] < 100 and 60 < seen["right"] < 100 and 15 < seen["both"] < 50
    assert {length for _, length in runs} == {1, 2, 3, 4, 5} and {first for first, _ in runs} >= set(range(15))
    with pytest.raises(ConfigError, match=r"no point belongs to 'face'"):
        DropParts(0.5, parts=("face",))(clip, draws(0))
    for wrong in (lambda: DropPoints(1.5), lambda: DropParts(-0.1), lambda: DropParts(0.5, rows=0)):
        with pytest.raises(ConfigError):
            wrong()


# Selection


selectors = st.one_of(
    st.builds(AtMost, st.integers(1, 40), st.booleans()),
    st.builds(Window, st.integers(1, 40), st.booleans(), st.integers(1, 5)),
    st.builds(Stride, st.integers(1, 9), st.booleans()),
    st.builds(DropRandom, share),
    st.builds(BlockSample, st.integers(1, 9), st.booleans()),
    st.builds(Resample, st.integers(1, 40)),
    st.builds(SpeedJitter, st.floats(0.3, 1), st.floats(1, 3)),
    st.builds(Truncate, st.integers(1, 40)),
)


@check
@given(steps=st.lists(selectors, min_size=1, max_size=3), count=st.integers(1, 60), seed=seeds)
def test_selections_are_in_range_and_in_order(steps, count, seed):
    select = steps[0] if len(steps) == 1 else ChainSelect(tuple(steps))
    index = select(Clip(SAMPLE), count, draws(seed))
    assert index.dtype == torch.int64 and index.ndim == 1 and len(index) >= 1
    assert int(index[0]) >= 0 and int(index[-1]) < count and bool((index.diff() >= 0).all())
    assert torch.equal(select(Clip(SAMPLE), count, draws(seed)), index)
    assert pickle.loads(pickle.dumps(select)) == select


def chosen(select, count, seed=0):
    return select(Clip(SAMPLE), count, draws(seed)).tolist()


def test_at_most():
    assert chosen(AtMost(5), 5) == chosen(AtMost(5, True), 5) == [0, 1, 2, 3, 4]
    assert chosen(AtMost(3), 9) == [1, 4, 7]
    drawn = {tuple(chosen(AtMost(3, True), 5, s)) for s in range(300)}
    assert len(drawn) == 10 and all(len(set(d)) == 3 and list(d) == sorted(d) for d in drawn)  # all of 5 over 3


def test_window():
    assert chosen(Window(4), 10) == [3, 4, 5, 6] and chosen(Window(10), 4) == [0, 1, 2, 3]
    assert chosen(Window(400, multiple_of=4), 11) == list(range(8)) and chosen(Window(9, multiple_of=4), 3) == [0, 1, 2]
    assert {chosen(Window(4, random=True), 10, s)[0] for s in range(200)} == set(range(7))
    assert chosen(Window(400, multiple_of=4), 810) == list(range(205, 605))


def test_stride():
    assert chosen(Stride(2), 5) == [0, 2, 4] and chosen(Stride(3), 2) == [0]
    assert {tuple(chosen(Stride(3, True), 5, s)) for s in range(50)} == {(0, 3), (1, 4), (2,)}
    assert {tuple(chosen(Stride(9, True), 2, s)) for s in range(50)} == {(0,), (1,)}


def test_dropped_before_decoding():
    kept = [len(chosen(DropRandom(0.25), 100, s)) for s in range(100)]
    assert np.mean(kept) == pytest.approx(75, abs=2) and len(chosen(DropRandom(1.0), 7)) == 1
    assert chosen(DropRandom(0.0), 7) == list(range(7))
    for wrong in (lambda: AtMost(0), lambda: Window(0), lambda: Window(3, multiple_of=0), lambda: Stride(0)):
        with pytest.raises(ConfigError):
            wrong()
    with pytest.raises(ConfigError):
        DropRandom(1.1)
