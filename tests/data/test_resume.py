"""Stopped in the middle of an epoch and gone on: the samples are those of a run that never stopped."""

from __future__ import annotations

import warnings

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from slt_zoo import Phoenix14T, SignAttention
from slt_zoo.data.samplers import TrainBatches, TrainLoader
from slt_zoo.testing import quick_trainer, simulated

__all__ = ["simulated"]  # a fixture

SMALL = {"target": "text", "d_model": 16, "nhead": 2, "dim_feedforward": 16, "points": "upper_hands48"}


class Watched(SignAttention):
    """Notes what it is trained on."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append(tuple(batch.id))
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize(
    "settings",
    [{}, {"bucket": True}, {"frames_per_batch": 400}, {"num_workers": 2}, {"limit": 3}, {"limit": 0.5}],
    ids=str,
)
@pytest.mark.parametrize("stop", [3, 4, 6])
def test_a_run_that_was_stopped_sees_what_one_that_was_not_sees(settings, stop, simulated, tmp_path):
    root = str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3))
    settings = dict(settings)
    limit = settings.pop("limit", 1.0)

    def fit(steps, **more):
        model = Watched(**SMALL, dropout=0.0, pos_dropout=0.0, optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
        torch.manual_seed(0)
        trainer = quick_trainer(tmp_path, max_steps=steps, limit_val_batches=0, limit_train_batches=limit)
        data = Phoenix14T(root, **{"batch_size": 2, **settings})
        trainer.fit(model, datamodule=data, **more)
        return trainer, model

    _, whole = fit(10)
    trainer, first = fit(stop)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    _, second = fit(10, ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    assert first.seen + second.seen == whole.seen
    for a, b in zip(whole.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_kill_in_the_middle_of_an_epoch(workers, simulated, tmp_path):
    """A checkpoint of the third step of four, written by Lightning while it trains."""
    root = str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3))
    seen = []
    for ckpt_path in (None, None, tmp_path / "at.ckpt"):
        model = Watched(**SMALL)
        keeper = ModelCheckpoint(tmp_path, "at", every_n_train_steps=3, save_top_k=1, enable_version_counter=False)
        stopped = len(seen) == 1  # the second of three: stopped after the checkpoint
        trainer = quick_trainer(
            tmp_path, max_steps=4 if stopped else 9, limit_val_batches=0, enable_checkpointing=True, callbacks=[keeper]
        )
        data = Phoenix14T(root, batch_size=2, num_workers=workers)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*not resumable.*")
            trainer.fit(model, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
        seen.append(model.seen)
    whole, _, gone_on = seen
    assert whole[3:] == gone_on


class Keys(list):
    """A data set that gives back what it is asked for."""

    def __getitem__(self, keys):
        return keys


def test_each_process_goes_on_where_it_was():
    for rank in (0, 1):
        one, other = (
            TrainLoader(
                Keys(range(20)), TrainBatches(20, batch_size=3, num_replicas=2, rank=rank, seed=1), collate_fn=list
            )
            for _ in range(2)
        )
        one.batches.set_epoch(2)
        whole = list(one)
        iterator = iter(one)
        had = [next(iterator), next(iterator)]
        other.load_state_dict(one.state_dict())
        rest = list(other)
        assert had + rest[: len(whole) - 2] == whole and len(other) == len(whole) == len(rest)
        one.batches.set_epoch(3)
        assert rest[-2:] == list(one)[:2], "then the next epoch"
