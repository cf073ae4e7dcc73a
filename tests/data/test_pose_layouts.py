"""Names of points."""

import pytest

from slt_zoo.data.pose_layouts import LAYOUTS, POINT_SETS, mirror_points, named_points
from slt_zoo.errors import ConfigError, UnknownNameError

SIZES = {
    "holistic": 543,
    "holistic_world": 576,
    "holistic_refined": 586,
    "holistic_reduced": 178,
    "skels50": 50,
    "openpose137": 137,
    "wholebody133": 133,
    "holistic75": 75,
    "upper50": 50,
    "hands42": 42,
    "upper_hands48": 48,
}


@pytest.mark.parametrize("name", sorted(LAYOUTS | POINT_SETS))
def test_names(name):
    points = named_points(name)
    assert len(points) == len(set(points)) == SIZES[name]
    assert all(p == p.lower() for p in points)
    assert {p.split(".")[0] for p in points} <= {"body", "left_hand", "right_hand", "face", "world"}


def test_holistic75_is_the_mask_of_sign_attention():
    """SignAttention specification, test 3: 75 of 543, indices 0-32 and 501-542."""
    index = [LAYOUTS["holistic"].index(p) for p in POINT_SETS["holistic75"]]
    assert index == [*range(33), *range(501, 543)]


@pytest.mark.parametrize(
    ("layout", "positions"),
    [
        ("holistic", {0: "body.nose", 9: "body.mouth_left", 11: "body.left_shoulder", 16: "body.right_wrist",
                      32: "body.right_foot_index", 33: "face.0", 500: "face.467", 501: "left_hand.wrist",
                      522: "right_hand.wrist"}),
        ("holistic_world", {500: "face.467", 543: "world.nose", 554: "world.left_shoulder"}),
        ("holistic_refined", {510: "face.477", 511: "left_hand.wrist", 532: "right_hand.wrist", 553: "world.nose"}),
        ("holistic_reduced", {0: "body.left_shoulder", 5: "body.right_wrist", 7: "body.right_hip", 8: "face.0",
                              135: "face.466", 136: "left_hand.wrist", 157: "right_hand.wrist"}),
        ("skels50", {0: "body.nose", 1: "body.neck", 2: "body.left_shoulder", 7: "body.right_wrist",
                     8: "right_hand.wrist", 29: "left_hand.wrist", 49: "left_hand.pinky_tip"}),
        ("upper50", {0: "body.nose", 1: "body.neck", 2: "body.right_shoulder", 7: "body.left_wrist",
                     8: "left_hand.wrist", 29: "right_hand.wrist", 49: "right_hand.pinky_tip"}),
        ("openpose137", {1: "body.neck", 2: "body.right_shoulder", 5: "body.left_shoulder", 8: "body.mid_hip",
                         9: "body.right_hip", 12: "body.left_hip", 15: "body.right_eye", 18: "body.left_ear",
                         19: "body.left_big_toe", 24: "body.right_heel", 25: "face.ibug_0", 92: "face.ibug_67",
                         95: "left_hand.wrist", 96: "left_hand.thumb_cmc", 100: "left_hand.index_finger_mcp",
                         116: "right_hand.wrist", 136: "right_hand.pinky_tip"}),
        ("wholebody133", {5: "body.left_shoulder", 6: "body.right_shoulder", 9: "body.left_wrist",
                          16: "body.right_ankle", 17: "body.left_big_toe", 22: "body.right_heel", 23: "face.ibug_0",
                          90: "face.ibug_67", 91: "left_hand.wrist", 111: "left_hand.pinky_tip",
                          112: "right_hand.wrist"}),
    ],
)  # fmt: skip
def test_positions_of_the_specification(layout, positions):
    assert {i: named_points(layout)[i] for i in positions} == positions


def test_sets_fit_layouts():
    def fitting(points):
        return {name for name, layout in LAYOUTS.items() if set(points) <= set(layout)}

    assert fitting(POINT_SETS["upper_hands48"]) == fitting(POINT_SETS["hands42"]) == set(LAYOUTS)
    assert fitting(POINT_SETS["holistic75"]) == {"holistic", "holistic_world", "holistic_refined"}
    assert fitting(POINT_SETS["upper50"]) == {"skels50", "openpose137"}


def test_unknown_name():
    with pytest.raises(UnknownNameError, match="did you mean 'holistic75'"):
        named_points("holistic57")


@pytest.mark.parametrize("name", ["holistic75", "upper50", "hands42", "upper_hands48"])
def test_mirror(name):
    points = POINT_SETS[name]
    other = mirror_points(points)
    assert sorted(other) == list(range(len(points)))
    assert tuple(other[i] for i in other) == tuple(range(len(points)))  # twice is once not
    names = {p: points[o] for p, o in zip(points, other, strict=True)}
    assert names["left_hand.pinky_tip"] == "right_hand.pinky_tip"
    for a, b in [("body.left_shoulder", "body.right_shoulder"), ("body.mouth_left", "body.mouth_right")]:
        if a in names:
            assert (names[a], names[b]) == (b, a)
    assert [p for p in points if names[p] == p] == [p for p in points if "left" not in p and "right" not in p]


def test_mirror_looks_at_whole_words():
    assert mirror_points(("extra.bright", "extra.upright_left", "extra.upright_right")) == (0, 2, 1)


def test_mirror_that_cannot_be():
    with pytest.raises(ConfigError, match=r"face points cannot be mirrored[\s\S]*face\.0"):
        mirror_points(LAYOUTS["holistic"])
    with pytest.raises(ConfigError, match=r"one side only[\s\S]*right_hand\.wrist"):
        mirror_points(("left_hand.wrist", "body.nose"))


@pytest.mark.parametrize("layout", ["openpose137", "wholebody133"])
def test_the_68_points_of_the_face_are_mirrored(layout):
    """By the markup of 300-W: the jaw from ear to ear, brows, nose, eyes, mouth."""
    points = LAYOUTS[layout]
    other = mirror_points(points)
    assert sorted(other) == list(range(len(points))) and [other[i] for i in other] == list(range(len(points)))

    def across(number):
        return int(points[other[points.index(f"face.ibug_{number}")]].removeprefix("face.ibug_"))

    pairs = {0: 16, 7: 9, 8: 8, 17: 26, 21: 22, 27: 27, 30: 30, 31: 35, 33: 33, 36: 45, 37: 44, 39: 42, 41: 46}
    pairs |= {48: 54, 51: 51, 50: 52, 55: 59, 57: 57, 60: 64, 62: 62, 65: 67, 66: 66}
    assert {number: across(number) for number in pairs} == pairs
    middle = [n for n in range(68) if across(n) == n]
    assert middle == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
