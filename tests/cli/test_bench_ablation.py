"""``slt-zoo bench ablation sage``: rows share their corpus and text phase, are trained once, and are compared."""

from __future__ import annotations

import json

import pytest

from slt_zoo.analysis.ablation import reached
from slt_zoo.cli import bench_ablation, main

ROWS = ("segment", "no_stage1", "no_stage1_longer", "clip")
GIVEN = ("no_stage1_longer", "clip", "no_stage1", "segment")  # any order will do
SMALL = ("--samples", "12", "4", "4", "--signers", "2", "1", "1")
STEPS = ("--text-steps", "2", "--stage1-steps", "3", "--stage2-steps", "4")


@pytest.fixture
def commands(monkeypatch):
    """Commands run in this process, which saves their start."""
    done: list[list[str]] = []

    def run(self, words, name):
        done.append(list(words))
        assert main(words) == 0

    monkeypatch.setattr(bench_ablation._Seed, "_command", run)
    return done


def words(out, *rows):
    return [
        "bench",
        "ablation",
        "sage",
        "--out",
        str(out),
        *SMALL,
        *STEPS,
        "--config",
        "zoo:sage/tiny",
        "--rows",
        *rows,
    ]


@pytest.mark.filterwarnings("ignore:.*not in the vocabulary", "ignore:.*also occur in train")
@pytest.mark.filterwarnings("error:.*resized copy")
def test_rows_are_trained_once_and_compared(tmp_path, commands, capsys):
    assert main(words(tmp_path / "runs", *GIVEN)) == 0
    shown = capsys.readouterr().out
    found = json.loads((tmp_path / "runs/ablation.json").read_text("utf-8"))["seeds"]["0"]
    assert list(found) == list(ROWS) and all(name in shown for name in ROWS)
    assert "no sign language" in shown and "half of the final dev BLEU-4" in shown
    assert found["no_stage1"]["retrieval"] is None and 0 <= found["clip"]["retrieval"]["v2t_r1"] <= 1
    assert "gap" not in found["segment"] and len(found["clip"]["gap"]["interval"]) == 2
    assert found["clip"]["gap"]["difference"] == pytest.approx(
        found["clip"]["test_bleu4"] - found["segment"]["test_bleu4"], abs=1e-6
    )
    assert found["segment"]["tokens_per_frame"] == found["clip"]["tokens_per_frame"] > 0.05
    # stage 2 alone has the time of both stages
    seconds = [found["segment"]["seconds"]["pretrain"], found["no_stage1"]["seconds"]["translate"]]
    assert found["no_stage1_longer"]["curve"][-1][0] == round(4 * sum(seconds) / seconds[1]) > 4
    fits = [w[w.index("--config") + 1] for w in commands if w[0] == "fit"]
    assert fits.count("zoo:sage/synthetic/text") == 1 and fits.count("zoo:sage/synthetic/pretrain") == 2
    assert fits.count("zoo:sage/synthetic/translate") == 4 == sum(w[0] == "test" for w in commands)
    (clip,) = (w for w in commands if "clip" in w)
    assert clip[clip.index("clip") - 1] == "--model.loss" and "zoo:sage/synthetic/pretrain" in clip
    before = len(commands)
    assert main(words(tmp_path / "runs", *ROWS)) == 0 and len(commands) == before, "nothing is trained twice"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--rows", "no_stage1_longer"), "--rows segment no_stage1 no_stage1_longer"),
        (("--root", "somewhere", "--seeds", "0", "1"), "one corpus"),
        (("--rows", "segmnt"), "did you mean segment"),
        (("--jobs", "0"), "at least 1"),
        (("--stage1-steps", "0"), "at least 1"),
    ],
    ids=["longer alone", "root and seeds", "row", "jobs", "steps"],
)
def test_what_cannot_be_is_told(more, told, tmp_path, capsys):
    assert main(["bench", "ablation", "sage", "--out", str(tmp_path / "runs"), *more]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_training_that_fails_leaves_its_log(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    assert main([*words(tmp_path / "runs", "segment"), "--root", str(tmp_path / "data")]) != 0
    said = capsys.readouterr().err
    assert "`slt-zoo fit` of text failed" in said and "text.log" in said and "what is finished is kept" in said
    assert (tmp_path / "runs/seed0/text.log").read_text("utf-8")


def test_the_first_step_at_a_score():
    curve = [(50, 3.0), (100, 20.0), (150, 18.0), (200, 40.0)]
    assert [reached(curve, score) for score in (0, 18, 20.5, 50)] == [50, 100, 200, None]
