"""`slt-zoo bench data`: what it measures is what it says, and its numbers fit each other."""

from __future__ import annotations

import json
import os
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from slt_zoo.analysis.data_speed import Sizes, bench, bench_data
from slt_zoo.analysis.data_speed.common_pipeline import Draw, read_clip_commonly
from slt_zoo.analysis.data_speed.features import write_features
from slt_zoo.analysis.data_speed.frames import image_files
from slt_zoo.analysis.data_speed.loading import bench_memory, bench_waiting, cores
from slt_zoo.analysis.data_speed.measure import Amount, Times, interleave, pss_mib, ratio, table_of
from slt_zoo.cli import main
from slt_zoo.data.clips import read_clip
from slt_zoo.data.frame_transforms import CropFrames
from slt_zoo.data.stores import open_store
from slt_zoo.datamodules.phoenix14t import Phoenix14T
from slt_zoo.layers.frames import NormaliseFrames
from slt_zoo.testing import simulated
from slt_zoo.types import ClipPipeline, InputSpec

__all__ = ["simulated"]  # a fixture


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("bench") / "corpus"
    bench.simulate_jpeg(root, 4, (300, 280), fps=8)
    return root


# What is compared does the same work


def test_both_pipelines_make_the_same_clip(corpus):
    sample = next(iter(Phoenix14T(str(corpus)).manifest("train")))
    from pathlib import Path

    files = image_files(Path(sample.media["frames"].path))
    assert files and all(f.suffix == ".jpg" for f in files)
    common = read_clip_commonly(files, Draw(16, 16, degrees=0.0))
    pipeline = ClipPipeline(transform=CropFrames((224, 224)), frame_size=(256, 256))
    spec = InputSpec(modality="frames", train=pipeline)
    clip = read_clip(sample, spec, training=True, rng=np.random.default_rng(0))
    ours = NormaliseFrames()(clip.frames)
    assert common.shape == ours.shape == (len(files), 3, 224, 224) and common.dtype == torch.float32
    assert (common - ours).abs().mean() < 0.02  # of a standard deviation


def test_store_and_arrays_hold_the_same(tmp_path):
    store, arrays = write_features(tmp_path, 12)
    known = open_store(store)
    assert len(known) == 12 == len(list(arrays.glob("*.npy")))
    for sample_id in known:
        assert np.array_equal(known.read(sample_id)["features"].numpy(), np.load(arrays / f"{sample_id}.npy"))


# Measuring


def test_tasks_take_turns():
    called = []
    tasks = {name: lambda turn, name=name: called.append((turn, name)) or Amount(1, 10, 100) for name in "ab"}
    times = interleave(tasks, 0.0, rounds=3)
    assert called[:2] == [(0, "a"), (0, "b")], "once without counting"
    assert sorted(called[2:]) == [(t, n) for t in range(3) for n in "ab"]
    assert [n for _, n in called[2:]] in (list("baabba"), list("abbaab"))
    assert all(len(times[n].wall) == len(times[n].cpu) == len(times[n].amounts) == 3 for n in "ab")
    assert len(interleave(tasks, 60.0, most=4)["a"].wall) == 4


def test_ratios_and_rates():
    amounts = [Amount(2, 20, 2**20), Amount(4, 40, 2**21), Amount(2, 20, 2**20)]
    slow = Times(amounts, wall=[6.0, 8.0, 40.0], cpu=[6.0, 8.0, 6.0])
    fast = Times(amounts, wall=[2.0, 4.0, 4.0], cpu=[1.0, 1.0, 1.0])
    both = {"fast": fast, "slow": slow}
    assert ratio(both, "fast", "slow") == 3.0  # of 3, 2 and 10: a round that was disturbed counts once
    assert ratio(both, "fast", "slow", "cpu") == 6.0
    row = table_of(fast)
    assert row == {
        "samples_per_s": 1.0,
        "frames_per_s": 10.0,
        "mib_per_s": 0.5,
        "samples_per_cpu_s": 2.0,
        "cpu_ms_per_frame": 50.0,
        "rounds": 3,
    }


@pytest.mark.skipif(pss_mib([os.getpid()]) is None, reason="the system does not say how much memory a process takes")
def test_memory_that_grows_is_seen(corpus):
    grown, blocks = [], []
    for _ in range(3):  # shared pages count by their sharers, and another process may come or go just then
        before = pss_mib([os.getpid()])
        blocks.append(np.ones(2**23))
        grown.append(pss_mib([os.getpid()]) - before)
    assert 60 < sorted(grown)[1] < 70 and all(block.any() for block in blocks)
    assert pss_mib([2**30]) is None
    assert not tracemalloc.is_tracing()

    kept = []

    def leak(clip, rng):
        kept.append(np.ones(2**20))  # 8 MiB a clip
        return clip

    make, spec = small(corpus)
    leaking = replace(spec, train=ClipPipeline(frame_size=(32, 32), transform=leak))
    steady, grows = bench_memory(make, spec), bench_memory(make, leaking)
    assert len(steady["mib"]) == 5 and steady["growth"] < 0.05
    assert grows["growth"] > 0.08 and grows["mib"] == sorted(grows["mib"])


# The command


def bench_json(capsys, *words: str) -> tuple[int, dict]:
    status = main([*words, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_the_numbers_fit_each_other():
    found = bench_data(0.5, 5.0, sizes=Sizes(clips=3, frame_size=(64, 80), samples=30, fps=8))
    assert json.loads(json.dumps(found)) == found | {"sizes": found["sizes"] | {"frame_size": [64, 80]}}
    assert found["simulated"] and found["machine"]["cores"] == cores()
    frames = found["frames"]
    assert set(frames["changes"]) == {"rotation", "colours"} and frames["clips"] == 3 and frames["frames"] > 20
    assert frames["ratio"] == min(c["ratio"] for c in frames["changes"].values())
    for change in frames["changes"].values():
        ours, common = change["pipelines"]["ours"], change["pipelines"]["common"]
        assert ours["rounds"] == common["rounds"] >= 3
        assert ours["frames_per_s"] / common["frames_per_s"] == pytest.approx(change["ratio"], rel=0.7)
        assert ours["frames_per_s"] / ours["samples_per_s"] == pytest.approx(frames["frames"] / 3, rel=0.7)
        bytes_ = ours["mib_per_s"] * 2**20 / ours["frames_per_s"]
        assert bytes_ == pytest.approx(frames["bytes_per_frame"], rel=0.5)
    features = found["features"]
    assert features["samples"] == 30 and features["mib"] > 0.1
    assert features["store"]["samples_per_s"] / features["arrays"]["samples_per_s"] == pytest.approx(
        features["ratio"], rel=0.7
    )
    workers = found["workers"]
    assert workers["2"]["frames_per_s"] / workers["1"]["frames_per_s"] == pytest.approx(workers["ratio"], rel=0.7)
    assert found["memory"]["mib"] is None or len(found["memory"]["mib"]) == 5
    assert 0 <= found["waiting"]["share"] <= 1 and found["waiting"]["steps"] == 2
    named = {t["name"]: t for t in found["targets"]}
    assert len(named) == 5 and named["2 workers against 1"]["value"] == workers["ratio"]
    assert named["feature store, samples a second"]["value"] == features["open"]["samples_per_s"]
    for target in named.values():
        above = target["value"] >= target["bound"]
        assert target["met"] == (above if target["direction"] == "at least" else not above)


def small(corpus):
    def make(workers):
        return Phoenix14T(str(corpus), batch_size=1, num_workers=workers)

    return make, InputSpec(modality="frames", train=ClipPipeline(frame_size=(32, 32)))


def test_a_slow_model_waits_less(corpus):
    fast, slow = (bench_waiting(*small(corpus), step_ms) for step_ms in (1.0, 300.0))
    assert fast["steps"] == slow["steps"] == 4 and 0 <= slow["share"] < fast["share"] <= 1


def test_frames_of_ones_own(corpus):
    found = bench_data(0.1, 1.0, corpus=lambda **given: Phoenix14T(str(corpus), train_fraction=0.5, **given))
    assert "features" not in found and not found["simulated"] and found["modality"] == "frames"
    assert found["frames"]["clips"] == 2 and found["frames"]["ratio"] > 0
    assert {t["name"] for t in found["targets"]} == {bench.TARGETS[i][0] for i in (0, 3, 4)}


def test_a_corpus_of_ones_own(simulated, capsys):
    root = simulated("Phoenix14T", samples=(4, 1, 1), seed=3)
    words = ["bench", "data", "--corpus", "Phoenix14T", "--root", str(root), "--seconds", "0.2", "--step-ms", "1"]
    status, found = bench_json(capsys, *words)
    assert status == 0 and found["modality"] == "pose" and found["corpus"] == "Phoenix14T"
    assert "frames" not in found and found["workers"]["1"]["samples_per_s"] > 0
    assert main(words) == 0
    assert "Phoenix14T in" in (told := capsys.readouterr().out) and "2 workers against 1" in told
    for option, value in (("--poses", "nowhere"), ("--features", "[simulated, nowhere]")):
        assert main([*words, option, value]) == 2
        assert f"data.{option[2:]}=" in (told := capsys.readouterr().err) and "nowhere is" in told
    assert main([*words, "--modality", "features"]) == 2
    assert "Phoenix14T has no features here" in capsys.readouterr().err


def fake(met):
    machine = {"cores": 1, "torch": "0", "pillow": "0", "load": 3.0}
    row = {"samples_per_s": 1.0, "frames_per_s": 2.0, "mib_per_s": 3.0}
    return {
        "machine": machine,
        "simulated": True,
        "workers": {"1": row, "2": row, "ratio": 1.0},
        "memory": {"mib": None, "growth": None, "why": "no Linux"},
        "waiting": {"step_ms": 200.0, "workers": 2, "share": 0.25},
        "targets": [
            {"name": "x", "value": None if met is None else 1.5, "bound": 2, "direction": "at least", "met": met}
        ],
    }


@pytest.mark.parametrize(
    ("met", "status", "told"), [(True, 0, "met: x"), (False, 1, "missed: x: 1.5"), (None, 1, "not measured: x: -")]
)
def test_check_sets_the_exit_status(monkeypatch, capsys, met, status, told):
    monkeypatch.setattr("slt_zoo.analysis.data_speed.bench_data", lambda *_, **__: fake(met))
    assert main(["bench", "data", "--check"]) == status
    out = capsys.readouterr().out
    assert "other programs are running (load 3.0)" in out
    assert told in out and "not measured, no Linux" in out and "waits 25% of the time" in out
    assert main(["bench", "data"]) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--corpus", "Phoenix14T"], "--corpus and --root belong together"),
        (["--modality", "pose"], "are of a corpus"),
        (["--seconds", "0"], "is not above 0"),
        (["--clips", "0"], "is not at least 1"),
        (["--corpus", "Fenix14T", "--root", "x"], "Phoenix14T"),
    ],
)
def test_wrong_words(words, told, capsys):
    assert main(["bench", "data", *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.slow
def test_the_projects_own_bounds():
    """On a machine that does nothing else; each is a ratio within one run, or far from its bound."""
    found = bench_data(120.0, sizes=Sizes(clips=32))
    wanted = [t for t in found["targets"] if cores() >= 2 or "workers" not in t["name"]]
    assert len(wanted) >= 4 and all(t["met"] for t in wanted), found["targets"]
