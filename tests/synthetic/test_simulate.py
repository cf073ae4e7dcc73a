"""Simulated corpora on disk: bytes, layout, splits, labels, refusals, the command."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from slt_zoo.cli import simulate as command
from slt_zoo.errors import AnnotationError, ConfigError, DatasetNotFoundError, SLTError, UnknownNameError
from slt_zoo.synthetic import simulate
from slt_zoo.synthetic.layouts import layout_of
from slt_zoo.synthetic.sentences import SPLITS
from slt_zoo.synthetic.skeleton import POINTS

INNER = "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"
MANUAL = f"{INNER}/annotations/manual"
ALL = ("pose", "frames", "video")


def hashes(root):
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def rows_of(root):
    return layout_of("Phoenix14T").read_annotations(root)


def read_pose(path):
    from pose_format import Pose

    pose = Pose.read(path.read_bytes())
    return pose, pose.body.data.data[:, 0], pose.body.confidence[:, 0]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Eight, three and four clips with everything that can be rendered, small."""
    return simulate("Phoenix14T", tmp_path_factory.mktemp("corpus"), (8, 3, 4), seed=5, render=ALL, frame_size=(52, 64))


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Poses of more clips."""
    return simulate("Phoenix14T", tmp_path_factory.mktemp("wide"), (60, 10, 20), seed=2)


def test_same_arguments_same_bytes(corpus, tmp_path):
    again = simulate("Phoenix14T", tmp_path / "a", (8, 3, 4), seed=5, render=ALL, frame_size=(52, 64))
    assert again == tmp_path / "a"
    first = hashes(corpus)
    assert first == hashes(again)
    assert {p.rsplit(".", 1)[1] for p in first} == {"csv", "json", "mp4", "npy", "png", "pose"}


def test_another_seed_gives_another_corpus(corpus, tmp_path):
    other = simulate("Phoenix14T", tmp_path, (8, 3, 4), seed=6, frame_size=(52, 64))
    assert not {row.id for row in rows_of(corpus)} & {row.id for row in rows_of(other)}
    assert {row.text for row in rows_of(corpus)} != {row.text for row in rows_of(other)}


def test_what_else_is_rendered_changes_no_pose(corpus, tmp_path):
    poses = simulate("Phoenix14T", tmp_path, (8, 3, 4), seed=5, frame_size=(52, 64))
    of_both = [{k: v for k, v in hashes(root).items() if k.endswith((".pose", ".npy"))} for root in (corpus, poses)]
    assert of_both[0] == of_both[1] and len(of_both[0]) == 30


def test_annotation_is_written_as_in_the_release(corpus):
    for split, count in zip(SPLITS, (8, 3, 4), strict=True):
        data = (corpus / MANUAL / f"PHOENIX-2014-T.{split}.corpus.csv").read_bytes().decode("utf-8")
        header, *lines, last = data.split("\n")
        assert header == "name|video|start|end|speaker|orth|translation" and last == "" and "\r" not in data
        assert len(lines) == count
        for line in lines:
            name, video, start, end, speaker, orth, text = line.split("|")
            assert (video, start, end) == (f"{name}/1/*.png", "-1", "-1")
            assert speaker.startswith("Signer") and orth.isupper() and text.islower()


def test_names_are_dates_that_exist():
    from datetime import datetime

    names = layout_of("Phoenix14T").names(300, seed=0)
    assert len(set(names)) == 300 and names == layout_of("Phoenix14T").names(300, seed=0)
    for name in names:
        day, year, weekday, programme = name.split("_")
        assert datetime.strptime(f"{day} {year}", "%d%B %Y").strftime("%A") == weekday
        assert programme.split("-")[0] in ("tagesschau", "heute")


def test_every_sample_has_its_files_and_their_lengths_agree(corpus):
    import av

    layout = layout_of("Phoenix14T")
    for row in rows_of(corpus):
        labels = np.load(layout.place(corpus, row, "labels"))
        frames = sorted(layout.place(corpus, row, "frames").iterdir())
        pose, xyz, _ = read_pose(layout.place(corpus, row, "pose"))
        with av.open(str(layout.place(corpus, row, "video"))) as video:
            pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
            assert video.streams.video[0].codec_context.name == "h264" and video.streams.video[0].average_rate == 25
        assert len(labels) == len(frames) == len(xyz) == len(pictures) and pose.body.fps == 25
        assert (labels == 2).sum() == len(row.gloss) and labels.dtype == np.int8
        assert frames[0].name == "images0001.png" and frames[-1].name == f"images{len(frames):04d}.png"
        picture = np.asarray(Image.open(frames[5]))
        assert picture.shape == (64, 52, 3) and np.abs(picture.astype(int) - pictures[5]).mean() < 12


def test_poses_are_as_the_reader_expects_them(wide):
    from slt_zoo.data.readers import open_reader
    from slt_zoo.types import Media

    row = rows_of(wide)[0]
    path = layout_of("Phoenix14T").place(wide, row, "pose")
    pose, xyz, conf = read_pose(path)
    assert pose.header.dimensions.width == 210 and pose.header.dimensions.height == 260
    assert abs(pose.header.version - 0.2) < 1e-6
    reader = open_reader("pose", Media(str(path)), sample_id=row.id)
    assert reader.num_frames == len(xyz) and reader.fps == 25
    import torch

    clip = reader.read(torch.arange(len(xyz)))
    assert clip["points"] == POINTS
    assert np.array_equal(clip["conf"].numpy(), conf) and np.isfinite(clip["pose"].numpy()).all()


def test_coordinates_are_pixels(wide):
    layout = layout_of("Phoenix14T")
    inside = []
    for row in rows_of(wide):
        _, xyz, conf = read_pose(layout.place(wide, row, "pose"))
        assert np.isfinite(xyz).all() and (conf >= 0).all() and (conf <= 1).all()
        assert (xyz[conf == 0] == 0).all()
        seen = xyz[conf > 0]
        inside.append(((seen[:, :2] > 0) & (seen[:, :2] < (210, 260))).all(-1).mean())
        assert seen[:, 0].max() > 40 and seen[:, :2].min() > -150 and seen[:, :2].max() < 400
    assert np.mean(inside) > 0.95


def test_dev_and_test_have_new_sentences_new_signers_and_known_words(wide):
    rows = {s: [r for r in rows_of(wide) if r.split == s] for s in SPLITS}
    known = {key: {x for r in rows["train"] for x in parts(r)} for key, parts in PARTS.items()}
    seen = {"text": set(), "gloss": set(), "signer": set()}
    for split in SPLITS:
        own = {name: {getattr(r, name) for r in rows[split]} for name in seen}
        for name, values in own.items():
            assert not values & seen[name], f"{name} of {split} occurs in another split"
            seen[name] |= values
        for key, parts in PARTS.items():
            assert {x for r in rows[split] for x in parts(r)} <= known[key]
    assert len(seen["signer"]) == 10
    left_handed = json.loads((wide / "SIMULATED.json").read_text())["left_handed"]
    assert {r.signer for r in rows["train"]} & set(left_handed)
    assert {r.signer for r in rows["test"]} & set(left_handed) and {r.signer for r in rows["test"]} - set(left_handed)


PARTS = {"gloss": lambda row: row.gloss, "word": lambda row: row.text.split()}


def test_the_mark_says_what_this_is(corpus):
    mark = json.loads((corpus / "SIMULATED.json").read_text(encoding="utf-8"))
    assert (mark["corpus"], mark["seed"], mark["difficulty"]) == ("Phoenix14T", 5, 0.3)
    assert mark["samples"] == {"train": 8, "dev": 3, "test": 4}
    assert "simulated signing is no sign language" in mark["note"]


def test_a_split_may_be_empty_and_progress_is_told(tmp_path):
    told = []
    root = simulate("Phoenix14T", tmp_path, (3, 0, 0), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert {row.split for row in rows_of(root)} == {"train"}
    assert (root / MANUAL / "PHOENIX-2014-T.dev.corpus.csv").read_text().count("\n") == 1


# A person's own annotation.


def write_annotation(folder, **splits):
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        lines = [f"{name}|{name}/1/*.png|-1|-1|{speaker}|{orth}|{text}" for name, speaker, orth, text in rows]
        text = "\n".join(["name|video|start|end|speaker|orth|translation", *lines]) + "\n"
        (folder / f"PHOENIX-2014-T.{split}.corpus.csv").write_text(text, encoding="utf-8")
    return folder


TRAIN = [("clip-1", "Anna", "SCHNEE VIEL", "viel schnee"), ("clip-2", "Berta", "REGEN loc-NORD", "im norden regen")]
DEV = [("clip-3", "Anna", "WIND", "wind")]


def test_annotation_files_keep_names_speakers_splits_and_strings(tmp_path):
    source = write_annotation(tmp_path / "own", train=TRAIN, dev=DEV)
    root = simulate("Phoenix14T", tmp_path / "out", annotations=source)
    for split in ("train", "dev"):
        name = f"PHOENIX-2014-T.{split}.corpus.csv"
        assert (root / MANUAL / name).read_bytes() == (source / name).read_bytes()
    assert [(r.id, r.signer, r.split) for r in rows_of(root)] == [
        ("clip-1", "Anna", "train"),
        ("clip-2", "Berta", "train"),
        ("clip-3", "Anna", "dev"),
    ]
    assert (root / INNER / "poses/dev/clip-3.pose").is_file()


def test_one_annotation_file_holds_the_split_of_its_name(tmp_path, caplog):
    source = write_annotation(tmp_path / "own", dev=TRAIN) / "PHOENIX-2014-T.dev.corpus.csv"
    root = simulate("Phoenix14T", tmp_path / "out", (5, 1, 1), annotations=source)
    assert [(r.id, r.split) for r in rows_of(root)] == [("clip-1", "dev")]
    assert "1 of 2 annotated rows are used" in caplog.text


def test_the_real_annotation_is_taken_as_it_is(shared_data, tmp_path):
    source = shared_data / "phoenix14t"
    root = simulate("Phoenix14T", tmp_path, (4, 2, 2), annotations=source)
    real = {row.id: row for row in rows_of(source)}
    assert len(rows_of(root)) == 8 and all(row == real[row.id] for row in rows_of(root))


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ([("a", "S", "X", "x"), ("a", "S", "Y", "y")], AnnotationError, "'a' occurs twice"),
        ([("a", "S", "", "x")], ConfigError, "no gloss"),
        ([("a", "S", "X", "x|y")], AnnotationError, "8 fields, expected 7"),
    ],
)
def test_bad_annotation(tmp_path, rows, error, words):
    with pytest.raises(error, match=words):
        simulate("Phoenix14T", tmp_path / "out", annotations=write_annotation(tmp_path / "own", train=rows))
    assert not (tmp_path / "out").exists(), "nothing is written before the annotation is read"


def test_missing_annotation(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="no annotation to simulate"):
        simulate("Phoenix14T", tmp_path / "out", annotations=tmp_path / "nowhere")


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"corpus": "Phoenix14"}, UnknownNameError, "did you mean 'Phoenix14T'"),
        ({"render": ("frame",)}, UnknownNameError, "did you mean 'frames'"),
        ({"difficulty": 1.5}, ConfigError, "from 0"),
        ({"samples": (0, 1, 1)}, ConfigError, "at least 1 for train"),
        ({"samples": (4, -1, 1)}, ConfigError, "three numbers of samples"),
        ({"samples": (4, 1)}, ConfigError, "three numbers of samples"),
        ({"samples": (40_000, 0, 0)}, ConfigError, "at most 31044"),
        ({"signers": (7, 0, 1)}, ConfigError, "at least 1 each"),
        ({"fps": 0}, ConfigError, "frames a second"),
        ({"render": "video", "frame_size": (63, 80)}, ConfigError, "even ones for video"),
    ],
)
def test_bad_arguments_are_told_before_anything_is_written(tmp_path, arguments, error, words):
    with pytest.raises(error, match=words):
        simulate(**{"corpus": "Phoenix14T", "root": tmp_path / "out", "samples": (4, 1, 1), **arguments})
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="holds no simulated corpus") as error:
            simulate("Phoenix14T", tmp_path, (3, 0, 0), overwrite=overwrite)
        assert "thesis.tex" in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_overwrite_replaces_the_corpus_and_nothing_beside_it(tmp_path):
    simulate("Phoenix14T", tmp_path, (3, 0, 0), seed=1)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="pass overwrite=True"):
        simulate("Phoenix14T", tmp_path, (3, 0, 0), seed=2)
    simulate("Phoenix14T", tmp_path, (3, 0, 0), seed=2, overwrite=True)
    assert len(list((tmp_path / INNER / "poses").rglob("*.pose"))) == 3
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_damaged_mark_stops_overwriting(tmp_path):
    (tmp_path / "SIMULATED.json").write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        simulate("Phoenix14T", tmp_path, (3, 0, 0), overwrite=True)


def test_an_interrupted_corpus_has_no_annotation_and_can_be_replaced(tmp_path):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate("Phoenix14T", tmp_path, (4, 0, 0), progress=stop)
    assert not list(tmp_path.rglob("*.csv"))
    assert len(rows_of(simulate("Phoenix14T", tmp_path, (4, 0, 0), overwrite=True))) == 4


# The command.


def test_the_command_writes_what_the_function_writes(tmp_path, capsys):
    words = [
        "simulate",
        "--root",
        str(tmp_path / "a"),
        "--samples",
        "4",
        "1",
        "1",
        "--seed",
        "9",
        "--difficulty",
        "0.5",
    ]
    assert (
        command.main([*words, "--render", "pose", "frames", "--frame-size", "32", "40", "--signers", "2", "1", "1"])
        == 0
    )
    simulate(
        "Phoenix14T",
        tmp_path / "b",
        (4, 1, 1),
        9,
        0.5,
        render=("pose", "frames"),
        frame_size=(32, 40),
        signers=(2, 1, 1),
    )
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    told = capsys.readouterr().out
    assert "4 train, 1 dev, 1 test" in told and "difficulty 0.5, seed 9" in told
    assert "Simulated signing is no sign language" in told


def test_the_command_passes_refusals_on(tmp_path):
    with pytest.raises(SLTError, match="unknown corpus"):
        command.main(["simulate", "--root", str(tmp_path), "--corpus", "Fenix"])


def test_the_command_imports_nothing_heavy():
    code = "import sys, slt_zoo.cli.simulate; print([m for m in ('torch', 'lightning', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_simulating_needs_no_torch():
    code = "import sys, slt_zoo.synthetic; print([m for m in ('torch', 'lightning', 'PIL', 'av') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
