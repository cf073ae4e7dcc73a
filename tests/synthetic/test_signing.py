"""The skeleton signer: anatomy, smoothness, handedness, difficulty, detection, drawing."""

import dataclasses
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from slt_zoo.data.pose_layouts import POINT_SETS, mirror_points
from slt_zoo.errors import ConfigError
from slt_zoo.synthetic.detector import detect
from slt_zoo.synthetic.grammars import GRAMMARS
from slt_zoo.synthetic.performer import SkeletonPerformer, through
from slt_zoo.synthetic.render import draw_clip
from slt_zoo.synthetic.signers import Camera, Signer, make_signers
from slt_zoo.synthetic.signs import sign_for
from slt_zoo.synthetic.skeleton import POINTS, components
from slt_zoo.synthetic.variation import RANGES, Variation, stream

GLOSS = ("ALPEN", "MORGEN", "REGEN", "STARK", "KOMMEN")
SIZE = (210, 260)


def perform(difficulty, gloss=GLOSS, take=0, left_handed=False, name="Signer01"):
    variation = Variation.at(difficulty)
    signer = Signer.create(name, 0, variation, left_handed=left_handed)
    return SkeletonPerformer(0, variation, 25.0).perform(gloss, signer, stream("take", take)), signer


def column(name):
    return POINTS.index(name)


def test_points_hold_the_sets_that_models_choose():
    assert set(POINT_SETS["upper50"]) | set(POINT_SETS["upper_hands48"]) <= set(POINTS)
    assert [(c.name, len(c.points)) for c in components(POINTS)] == [
        ("POSE_LANDMARKS", 14),
        ("LEFT_HAND_LANDMARKS", 21),
        ("RIGHT_HAND_LANDMARKS", 21),
    ]


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_motion_is_finite_and_bones_keep_their_length(difficulty):
    motion, signer = perform(difficulty)
    assert np.isfinite(motion.xyz).all() and motion.xyz.shape == (len(motion.labels), len(POINTS), 3)
    for side in ("left", "right"):
        shoulder, elbow, wrist = (motion.xyz[:, column(f"body.{side}_{j}")] for j in ("shoulder", "elbow", "wrist"))
        assert np.allclose(np.linalg.norm(elbow - shoulder, axis=-1), signer.upper_arm)
        assert np.allclose(np.linalg.norm(wrist - elbow, axis=-1), signer.forearm)
        knuckle = motion.xyz[:, column(f"{side}_hand.index_finger_mcp")]
        assert np.ptp(np.linalg.norm(knuckle - wrist, axis=-1)) < 1e-9
        assert np.array_equal(wrist, motion.xyz[:, column(f"{side}_hand.wrist")])


def test_clean_motion_is_smooth():
    """At 25 frames a second a point goes less than 1.1 shoulder widths a frame, and nothing starts from a jump."""
    for take in range(20):
        gloss = stream("glosses", take).choice(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 5)
        motion, _ = perform(0.0, tuple(gloss), take)
        steps = np.linalg.norm(np.diff(motion.xyz, axis=0), axis=-1)
        wrists = [column(f"body.{side}_wrist") for side in ("left", "right")]
        assert steps.max() < 1.1 and steps[:, wrists].max() < 0.75
        assert steps[0].max() < 1e-9, "the clip begins at rest"


def test_a_curve_goes_through_its_keys():
    times, keys = np.array([0.0, 0.2, 0.5, 0.6]), np.array([[0.0], [1.0], [-1.0], [2.0]])
    assert np.allclose(through(times, keys, times), keys)
    fine = through(times, keys, np.linspace(0, 0.6, 601))
    assert np.abs(np.diff(fine, axis=0)).max() < 0.06
    held = through(times, np.array([[0.0], [0.0], [1.0], [1.0]]), np.linspace(0, 0.6, 61))
    assert (held[:21] == 0).all() and np.allclose(held[50:], 1) and (np.diff(held[20:51], axis=0) > 0).all()


def test_labels_mark_each_sign_once_with_rest_around():
    motion, _ = perform(0.5)
    assert motion.labels.dtype == np.int8 and set(motion.labels) == {0, 1, 2}
    assert (motion.labels == 2).sum() == len(GLOSS)
    assert motion.labels[0] == motion.labels[-1] == 0
    inside = np.flatnonzero(motion.labels == 1)
    assert (motion.labels[inside - 1] > 0).all(), "the inside of a sign follows its begin"


def test_a_gloss_has_one_sign_for_a_seed():
    first, again, other = sign_for("REGEN", 0), sign_for("REGEN", 0), sign_for("REGEN", 1)
    assert np.array_equal(first.keys, again.keys) and first.seconds == again.seconds
    assert first.keys.shape != other.keys.shape or not np.allclose(first.keys, other.keys)
    assert {len(sign_for(f"G{k}", 0).keys) for k in range(60)} == {2, 3, 4}
    assert 0.3 < np.mean([sign_for(f"G{k}", 0).two_handed for k in range(200)]) < 0.8


def test_a_left_handed_signer_is_the_mirror_image():
    right, signer = perform(0.4)
    variation = Variation.at(0.4)
    left = SkeletonPerformer(0, variation, 25.0).perform(
        GLOSS, dataclasses.replace(signer, left_handed=True), stream("take", 0)
    )
    assert np.allclose(left.xyz, right.xyz[:, list(mirror_points(POINTS))] * (-1, 1, 1))
    assert not np.allclose(left.xyz, right.xyz)
    people = make_signers([f"Signer{k:02d}" for k in range(1, 11)], 0, variation)
    assert [name for name, person in people.items() if person.left_handed] == ["Signer03", "Signer06", "Signer09"]


def test_a_right_handed_signer_leads_with_the_right_hand():
    one_handed = next(f"G{k}" for k in range(100) if not sign_for(f"G{k}", 0).two_handed)
    motion, _ = perform(0.0, (one_handed,))
    moved = np.ptp(motion.xyz, axis=0)
    assert moved[column("body.right_wrist")].max() > 0.3
    assert moved[column("body.left_wrist")].max() < 1e-9


def test_difficulty_raises_every_difference():
    """The same gloss by several signers and takes: the spread of its middle posture grows, and so does all else."""
    spreads, noises, losses = [], [], []
    for difficulty in (0.0, 0.3, 0.6, 1.0):
        variation, middles = Variation.at(difficulty), []
        performer = SkeletonPerformer(0, variation, 25.0)
        for k in range(30):
            signer = Signer.create(f"Signer{k}", 0, variation)
            motion = performer.perform(("REGEN",), signer, stream("take", k))
            middles.append(motion.xyz[np.flatnonzero(motion.labels).mean().astype(int)])
        spreads.append(np.std(middles, axis=0).mean())
        still, sure = np.full((400, len(POINTS), 3), 100.0), np.ones((400, len(POINTS)))
        seen, conf = detect(still, sure, POINTS, 90.0, variation, stream("noise"))
        noises.append(np.std(seen[conf > 0]))
        losses.append((conf == 0).mean())
    assert spreads == sorted(spreads) and spreads[-1] > 3 * spreads[0]
    assert noises == sorted(noises) and noises[0] < 0.5 < noises[1]
    assert losses == sorted(losses) and losses[0] == 0 < losses[1]


def test_variation_has_every_parameter_of_the_table_and_grows():
    steps = [dataclasses.asdict(Variation.at(d)) for d in (0.0, 0.3, 0.6, 1.0)]
    assert list(steps[0]) == list(RANGES)
    for name, (low, high) in RANGES.items():
        values = [step[name] for step in steps]
        assert values[0] == low and values[-1] == pytest.approx(high) and values == sorted(set(values))


def test_the_page_has_the_table_and_the_counts():
    page = (Path(__file__).parents[2] / "docs" / "synthetic.md").read_text(encoding="utf-8")
    table = {n: (float(a), float(b)) for n, a, b in re.findall(r"\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|", page)}
    assert table == RANGES
    german = [phrase for family in GRAMMARS["de"].sentences().values() for phrase in family]
    glosses, words = ({x for phrase in german for x in phrase[k].split()} for k in (0, 1))
    assert f"{len(glosses)} glosses, {len(words)} words and {len(german):,} sentences" in page
    assert f"its {len(GRAMMARS['de'].families)} patterns" in page
    assert page.split("\n\n")[1].startswith("**Simulated signing is no sign language")


@pytest.mark.parametrize("difficulty", [-0.1, 1.1, float("nan")])
def test_difficulty_out_of_range(difficulty):
    with pytest.raises(ConfigError, match="difficulty out of range"):
        Variation.at(difficulty)


def test_a_lost_hand_is_zero_with_confidence_zero():
    motion, _ = perform(1.0)
    pixels = Camera.of(perform(1.0)[1], SIZE, Variation.at(1.0), stream("camera")).project(motion.xyz)
    seen, conf = detect(pixels, motion.conf, POINTS, 90.0, Variation.at(1.0), stream("noise"))
    lost = conf == 0
    assert lost.any() and (seen[lost] == 0).all() and (seen[~lost] != 0).any(axis=-1).all()
    assert (conf >= 0).all() and (conf <= 1).all() and seen.dtype == conf.dtype == np.float32
    hands = [k for k, p in enumerate(POINTS) if p.startswith("left_hand")]
    assert (lost[:, hands].all(axis=1) == lost[:, hands].any(axis=1)).all(), "a hand is lost as a whole"


def test_the_signer_is_in_the_image():
    variation = Variation.at(0.3)
    signer = Signer.create("Signer01", 0, variation)
    motion, _ = perform(0.3)
    for width, height in (SIZE, (64, 80)):
        camera = Camera.of(signer, (width, height), variation, stream("camera"))
        pixels = camera.project(motion.xyz)
        body = pixels[:, [column("body.nose"), column("body.left_shoulder"), column("body.right_shoulder")]]
        assert (body[..., 0] > 0).all() and (body[..., 0] < width).all()
        assert (body[..., 1] > 0).all() and (body[..., 1] < height).all()
        assert pixels[:, column("body.left_shoulder"), 0].mean() > pixels[:, column("body.right_shoulder"), 0].mean()


def test_a_drawing_shows_the_signer_and_every_move():
    motion, signer = perform(0.0)
    pixels = Camera.of(signer, (64, 80), Variation.at(0.0), stream("camera")).project(motion.xyz)
    images = draw_clip(POINTS, pixels, motion.conf, signer, (64, 80))
    assert len(images) == len(motion.labels) and all(i.shape == (80, 64, 3) and i.dtype == np.uint8 for i in images)
    assert tuple(images[0][1, 1]) == signer.background
    skin = (np.abs(np.stack(images).astype(int) - signer.skin).sum(-1) < 30).sum((1, 2))
    assert (skin > 30).all(), "head and hands are seen in each frame"
    changed = [np.abs(a.astype(int) - b).max() for a, b in itertools.pairwise(images)]
    assert np.median(changed) > 60
