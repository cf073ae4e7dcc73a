"""slt-zoo doctor: what is wrong with a corpus, told before anything is trained."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from slt_zoo.cli import main
from slt_zoo.testing import simulated

__all__ = ["simulated"]  # a fixture


@pytest.fixture
def root(simulated, tmp_path):
    copy = tmp_path / "corpus"
    shutil.copytree(simulated("Phoenix14T", samples=(8, 4, 4), seed=3), copy)
    return copy


def examined(capsys, *words: str) -> tuple[int, dict]:
    status = main(["doctor", *words, "--json"])
    return status, json.loads(capsys.readouterr().out)


def annotation(root, split):
    return next(root.rglob(f"PHOENIX-2014-T.{split}.corpus.csv"))


def faults(found) -> str:
    return "\n".join(f"{f['split']}: {f['text']}" for f in found["findings"] if f["kind"] == "fault")


def notes(found) -> str:
    return "\n".join(f"{f['split']}: {f['text']}" for f in found["findings"] if f["kind"] == "note")


def test_a_whole_corpus_is_healthy(root, capsys):
    status, found = examined(capsys, "--corpus", "Phoenix14T", "--root", str(root), "--read", "-1")
    assert status == 0 and found["healthy"] and found["read"] == 16 and not faults(found)
    assert found["splits"]["train"]["version"] == "simulated" and found["splits"]["dev"]["media"] == {"pose": 4}
    assert "CC BY-NC-SA" in found["licence"] and "RWTH" in found["access"]
    assert main(["doctor", "--corpus", "Phoenix14T", "--root", str(root)]) == 0
    assert "healthy" in capsys.readouterr().out


def test_the_hash_is_shown_and_splits_may_be_left_out(root, capsys):
    annotation(root, "test").unlink()  # as where a split is public nowhere
    words = ["doctor", "--corpus", "Phoenix14T", "--root", str(root), "--splits", "train", "val"]
    assert main(words) == 0
    table = capsys.readouterr().out
    _, found = examined(capsys, *words[1:])
    assert list(found["splits"]) == ["train", "dev"]
    assert all(row["annotation_hash"][:12] in table for row in found["splits"].values())


def test_missing_and_damaged_media(root, capsys):
    poses = sorted(root.rglob("*.pose"))
    train = [p for p in poses if p.parent.name == "train"]
    train[0].unlink()
    train[1].write_bytes(b"no pose")
    status, found = examined(capsys, "--corpus", "Phoenix14T", "--root", str(root), "--read", "-1")
    assert status == 1
    assert f"1 samples have no pose: {train[0].stem}" in faults(found) and train[1].stem in faults(found)
    shutil.rmtree(train[0].parent.parent)
    _, found = examined(capsys, "--corpus", "Phoenix14T", "--root", str(root))
    assert "no media of any kind" in faults(found)


def test_odd_texts_and_leaks(root, capsys):
    lines = annotation(root, "train").read_text("utf-8").splitlines()
    text = lines[1].split("|")[-1]
    dev = annotation(root, "dev")
    rows = [line.split("|") for line in dev.read_text("utf-8").splitlines()]
    rows[1][-1], rows[2][-1], rows[3][-1] = text, " ein  漢", ""
    dev.write_text("\n".join("|".join(row) for row in rows), encoding="utf-8")
    status, found = examined(capsys, "--corpus", "Phoenix14T", "--root", str(root))
    assert status == 0, "odd is not wrong"
    said = notes(found)
    assert "dev: 1 of 4 texts also occur in train" in said and "dev: 1 samples have an empty text" in said
    assert "dev: 1 texts have outer" in said and "'漢'" in said


def test_a_missing_split_and_a_sample_in_two(root, capsys):
    annotation(root, "test").unlink()
    train = annotation(root, "train").read_text("utf-8").splitlines()
    with annotation(root, "dev").open("a", encoding="utf-8") as file:
        file.write(train[1] + "\n")
    status, found = examined(capsys, "--corpus", "Phoenix14T", "--root", str(root))
    assert status == 1 and "annotation of test is missing" in faults(found)
    assert "1 samples are also in train" in faults(found)


def test_the_real_annotation_is_the_release(shared_data, capsys):
    status, found = examined(capsys, "--corpus", "Phoenix14T", "--root", str(shared_data / "phoenix14t"))
    assert {row["version"] for row in found["splits"].values()} == {"release"}
    assert "25 of 519 texts also occur in train" in notes(found) and "32 of 642" in notes(found)
    assert status == 1, "one frame folder of 642 is there"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("version", ["smoothed", "cvpr21"])
def test_the_real_csl_daily(shared_data, capsys, version):
    status, found = examined(
        capsys, "--corpus", "CSLDaily", "--root", str(shared_data / "csl_daily"), "--set", f"text_version={version}"
    )
    rows = found["splits"]
    counts = {"smoothed": 18400, "cvpr21": 18401}
    assert [rows[s]["published"] for s in rows] == [rows[s]["samples"] for s in rows] == [counts[version], 1077, 1176]
    assert {rows[s]["version"] for s in ("dev", "test")} == {version}, "which text it is, told by its hash"
    said = notes(found)
    assert f"text_version={version}" in said and "use cvpr21" in said
    assert ("S000005_P0004_T00" in said and "S000007_P0003_T00" in said) is (version == "smoothed")
    assert "train: 3 samples are shorter than 4 x (glosses + repeats): S003556_P0001_T00" in said
    assert f"dev: {43 if version == 'cvpr21' else 35} characters" in said
    assert faults(found).count("no media of any kind") == 3 and status == 1
    assert found["licence"] == "by signed agreement, research only" and "USTC" in found["access"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("scheme", "empty"), [("si", (10, 1, 1)), ("sd", (6, 1, 5))])
def test_the_real_gsl(shared_data, capsys, scheme, empty):
    _, found = examined(capsys, "--corpus", "GSL", "--root", str(shared_data / "gsl"), "--set", f"split={scheme}")
    said = notes(found)
    for split, count in zip(("train", "dev", "test"), empty, strict=True):
        assert f"{split}: {count} samples have an empty text" in said and f"{count} of them in the release" in said
    assert {row["version"] for row in found["splits"].values()} == {"release"}
    assert ("5 samples of annotations.csv are in no list" in said) is (scheme == "si")
    assert "signers" not in faults(found), "signer 3 is in dev and test alone"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("corpus", "root", "questions", "same"),
    [
        ("Phoenix14TQA", "phoenix14t", "phoenix14t_qa", {"train": 39, "test": 4}),
        ("CSLDailyQA", "csl_daily", "csl_daily_qa", {"dev": 91, "test": 96}),
    ],
)
def test_real_questions_that_are_the_answer(shared_data, capsys, corpus, root, questions, same):
    words = ["--corpus", corpus, "--root", str(shared_data / root), "--set", f"questions={shared_data / questions}"]
    _, found = examined(capsys, *words)
    for split, count in same.items():
        assert f"{split}: {count} questions are the translation itself" in notes(found)
    if corpus == "CSLDailyQA":
        assert "train: CSLDailyQA: no questions of train" in faults(found) and "\n" not in found["findings"][0]["text"]
        assert "test: 2 questions are empty" in notes(found)


@pytest.mark.filterwarnings("ignore")
def test_the_real_how2sign(shared_data, capsys):
    _, found = examined(capsys, "--corpus", "How2Sign", "--root", str(shared_data / "how2sign"))
    assert {s: r["version"] for s, r in found["splits"].items()} == {"dev": "release", "test": "release"}
    assert notes(found).count("hold UTF-8 that was read as Latin-1") == 2 and "train: How2Sign: no" in faults(found)


def test_a_real_tokenizer_that_was_cut_to_the_corpus(shared_data, root, capsys):
    folder = shared_data / "mbart/MBart_trimmed"
    words = ["--corpus", "Phoenix14T", "--tokenizer", str(folder), "--root"]
    _, found = examined(capsys, *words, str(shared_data / "phoenix14t"))
    assert notes(found).count("tokenizer") == 1 and "texts hold what the tokenizer does not know: 'x'" in notes(found)
    dev = annotation(root, "dev")
    rows = [line.split("|") for line in dev.read_text("utf-8").splitlines()]
    rows[1][-1], rows[2][-1] = "regen \u6f22", "\uff57etter"
    dev.write_text("\n".join("|".join(row) for row in rows), encoding="utf-8")
    _, found = examined(capsys, *words, str(root))
    assert "dev: 1 of 4 texts hold what the tokenizer does not know: '\u6f22'" in notes(found)
    assert f"dev: 1 texts come back changed from the tokenizer ({rows[2][0]})" in notes(found)
    assert main(["doctor", "--corpus", "Phoenix14T", "--root", str(root), "--tokenizer", str(root)]) == 2
    assert "0 sentencepiece models" in capsys.readouterr().err


# Damaged copies.


def test_images_that_break_and_frames_that_are_missing(simulated, tmp_path, capsys):
    root = tmp_path / "corpus"
    shutil.copytree(simulated("Phoenix14T", samples=(3, 2, 2), seed=3, render=("frames",), frame_size=(52, 64)), root)
    folders = sorted(p.parent for p in root.rglob("*0001.png") if p.parent.parent.name == "train")
    images = sorted(folders[0].glob("*.png"))
    images[0].write_bytes(images[0].read_bytes()[:60])
    sorted(folders[1].glob("*.png"))[2].unlink()
    for image in folders[2].glob("*.png"):
        image.unlink()
    status, found = examined(capsys, "--corpus", "Phoenix14T", "--root", str(root), "--read", "-1")
    assert status == 1
    said = faults(found)
    assert "cannot decode" in said and images[0].name in said
    assert f"sample {folders[2].name}: 0 frames" in said
    assert "the frames have a gap, first missing number 3" in notes(found)
    assert "expected 210x260, as the folder is called, got 52x64" in notes(found)


def video(path, seconds):
    import av
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for _ in range(round(seconds * 10)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())


def how2sign(root, split, name, rows):
    header = ["VIDEO_ID", "VIDEO_NAME", "SENTENCE_ID", "SENTENCE_NAME", "START_REALIGNED", "END_REALIGNED", "SENTENCE"]
    lines = ["\t".join(header)]
    for number, (start, end) in enumerate(rows):
        cells = [name, f"{name}-5-rgb_front", f"{name}_{number}", f"{name}_{number}-5-rgb_front"]
        lines.append("\t".join([*cells, str(start), str(end), f"Sentence {number} of {split}."]))
    (root / f"how2sign_realigned_{split}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.filterwarnings("ignore")
def test_segments_past_the_end_of_their_videos(tmp_path, capsys):
    names = {"train": "abcdefghijk", "val": "bbcdefghijk", "test": "abcdefghijk"}
    how2sign(tmp_path, "train", names["train"], [(0, 1), (1.5, 2.5), (2.4, 3), (0.5, 2.05)])
    how2sign(tmp_path, "val", names["val"], [(0, 1)])
    how2sign(tmp_path, "test", names["test"], [(0, 1)])
    video(tmp_path / "videos/abcdefghijk-5-rgb_front.mp4", 2)
    (tmp_path / "videos/bbcdefghijk-5-rgb_front.mp4").write_bytes(b"\0\0\0\x18ftypmp42cut off")
    status, found = examined(capsys, "--corpus", "How2Sign", "--root", str(tmp_path), "--read", "0")
    assert status == 1 and found["read"] == 0, "told without decoding anything"
    assert "train: 1 segments lie past the end of their video: abcdefghijk_2-5-rgb_front 2.4-3 s of 2.00 s" in faults(
        found
    )
    assert "train: 1 segments end past the end of their video and are cut: abcdefghijk_1-5" in notes(found)
    assert "dev: sample bbcdefghijk_0-5-rgb_front: cannot read the length" in faults(found)
    assert "test: 1 videos are also in train: abcdefghijk" in faults(found)
    _, found = examined(capsys, "--corpus", "How2Sign", "--root", str(tmp_path), "--read", "-1")
    assert "segment 2.4-3 s lies past the end" in faults(found) and found["read"] == 6


@pytest.mark.filterwarnings("ignore")
def test_a_signer_on_both_sides_of_a_scheme_that_keeps_signers_apart(tmp_path, capsys):
    takes = {"train": "kep1_signer3_rep1_sentences", "dev": "kep2_signer3_rep1_sentences"}
    takes["test"] = "kep3_signer4_rep1_sentences"
    lines = {split: f"{take}/sentences0000" for split, take in takes.items()}
    annotation = "\n".join(f"{path}|γεια {split}|ΓΕΙΑ" for split, path in lines.items())
    (tmp_path / "annotations.csv").write_text(annotation, encoding="utf-8")
    for split, path in lines.items():
        for name in ("gsl_split_SI", "GSL_SD"):
            (tmp_path / f"{name}_{split}.csv").write_text(f"kep1/{path}|ΓΕΙΑ\n", encoding="utf-8")
    for scheme, told in (("si", True), ("sd", False)):
        _, found = examined(capsys, "--corpus", "GSL", "--root", str(tmp_path), "--set", f"split={scheme}")
        assert ("dev: signers 3 are also in train" in faults(found)) is told
        assert "test: signers" not in faults(found)


def test_ids_in_dev_and_test(root, capsys):
    rows = annotation(root, "dev").read_text("utf-8").splitlines()
    with annotation(root, "test").open("a", encoding="utf-8") as file:
        file.write(rows[1] + "\n")
    _, found = examined(capsys, "--corpus", "Phoenix14T", "--root", str(root))
    assert "test: 1 samples are also in dev" in faults(found)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--corpus Phoenix14 --root x", "did you mean 'Phoenix14T'"),
        ("--corpus Phoenix14T --root x --set nam=3", "unknown argument of Phoenix14T"),
        ("--corpus Phoenix14T --root x --set frames", "NAME=VALUE"),
    ],
)
def test_wrong_words(words, told, capsys):
    assert main(["doctor", *words.split()]) == 2
    assert told in capsys.readouterr().err


def test_a_root_that_is_not_there_is_a_fault(capsys):
    status, found = examined(capsys, "--corpus", "Phoenix14T", "--root", "nowhere")
    assert status == 1 and "no such folder" in faults(found)
    words = ["--root", "nowhere", "--corpus"]
    for corpus in ("Phoenix14T", "Phoenix14TQA", "CSLDaily", "CSLDailyQA", "How2Sign", "GSL"):
        _, found = examined(capsys, *words, corpus)
        (fault,) = [f for f in found["findings"] if f["kind"] == "fault"]
        assert fault["split"] == "", "of the corpus, and once"
        assert f"slt-zoo simulate --corpus {corpus} --root DIR" in fault["text"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("corpus", ["Phoenix14T", "CSLDaily", "How2Sign", "GSL"])
def test_places_that_are_named_and_not_there_are_faults(simulated, tmp_path, monkeypatch, corpus, capsys):
    words = ["--corpus", corpus, "--root", str(simulated(corpus, samples=(3, 2, 2), seed=3, render=("features",)))]
    monkeypatch.chdir(tmp_path)
    assert examined(capsys, *words, "--features", "simulated")[0] == 0
    named = ["--poses", "no-poses", "--frames", "no-frames", "--set", "segments=no-segments"]
    for features in ("no-features", "[simulated, no-features]"):
        status, found = examined(capsys, *words, "--features", features, *named)
        assert status == 1 and not found["healthy"]
        for argument in ("features", "poses", "frames", "segments"):
            told = f"data.{argument}=no-{argument} is no folder here; looked for "
            (text,) = [f["text"] for f in found["findings"] if f["text"].startswith(told)]
            assert str(tmp_path / f"no-{argument}") in text, "the full path"


def test_a_named_place_without_one_sample_is_a_fault(simulated, tmp_path, capsys):
    root = simulated("Phoenix14T", samples=(3, 2, 2), seed=3, render=("features",))
    empty, frames = tmp_path / "empty", tmp_path / "frames"
    empty.mkdir(), frames.mkdir()
    words = ["--corpus", "Phoenix14T", "--root", str(root), "--poses", str(empty), "--frames", str(frames)]
    status, found = examined(capsys, *words, "--features", "simulated")
    assert status == 1 and all(row["media"]["features"] for row in found["splits"].values())
    for split in ("train", "dev", "test"):
        assert f"{split}: no sample has its pose in data.poses={empty}" in faults(found)
        assert f"{split}: no sample has its frames in data.frames={frames}" in faults(found)
    assert "no sample has its features" not in faults(found)


def test_features_that_are_joined(simulated, tmp_path, capsys):
    root = simulated("Phoenix14T", samples=(3, 2, 2), seed=3, render=("features",))
    (tmp_path / "a b").mkdir()
    for split in ("train", "dev", "test"):
        arrays = {path.stem: np.load(path) for path in root.rglob(f"features/simulated/{split}/*.npy")}
        save_file({i: torch.from_numpy(array) for i, array in arrays.items()}, tmp_path / f"a b/x.{split}.safetensors")
    words = ["--corpus", "Phoenix14T", "--root", str(root), "--features"]
    status, found = examined(capsys, *words, f"[simulated, {tmp_path}/a b/x.{{split}}.safetensors]")
    assert status == 0 and found["splits"]["train"]["media"]["features"] == 3
    for wrong in ("[simulated", "[]", "[1, 2]", "[a, [b]]"):
        assert main(["doctor", *words, wrong]) == 2
        assert "a list of places" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_questions_of_some_splits_alone_are_a_part_of_a_copy(simulated, tmp_path, capsys):
    root = tmp_path / "corpus"
    shutil.copytree(simulated("Phoenix14TQA", samples=(3, 2, 2), seed=3), root)
    words = ["--corpus", "Phoenix14TQA", "--root", str(root)]
    assert examined(capsys, *words)[0] == 0
    (dev,) = root.rglob("questions/dev.txt")
    text = dev.read_bytes()
    dev.unlink()
    status, found = examined(capsys, *words)
    assert status == 1 and "dev: no dev.txt or dev.jsonl" in faults(found) and "of train and test" in faults(found)
    assert len(faults(found).splitlines()) == 1
    (dev.parent / "all.txt").write_bytes(text)
    assert examined(capsys, *words, "--set", f"questions={dev.parent / 'all.txt'}", "--splits", "dev")[0] == 0
    shutil.rmtree(dev.parent)
    assert examined(capsys, *words)[0] == 0, "without any they are generated, which is a note"
