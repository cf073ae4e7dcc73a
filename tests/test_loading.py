"""Weights of earlier phases, strict; loading by file."""

from __future__ import annotations

import os

import pytest
import torch
from torch import nn

from slt_zoo import InitFrom, SignAttention, load
from slt_zoo.errors import CheckpointClassError, CheckpointError, CheckpointMismatchError, ConfigError
from slt_zoo.loading import plain_data, read_checkpoint
from slt_zoo.text import WordCodec


class Net(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(2, width), nn.Linear(width, 2))
        self.head = nn.Linear(2, 1)


@pytest.fixture
def source(tmp_path):
    torch.manual_seed(1)
    path = tmp_path / "stage1.ckpt"
    torch.save({"state_dict": {f"net.{k}": v for k, v in Net().state_dict().items()}}, path)
    return path


def test_mapped_weights_arrive_and_the_rest_stays(source):
    target = Net()
    before = target.head.weight.clone()
    record = InitFrom(str(source), {"net.encoder.": "encoder."}).load_into(target)
    stored = torch.load(source)["state_dict"]
    assert all(torch.equal(v, stored[f"net.encoder.{k}"]) for k, v in target.encoder.state_dict().items())
    assert torch.equal(target.head.weight, before)
    assert record["path"] == str(source) and len(record["sha256"]) == 64


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"net.encodr.": "encoder."}, "no weight in the checkpoint begins with 'net.encodr.'"),
        ({"net.encoder.0.": "encoder."}, "different names"),
        ({"net.": "encoder."}, "different names"),
        ({"net.encoder.0.": "encoder.1."}, "other shapes"),
    ],
)
def test_whatever_does_not_fit_is_told_and_nothing_is_loaded(source, mapping, message):
    target = Net()
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(CheckpointMismatchError, match=message) as error:
        InitFrom(str(source), mapping).load_into(target)
    assert str(source) in str(error.value)
    assert all(torch.equal(v, before[k]) for k, v in target.state_dict().items())


def test_a_near_miss_is_named(source):
    with pytest.raises(CheckpointMismatchError, match=r"did you mean net\.encoder"):
        InitFrom(str(source), {"net.encodr.": "encoder."}).load_into(Net())


def test_a_deliberate_subset_is_written_as_such(source):
    InitFrom(str(source), {"net.": ""}, unused=["net.head."], fresh=["head."]).load_into(Net())
    with pytest.raises(CheckpointMismatchError, match=r"not filled: head\.bias"):
        InitFrom(str(source), {"net.": ""}, unused=["net.head."]).load_into(Net())


def test_a_missing_file_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint") as error:
        InitFrom(str(tmp_path / "best.ckpt"), {"a.": "a."}).load_into(Net())
    assert "slt-zoo run" in str(error.value)


class Evil:
    def __reduce__(self):
        return (os.system, ("touch pwned",))


def test_a_checkpoint_with_code_in_it_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "x": Evil()}, "evil.ckpt")
    with pytest.raises(CheckpointError, match="have to run code"):
        read_checkpoint("evil.ckpt")
    assert not (tmp_path / "pwned").exists()


def model() -> SignAttention:
    facts = {"corpus": "Mine", "language": "de", "sign_language": "gsg", "feature_dim": 3}
    made = SignAttention(modality="features", codecs={"gloss": WordCodec(["A"]).to_dict()}, facts=facts)
    made.configure_model()
    return made


def test_a_pretrained_folder_goes_there_and_back(tmp_path):
    original = model()
    folder = original.save_pretrained(tmp_path / "mine")
    assert sorted(p.name for p in folder.iterdir()) == ["config.yaml", "model.safetensors"]
    for again in (load(folder), SignAttention.from_pretrained(folder)):
        assert again.hparams == original.hparams and not again.training
        assert all(torch.equal(a, b) for a, b in zip(again.parameters(), original.parameters(), strict=True))


def test_a_folder_that_holds_nothing_downloads_nothing(tmp_path):
    for path in (tmp_path, tmp_path / "facebook"):
        with pytest.raises(CheckpointError) as error:
            SignAttention.from_pretrained(path)
        assert "nothing is downloaded" in str(error.value)


def test_an_unknown_class_is_not_imported(tmp_path):
    folder = model().save_pretrained(tmp_path)
    config = folder / "config.yaml"
    for name in ("antigravity.Model", "slt_zoo.errors.SLTError", "slt_zoo.models.sign_attention.Nobody"):
        config.write_text(config.read_text().replace("slt_zoo.models.sign_attention.SignAttention", name))
        with pytest.raises(CheckpointClassError):
            load(folder)
        config.write_text(config.read_text().replace(name, "slt_zoo.models.sign_attention.SignAttention"))


def test_initialising_from_a_pretrained_folder_is_recorded_and_not_repeated(tmp_path):
    first = model()
    folder = first.save_pretrained(tmp_path / "mine")
    facts, codecs = first.hparams["facts"], first.hparams["codecs"]
    second = SignAttention(
        modality="features", facts=facts, codecs=codecs, init_from=[InitFrom(str(folder), {"net.": "net."})]
    )
    assert second.hparams["init_from"] == [{"path": str(folder), "map": {"net.": "net."}, "unused": [], "fresh": []}]
    second.configure_model()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert second.hparams["init_from"] is None and second.hparams["initialised_from"][0]["path"] == str(folder)


def test_hyper_parameters_are_plain_data():
    assert plain_data("x", {"a": (1, {2}), "b": InitFrom("p", {})}) == {
        "a": [1, [2]],
        "b": {"path": "p", "map": {}, "unused": [], "fresh": []},
    }
    with pytest.raises(ConfigError, match="'x' is no plain data"):
        plain_data("x", [nn.Linear(1, 1)])
