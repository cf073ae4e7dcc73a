"""Layouts of corpora: the same bytes each time, the official files, and what each corpus refuses."""

from __future__ import annotations

import csv
import hashlib
import json
import pickle
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import slt_zoo
from slt_zoo.data.readers import open_reader
from slt_zoo.errors import AnnotationError, ConfigError, DatasetNotFoundError
from slt_zoo.synthetic import simulate
from slt_zoo.synthetic.grammars import GRAMMARS
from slt_zoo.synthetic.layouts import LAYOUTS, layout_of
from slt_zoo.synthetic.openpose import OpenPoseWriter
from slt_zoo.synthetic.sentences import SPLITS, distinct, turns
from slt_zoo.types import Media

SMALL = {"samples": (4, 2, 2), "seed": 5, "frame_size": (64, 48)}


def hashes(root):
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def renders(corpus):
    return tuple(k for k in layout_of(corpus).places if k not in ("labels", "recording"))


@pytest.mark.parametrize("corpus", LAYOUTS)
def test_same_arguments_same_bytes(corpus, tmp_path):
    first, again = (simulate(corpus, tmp_path / name, render=renders(corpus), **SMALL) for name in "ab")
    assert hashes(first) == hashes(again)
    poses = simulate(corpus, tmp_path / "c", **SMALL)
    both = {k: v for k, v in hashes(poses).items() if k != "SIMULATED.json"}
    assert both.items() <= hashes(first).items(), "what else is rendered changes no pose, label or annotation"
    assert hashes(simulate(corpus, tmp_path / "d", **{**SMALL, "seed": 6})) != hashes(poses)


@pytest.mark.parametrize("corpus", LAYOUTS)
def test_replacing_a_corpus_leaves_nothing_of_it(corpus, tmp_path):
    simulate(corpus, tmp_path, **SMALL)
    (tmp_path / "notes.txt").write_text("mine")
    simulate(corpus, tmp_path, **{**SMALL, "samples": (3, 1, 1), "seed": 6}, overwrite=True)
    fresh = simulate(corpus, tmp_path.parent / f"{tmp_path.name}-fresh", **{**SMALL, "samples": (3, 1, 1), "seed": 6})
    assert {k: v for k, v in hashes(tmp_path).items() if k != "notes.txt"} == hashes(fresh)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(("corpus", "fps", "size"), [("Phoenix14T", 25, [210, 260]), ("CSLDaily", 30, [512, 512])])
def test_frame_rate_and_size_are_the_corpus_s_own(corpus, fps, size, tmp_path):
    mark = json.loads((simulate(corpus, tmp_path, (3, 1, 1)) / "SIMULATED.json").read_text("utf-8"))
    assert (mark["fps"], mark["frame_size"]) == (fps, size)


@pytest.mark.parametrize("samples", [(1, 0, 0), (4, 2, 2), (12, 0, 5), (40, 7, 6), (400, 60, 100)])
@pytest.mark.parametrize("corpus", LAYOUTS)
def test_plans_have_the_samples_that_are_asked_for(corpus, samples):
    layout = layout_of(corpus)
    for seed in range(3):
        rows = layout.plan(GRAMMARS[layout.language], samples, layout.signers, seed)
        assert tuple(sum(row.split == split for row in rows) for split in SPLITS) == samples
        assert len({row.id for row in rows}) == len(rows)
        scheme = {row.id: row.second_split or row.split for row in rows}  # the one without shared sentences
        assert tuple(list(scheme.values()).count(split) for split in SPLITS) == samples
        own = {split: {row.gloss for row in rows if scheme[row.id] == split} for split in SPLITS}
        assert sum(map(len, own.values())) == len(set().union(*own.values()))
        people = {split: {row.signer for row in rows if row.split == split} for split in SPLITS}
        assert not people["train"] & (people["dev"] | people["test"])
        assert all(len(people[s]) <= n for s, n in zip(SPLITS, layout.signers, strict=True))
        assert samples[0] < 40 or [len(people[s]) for s in SPLITS] == list(layout.signers)


@pytest.mark.parametrize("corpus", LAYOUTS)
def test_dev_and_test_may_be_empty(corpus, tmp_path):
    root = simulate(corpus, tmp_path, (3, 0, 0), render=("features",))
    assert len(list(root.rglob("features/simulated/**/*.npy"))) == 3 and not list(root.rglob("*.pose"))
    if corpus in (
        "CSLDaily",
        "CSLDailyQA",
    ):  # one list for all splits, whose lines of train are all that is asked about here
        assert len(table(root)) == 3 and (root / LABELS / "split_1.txt").read_text("utf-8").count("|train\n") == 3
        return
    data = getattr(slt_zoo, corpus)(str(root), features="simulated")
    data.bind(slt_zoo.InputSpec(modality="features"), ["train"])
    assert len(data.manifest("train")) == 3


@pytest.mark.parametrize(("samples", "signers"), [(1, 3), (9, 1), (13, 2), (23, 7), (24, 7), (101, 7), (100, 2)])
def test_nobody_signs_a_sentence_twice(samples, signers):
    pairs = turns(samples, signers)
    assert len(set(pairs)) == len(pairs) == samples
    sentences, people = ({pair[i] for pair in pairs} for i in (0, 1))
    assert len(sentences) == distinct(samples, signers) and len(people) == min(samples, signers)
    assert len(sentences) >= min(samples, 12)


# CSL-Daily.

LABELS = "CSL-Daily/sentence_label"


@pytest.fixture(scope="module")
def csl(tmp_path_factory):
    root = tmp_path_factory.mktemp("csl")
    return simulate("CSLDaily", root, (40, 4, 14), seed=2, render=("pose", "frames"), frame_size=(64, 48))


def table(root):
    header, *lines = (root / LABELS / "video_map.txt").read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    assert header == "index|name|length|gloss|char|word|postag"
    return [dict(zip(header.split("|"), line.split("|"), strict=True)) for line in lines]


def test_csl_daily_table_and_splits_are_as_in_the_release(csl):
    rows = table(csl)
    names = [row["name"] for row in rows]
    assert names == sorted(names) and [row["index"] for row in rows] == [f"{n:06d}" for n in range(58)]
    assert all(re.fullmatch(r"S\d{6}_P000\d_T00", name) for name in names)
    for row in rows:
        char, word, postag = (row[k].split(" ") for k in ("char", "word", "postag"))
        assert "".join(char) == "".join(word) and all(len(c) == 1 for c in char) and len(word) == len(postag)
        assert char[-1] in "。？" and postag[-1] == "w" and set(row["gloss"].split()) & set(word)
    assert any(len(word) > 1 for row in rows for word in row["word"].split(" "))
    header, *listed = (csl / LABELS / "split_1.txt").read_text("utf-8").splitlines()
    split_of = dict(line.split("|") for line in listed)
    assert header == "name|split" and list(split_of) == names
    assert [list(split_of.values()).count(split) for split in SPLITS] == [40, 4, 14]
    for kind in ("gloss", "char", "word"):
        tokens = (csl / LABELS / f"{kind}_map.txt").read_text("utf-8").splitlines()
        assert tokens == sorted({token for row in rows for token in row[kind].split(" ")})


def test_a_csl_daily_sentence_has_one_number_and_several_signers(csl):
    rows = table(csl)
    texts = {
        number: {row["char"] for row in rows if row["name"][:7] == number} for number in {r["name"][:7] for r in rows}
    }
    assert all(len(own) == 1 for own in texts.values()) and len({t for own in texts.values() for t in own}) == len(
        texts
    )
    assert len(texts) == 20 + 4 + 12
    split_of = dict(line.split("|") for line in (csl / LABELS / "split_1.txt").read_text("utf-8").splitlines())
    signers = {split: {n[8:13] for n, s in split_of.items() if s == split} for split in SPLITS}
    assert [len(own) for own in signers.values()] == [7, 1, 2] and len(set().union(*signers.values())) == 10


def test_the_csl_daily_pickle_holds_the_table_as_plain_data(csl):
    class Plain(pickle.Unpickler):
        def find_class(self, module, name):
            raise AssertionError(f"it asks for {module}.{name}")

    with (csl / LABELS / "csl2020ct_v2.pkl").open("rb") as file:
        data = Plain(file).load()
    assert list(data) == ["info", "gloss_map", "char_map", "word_map", "postag_map"]
    for info, row in zip(data["info"], table(csl), strict=True):
        assert list(info)[:4] == ["name", "signer", "time", "length"]
        assert (info["name"], str(info["length"])) == (row["name"], row["length"])
        assert info["signer"] == int(row["name"][9:13]) and info["time"] == 0
        assert all(" ".join(info[f"label_{k}"]) == row[k] for k in ("gloss", "char", "word", "postag"))


def test_csl_daily_frames_are_jpeg_from_zero(csl):
    for row in table(csl)[:5]:
        frames = sorted((csl / "CSL-Daily/sentence/frames_512x512" / row["name"]).iterdir())
        assert [f.name for f in frames] == [f"{n:06d}.jpg" for n in range(int(row["length"]))]
        with Image.open(frames[0]) as image:
            assert image.format == "JPEG" and image.size == (64, 48) and image.mode == "RGB"
        assert len(np.load(csl / f"CSL-Daily/labels/{row['name']}.npy")) == len(frames)


def test_csl_daily_annotations_of_one_s_own(csl, tmp_path, shared_data):
    again = simulate("CSLDaily", tmp_path / "a", (40, 4, 14), seed=9, annotations=csl)
    kept = ("name", "gloss", "char")
    assert [[r[k] for k in kept] for r in table(again)] == [[r[k] for k in kept] for r in table(csl)]
    (csl / LABELS / "video_map.txt").rename(tmp_path / "video_map.txt")
    try:
        from_pickle = simulate("CSLDaily", tmp_path / "b", (40, 4, 14), seed=9, annotations=csl / LABELS)
    finally:
        (tmp_path / "video_map.txt").rename(csl / LABELS / "video_map.txt")
    assert hashes(from_pickle).items() >= {k: v for k, v in hashes(again).items() if "SIMULATED" not in k}.items()
    real = simulate("CSLDaily", tmp_path / "c", (4, 2, 2), annotations=shared_data / "csl_daily")
    assert len(table(real)) == 8


def test_csl_daily_annotations_that_are_not_there(tmp_path):
    labels = tmp_path / "sentence_label"
    labels.mkdir()
    with pytest.raises(DatasetNotFoundError, match="no annotation to simulate") as error:
        simulate("CSLDaily", tmp_path / "out", annotations=tmp_path)
    assert "neither of them" in str(error.value)
    (labels / "split_1.txt").write_text("name|split\nS000001_P0000_T00|train\n")
    with pytest.raises(DatasetNotFoundError, match="neither video_map"):
        simulate("CSLDaily", tmp_path / "out", annotations=tmp_path)
    row = "000000|S000002_P0000_T00|3|我 书|我 书 。|我 书 。|r n w"
    (labels / "video_map.txt").write_text(f"index|name|length|gloss|char|word|postag\n{row}\n", encoding="utf-8")
    with pytest.raises(AnnotationError, match="no annotated sample is in a split"):
        simulate("CSLDaily", tmp_path / "out", annotations=tmp_path)
    (labels / "split_1.txt").write_text("name|split\nS000002_P0000_T00|trian\n")
    with pytest.raises(AnnotationError, match="unknown splits"):
        simulate("CSLDaily", tmp_path / "out", annotations=labels / "video_map.txt")
    assert not (tmp_path / "out").exists()


# How2Sign.


@pytest.fixture(scope="module")
def how2sign(tmp_path_factory):
    return simulate("How2Sign", tmp_path_factory.mktemp("how2sign"), (60, 5, 30), seed=2)


def tsv(root, split, original=False):
    name = f"how2sign_{split}.csv" if original else f"re_aligned/how2sign_realigned_{split}.csv"
    path = root / f"sentence_level/{split}/text/en/raw_text/{name}"
    assert b"\r" not in path.read_bytes()
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_how2sign_names_and_times_are_those_of_videos(how2sign):
    name = re.compile(r"(.{11})_(\d+)-(\d+)-rgb_front")
    signers, ids = [], []
    for split, count in {"train": 60, "val": 5, "test": 30}.items():
        rows = tsv(how2sign, split)
        assert len(rows) == count and [r["SENTENCE_NAME"] for r in rows] == sorted(r["SENTENCE_NAME"] for r in rows)
        videos = {}
        for row in rows:
            video, number, signer = name.fullmatch(row["SENTENCE_NAME"]).groups()
            assert row["VIDEO_ID"] == video and row["SENTENCE_ID"] == f"{video}_{number}"
            assert row["VIDEO_NAME"] == f"{video}-{signer}-rgb_front"
            assert row["SENTENCE"][0].isupper() and row["SENTENCE"][-1] in ".?"
            times = float(row["START_REALIGNED"]), float(row["END_REALIGNED"])
            videos.setdefault(row["VIDEO_NAME"], []).append((int(number), *times))
        for own in videos.values():
            edges = [edge for _, *times in sorted(own) for edge in times]
            assert edges == sorted(edges) and edges[0] >= 0.2, "one after the other, with pauses"
            assert [n for n, *_ in sorted(own)] == list(range(len(own)))
        assert max(map(len, videos.values())) == 4
        original = tsv(how2sign, split, original=True)
        assert [{k.removesuffix("_REALIGNED"): v for k, v in row.items()} for row in rows] == original
        texts = {}
        for row in rows:
            assert texts.setdefault(row["SENTENCE_ID"], row["SENTENCE"]) == row["SENTENCE"]
        assert (len(texts) < len(rows)) == (split != "val"), "the same sentence by two signers, in two videos"
        signers.append({row["VIDEO_NAME"].split("-rgb")[0].rsplit("-", 1)[1] for row in rows})
        ids.append({row["VIDEO_ID"] for row in rows})
    assert [len(own) for own in signers] == [7, 1, 2] and len(set().union(*signers)) == 10
    assert sum(map(len, ids)) == len(set().union(*ids))


def test_how2sign_key_points_are_openpose_s(how2sign, tmp_path):
    """Against the reader, and against what the writer of .pose files gets."""
    folders = sorted((how2sign / "sentence_level/val/rgb_front/features/openpose_output/json").iterdir())
    for folder in folders:
        files = sorted(folder.iterdir())
        assert [f.name for f in files] == [f"{folder.name}_{n:012d}_keypoints.json" for n in range(len(files))]
        assert len(files) == len(np.load(how2sign / f"labels/val/{folder.name}.npy"))
        data = json.loads(files[0].read_text())
        (person,) = data["people"]
        sizes = {"pose": 25, "face": 70, "hand_left": 21, "hand_right": 21}
        assert all(len(person[f"{part}_keypoints_2d"]) == 3 * size for part, size in sizes.items())
    points = ("body.nose", "body.right_wrist", "left_hand.wrist", "body.mouth_left", "body.unknown")
    pixels, conf = np.arange(30.0).reshape(2, 5, 3), np.linspace(0.1, 1, 10).reshape(2, 5)
    OpenPoseWriter(points).write(tmp_path / "a", pixels, conf)
    reader = open_reader("pose", Media(str(tmp_path / "a"), layout="openpose137"), sample_id="a")
    found = reader.read(torch.arange(2))
    for name, k in (*((p, points.index(p)) for p in points[:3]), ("face.ibug_54", 3)):
        at = found["points"].index(name)
        assert np.allclose(found["pose"][:, at], pixels[:, k, :2]) and np.allclose(found["conf"][:, at], conf[:, k])
    assert int((found["conf"] > 0).sum()) == 8, "what the performer has not is missing"


def test_how2sign_annotations_say_nothing_to_sign(how2sign, tmp_path):
    with pytest.raises(ConfigError, match="has no glosses, so its annotation does not say what to sign"):
        simulate("How2Sign", tmp_path / "out", annotations=how2sign)
    assert not (tmp_path / "out").exists()


# GSL.

FILES = "GSL_continuous_files"


@pytest.fixture(scope="module")
def gsl(tmp_path_factory):
    root = tmp_path_factory.mktemp("gsl")
    return simulate("GSL", root, (40, 4, 6), seed=2, render=("pose", "frames"), frame_size=(64, 48))


def lines(path):
    return path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")


def test_gsl_files_are_as_in_the_release(gsl):
    annotated = [line.split("|") for line in lines(gsl / FILES / "merged_continuous.csv")]
    assert all(len(cells) == 3 for cells in annotated) and len({path for path, *_ in annotated}) == 50
    take = re.compile(r"(health|kep|police)[1-5]_signer[1-7]_rep[1-5]_sentences/sentences\d{4}")
    known = {path: glosses for path, _, glosses in annotated}
    assert all(take.fullmatch(path) for path in known)
    assert all(text == text.lower() and glosses == glosses.upper() for _, text, glosses in annotated)
    for scheme, name in (("GSL_SI", "gsl_split_SI"), ("GSL_SD", "GSL_SD")):
        for split, count in zip(SPLITS, (40, 4, 6), strict=True):
            listed = [line.split("|") for line in lines(gsl / FILES / scheme / f"{name}_{split}.csv")]
            assert len(listed) == count
            for path, glosses in listed:
                scenario, key = path.split("/", 1)
                assert key.startswith(f"{scenario}_") and known[key] == glosses
                frames = sorted((gsl / "GSL_continuous" / path).iterdir())
                assert [f.name for f in frames[:2]] == ["frame_0001.jpg", "frame_0002.jpg"]
                assert len(np.load(gsl / f"labels/{path}.npy")) == len(frames)


def test_gsl_annotations_of_one_s_own(gsl, tmp_path, shared_data):
    again = simulate("GSL", tmp_path / "a", (40, 4, 6), seed=9, annotations=gsl)
    files = sorted(p.relative_to(gsl) for p in (gsl / FILES).rglob("*.csv"))
    assert len(files) == 7 and all((again / p).read_bytes() == (gsl / p).read_bytes() for p in files)
    real = simulate("GSL", tmp_path / "b", (4, 2, 2), annotations=shared_data / "gsl")
    assert len(lines(real / FILES / "merged_continuous.csv")) == 8
    with pytest.raises(DatasetNotFoundError, match="no annotation to simulate"):
        simulate("GSL", tmp_path / "c", annotations=gsl / FILES / "GSL_SD")
    shutil.copytree(gsl / FILES, tmp_path / "d")
    annotation = tmp_path / "d/merged_continuous.csv"
    annotation.write_text("\n".join(lines(annotation)[1:]), encoding="utf-8")
    with pytest.raises(AnnotationError, match="1 listed samples are not annotated"):
        simulate("GSL", tmp_path / "e", annotations=tmp_path / "d")


@pytest.mark.parametrize("signers", [(7, 1, 2), (9, 1, 1)])
def test_gsl_has_one_held_out_signer(tmp_path, signers):
    with pytest.raises(ConfigError, match="GSL cannot have these signers") as error:
        simulate("GSL", tmp_path / "out", (20, 2, 2), signers=signers)
    assert "one person: signer 3" in str(error.value) and not (tmp_path / "out").exists()


def test_the_held_out_signer_of_gsl_is_right_handed(gsl):
    mark = json.loads((gsl / "SIMULATED.json").read_text("utf-8"))
    assert mark["left_handed"] and "3" not in mark["left_handed"]


# Features.


def test_features_are_a_projection_of_the_skeleton_with_noise(tmp_path):
    clean, same, hard = (
        simulate("Phoenix14T", tmp_path / str(k), (3, 1, 1), seed=4, difficulty=d, render=("features", "pose"))
        for k, d in enumerate((0.0, 0.0, 1.0))
    )
    paths = sorted(p.relative_to(clean) for p in clean.rglob("features/simulated/*/*.npy"))
    assert len(paths) == 5
    for path in paths:
        a, b = np.load(clean / path), np.load(same / path)
        assert a.shape[1] == 128 and a.dtype == np.float32 and np.isfinite(a).all() and np.array_equal(a, b)
        labels = np.load(clean / str(path).replace("features/simulated", "labels"))
        assert len(a) == len(labels)
    steps = [np.mean([np.abs(np.diff(np.load(r / p), 2, axis=0)).mean() for p in paths]) for r in (clean, hard)]
    assert steps[0] * 2 < steps[1], "difficulty brings noise from frame to frame"


def test_what_a_corpus_is_not_given_out_as_is_refused(tmp_path, monkeypatch):
    layout = layout_of("CSLDaily")
    monkeypatch.setattr(type(layout), "places", {k: v for k, v in layout.places.items() if k != "video"})
    with pytest.raises(ConfigError, match="CSLDaily has no place for video") as error:
        simulate("CSLDaily", tmp_path / "out", (3, 1, 1), render="video")
    assert "pose, frames, features" in str(error.value) and not (tmp_path / "out").exists()
