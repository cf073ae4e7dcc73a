"""Things that once went wrong, or would have: evaluation of parts, debugging flags, phases, bad samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slt_zoo import InitFrom, InputSpec, Phoenix14T, SignAttention
from slt_zoo.cli import main
from slt_zoo.errors import CheckpointClassError, CheckpointMismatchError, ConfigError, MediaError
from slt_zoo.loading import read_checkpoint
from slt_zoo.testing import quick_trainer, simulated
from slt_zoo.types import ClipPipeline

__all__ = ["simulated"]  # a fixture

SMALL = {"d_model": 16, "nhead": 2, "dim_feedforward": 16, "points": "upper_hands48"}


@pytest.fixture
def root(simulated) -> str:
    return str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3))


def fitted(root, tmp_path, **arguments) -> SignAttention:
    model = SignAttention(**SMALL, **arguments)
    trainer = quick_trainer(tmp_path, max_steps=1, limit_val_batches=0)
    trainer.fit(model, datamodule=Phoenix14T(root))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    return model


@pytest.mark.parametrize("limit", [1, 0.5])
def test_a_part_of_a_split_is_scored_and_said_to_be_a_part(root, tmp_path, limit):
    model = SignAttention(**SMALL)
    trainer = quick_trainer(tmp_path, max_epochs=1, limit_val_batches=limit)
    trainer.fit(model, datamodule=Phoenix14T(root, batch_size=2))
    scored = model.scored["dev"]
    assert not scored.complete and len(scored.predictions) == 2
    assert "Incomplete" in scored.report.table()


def test_a_subset_is_no_whole_split(root, tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "test.txt").write_text(Phoenix14T(root).manifest("test").ids[0])
    model = fitted(root, tmp_path)
    quick_trainer(tmp_path).test(model, datamodule=Phoenix14T(root, subset=str(lists)), verbose=False)
    assert not model.scored["test"].complete and model.scored["test"].report.extra["complete"] is False


def test_notes_are_of_what_is_scored(root, tmp_path):
    model = fitted(root, tmp_path)
    model.hparams["facts"] = {**model.hparams["facts"], "simulated": False, "corpus": "Other"}
    quick_trainer(tmp_path).test(model, datamodule=Phoenix14T(root), verbose=False)
    extra = model.scored["test"].report.extra
    assert extra["simulated"] is True and extra["corpus"] == "Phoenix14T"
    assert extra["trained_on"] == "Other" and extra["trained_on_simulated"] is False


def test_steps_behind_the_weights_are_known_in_evaluation_too(root, tmp_path):
    seen = {}

    class Counting(SignAttention):
        def losses(self, batch):
            seen.setdefault("training" if self.training else "evaluation", []).append(self.trained_steps)
            return super().losses(batch)

    model = Counting(**SMALL)
    trainer = quick_trainer(tmp_path, max_steps=3, val_check_interval=1, check_val_every_n_epoch=None)
    trainer.fit(model, datamodule=Phoenix14T(root, batch_size=4, eval_batch_size=4))
    assert seen == {"training": [0, 1, 2], "evaluation": [1, 2, 3]}
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    loaded = Counting.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    folder = Counting.from_pretrained(model.save_pretrained(tmp_path / "folder"))
    for one in (model, loaded, folder):
        seen.clear()
        quick_trainer(tmp_path).test(one, datamodule=Phoenix14T(root), verbose=False)
        assert seen == {"evaluation": [3]}


def test_overfit_batches_is_refused_with_the_way_out(root, tmp_path):
    with pytest.raises(ConfigError, match="overfit_batches") as error:
        quick_trainer(tmp_path, overfit_batches=1).fit(SignAttention(**SMALL), datamodule=Phoenix14T(root))
    assert "data.subset" in str(error.value)


def test_a_failed_initialisation_leaves_no_network_behind(root, tmp_path):
    fitted(root, tmp_path)
    wrong = [InitFrom(str(tmp_path / "a.ckpt"), {"net.encodr.": "net.encoder."})]
    model = SignAttention(**SMALL, init_from=wrong)
    for _ in range(2):
        with pytest.raises(CheckpointMismatchError):
            model.prepare(Phoenix14T(root))


def test_a_later_phase_keeps_the_vocabulary_of_its_weights(root, tmp_path):
    first = fitted(root, tmp_path)
    ids = Phoenix14T(root).manifest("train").ids
    (tmp_path / "train.txt").write_text("\n".join(ids[:4]))
    sources = [InitFrom(str(tmp_path / "a.ckpt"), {"net.": "net."})]
    second = SignAttention(**SMALL, init_from=sources).prepare(Phoenix14T(root, subset=str(tmp_path)))
    assert second.hparams["codecs"] == first.hparams["codecs"]


def test_what_was_read_from_the_data_survives_a_checkpoint(root, tmp_path):
    first = fitted(root, tmp_path, class_weights=True)
    checkpoint = read_checkpoint(tmp_path / "a.ckpt")
    second = SignAttention(**SMALL, class_weights=True)
    second.adopt(checkpoint)
    assert second.hparams["class_weights"] == first.hparams["class_weights"] and second.hparams["init_from"] is None
    checkpoint["slt_zoo"]["class"] = "slt_zoo.models.sage.SAGE"
    with pytest.raises(CheckpointClassError, match="init_from"):
        SignAttention(**SMALL).adopt(checkpoint)


def test_a_batch_of_one_bad_clip_takes_the_next(root, tmp_path):
    data = Phoenix14T(root, batch_size=1, bucket=True, on_bad_sample="skip")
    bad = data.manifest("train").ids[2]

    def transform(clip, rng):
        if clip.sample.id == bad:
            raise MediaError("unreadable", where=clip.sample.id)
        return clip

    data.bind(InputSpec(modality="pose", train=ClipPipeline(transform=transform)), ["train"])
    batches = list(data.loader("train", training=True))
    assert len(batches) == 8 and [list(b.skipped) for b in batches].count([bad]) == 1
    assert all(len(b) == 1 and b.id != [bad] for b in batches)


def test_boundaries_of_another_length_are_told(root, tmp_path):
    data = Phoenix14T(root, segments=str(tmp_path))
    (tmp_path / "train").mkdir()
    for sample_id in data.manifest("train").ids:
        np.save(tmp_path / f"train/{sample_id}.npy", np.array([0, 2, 1], np.int8))
    data = Phoenix14T(root, segments=str(tmp_path))
    data.bind(InputSpec(modality="pose", needs=frozenset({"segments"})), ["train"])
    with pytest.raises(MediaError, match="different lengths"):
        next(iter(data.loader("train")))


def test_text_alone_can_be_put_into_buckets(root):
    data = Phoenix14T(root, batch_size=3, bucket=True)
    data.bind(InputSpec(modality="none"), ["train"])
    assert sorted(i for b in data.loader("train", training=True) for i in b.id) == sorted(data.manifest("train").ids)


@pytest.mark.slow
def test_all_phases_on_two_processes_and_again_from_where_they_stopped(root, tmp_path, monkeypatch):
    """What Lightning leaves behind after a distributed run must not break the next command, nor a resume the run."""
    monkeypatch.chdir(tmp_path)
    words = ["run", "zoo:sign_attention/synthetic_gloss", "--config", "zoo:sign_attention/tiny", "--data.root", root]
    words += ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.val_check_interval", "1"]
    words += ["--trainer.enable_progress_bar", "false", "--model.lr_scheduler.init_args.warmup_steps", "1"]
    assert main([*words, "--trainer.max_steps", "2"]) == 0
    run = tmp_path / "runs/sign_attention/synthetic_gloss/translate"
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 2
    assert len((run / "predictions/test.jsonl").read_text().splitlines()) == 4
    (run / "finished.json").unlink()
    assert main([*words, "--trainer.max_steps", "4"]) == 0
    assert {p.name for p in run.iterdir()} >= {
        "config.yaml",
        "best.ckpt",
        "metrics.1.csv",
        "metrics.csv",
        "scores.json",
    }
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 4
