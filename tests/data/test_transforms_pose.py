"""Transforms of poses."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from slt_zoo.data.pose_augment import SpatialAugment
from slt_zoo.data.pose_layouts import LAYOUTS, POINT_SETS
from slt_zoo.data.readers import open_reader
from slt_zoo.data.transforms import (
    CentreHands,
    CentreOnShoulders,
    ChoosePoints,
    Compose,
    FillMissing,
    InterpolateFrames,
    KeepDims,
)
from slt_zoo.errors import ConfigError, MediaError
from slt_zoo.types import Clip, Media, Sample

SAMPLE = Sample("s1", "train", "", "de", "gsg")
UPPER = POINT_SETS["upper50"]
LEFT, RIGHT = UPPER.index("body.left_shoulder"), UPPER.index("body.right_shoulder")


def clip(points=UPPER, frames=12, dims=3, seed=0, missing=0.2):
    """Random points in pixels, some missing; the shoulders are always there."""
    rng = np.random.default_rng(seed)
    pose = torch.from_numpy(rng.uniform(50, 200, (frames, len(points), dims)).astype(np.float32))
    conf = torch.from_numpy(rng.uniform(0.1, 1, (frames, len(points))).astype(np.float32))
    conf[torch.from_numpy(rng.random((frames, len(points))) < missing)] = 0
    for name in ("body.left_shoulder", "body.right_shoulder"):
        if name in points:
            conf[:, points.index(name)] = 1
    pose[conf == 0] = 0
    return Clip(SAMPLE, fps=25.0, index=torch.arange(frames), pose=pose, conf=conf, points=points)


def apply(transform, c, seed=0):
    """Applies a transform, and holds what holds for all: input untouched, missing stays missing and zero."""
    pose, conf = c.pose.clone(), c.conf.clone()
    out = transform(c, np.random.default_rng(seed))
    assert torch.equal(c.pose, pose) and torch.equal(c.conf, conf)
    assert out.pose.dtype == out.conf.dtype == torch.float32 and out.pose.isfinite().all()
    assert out.pose.shape[:2] == out.conf.shape and out.pose.shape[1] == len(out.points)
    assert not out.pose[out.conf == 0].any()
    assert out.sample is c.sample
    return out


# Points


def test_choose_points():
    c = clip(LAYOUTS["holistic"])
    out = apply(ChoosePoints("holistic75"), c)
    index = [*range(33), *range(501, 543)]  # SignAttention specification, test 3
    assert torch.equal(out.pose, c.pose[:, index]) and torch.equal(out.conf, c.conf[:, index])
    assert out.points == POINT_SETS["holistic75"]
    out = apply(ChoosePoints(("right_hand.wrist", "body.nose")), c)
    assert torch.equal(out.pose, c.pose[:, [522, 0]]) and out.points == ("right_hand.wrist", "body.nose")


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_layouts_meet_in_names(layout):
    c = clip(LAYOUTS[layout])
    out = apply(ChoosePoints("upper_hands48"), c)
    where = LAYOUTS[layout].index("right_hand.thumb_tip")
    assert torch.equal(out.pose[:, out.points.index("right_hand.thumb_tip")], c.pose[:, where])


def test_points_that_the_file_lacks():
    c = clip(POINT_SETS["holistic75"])
    with pytest.raises(ConfigError) as error:
        apply(ChoosePoints("upper50"), c)
    message = str(error.value)
    assert "1 of 50 points are not among the 75 of the file: body.neck" in message
    assert "holistic75, upper" not in message and "holistic75, hands42, upper_hands48" in message
    assert "allow_missing=True" in message
    out = apply(ChoosePoints("upper50", allow_missing=True), c)
    neck = out.points.index("body.neck")
    assert not out.conf[:, neck].any() and not out.pose[:, neck].any()
    assert torch.equal(out.conf[:, 0], c.conf[:, 0]) and out.conf[:, 2:].any(0).all()
    with pytest.raises(ConfigError, match="none of the named ones"):
        apply(ChoosePoints("hands42"), clip(("body.nose",)))
    for wrong in ("hands24", ()):
        with pytest.raises(ConfigError):
            ChoosePoints(wrong)


# Centring


def test_centre_on_shoulders():
    c = clip()
    c.pose[:, LEFT] = torch.tensor([130.0, 80, 5])
    c.pose[:, RIGHT] = torch.tensor([70.0, 80, 15])
    out = apply(CentreOnShoulders(), c)
    assert torch.allclose(out.pose[:, LEFT], torch.tensor([0.5, 0, -5 / 60]).expand(12, 3))
    assert torch.allclose(out.pose[:, RIGHT], torch.tensor([-0.5, 0, 5 / 60]).expand(12, 3))
    there = c.conf > 0
    expected = (c.pose - torch.tensor([100.0, 80, 10])) / 60
    assert torch.allclose(out.pose[there], expected[there], atol=1e-6)
    assert torch.equal(out.conf, c.conf)
    unscaled = apply(CentreOnShoulders(scale=False), c)
    assert torch.allclose(unscaled.pose, out.pose * 60, atol=1e-4)


@pytest.mark.parametrize("dims", [2, 3])
def test_centring_is_independent_of_the_image(dims):
    c = clip(dims=dims)
    moved = replace(c, pose=torch.where(c.conf[..., None] > 0, c.pose * 3.7 + 411, 0.0))
    for transform in (CentreOnShoulders(), CentreOnShoulders(per_frame=True)):
        assert torch.allclose(apply(transform, c).pose, apply(transform, moved).pose, atol=1e-4)


def test_centring_keeps_the_bodys_motion_and_bears_bad_frames():
    c = clip(missing=0)
    c.pose[:, LEFT], c.pose[:, RIGHT] = torch.tensor([130.0, 80, 0]), torch.tensor([70.0, 80, 0])
    good = apply(CentreOnShoulders(), c)
    bad = replace(c, pose=c.pose.clone(), conf=c.conf.clone())
    bad.pose[3, LEFT], bad.pose[4, [LEFT, RIGHT]] = torch.tensor([1000.0, 1000, 0]), torch.tensor([500.0, 80, 0])
    bad.pose[5, LEFT], bad.conf[5, LEFT] = 0, 0
    out = apply(CentreOnShoulders(), bad)
    assert torch.equal(out.pose[:3], good.pose[:3])
    assert torch.equal(out.pose[5, :LEFT], good.pose[5, :LEFT])  # a frame without shoulders is centred all the same
    c.pose[6] += 30
    assert torch.allclose(apply(CentreOnShoulders(), c).pose[6] - good.pose[6], torch.tensor(0.5))
    per_frame = apply(CentreOnShoulders(per_frame=True), c)
    assert torch.allclose(per_frame.pose[6, :, :2], good.pose[6, :, :2], atol=1e-6)


def test_world_points_stay():
    c = clip(LAYOUTS["holistic_world"])
    out = apply(CentreOnShoulders(), c)
    assert torch.equal(out.pose[:, 543:], c.pose[:, 543:])
    assert not torch.equal(out.pose[:, :543], c.pose[:, :543])


def test_no_shoulders():
    with pytest.raises(
        ConfigError, match=r"needs body\.left_shoulder and body\.right_shoulder[\s\S]*before ChoosePoints"
    ):
        apply(CentreOnShoulders(), clip(POINT_SETS["hands42"]))
    c = clip()
    c.conf[::2, LEFT], c.conf[1::2, RIGHT] = 0, 0
    c.pose[c.conf == 0] = 0
    with pytest.raises(MediaError, match=r"no frame has both shoulders[\s\S]*sample s1, 12 frames"):
        apply(CentreOnShoulders(), c)
    c = clip()
    c.pose[:, LEFT] = c.pose[:, RIGHT]
    with pytest.raises(MediaError, match=r"distance is 0[\s\S]*sample s1"):
        apply(CentreOnShoulders(), c)
    assert apply(CentreOnShoulders(scale=False), c).pose.any()


def test_keep_dims():
    c = clip()
    assert torch.equal(apply(KeepDims(2), c).pose, c.pose[..., :2])
    for dims in (3, 0):
        with pytest.raises(ConfigError, match=f"cannot keep {dims} dimensions of 2"):
            apply(KeepDims(dims), clip(dims=2))


# Time


def test_fill_missing():
    points = ("body.nose", "left_hand.wrist", "right_hand.wrist")
    pose = torch.arange(8.0)[:, None, None].repeat(1, 3, 2) * torch.tensor([1.0, 10])
    conf = torch.tensor([[1, 0, 1], [0.5, 1, 0], [0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]])
    pose[conf == 0] = 0
    out = apply(FillMissing(max_gap=2), Clip(SAMPLE, pose=pose, conf=conf, points=points))
    assert out.pose[:, 0, 0].tolist() == list(range(8))
    assert out.conf[:, 0].tolist() == pytest.approx([1, 0.5, 2 / 3, 5 / 6, 1, 1, 1, 1])
    assert out.conf[:, 1].tolist() == [0, 1, 1, 1, 1, 1, 1, 0]  # the ends stay
    assert out.pose[2, 1].tolist() == [2, 20]
    assert out.conf[:, 2].tolist() == [1, 0, 0, 0, 0, 0, 1, 1]  # five are too many
    longer = apply(FillMissing(max_gap=5), Clip(SAMPLE, pose=pose, conf=conf, points=points))
    assert longer.conf[:, 2].tolist() == [1] * 8 and torch.allclose(longer.pose[:, 2, 1], torch.arange(8.0) * 10)


def test_interpolate_frames():
    c = clip(missing=0)
    assert torch.allclose(apply(InterpolateFrames(12), c).pose, c.pose)
    out = apply(InterpolateFrames(23), c)
    assert torch.allclose(out.pose[::2], c.pose) and torch.allclose(out.pose[1::2], (c.pose[1:] + c.pose[:-1]) / 2)
    assert out.fps == 50 and out.index[[0, -1]].tolist() == [0, 11] and len(out.index) == 23
    out = apply(InterpolateFrames(30), clip(frames=1))
    assert torch.equal(out.pose, clip(frames=1).pose.expand(30, -1, -1)) and out.fps == 25
    assert apply(InterpolateFrames(1), c).pose.shape[0] == 1


def test_interpolation_beside_missing_points():
    c = clip(frames=2, missing=0)
    c.pose[1, 0], c.conf[1, 0] = 0, 0
    c.pose[:, 1], c.conf[:, 1] = 0, 0
    out = apply(InterpolateFrames(5), c)
    assert torch.allclose(out.pose[:4, 0], c.pose[:1, 0].expand(4, 3))  # not drawn towards 0
    assert torch.allclose(out.conf[:, 0], c.conf[0, 0] * torch.tensor([1, 0.75, 0.5, 0.25, 0]))
    assert not out.conf[:, 1].any()


def test_interpolation_of_a_clip_with_more_than_a_pose():
    with pytest.raises(ConfigError, match="poses alone"):
        apply(InterpolateFrames(5), replace(clip(), segments=torch.tensor([[0, 3]])))


# Augmentation


@pytest.mark.parametrize("dims", [2, 3])
def test_no_augmentation_is_identity(dims):
    c = clip(dims=dims)
    assert torch.equal(apply(SpatialAugment(), c).pose, c.pose)


@pytest.mark.parametrize(
    ("options", "seed"), [({"rotate_deg": 30}, 1), ({"scale": 0.3}, 2), ({"shift": 2.0}, 3), ({"shear": 0.4}, 4)]
)
def test_one_affine_map_a_clip(options, seed):
    c = clip(missing=0.3)
    out = apply(SpatialAugment(**options), c, seed)
    turn, size, lean, x, y = np.random.default_rng(seed).uniform(-1, 1, 5)
    angle = math.radians(options.get("rotate_deg", 0) * turn)
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turned @ np.array([[1, options.get("shear", 0) * lean], [0, 1]]) * (1 + options.get("scale", 0) * size)
    expected = c.pose.numpy().copy()
    expected[..., :2] = expected[..., :2] @ matrix.T + options.get("shift", 0) * np.array([x, y])
    expected[..., 2] *= 1 + options.get("scale", 0) * size
    there = (c.conf > 0).numpy()
    assert np.allclose(out.pose.numpy()[there], expected[there], rtol=1e-4, atol=1e-3)
    assert not np.allclose(out.pose.numpy()[there], c.pose.numpy()[there], rtol=1e-2)


def test_noise():
    c = clip(frames=200, missing=0.5)
    out = apply(SpatialAugment(noise=0.5), c)
    noise = (out.pose - c.pose)[c.conf > 0]
    assert float(noise.std()) == pytest.approx(0.5, rel=0.05) and abs(float(noise.mean())) < 0.02


def test_mirror():
    c = clip(missing=0.3)
    out = apply(SpatialAugment(mirror_p=1.0), c)
    other = UPPER.index("right_hand.ring_finger_tip")
    assert torch.equal(out.conf[:, UPPER.index("left_hand.ring_finger_tip")], c.conf[:, other])
    flipped = c.pose[:, other] * torch.tensor([-1.0, 1, 1])
    assert torch.allclose(out.pose[:, UPPER.index("left_hand.ring_finger_tip")], flipped)
    assert out.points == c.points
    assert torch.allclose(apply(SpatialAugment(mirror_p=1.0), out).pose, c.pose)
    share = np.mean([not torch.equal(apply(SpatialAugment(mirror_p=0.3), c, s).pose, c.pose) for s in range(200)])
    assert 0.2 < share < 0.4


def test_mirror_that_cannot_be_fails_at_once():
    """Also in a clip that is not mirrored: a recipe must not fail by chance in its third hour."""
    for seed in range(5):
        with pytest.raises(ConfigError, match="cannot be mirrored"):
            apply(SpatialAugment(mirror_p=1e-9), clip(LAYOUTS["holistic"]), seed)


def test_draws_do_not_depend_on_other_options():
    c = clip()
    a = apply(SpatialAugment(shift=1.0), c, 5).pose - c.pose
    b = apply(SpatialAugment(shift=1.0, rotate_deg=0, mirror_p=1e-9), c, 5).pose - c.pose
    assert torch.allclose(a, b)
    assert not torch.equal(apply(SpatialAugment(shift=1.0), c, 6).pose, apply(SpatialAugment(shift=1.0), c, 5).pose)


# All together


PIPELINE = Compose(
    (
        ChoosePoints("upper_hands48"),
        CentreOnShoulders(),
        KeepDims(2),
        SpatialAugment(rotate_deg=10, scale=0.1, shift=0.1, shear=0.1, noise=0.01, mirror_p=0.5),
    )
)


def test_hands_about_their_wrists():
    c = clip(UPPER, missing=0)
    out = apply(CentreHands(), c)
    for hand in ("left_hand", "right_hand"):
        wrist, knuckle, tip = (UPPER.index(f"{hand}.{p}") for p in ("wrist", "middle_finger_mcp", "thumb_tip"))
        size = (c.pose[:, knuckle] - c.pose[:, wrist])[:, :2].norm(dim=1).max()
        torch.testing.assert_close(out.pose[:, tip], (c.pose[:, tip] - c.pose[:, wrist]) / size)
        assert torch.equal(out.pose[:, wrist], c.pose[:, wrist]), "the wrist tells where the hand is"
        assert float((out.pose[:, knuckle, :2]).norm(dim=1).max()) == pytest.approx(1)
    assert torch.equal(out.pose[:, LEFT], c.pose[:, LEFT]), "the body stays"
    moved = replace(c, pose=3 * c.pose + 7)  # another size, another place: the same shape
    fingers = [i for i, p in enumerate(UPPER) if "hand." in p and not p.endswith("wrist")]
    torch.testing.assert_close(apply(CentreHands(), moved).pose[:, fingers], out.pose[:, fingers], atol=1e-4, rtol=1e-4)


def test_a_hand_without_its_wrist_is_missing():
    c = clip(UPPER, missing=0)
    wrist, tip = UPPER.index("left_hand.wrist"), UPPER.index("left_hand.thumb_tip")
    c.pose[3, wrist] = c.conf[3, wrist] = 0
    out = apply(CentreHands(), c)
    assert out.conf[3, tip] == 0 and out.conf[4, tip] > 0
    gone = [i for i, p in enumerate(UPPER) if p.startswith("left_hand.")]
    c.pose[:, gone] = c.conf[:, gone] = 0
    assert not apply(CentreHands(), c).conf[:, gone].any()
    with pytest.raises(ConfigError, match="wrist and the middle knuckle"):
        apply(CentreHands(), clip(("body.left_shoulder", "body.right_shoulder")))


def test_compose():
    c = clip(LAYOUTS["openpose137"])
    out = apply(PIPELINE, c, 3)
    assert out.pose.shape == (12, 48, 2) and out.fps == 25 and torch.equal(out.index, c.index)
    assert torch.equal(out.pose, apply(PIPELINE, c, 3).pose)
    assert not torch.equal(out.pose, apply(PIPELINE, c, 4).pose)


def test_transforms_are_values():
    assert pickle.loads(pickle.dumps(PIPELINE)) == PIPELINE
    assert len({PIPELINE, pickle.loads(pickle.dumps(PIPELINE))}) == 1


@pytest.mark.parametrize(
    "transform",
    [ChoosePoints("hands42"), CentreOnShoulders(), CentreHands(), KeepDims(), FillMissing(), SpatialAugment()],
)
def test_a_clip_without_poses(transform):
    with pytest.raises(ConfigError, match=f"{type(transform).__name__} needs poses; the clip of sample s1"):
        transform(Clip(SAMPLE), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("fingerspelling_gsg/gsg/fs-sts3c483cfcbfbbb68ca97f4cdf1150cd0b.pose", None),
        ("lexicon_sgg/sgg/pizza.pose", None),
        ("phoenix14t_holistic/25October_2010_Monday_tagesschau-17.pose", None),
        ("phoenix14t_skels/train.skels.gz", "11August_2010_Wednesday_tagesschau-1"),
    ],
)
def test_real_poses_of_all_layouts(shared_data, path, item):
    """Pixels or metres, 586, 178, 543 or 50 points: the same 48, with the shoulders one unit apart."""
    reader = open_reader("pose", Media(str(shared_data / "poses" / path), item=item), sample_id="s1")
    c = Clip(SAMPLE, **reader.read(torch.arange(reader.num_frames)))
    out = apply(Compose((ChoosePoints("upper_hands48"), CentreOnShoulders(), KeepDims(2))), c)
    left, right = (out.points.index(f"body.{side}_shoulder") for side in ("left", "right"))
    width = (out.pose[:, left] - out.pose[:, right]).norm(dim=1)
    assert float(width.median()) == pytest.approx(1, abs=1e-5)
    seen = out.pose[out.conf > 0]
    assert float(seen.abs().max()) < 6  # arm's length
    assert float(out.pose[:, left, 0].median()) > 0 > float(out.pose[:, right, 0].median())  # the signer faces us


def test_real_layouts_agree_on_left_and_right(shared_data):
    """One recording, by MediaPipe (under the name of another sample) and as `.skels`: the same wrist moves alike."""
    wrists = []
    for path, item in [
        ("phoenix14t_holistic/25October_2010_Monday_tagesschau-17.pose", None),
        ("phoenix14t_skels/train.skels.gz", "11August_2010_Wednesday_tagesschau-1"),
    ]:
        reader = open_reader("pose", Media(str(shared_data / "poses" / path), item=item), sample_id="s1")
        c = Clip(SAMPLE, **reader.read(torch.arange(reader.num_frames)))
        wrists.append(ChoosePoints(("body.left_wrist", "body.right_wrist"))(c, np.random.default_rng(0)).pose[..., :2])
    assert len(wrists[0]) == len(wrists[1]) == 86

    def likeness(a, b):
        return min(np.corrcoef(wrists[0][:, a, d], wrists[1][:, b, d])[0, 1] for d in (0, 1))

    assert likeness(0, 0) > 0.9 and likeness(1, 1) > 0.6
    assert likeness(0, 1) < 0.2 and likeness(1, 0) < 0.2
