"""The paper of docs/add_a_paper.md is one: it keeps a part of the contract that shows all of its pieces."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from slt_zoo.testing import ModelContract, quick_trainer, simulated
from slt_zoo.text.mbart import MBartSizes

__all__ = ["simulated"]  # a fixture

PAGE = Path(__file__).resolve().parents[1] / "docs/add_a_paper.md"
TINY = MBartSizes(d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn=64, decoder_ffn=64, dropout=0.0, seed=0)


@pytest.fixture
def contract(tmp_path, monkeypatch):
    code = next(c for c in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S) if "PosesToText(" in c)
    (tmp_path / "poses_to_text.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import poses_to_text  # type: ignore[import-not-found]  # written a line above

    class Contract(ModelContract):
        __test__ = False
        model_class = poses_to_text.PosesToText
        arguments: ClassVar = {"mbart": TINY, "dropout": 0.0, "beam_size": 1, "max_new_tokens": 30}

    return Contract()


def test_a_step_reaches_everything_and_a_batch_is_its_clips(contract, simulated):
    data = contract.make_data(simulated)
    contract.test_a_training_step_is_finite_and_reaches_every_parameter(data)
    contract.test_a_batch_equals_its_clips_alone(data)


def test_it_trains_and_translates(contract, simulated, tmp_path):
    data = contract.make_data(simulated)
    torch.manual_seed(0)
    model, trainer = contract.make_model(stride=2), quick_trainer(tmp_path, max_steps=4)
    trainer.fit(model, datamodule=data)
    assert len(model.scored["dev"].predictions) == 4 and "dev/bleu4" in trainer.callback_metrics
