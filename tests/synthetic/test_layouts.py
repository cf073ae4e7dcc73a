"""Layouts of corpora: the same bytes each time, the official files, and what each corpus refuses."""

from __future__ import annotations

import hashlib
import json
import pickle
import re

import numpy as np
import pytest
from PIL import Image

from slt_zoo.errors import AnnotationError, ConfigError, DatasetNotFoundError
from slt_zoo.synthetic import simulate
from slt_zoo.synthetic.layouts import LAYOUTS, layout_of
from slt_zoo.synthetic.sentences import SPLITS, distinct, turns

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
