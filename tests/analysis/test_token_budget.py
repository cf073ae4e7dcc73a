"""`slt-zoo bench tokens`: what is counted is what it says, and its numbers fit each other."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

from slt_zoo.analysis.token_budget import BudgetSizes, activation_bytes, token_budget
from slt_zoo.cli import main
from slt_zoo.cli.bench_tokens import SIZES, TOKENIZATIONS
from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.testing import simulated
from slt_zoo.types import Batch, Losses

__all__ = ["simulated"]  # a fixture

SMALL = BudgetSizes(
    clips=2, frame_size=32, encoder="test_resnet.r160_in1k", width=32, layers=1, heads=2, ffn=64, vocabulary=80
)


class Toy(nn.Module):
    """Keeps for the backward pass what can be counted by hand."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 16, bias=False), nn.Linear(16, 4, bias=False)

    def losses(self, batch: Any) -> Losses:
        hidden = self.first(batch.features.values).exp()  # exp keeps its result, second its input: one storage
        with torch.no_grad():
            hidden.new_zeros(1000).exp()
        return Losses(self.second(hidden).sigmoid().sum(), {})


def test_bytes_counted_by_hand():
    from slt_zoo.types import Ragged

    none = [None] * 2
    rows = Ragged(torch.randn(10, 8), torch.tensor([4, 6]))
    batch = Batch(["a", "b"], ["", ""], ["de", "de"], none, none, none, features=rows)
    toy = Toy()
    # (10, 16) of exp and (10, 4) of sigmoid; neither the batch, which `first` keeps, nor weights
    assert activation_bytes(toy, batch) == (4 * (160 + 40), 0)
    assert activation_bytes(toy, batch, toy.second) == (4 * (160 + 40), 0), "exp's result was there before"
    assert not toy.first._forward_hooks and not toy.second._forward_hooks


@pytest.fixture(scope="module")
def found(simulated):
    from slt_zoo import Phoenix14T

    root = simulated("Phoenix14T", samples=(3, 1, 1), render=("frames",), frame_size=(32, 32), seed=5)
    return token_budget(sizes=SMALL, seconds=0.1, corpus=lambda: Phoenix14T(str(root), segments="labels"))


def test_lengths_are_those_of_the_schemes(found):
    for stage in ("1", "2"):
        rows = found["stages"][stage]["rows"]
        assert list(rows) == list(TOKENIZATIONS)
        assert rows["maxpool"]["frames_read"] == rows["window"]["frames_read"] == found["frames"]
        assert rows["stride"]["tokens"] == rows["uniform"]["tokens"] == rows["stride"]["frames_read"]
        assert rows["segment"]["frames_read"] < found["frames"]
        for row in rows.values():
            assert row["ratio"] == pytest.approx(row["tokens"] / found["frames"])
    assert found["stages"]["1"]["rows"]["segment"]["tokens"] == found["stages"]["2"]["rows"]["segment"]["tokens"]


def test_memory_grows_with_the_frames_that_are_read(found):
    for stage in found["stages"].values():
        rows = stage["rows"]
        for row in rows.values():
            assert 0 < row["encoder_bytes"] < row["activation_bytes"] < row["peak_bytes"]
            assert row["step_ms"] > 0 and row["rounds"] == 3
        per_frame = [row["encoder_bytes"] / row["frames_read"] for row in rows.values()]
        assert max(per_frame) == pytest.approx(min(per_frame), rel=0.01), "the encoder sees each frame alone"
        assert rows["segment"]["activation_bytes"] < rows["maxpool"]["activation_bytes"]
        kept = rows["segment"]["activation_bytes"] / rows["maxpool"]["activation_bytes"]
        assert stage["ratios"]["activation_bytes"] == pytest.approx(kept)


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"tokenizations": ["segmnt"]}, UnknownNameError, "segment"),
        ({"stages": [3]}, UnknownNameError, "unknown stage '3'"),
        ({"stages": []}, ConfigError, "0 stages"),
        ({"sizes": BudgetSizes(clips=1)}, ConfigError, "1 clips"),
        ({"seconds": 0.0}, ConfigError, "0 s"),
    ],
    ids=["way", "stage", "no_stage", "one_clip", "no_time"],
)
def test_what_cannot_be_measured(arguments, error, told):
    with pytest.raises(error, match=told):
        token_budget(**arguments)


def test_a_corpus_that_is_too_small(simulated):
    from slt_zoo import Phoenix14T

    root = simulated("Phoenix14T", samples=(3, 1, 1), render=("frames",), frame_size=(32, 32), seed=5)
    with pytest.raises(ConfigError, match="fewer samples than the batch"):
        token_budget(corpus=lambda: Phoenix14T(str(root), segments="labels"))


def test_options_have_the_defaults_of_the_sizes():
    assert {name: default for name, (_, default, _) in SIZES.items()} == vars(BudgetSizes())


def small_words():
    values = {**vars(SMALL), "vocabulary": 80}
    return [word for name, value in values.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def test_the_command_on_what_it_makes_itself(capsys):
    words = ["bench", "tokens", *small_words(), "--seconds", "0.1", "--stages", "1"]
    assert main([*words, "--tokenizations", "segment", "maxpool"]) == 0
    said = capsys.readouterr().out
    assert "no sign language" in said and "segment over maxpool: tokens" in said and "stage 2" not in said
    assert main([*words, "--tokenizations", "uniform", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["stages"]["1"]["ratios"] is None and found["simulated"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["bench", "tokens", "--corpus", "Phoenix14T"], "--corpus and --root belong together"),
        (["bench", "tokens", "--segments", "labels"], "--segments and --set are of a corpus"),
        (["bench", "tokens", "--tokenizations", "maxpol"], "did you mean maxpool"),
        (["bench", "--json", "tokens"], "tokens comes before its options"),
    ],
    ids=["root", "segments", "way", "order"],
)
def test_mistakes(words, told, capsys):
    assert main(words) == 2
    assert told in capsys.readouterr().err
