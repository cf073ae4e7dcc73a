"""slt-zoo pseudo-gloss: a line a sample, and what it was made with."""

from __future__ import annotations

import json

import pytest

from slt_zoo import Phoenix14T
from slt_zoo.cli import main
from slt_zoo.testing import simulated

__all__ = ["simulated"]  # a fixture


@pytest.fixture
def words(simulated, monkeypatch, tmp_path):
    monkeypatch.setenv("SLT_ZOO_CACHE", str(tmp_path / "cache"))
    root = simulated("Phoenix14T", samples=(12, 4, 4), seed=3)
    return ["pseudo-gloss", "--corpus", "Phoenix14T", "--root", str(root)]


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_a_sample_in_the_order_of_the_annotation(words, capsys):
    assert main([*words, "--splits", "val", "test", "dev"]) == 0
    shown = capsys.readouterr()
    data = Phoenix14T(words[-1])
    samples = [*data.manifest("dev"), *data.manifest("test")]
    assert [(r["id"], r["split"], r["text"]) for r in rows(shown.out)] == [(s.id, s.split, s.text) for s in samples]
    for row in rows(shown.out):
        assert row["pseudo_gloss"] and "und" not in row["pseudo_gloss"]
    assert "dev: 4 sentences" in shown.err and "by hanta" in shown.err


def test_what_is_frequent_in_train_goes_from_every_split(words, capsys, tmp_path):
    def ask(*more):
        assert main([*words, "--splits", "train", "test", *more]) == 0
        shown = capsys.readouterr()
        return rows(shown.out), shown.err

    whole, _ = ask()
    few, told = ask("--max-share", "0.2")
    train = {tuple(r["pseudo_gloss"]) for r in whole if r["split"] == "train"}
    dropped = told.split("dropped as frequent: ")[1].split()
    assert dropped and all(sum(word in glosses for glosses in train) >= 0.2 * len(train) for word in dropped)
    assert [r["pseudo_gloss"] for r in few] == [[w for w in r["pseudo_gloss"] if w not in dropped] for r in whole]
    out = tmp_path / "made" / "of.jsonl"
    assert main([*words, "--splits", "train", "test", "--max-share", "0.2", "--out", str(out)]) == 0
    assert rows(out.read_text(encoding="utf-8")) == few and capsys.readouterr().out == ""


def test_faults_are_told(words, capsys):
    assert main([*words, "--tagger", "jieba"]) == 2
    assert "does not know the language 'de'" in capsys.readouterr().err
    assert main([*words, "--max-share", "2"]) == 2
    assert "share of the sentences" in capsys.readouterr().err
    assert main([*words, "--splits", "tran"]) == 2
    assert "train" in capsys.readouterr().err
