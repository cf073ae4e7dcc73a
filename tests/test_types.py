"""The types that travel."""

from __future__ import annotations

import pickle

import pytest
import torch
from lightning.pytorch.utilities import move_data_to_device

from slt_zoo.errors import UnknownNameError
from slt_zoo.types import Batch, Clip, Prediction, Ragged, Sample, as_split


def sample(name: str = "a", **more) -> Sample:
    return Sample(name, "train", "text", "de", "gsg", gloss=("A",), **more)


class TestRagged:
    def test_padding_has_a_mask_from_lengths_and_not_from_values(self):
        ragged = Ragged.pack([torch.zeros(2, 3), torch.ones(4, 3)])
        padded, mask = ragged.padded(fill=7)
        assert padded.shape == (2, 4, 3) and mask.tolist() == [[True, True, False, False], [True] * 4]
        assert (padded[0, 2:] == 7).all() and (padded[0, :2] == 0).all()

    def test_padding_to_a_length(self):
        ragged = Ragged.pack([torch.ones(2)])
        assert ragged.padded(length=5)[0].tolist() == [[1, 1, 0, 0, 0]]
        with pytest.raises(ValueError, match="shorter than the longest"):
            ragged.padded(length=1)

    def test_split_is_the_inverse_of_pack(self):
        parts = [torch.randn(n, 2) for n in (3, 0, 1)]
        assert all(torch.equal(a, b) for a, b in zip(parts, Ragged.pack(parts).split(), strict=True))

    def test_moving_converts_values_and_keeps_lengths(self):
        moved = Ragged.pack([torch.ones(2)]).to(torch.float64)
        assert moved.values.dtype == torch.float64 and moved.lengths.dtype == torch.int64

    def test_lengths_must_be_integers(self):
        with pytest.raises(ValueError, match="int64"):
            Ragged(torch.ones(2), torch.tensor([1.0, 1.0]))


class TestBatch:
    def test_only_what_every_clip_has_is_there(self):
        clips = [Clip(sample("a"), features=torch.ones(2, 3)), Clip(sample("b"), features=torch.ones(1, 3))]
        clips[0].pose = torch.zeros(1, 2, 2)
        batch = Batch.collate(clips)
        assert len(batch) == 2 and batch.features.lengths.tolist() == [2, 1] and batch.pose is None

    def test_lightning_can_move_it(self):
        batch = Batch.collate([Clip(sample(), features=torch.ones(2, 3))])
        for moved in (batch.to("meta"), move_data_to_device(batch, torch.device("meta"))):
            assert moved.features.values.device.type == "meta" and moved.id == ["a"]
        assert batch.features.values.device.type == "cpu", "the batch itself stays where it is"

    def test_it_survives_a_worker(self):
        batch = pickle.loads(pickle.dumps(Batch.collate([Clip(sample(), features=torch.ones(2, 3))])))
        assert batch.text == ["text"] and batch.features.values.shape == (2, 3)


def test_predictions_are_plain_data():
    assert Prediction("a", "b", ("c",)).to_dict() == {"id": "a", "hypothesis": "b", "references": ["c"]}
    assert Prediction("a", "b", extra={"x": 1}).to_dict()["extra"] == {"x": 1}
    assert tuple(Prediction("a", "b")) == ("a", "b")


def test_split_names():
    assert [as_split(n) for n in ("train", "val", "validation", "test")] == ["train", "dev", "dev", "test"]
    with pytest.raises(UnknownNameError, match="'tran'") as error:
        as_split("tran")
    assert "did you mean 'train'" in str(error.value)
