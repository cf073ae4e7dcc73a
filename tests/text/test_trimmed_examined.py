"""slt-zoo doctor --tokenizer on what slt-zoo tokenizer trim wrote."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
from mbart_folders import own_model, tiny_mbart

from slt_zoo import Phoenix14T
from slt_zoo.cli import main
from slt_zoo.testing import simulated
from slt_zoo.text.subword import MODEL_FILE, RECORD_FILE, TRIMMED_MODEL_FILE

__all__ = ["simulated"]  # a fixture


@pytest.fixture
def root(simulated, tmp_path):
    copy = tmp_path / "corpus"
    shutil.copytree(simulated("Phoenix14T", samples=(8, 4, 4), seed=3), copy)
    return copy


@pytest.fixture
def trimmed(root, tmp_path):
    texts = [s.text for split in ("train", "dev", "test") for s in Phoenix14T(str(root)).manifest(split)]
    source = tiny_mbart(tmp_path / "source", own_model([*texts, "zyx"], 300))
    words = ["--model", str(source), "--corpus", "Phoenix14T", "--root", str(root), "--out", str(tmp_path / "small")]
    assert main(["tokenizer", "trim", *words, "--layout", "cv_slt", "--also", "gloss", "--allow-unreachable"]) == 0
    return tmp_path / "small"


def notes(capsys, root, folder):
    capsys.readouterr()
    main(["doctor", "--corpus", "Phoenix14T", "--root", str(root), "--read", "0", "--tokenizer", str(folder), "--json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    return [f"{f['split']}: {f['text']}" for f in found if f["kind"] == "note"]


def test_it_says_what_it_is_and_what_it_covers(root, trimmed, tmp_path, capsys):
    told = "\n".join(notes(capsys, root, trimmed))
    record = json.loads((trimmed / RECORD_FILE).read_text("utf-8"))
    rows, whole = record["vocabulary_size"], record["source"]["vocabulary_size"]
    assert f"tokenizer: {rows} of {whole} rows of source, layout cv_slt" in told
    for name in (MODEL_FILE, "model.safetensors"):
        assert hashlib.sha256((tmp_path / "source" / name).read_bytes()).hexdigest()[:12] in told
    assert "it was cut to Phoenix14T (simulated): train, gloss" in told
    for split, covered in record["coverage"].items():
        known = 1 - covered["without_row"] / covered["subwords"]
        assert f"{split}: the tokenizer has rows for {known:.2%} of {covered['subwords']} sub-words" in told
    assert "train: the tokenizer has rows for 100.00%" in told and "other annotations" not in told
    assert main(["doctor", "--corpus", "Phoenix14T", "--root", str(root), "--tokenizer", str(trimmed)]) == 0
    assert "layout cv_slt" in capsys.readouterr().out


def test_what_it_cannot_write_and_annotations_that_are_others(root, trimmed, capsys):
    dev = next(root.rglob("PHOENIX-2014-T.dev.corpus.csv"))
    rows = [line.split("|") for line in dev.read_text("utf-8").splitlines()]
    rows[1][-1] = "z 漢"
    dev.write_text("\n".join("|".join(row) for row in rows), encoding="utf-8")
    told = [note for note in notes(capsys, root, trimmed) if note.startswith("dev: ")]
    assert any("no output of the tokenizer can hold" in n and "'漢' (1)" in n and "'z' (1)" in n for n in told)
    assert any("of 4 texts hold one without" in n for n in told)
    assert any("cut with other annotations" in n for n in told)


def test_a_damaged_folder_is_an_error_of_use(root, trimmed, capsys):
    (trimmed / TRIMMED_MODEL_FILE).write_bytes(own_model(["other text"], 60))
    words = ["doctor", "--corpus", "Phoenix14T", "--root", str(root), "--tokenizer", str(trimmed)]
    assert main(words) == 2 and "trim the model again" in capsys.readouterr().err
    (trimmed / RECORD_FILE).write_text("{}", encoding="utf-8")
    assert main(words) == 2 and "lacks" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Phoenix14T")
def test_the_real_model_and_the_real_annotations(shared_data, tmp_path, capsys):
    source = tiny_mbart(tmp_path / "source", (shared_data / "mbart/MBart_trimmed" / MODEL_FILE).read_bytes())
    root, small = shared_data / "phoenix14t", tmp_path / "small"
    words = ["--model", str(source), "--corpus", "Phoenix14T", "--root", str(root), "--out", str(small)]
    extra = tmp_path / "letters.txt"
    extra.write_text("x\n", encoding="utf-8")
    assert main(["tokenizer", "trim", *words, "--splits", "train", "test", "--extra-text", str(extra)]) == 2
    said = capsys.readouterr().err
    assert "the whole tokenizer cannot write 'x' either" in said and "--allow-unreachable" in said
    assert main(["tokenizer", "trim", *words, "--allow-unreachable"]) == 0
    told = notes(capsys, root, small)
    assert any("2172 of 2454 rows of source, layout gfslt" in note for note in told)
    assert any(n.startswith("test: no output of the tokenizer can hold 'x' (1)") for n in told)
    assert any(n.startswith("train: the tokenizer has rows for 100.00%") for n in told)
