"""Real recordings as a lexicon; skipped where the real data are not."""

import shutil

import numpy as np
import pytest

from slt_zoo.data.pose_layouts import mirror_points
from slt_zoo.errors import AnnotationError, ConfigError, MediaError, MissingMediaError
from slt_zoo.synthetic import simulate
from slt_zoo.synthetic.layouts import layout_of
from slt_zoo.synthetic.recordings import RecordingPerformer, read_lexicon
from slt_zoo.synthetic.signers import Signer
from slt_zoo.synthetic.variation import Variation, stream

HEADER = "path,spoken_language,signed_language,start,end,words,glosses,priority\n"


@pytest.fixture(scope="module")
def letters(shared_data):
    return shared_data / "poses" / "fingerspelling_gsg"


@pytest.fixture(scope="module")
def alphabet(letters):
    return read_lexicon(letters)


@pytest.fixture
def broken(letters, tmp_path):
    """A copy of three letters, to be damaged."""
    lines = (letters / "index.csv").read_text(encoding="utf-8").splitlines()[1:4]
    (tmp_path / "lexicon/gsg").mkdir(parents=True)
    for line in lines:
        name = line.split(",")[0]
        shutil.copy(letters / name, tmp_path / "lexicon" / name)
    (tmp_path / "lexicon/index.csv").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "lexicon"


def perform(lexicon, gloss, difficulty=0.0, left_handed=False):
    variation = Variation.at(difficulty)
    signer = Signer.create("Signer01", 0, variation, left_handed=left_handed)
    return RecordingPerformer(lexicon, variation, 25.0).perform(gloss, signer, stream("take"))


def test_the_alphabet_spells_with_real_joints(alphabet):
    assert alphabet.spells and len(alphabet.recordings) == 30 and len(alphabet.points) == 75
    assert alphabet.letters("süßer fluß") == tuple("SÜßERFLUß")
    fist = alphabet.recordings["a"]
    assert fist.conf[:, [k for k, p in enumerate(alphabet.points) if p.startswith("right_hand")]].mean() > 0.9
    left, right = (fist.xyz[:, alphabet.points.index(f"body.{s}_shoulder")].mean(0) for s in ("left", "right"))
    assert np.linalg.norm((left - right)[:2]) == pytest.approx(1) and np.allclose((left + right)[:2], 0, atol=1e-6)


def test_recordings_are_joined_smoothly(alphabet):
    hand = [k for k, p in enumerate(alphabet.points) if p.startswith("right_hand")]
    for word in ("haus", "jagd", "quark", "süß"):
        motion = perform(alphabet, alphabet.letters(word))
        assert (motion.labels == 2).sum() == len(word)
        steps = np.linalg.norm(np.diff(motion.xyz[:, hand, :2], axis=0), axis=-1).max(axis=1)
        inner = slice(*np.flatnonzero(motion.labels)[[0, -1]])
        assert np.isfinite(motion.xyz).all() and steps[inner].max() < 1.5


def test_a_letter_keeps_its_recorded_hand(alphabet):
    """Between its marks the sign shows the recording's hand, whatever comes before and after."""
    hand = [k for k, p in enumerate(alphabet.points) if p.startswith("right_hand")]
    motion, letter = perform(alphabet, tuple("ABC")), alphabet.recordings["b"]
    begin = np.flatnonzero(motion.labels == 2)[1]
    end = begin + int((motion.labels[begin + 1 :] != 1).argmax()) + 1
    shapes = [x[:, hand] - x[:, hand[:1]] for x in (motion.xyz[begin:end], letter.xyz[letter.first : letter.last + 1])]
    nearest = [np.linalg.norm(shapes[1] - frame, axis=-1).mean(axis=1).min() for frame in shapes[0]]
    assert end - begin >= 5 and max(nearest) < 0.08


def test_a_left_handed_signer_mirrors_the_recordings(alphabet):
    right, left = perform(alphabet, ("A", "Z")), perform(alphabet, ("A", "Z"), left_handed=True)
    other = list(mirror_points(alphabet.points))
    assert np.allclose(left.xyz, right.xyz[:, other] * (-1, 1, 1)) and np.array_equal(left.conf, right.conf[:, other])


def test_a_corpus_of_spelled_words(letters, tmp_path):
    root = simulate("Phoenix14T", tmp_path, (30, 4, 4), lexicon=letters)
    rows = layout_of("Phoenix14T").read_annotations(root)
    for row in rows:
        assert "".join(row.gloss).lower() == row.text.replace(" ", "")
    train = {w for r in rows if r.split == "train" for w in r.text.split()}
    assert train >= {w for r in rows if r.split == "test" for w in r.text.split()}
    from pose_format import Pose

    pose = Pose.read(layout_of("Phoenix14T").place(root, rows[0], "pose").read_bytes())
    assert [(c.name, len(c.points)) for c in pose.header.components] == [
        ("POSE_LANDMARKS", 33),
        ("LEFT_HAND_LANDMARKS", 21),
        ("RIGHT_HAND_LANDMARKS", 21),
    ]
    assert len(pose.body.data) == len(np.load(layout_of("Phoenix14T").place(root, rows[0], "labels")))


def annotate(tmp_path, orth, text):
    path = tmp_path / "own.train.csv"
    path.write_text(f"clip|clip/1/*.png|-1|-1|Anna|{orth}|{text}\n", encoding="utf-8")
    return path


def test_own_texts_are_spelled(letters, tmp_path):
    root = simulate(
        "Phoenix14T", tmp_path / "out", lexicon=letters, annotations=annotate(tmp_path, "EGAL", "grüße an uwe")
    )
    assert layout_of("Phoenix14T").read_annotations(root)[0].gloss == tuple("GRÜßEANUWE")


def test_whole_signs_of_another_layout(shared_data, tmp_path):
    lexicon = shared_data / "poses" / "lexicon_sgg"
    own = annotate(tmp_path, "KINDER PIZZA ESSEN", "kinder essen pizza")
    root = simulate("Phoenix14T", tmp_path / "out", lexicon=lexicon, annotations=own, render=("pose", "frames"))
    row = layout_of("Phoenix14T").read_annotations(root)[0]
    assert row.gloss == ("KINDER", "PIZZA", "ESSEN")
    labels = np.load(layout_of("Phoenix14T").place(root, row, "labels"))
    assert (labels == 2).sum() == 3 and len(labels) > 60, "whole signs are not sped up"


def test_signs_that_were_not_recorded(shared_data, letters, tmp_path):
    with pytest.raises(ConfigError, match="no recording of 69 glosses") as error:
        simulate("Phoenix14T", tmp_path / "a", lexicon=shared_data / "poses" / "lexicon_sgg")
    assert "essen, kinder, kleine, pizza" in str(error.value) and "annotations" in str(error.value)
    with pytest.raises(ConfigError, match="no recording of 2 letters") as error:
        simulate("Phoenix14T", tmp_path / "b", lexicon=letters, annotations=annotate(tmp_path, "X", "café 7"))
    assert "7, É" in str(error.value)
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def test_a_missing_index(tmp_path):
    with pytest.raises(MissingMediaError, match=r"index.csv") as error:
        read_lexicon(tmp_path / "nowhere")
    assert "no such folder" in str(error.value)


def test_missing_recordings(broken):
    next((broken / "gsg").iterdir()).unlink()
    with pytest.raises(MissingMediaError, match="1 of 3 recordings"):
        read_lexicon(broken)


def test_an_unreadable_recording(broken):
    path = next((broken / "gsg").iterdir())
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(MediaError, match="cannot read a recording") as error:
        read_lexicon(broken)
    assert path.name in str(error.value)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda text: text.replace("glosses", "gloss"), AnnotationError, "other columns"),
        (lambda text: text.split("\n")[0] + "\n", AnnotationError, "no row"),
        (lambda text: text.replace(",0,4667,", ",0,long,"), AnnotationError, "end is no number"),
        (lambda text: text.replace(",0,4667,", ",9000,9500,"), MediaError, "is empty"),
    ],
)
def test_a_damaged_index(broken, change, error, words):
    index = broken / "index.csv"
    text = index.read_text(encoding="utf-8")
    assert change(text) != text
    index.write_text(change(text), encoding="utf-8")
    with pytest.raises(error, match=words):
        read_lexicon(broken)


def test_the_part_that_the_index_names_is_used(broken, alphabet):
    index = broken / "index.csv"
    index.write_text(index.read_text(encoding="utf-8").replace(",0,4667,", ",200,500,"), encoding="utf-8")
    part = read_lexicon(broken).recordings["a"]
    assert len(part.xyz) == 9 < len(alphabet.recordings["a"].xyz)


def test_the_highest_priority_wins(broken):
    lines = (broken / "index.csv").read_text(encoding="utf-8").splitlines()
    path = lines[3].split(",")[0]
    lines.append(f"{path},de,gsg,0,0,A,A,5")
    (broken / "index.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lexicon = read_lexicon(broken)
    assert len(lexicon.recordings) == 3
    assert len(lexicon.recordings["a"].xyz) == len(lexicon.recordings["b"].xyz)
