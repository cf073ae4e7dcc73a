"""What people get wrong on the command line: one message, exit status 2, nothing lost."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from slt_zoo import SignAttention, load
from slt_zoo.cli import main
from slt_zoo.errors import CheckpointError
from slt_zoo.testing import simulated

__all__ = ["simulated"]  # a fixture

RECIPE = ["--config", "zoo:sign_attention/synthetic_gloss", "--config", "zoo:sign_attention/tiny"]
QUICK = [
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
    *("--trainer.val_check_interval", "1", "--trainer.log_every_n_steps", "1"),
    *("--model.lr_scheduler.init_args.warmup_steps", "1", "--model.lr_scheduler.init_args.total_steps", "9"),
]
RUN = Path("runs/sign_attention/synthetic_gloss/translate")


@pytest.fixture
def root(simulated) -> str:
    return str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fit(root: str, *more: str, steps: int = 2) -> int:
    return main(["fit", *RECIPE, *QUICK, "--data.root", root, "--trainer.max_steps", str(steps), *more])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--data.batch_size -1", "batch sizes must be at least 1"),
        ("--data.num_workers -1", "num_workers must be at least 0"),
        ("--data.train_fraction 2", "train_fraction must be in"),
        ("--data.predict_split dv", "did you mean 'dev'"),
        ("--data.poses nowhere", "data.poses=nowhere is no folder here"),
        ("--model.points nopoints", "unknown pose layout or point set"),
        ("--model.points holistic75", "choose other points: model.points"),
        ("--model.max_tokens 1", "max_tokens counts both ends"),
        ("--model.beam_size 0", "beam_size"),
        ("--model.nhead 0", "sizes must be positive"),
        ("--model.d_model -4", "sizes must be positive"),
        ("--model.dropout 2", "dropouts are probabilities"),
        ("--model.target words", "Literal['gloss', 'text']"),
        ("--model.d_modl 3", "did you mean d_model"),
        ("--trainer.devices 0", "devices"),
        ("--trainer.max_steps -5", "max_steps"),
        ("--trainer.max_epochs -2", "max_epochs"),
        ("--seed_everything -5", "seed"),
        ("--trainer.maxsteps 3", "did you mean --trainer.max_steps"),
        ("--checkpoint.monitor test/wer", "chosen on the test split"),
        ("--checkpoint.monitor dev/bleu5", "dev/bleu4"),
        ("--ckpt_path no.ckpt", "no such checkpoint"),
    ],
)
def test_a_wrong_value_is_told_in_one_message(words, told, root, capsys):
    assert fit(root, *words.split()) == 2
    message = capsys.readouterr().err
    assert told in message and "Namespace(" not in message and "Traceback" not in message
    assert not (RUN / "last.ckpt").exists()
    assert words.startswith("--checkpoint.monitor dev") or fit(root) == 0, "what failed is not in the way"


def test_what_is_missing_is_named(capsys):
    assert main(["fit"]) == main(["fit", *RECIPE]) == 2
    message = capsys.readouterr().err
    assert "--config zoo:<model>/<corpus>" in message and "--data.root" in message


@pytest.mark.parametrize(
    ("words", "what"), [([], "no model is named"), (["--model", "SignAttention"], "no corpus is named")]
)
def test_an_overlay_alone(words, what, capsys):
    assert main(["fit", *words, "--config", "zoo:sign_attention/tiny"]) == 2
    message = capsys.readouterr().err
    assert what in message and "--data.root DIR" in message and "slt-zoo simulate" in message
    assert "slt-zoo fit --config zoo:sign_attention/synthetic --config zoo:sign_attention/tiny" in message
    assert "`slt-zoo list recipes`" in message and "SLTModule" not in message and "SLTDataModule" not in message


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("simulate --sead 3 --root x", "--seed"),
        ("demo --targets glos", "did you mean gloss"),
        ("run zoo:sign_attention/synthetic --transalte.trainer.max_steps 3", "--translate.trainer.max_steps"),
        ("run zoo:sign_attention/synthetic --overwrite perhaps", "--overwrite is true or false"),
    ],
)
def test_misspelt_words(words, told, capsys):
    assert main(words.split()) == 2
    assert told in capsys.readouterr().err


def test_after_a_resume_the_best_weights_are_tested(root, capsys):
    assert fit(root) == 0
    best = (RUN / "best.ckpt").read_bytes()
    assert fit(root, "--ckpt_path", str(RUN / "last.ckpt"), "--checkpoint.monitor", "dev/wer_ins", steps=4) == 0
    (RUN / "best.ckpt").write_bytes(best)
    assert yaml.safe_load((RUN / "config.yaml").read_text())["ckpt_path"] is None
    assert main(["test", "--config", str(RUN / "config.yaml")]) == 0
    assert torch.load(RUN / "best.ckpt", weights_only=True)["global_step"] <= 2
    assert fit(root, "--ckpt_path", str(RUN / "last.ckpt"), "--overwrite", "true") == 2
    assert "cannot both be meant" in capsys.readouterr().err


def test_a_refused_resume_leaves_the_run_as_it_was(root):
    assert fit(root) == 0
    before = {p: p.read_bytes() for p in RUN.rglob("*") if p.is_file() and p.name != "config.yaml"}
    assert fit(root, "--ckpt_path", "no.ckpt") == 2
    assert fit(root, "--ckpt_path", str(RUN / "last.ckpt"), "--model.d_model", "8") == 2
    assert {p: p.read_bytes() for p in RUN.rglob("*") if p.is_file() and p.name != "config.yaml"} == before


def test_run_trains_anew_when_asked(root, capsys):
    words = ["run", "zoo:sign_attention/synthetic_gloss", "--config", "zoo:sign_attention/tiny", *QUICK]
    words += ["--data.root", root]
    assert main([*words, "--trainer.max_steps", "1"]) == 0
    assert main([*words, "--trainer.max_steps", "2"]) == 0
    assert "with other options" in capsys.readouterr().out
    assert torch.load(RUN / "last.ckpt", weights_only=True)["global_step"] == 1
    assert main([*words, "--trainer.max_steps", "2", "--overwrite", "true"]) == 0
    assert torch.load(RUN / "last.ckpt", weights_only=True)["global_step"] == 2


def test_a_checkpoint_of_another_target(root, capsys):
    assert fit(root) == 0
    assert main(["test", "--config", str(RUN / "config.yaml"), "--model.target", "text"]) == 2
    assert "trained to write gloss" in capsys.readouterr().err


class _Runs:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize("kind", ["text", "pickle", "empty"])
def test_files_that_are_no_checkpoint(kind, tmp_path, capsys):
    path = tmp_path / "x.ckpt"
    path.write_text("hello") if kind == "text" else path.touch()
    if kind == "pickle":
        torch.save({"state_dict": {}, "x": _Runs()}, path)
    for open_it in (SignAttention.load_from_checkpoint, load):
        with pytest.raises(CheckpointError, match="run code" if kind == "pickle" else "no checkpoint") as error:
            open_it(path)
        assert "weights_only=False" not in str(error.value)
    path.write_bytes(pickle.dumps(_Runs()))
    with pytest.raises(CheckpointError):
        load(path)
    assert "run" not in capsys.readouterr().out.splitlines()


def test_permissions(root, tmp_path, capsys, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    original = Path.read_bytes

    def refuse(path):
        if path.name.endswith(".corpus.csv"):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert fit(str(copy)) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_loggers_write_into_the_run_and_the_curves_are_there_too(root, tmp_path):
    words = ["--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", str(tmp_path / "elsewhere")]
    assert fit(root, *words) == 0
    assert (RUN / "metrics.csv").is_file() and list((tmp_path / "elsewhere").rglob("metrics.csv"))


def test_a_checkpoint_selected_on_test_has_no_test_score(root, capsys):
    assert fit(root) == 0
    checkpoint = torch.load(RUN / "best.ckpt", weights_only=True)
    for state in checkpoint["callbacks"].values():
        if "monitor" in state:
            state["monitor"] = "test/bleu4"
    torch.save(checkpoint, RUN / "best.ckpt")
    assert main(["test", "--config", str(RUN / "config.yaml")]) == 2
    assert "selected on the test split" in capsys.readouterr().err


def test_early_stopping_without_a_validation_is_told(root, capsys):
    words = ["fit", "--config", "zoo:sign_attention/phoenix14t", "--config", "zoo:sign_attention/tiny"]
    words += ["--data.root", root, "--trainer.max_steps", "1", "--trainer.enable_progress_bar", "false"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "ended before anything was validated" in said and "dev/token_accuracy" in said and "Traceback" not in said
