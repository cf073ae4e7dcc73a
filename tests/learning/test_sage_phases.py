"""SAGE learns simulated signing from rendered frames, all phases by command: minutes, ``make test-slow``.

What runs in seconds: ``tests/cli/test_bench_ablation.py`` (the same command, small), and in
``tests/models/test_sage.py`` eight clips that both stages learn by heart.

Simulated signing is no sign language; no score is a translation result.
"""

from __future__ import annotations

import json

import pytest

from slt_zoo.analysis.ablation import reached
from slt_zoo.cli import main

ROWS = ("segment", "no_stage1", "no_stage1_longer")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_first_stage_finds_texts_and_makes_the_second_one_quick(seed, tmp_path, record_property):
    words = ["bench", "ablation", "sage", "--out", str(tmp_path), "--seeds", str(seed), "--jobs", "2"]
    assert main([*words, "--rows", *ROWS]) == 0
    found = json.loads((tmp_path / "ablation.json").read_text("utf-8"))["seeds"][str(seed)]
    print(json.dumps(found))
    record_property("found", found)
    with_it, without = found["segment"], found["no_stage1"]
    assert with_it["retrieval"]["v2t_r1"] > 0.9 and with_it["retrieval"]["t2v_r1"] > 0.9
    assert with_it["test_bleu4"] > 60
    half = with_it["dev_bleu4"] / 2
    steps = reached(without["curve"], half) or without["curve"][-1][0]  # a run that never gets there needs more
    assert (reached(with_it["curve"], half) or steps) <= steps / 2
    assert without["gap"]["interval"][0] <= 0, "stage 2 ends no lower with the first stage, within the interval"
