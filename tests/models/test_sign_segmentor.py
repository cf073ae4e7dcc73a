"""SignSegmentor: the contract of all models, what it sees, what it says, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from slt_zoo import Phoenix14T, SignSegmentor
from slt_zoo.data.boundaries import BEGIN
from slt_zoo.errors import ConfigError
from slt_zoo.testing import ModelContract, quick_trainer, simulated
from slt_zoo.types import Batch

__all__ = ["simulated"]  # a fixture


class TestContract(ModelContract):
    model_class = SignSegmentor
    arguments: ClassVar = {
        "stream_dim": 16,
        "d_model": 16,
        "nhead": 2,
        "dim_feedforward": 32,
        "num_layers": 1,
        "dropout": 0.0,
    }
    data_arguments: ClassVar = {"segments": "labels"}

    def test_a_batch_equals_its_clips_alone(self, data):
        model, clips = self.prepared(data), self.clips(data)
        together = model.label(Batch.collate(clips))
        for labels, clip in zip(together, clips, strict=True):
            assert torch.equal(labels, model.label(Batch.collate([clip]))[0]) and len(labels) == len(clip.pose)

    def test_the_truth_is_the_corpus_s(self, data):
        model, clips = self.prepared(data), self.clips(data)
        batch = Batch.collate(clips)
        for labels, clip in zip(model._truth(batch, batch.pose), clips, strict=True):
            assert torch.equal(labels, clip.labels)

    def test_neighbours_in_the_batch_lend_no_velocity(self, data):
        model, clips = self.prepared(data), self.clips(data)
        moved = replace(clips[0], pose=clips[0].pose + 5)
        plain, shifted = (model._logits(Batch.collate([first, clips[1]]))[1] for first in (clips[0], moved))
        torch.testing.assert_close(plain[len(clips[0].pose) :], shifted[len(clips[0].pose) :])
        assert not torch.allclose(plain[: len(clips[0].pose)], shifted[: len(clips[0].pose)])

    def test_a_point_that_comes_back_has_no_velocity(self, data):
        model, (clip,) = self.prepared(data), self.clips(data, 1)
        seen = []
        model.network.logits = lambda streams: seen.append(streams) or torch.zeros(len(clip.pose), 3)
        gone = replace(clip, pose=clip.pose.clone(), conf=clip.conf.clone())
        gone.pose[3, 10], gone.conf[3, 10] = 0, 0
        model._logits(Batch.collate([gone]))
        points = seen[0][0].values.unflatten(1, (42, 5))[:, 4]  # point 10 is the fifth of the hands
        assert points[3].tolist() == [0] * 5 and points[4, 2:].tolist() == [0, 0, 1]
        assert torch.equal(points[4, :2], clip.pose[4, 10]) and points[5, 2:4].abs().sum() > 0

    def test_labels_are_mended_where_that_is_wanted(self, data):
        batch = self.batch(data)
        for mend in (True, False):
            model = self.prepared(data, fix_up=mend)
            logits = torch.zeros(len(batch.pose.values), 3)
            logits[:, BEGIN] = 1
            model.network.logits = lambda streams, logits=logits: logits
            begins = [int((labels == BEGIN).sum()) for labels in model.label(batch)]
            assert begins == ([1] * 4 if mend else batch.pose.lengths.tolist())

    def test_it_is_scored_over_the_whole_split(self, data, tmp_path):
        model = self.make_model()
        trainer = quick_trainer(tmp_path, max_steps=1)
        trainer.fit(model, datamodule=data)
        names = ("begin_f1_within_2", "frame_f1_outside", "frame_f1_inside", "frame_f1_begin")
        (found,) = trainer.validate(model, datamodule=data, verbose=False)
        assert all(0 <= found[f"dev/{name}"] <= 1 for name in names)
        (again,) = trainer.validate(model, datamodule=self.one_by_one(data), verbose=False)
        assert again == pytest.approx(found), "whatever the batches"

    @staticmethod
    def one_by_one(data):
        data.eval_batch_size = 1
        return data

    def test_a_weighted_loss_does_not_depend_on_batches_either(self, simulated, tmp_path, monkeypatch):
        monkeypatch.setattr(type(self), "arguments", {**self.arguments, "begin_weight": 5.0})
        self.test_scores_do_not_depend_on_how_a_split_is_cut_into_batches(simulated, tmp_path)

    def test_a_split_is_scored_without_what_was_scored_before(self, data, tmp_path):
        def tested(model):
            return quick_trainer(tmp_path).test(model, datamodule=data, verbose=False)[0]

        model = self.make_model()
        quick_trainer(tmp_path, max_steps=2).fit(model, datamodule=data)
        fresh = self.prepared(data)
        fresh.load_state_dict(model.state_dict())
        alone = tested(fresh)
        quick_trainer(tmp_path).validate(model, datamodule=data, verbose=False)
        assert tested(model) == tested(model) == alone
        assert model.measured["test"] == pytest.approx({k.removeprefix("test/"): v for k, v in alone.items()})

    def test_speed_and_mirroring_keep_signs_on_their_rows(self, data):
        model = self.make_model(augment=1.0, mirror=0.5).prepare(data)
        for batch in data.loader("train", training=True):
            truth = model._truth(batch, batch.pose)
            for labels, gloss in zip(truth, batch.gloss, strict=True):
                assert int((labels == BEGIN).sum()) == len(gloss)
            assert torch.isfinite(model.losses(batch).total)


def test_it_learns_in_seconds(simulated, tmp_path):
    """The sibling of seconds of tests/learning/test_segmentor_phase.py."""
    root = simulated("Phoenix14T", samples=(64, 16, 4), seed=5, difficulty=0.0)
    data = Phoenix14T(str(root), segments="labels", batch_size=16)
    torch.manual_seed(0)
    sizes = {"stream_dim": 64, "d_model": 64, "nhead": 4, "dim_feedforward": 128, "num_layers": 1, "dropout": 0.0}
    model = SignSegmentor(**sizes, optimizer=lambda p: torch.optim.AdamW(p, lr=3e-3))
    trainer = quick_trainer(tmp_path, max_steps=60, limit_val_batches=0, gradient_clip_val=1.0)
    trainer.fit(model, datamodule=data)
    (scores,) = quick_trainer(tmp_path).validate(model, datamodule=data, verbose=False)
    print(scores)
    assert scores["dev/begin_f1_within_2"] > 0.7, scores


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points": "hands42"}, "hands and of the body"),
        ({"points": ["body.left_shoulder", "body.right_shoulder"]}, "hands and of the body"),
        ({"begin_weight": 0.0}, "above 0"),
        ({"tolerance": -1}, "at least 0"),
        ({"mirror": 1.5}, "a probability"),
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ConfigError, match=message):
        SignSegmentor(**arguments)
