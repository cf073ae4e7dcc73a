"""slt-zoo doctor: what is wrong with a corpus, told before anything is trained."""

from __future__ import annotations

import json
import shutil

import pytest

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
