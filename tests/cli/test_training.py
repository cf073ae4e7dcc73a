"""fit, test, predict and run through LightningCLI, in this process."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import wandb
import yaml

import slt_zoo
from slt_zoo.cli import main
from slt_zoo.testing import simulated

__all__ = ["simulated"]  # a fixture

RECIPE = ["--config", "zoo:sign_attention/synthetic_gloss", "--config", "zoo:sign_attention/tiny"]
QUICK = [
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
    *("--trainer.max_steps", "4", "--trainer.val_check_interval", "2", "--trainer.log_every_n_steps", "1"),
    *("--model.lr_scheduler.init_args.warmup_steps", "1", "--model.lr_scheduler.init_args.total_steps", "4"),
]


@pytest.fixture
def root(simulated) -> str:
    return str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fit(root: str, *more: str) -> int:
    return main(["fit", *RECIPE, *QUICK, "--data.root", root, *more])


RUN = Path("runs/sign_attention/synthetic_gloss/translate")


def test_a_run_folder_holds_the_whole_run(root, capsys, caplog):
    assert fit(root) == 0
    assert "weights_only" not in caplog.text, "each checkpoint says what it holds"
    assert {p.name for p in RUN.iterdir()} >= {"config.yaml", "best.ckpt", "last.ckpt", "metrics.csv", "predictions"}
    config = yaml.safe_load((RUN / "config.yaml").read_text())
    assert config["model"]["init_args"]["d_model"] == 16, "the overlay's size"
    assert config["card"]["paper"] == "2410.14506"
    columns = csv.DictReader((RUN / "metrics.csv").open()).fieldnames
    assert {"train/loss", "dev/loss", "dev/wer", "dev/token_accuracy", "step"} <= set(columns)
    assert main(["test", "--config", str(RUN / "config.yaml")]) == 0
    scores = json.loads((RUN / "scores.json").read_text())
    assert scores["test"]["protocol"] == "gloss" and scores["test"]["extra"]["simulated"] is True
    assert scores["test"]["extra"]["complete"] is True and len(scores["test"]["extra"]["checkpoint"]) == 64
    lines = [json.loads(line) for line in (RUN / "predictions/test.jsonl").read_text().splitlines()]
    samples = {s.id: " ".join(s.gloss) for s in slt_zoo.Phoenix14T(root).manifest("test")}
    assert {line["id"]: line["references"] for line in lines} == {i: [g] for i, g in samples.items()}
    assert main(["predict", "--config", str(RUN / "config.yaml"), "--data.predict_split", "train"]) == 0
    assert len((RUN / "predictions/train.jsonl").read_text().splitlines()) == 8
    assert main(["validate", "--config", str(RUN / "config.yaml")]) == 0


def test_a_saved_config_runs_again_and_gives_the_same(root):
    fit(root)
    first = torch.load(RUN / "last.ckpt", weights_only=True)["state_dict"]
    config = str((RUN / "config.yaml").rename("saved.yaml"))
    assert main(["fit", "--config", config]) == 2, "the run folder is not overwritten unless asked"
    assert main(["fit", "--config", config, "--overwrite", "true"]) == 0
    again = torch.load(RUN / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(first[k], again[k]) for k in first)


def test_what_is_skipped_is_in_a_file_beside_each_score_and_in_the_checkpoint(root, tmp_path):
    corpus = tmp_path / "corpus"
    shutil.copytree(root, corpus)
    missing, broken = slt_zoo.Phoenix14T(str(corpus)).manifest("train").ids[2:4]
    (gone,), (damaged,) = (list(corpus.rglob(f"{name}.pose")) for name in (missing, broken))
    gone.unlink()
    damaged.write_bytes(b"no pose")
    more = ("--data.on_bad_sample", "skip", "--data.batch_size", "4")
    assert fit(str(corpus), *more, "--trainer.default_root_dir", "run") == 0
    lines = [json.loads(line) for line in Path("run/skipped.jsonl").read_text("utf-8").splitlines()]
    assert [(line["id"], line["split"]) for line in lines] == [(i, "train") for i in sorted((missing, broken))]
    why = {line["id"]: line["why"] for line in lines}
    assert why[missing] == "without pose" and str(damaged) in why[broken]
    assert torch.load("run/last.ckpt", weights_only=True)["slt_zoo"]["skipped"] == why
    assert main(["test", "--config", "run/config.yaml"]) == 0
    scores = json.loads(Path("run/scores.json").read_text())
    assert {s: scores[s]["extra"]["skipped_in_training"] for s in ("dev", "test")} == {"dev": 2, "test": 2}
    Path("whole").mkdir()
    assert fit(root, "--trainer.default_root_dir", "whole") == 0 and not Path("whole/skipped.jsonl").exists()
    assert json.loads(Path("whole/scores.json").read_text())["dev"]["extra"]["skipped_in_training"] == 0
    assert fit(root, "--trainer.default_root_dir", "run", "--overwrite", "true") == 0
    assert not Path("run/skipped.jsonl").exists(), "it was the old run's"


def test_a_run_is_not_overwritten(root, capsys):
    fit(root)
    stamp = (RUN / "best.ckpt").stat().st_mtime_ns
    assert fit(root) == 2
    message = capsys.readouterr().err
    assert "--overwrite true" in message and f"--ckpt_path {RUN / 'last.ckpt'}" in message
    assert (RUN / "best.ckpt").stat().st_mtime_ns == stamp


def test_going_on_keeps_the_curves(root):
    fit(root)
    assert fit(root, "--ckpt_path", str(RUN / "last.ckpt"), "--trainer.max_steps", "6") == 0
    assert (RUN / "metrics.1.csv").is_file() and torch.load(RUN / "last.ckpt", weights_only=True)["global_step"] == 6


def test_a_checkpoint_of_another_class_is_refused(root, capsys):
    fit(root)
    checkpoint = torch.load(RUN / "last.ckpt", weights_only=True)
    checkpoint["slt_zoo"]["class"] = "slt_zoo.models.sage.SAGEPretraining"
    torch.save(checkpoint, "stage1.ckpt")
    assert fit(root, "--ckpt_path", "stage1.ckpt", "--trainer.default_root_dir", "elsewhere") == 2
    message = capsys.readouterr().err
    assert "SAGEPretraining" in message and "init_from" in message


def test_a_checkpoint_of_another_size_names_the_argument(root, capsys):
    fit(root)
    more = ("--ckpt_path", str(RUN / "last.ckpt"), "--model.d_model", "32", "--trainer.default_root_dir", "elsewhere")
    assert fit(root, *more) == 2
    assert "d_model: 16 there, 32 here" in capsys.readouterr().err


def test_testing_without_weights(root, capsys):
    assert main(["test", *RECIPE, "--data.root", root]) == 2
    assert "there are no weights to use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--model.d_modle", "3"], "did you mean d_model"),
        (["--data.batchsize", "3"], "did you mean batch_size"),
        (["--trainr.max_steps", "3"], "did you mean --trainer.max_steps"),
        (["--model", "SignAtention"], "did you mean 'SignAttention'"),
        (["--data", "Phoenix14"], "did you mean 'Phoenix14T'"),
        (["--model.target", "txt"], "text"),
        (["--model", "slt_zoo.SignAtention"], "did you mean SignAttention"),
    ],
)
def test_misspelt_options_get_the_nearest(root, words, hint, capsys):
    assert fit(root, *words) == 2
    message = capsys.readouterr().err
    assert hint in message and "usage" not in message


def test_a_short_class_name_and_no_recipe(root):
    words = ["--model", "SignAttention", "--model.d_model=16", "--model.points=upper_hands48", "--data", "Phoenix14T"]
    assert main(["fit", *words, "--data.root", root, "--trainer.fast_dev_run", "true"]) == 0


@pytest.mark.parametrize("joined", [True, False])
def test_a_short_class_path(root, joined, capsys):
    pairs = [("--model.class_path", "SignAttention"), ("--data.class_path", "Phoenix14T")]
    words = [w for name, value in pairs for w in ([f"{name}={value}"] if joined else [name, value])]
    with pytest.raises(SystemExit) as stop:
        main(["fit", *words, "--model.points", "upper_hands48", "--data.root", root, "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert stop.value.code == 0
    assert config["model"]["class_path"].endswith(".SignAttention")
    assert config["data"]["class_path"].endswith("Phoenix14T") and config["data"]["init_args"]["root"] == root
    assert main(["fit", "--data.class_path", "Phoenix14"]) == 2
    assert "did you mean 'Phoenix14T'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Phoenix14TQA", ("slt_zoo.Phoenix14TQA", "--data Phoenix14TQA")),
        ("Phoenix14", ("did you mean slt_zoo.Phoenix14T",)),
    ],
)
def test_a_short_class_path_in_a_file_is_told(name, told, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(f"data:\n  class_path: {name}\n  init_args:\n    root: x\n")
    if name == "Phoenix14TQA" and "slt_zoo.datamodules.phoenix14t_qa" in sys.modules:
        told = ("Phoenix14TQA: no annotations",)  # a class that was imported before is found by its short name
    assert main(["fit", *RECIPE, "--config", str(tmp_path / "c.yaml")]) == 2
    message = capsys.readouterr().err
    assert all(part in message for part in told), message


def test_print_config(root, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fit", *RECIPE, "--data.root", root, "--print_config"])
    assert stop.value.code == 0
    assert yaml.safe_load(capsys.readouterr().out)["data"]["init_args"]["root"] == root


def test_run_does_all_phases_and_skips_what_is_finished(root, capsys):
    words = ["run", "zoo:sign_attention/synthetic_gloss", *RECIPE[2:], *QUICK, "--data.root", root]
    assert main(words) == 0
    assert json.loads((RUN / "scores.json").read_text())["test"] and (RUN / "finished.json").is_file()
    stamp = (RUN / "best.ckpt").stat().st_mtime_ns
    assert main(words) == 0
    assert "finished already" in capsys.readouterr().out and (RUN / "best.ckpt").stat().st_mtime_ns == stamp
    assert main(["run", "zoo:sign_attention/syntetic"]) == 2
    assert main([*words, "--trainer.default_root_dir", "x"]) == 2


@pytest.mark.parametrize("logger", ["wandb", "tensorboard", "csv"])
def test_loggers_from_the_command_line(root, logger):
    classes = {
        "wandb": ["--trainer.logger", "WandbLogger", "--trainer.logger.offline", "true"],
        "tensorboard": ["--trainer.logger", "TensorBoardLogger", "--trainer.logger.save_dir", "tb"],
        "csv": [],
    }
    assert fit(root, *classes[logger]) == 0
    assert (RUN / "metrics.csv").is_file(), "the run's curves are there whatever else logs"
    traces = {"wandb": "translate/wandb/offline-run-*/**/dev/samples*.table.json", "tensorboard": "tb/**/events.out.*"}
    if logger in traces:
        assert list(RUN.parents[3].rglob(traces[logger])), "the table of samples, or the event file"
    if logger == "wandb":
        wandb.finish()  # an open run would be taken by the next test of this process


def test_ctrl_c_leaves_a_checkpoint_that_resumes(root):
    words = [sys.executable, "-m", "slt_zoo", "fit", *RECIPE, "--data.root", root]
    words += ["--trainer.enable_progress_bar", "false", "--trainer.max_steps", "100000"]
    words += ["--model.lr_scheduler.init_args.total_steps", "100000"]
    with Path("log").open("w") as log:
        process = subprocess.Popen(
            words,
            stdout=log,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            # a shell's background jobs ignore Ctrl-C, and so would what they start
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + 90
        while not (RUN / "metrics.csv").is_file() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.2)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        finally:
            process.kill()
    assert (RUN / "last.ckpt").is_file(), Path("log").read_text()[-2000:]
    assert "go on" in Path("log").read_text()
    steps = torch.load(RUN / "last.ckpt", weights_only=True)["global_step"]
    assert steps > 0
    more = ["--ckpt_path", str(RUN / "last.ckpt"), "--trainer.max_steps", str(steps + 2)]
    total = ["--model.lr_scheduler.init_args.total_steps", "100000"]
    assert main(["fit", *RECIPE, "--data.root", root, *more, *total, "--trainer.enable_progress_bar", "false"]) == 0
    assert torch.load(RUN / "last.ckpt", weights_only=True)["global_step"] == steps + 2
