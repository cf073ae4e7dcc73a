"""Callbacks on a small module, through a real Trainer."""

from __future__ import annotations

import json
import logging
import signal
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from torch.utils.data import DataLoader

from slt_zoo.callbacks import (
    NonFiniteLossError,
    NonFiniteLossGuard,
    PredictionWriter,
    SampleTable,
    SaveOnInterrupt,
    load_predictions,
)
from slt_zoo.errors import ConfigError
from slt_zoo.metrics import ScoredSplit, load_scores, score
from slt_zoo.types import Prediction

REFERENCES = {"b": "am abend | regnet es", "a": "morgen <b> sonne", "c": "wind [kalt]"}


class Parrot(LightningModule):
    """Says the reference from its second validation on; keeps ``scored`` as SLTModule does."""

    def __init__(self, bad_step: int | None = None, translates: bool = True) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.bad_step, self.translates = bad_step, translates
        self.validations = 0
        self.scored = {}

    def training_step(self, batch, batch_idx):
        loss = self.layer(batch.x).square().mean()
        if self.trainer.global_step == self.bad_step:
            loss = loss * float("nan")
        self.log_dict({"train/loss": loss, "train/ce": loss}, batch_size=len(batch.id))
        return loss

    def validation_step(self, batch, batch_idx):
        pass

    def test_step(self, batch, batch_idx):
        pass

    def predict_step(self, batch, batch_idx):
        return [Prediction(i, i.upper()) for i in batch.id]

    def on_validation_epoch_end(self):
        self.keep("dev", REFERENCES if self.validations else dict.fromkeys(REFERENCES, "wind"))
        self.validations += 1

    def on_test_epoch_end(self):
        self.keep("test", dict.fromkeys(REFERENCES, "sonne"))

    def keep(self, split, hypotheses):
        if self.translates:
            predictions = [Prediction(i, hypotheses[i], (r,)) for i, r in REFERENCES.items()]
            self.scored[split] = ScoredSplit(predictions, score(hypotheses, REFERENCES, "strict"), complete=False)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def batches():
    data = [SimpleNamespace(id=[f"clip{i}", f"clip{i + 1}"], x=torch.ones(2, 1)) for i in range(0, 6, 2)]
    return DataLoader(data, batch_size=None)


def trainer(root, callbacks, logger=False, **options):
    options = {
        "max_epochs": 2,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
    } | options
    return Trainer(
        default_root_dir=root,
        callbacks=callbacks,
        logger=logger,
        enable_checkpointing=False,
        log_every_n_steps=1,
        **options,
    )


def test_prediction_writer_writes_dev_and_test(tmp_path):
    module = Parrot()
    fit = trainer(tmp_path, [PredictionWriter()], num_sanity_val_steps=0)
    fit.fit(module, batches(), batches())
    dev = load_predictions(tmp_path / "predictions" / "dev.jsonl")
    assert dev == module.scored["dev"].predictions
    assert {p.id: p.hypothesis for p in dev} == REFERENCES  # the newest validation's
    trainer(tmp_path, [PredictionWriter()]).test(module, batches(), verbose=False)
    scores = load_scores(tmp_path / "scores.json")
    assert set(scores) == {"dev", "test"}
    extra = {split: {k: v for k, v in scores[split].extra.items() if k != "bootstrap"} for split in scores}
    assert extra == {"dev": {"complete": False, "step": 6}, "test": {"complete": False}}
    assert scores["test"].values == module.scored["test"].report.values
    assert [p.hypothesis for p in load_predictions(tmp_path / "predictions" / "test.jsonl")] == ["sonne"] * 3


def test_what_is_measured_is_written_without_translations_too(tmp_path):
    model = Parrot(translates=False)
    model.measured = {"dev": {"loss": 0.5, "v2t_r1": 1.0}, "test": {"v2t_r1": float("nan")}}
    run = trainer(tmp_path, [PredictionWriter()])
    run.fit(model, batches(), batches())
    run.test(model, batches())
    found = json.loads((tmp_path / "measures.json").read_text("utf-8"))
    assert found == {"dev": {"loss": 0.5, "v2t_r1": 1.0, "step": run.global_step}, "test": {"v2t_r1": None}}
    assert not (tmp_path / "scores.json").exists()


def test_prediction_writer_says_nothing_in_the_sanity_check(tmp_path):
    module = Parrot()
    fit = trainer(tmp_path, [PredictionWriter(), SampleTable()], max_epochs=1, limit_val_batches=0)
    fit.sanity_checking = True
    module.keep("dev", REFERENCES)
    for callback in fit.callbacks:
        callback.on_validation_end(fit, module)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"translates": False}, {}])
def test_nothing_is_written_without_translations_or_in_a_dry_run(tmp_path, options):
    dry = not options
    fit = trainer(tmp_path, [PredictionWriter()], fast_dev_run=dry)
    fit.fit(Parrot(**options), batches(), batches())
    assert not list(tmp_path.iterdir())


def test_prediction_writer_writes_predictions(tmp_path):
    predict = trainer(tmp_path / "elsewhere", [PredictionWriter(folder=str(tmp_path / "run"))])
    predict.predict(Parrot(), batches(), return_predictions=False)
    written = load_predictions(tmp_path / "run" / "predictions" / "predict.jsonl")
    assert written == [Prediction(f"clip{i}", f"CLIP{i}") for i in range(6)]
    assert not (tmp_path / "run" / "scores.json").exists()
    # with a data module the file has the name of its split
    predict.datamodule = SimpleNamespace(predict_split="dev")
    callback = PredictionWriter(folder=str(tmp_path / "run"))
    callback.on_predict_batch_end(predict, Parrot(), [Prediction("x", "y")], None, 0)
    callback.on_predict_end(predict, Parrot())
    assert load_predictions(tmp_path / "run" / "predictions" / "dev.jsonl") == [Prediction("x", "y")]


def test_predictions_of_a_wrong_type_are_refused(tmp_path):
    module = Parrot()
    module.predict_step = lambda batch, batch_idx: ["a string"]
    with pytest.raises(ConfigError, match="predict_step"):
        trainer(tmp_path, [PredictionWriter()]).predict(module, batches())


@pytest.mark.parametrize("callback", [PredictionWriter(), SampleTable()])
def test_a_module_without_scores_is_refused(tmp_path, callback):
    module = Parrot()
    del module.scored
    module.translates = False
    with pytest.raises(ConfigError, match="SLTModule"):
        trainer(tmp_path, [callback], num_sanity_val_steps=0).fit(module, batches(), batches())


def test_guard_stops_before_the_weights_are_hurt(tmp_path):
    module = Parrot(bad_step=4)
    with pytest.raises(NonFiniteLossError, match=r"(?s)nan.*step 4, epoch 1, batch 1.*train/ce.*clip2, clip3"):
        trainer(tmp_path, [NonFiniteLossGuard()]).fit(module, batches())
    assert all(torch.isfinite(p).all() for p in module.parameters())
    record = json.loads((tmp_path / "nonfinite.json").read_text())
    assert record == {
        "step": 4,
        "epoch": 1,
        "batch": 1,
        "rank": 0,
        "loss": "nan",
        "terms": {"train/loss": "nan", "train/ce": "nan"},
        "ids": ["clip2", "clip3"],
    }


def test_guard_lets_finite_losses_pass(tmp_path):
    fit = trainer(tmp_path, [NonFiniteLossGuard()])
    fit.fit(Parrot(), batches())
    assert fit.global_step == 6
    assert not (tmp_path / "nonfinite.json").exists()


def test_an_interrupt_leaves_a_checkpoint_that_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # Lightning would leave the test deaf to Ctrl-C
    whole, interrupted, resumed = Parrot(), Parrot(), Parrot()
    for module in (interrupted, resumed):
        module.load_state_dict(whole.state_dict())
    trainer(tmp_path, []).fit(whole, batches())

    def interrupt(batch, batch_idx):
        if interrupted.global_step == 4:
            raise KeyboardInterrupt
        return Parrot.training_step(interrupted, batch, batch_idx)

    interrupted.training_step = interrupt
    with pytest.raises(SystemExit):
        trainer(tmp_path, [SaveOnInterrupt()]).fit(interrupted, batches())
    again = trainer(tmp_path, [])
    again.fit(resumed, batches(), ckpt_path=tmp_path / "last.ckpt")
    assert again.global_step == 6
    assert torch.equal(resumed.layer.weight, whole.layer.weight)
    assert not torch.equal(interrupted.layer.weight, whole.layer.weight)


def test_errors_and_interrupted_tests_leave_none(tmp_path):
    fit = trainer(tmp_path, [NonFiniteLossGuard(), SaveOnInterrupt()])
    with pytest.raises(NonFiniteLossError):
        fit.fit(Parrot(bad_step=2), batches())
    test = trainer(tmp_path, [])
    test.state.fn = TrainerFn.TESTING
    SaveOnInterrupt().on_exception(test, Parrot(), KeyboardInterrupt())
    assert not (tmp_path / "last.ckpt").exists()


def test_sample_table_in_tensorboard_is_of_the_first_ids(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path, name="", version="")
    fit = trainer(tmp_path, [SampleTable(num_samples=2)], logger, num_sanity_val_steps=0)
    fit.fit(Parrot(), batches(), batches())
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tables = events.Tensors("dev/samples/text_summary")
    assert [t.step for t in tables] == [3, 6]
    assert tables[-1].tensor_proto.string_val[0].decode().split("\n") == [
        "| id | reference | hypothesis |",
        "| --- | --- | --- |",
        r"| a | morgen &lt;b> sonne | morgen &lt;b> sonne |",
        r"| b | am abend \| regnet es | am abend \| regnet es |",
    ]


def test_sample_table_in_weights_and_biases(tmp_path):
    logger = WandbLogger(save_dir=tmp_path, offline=True)
    trainer(tmp_path, [SampleTable()], logger, max_epochs=1, num_sanity_val_steps=0).fit(Parrot(), batches(), batches())
    logger.experiment.finish()
    (table,) = tmp_path.glob("wandb/offline-run-*/files/media/table/dev/samples_*.table.json")
    written = json.loads(table.read_text())
    assert written["columns"] == ["id", "reference", "hypothesis"]
    assert written["data"] == [[i, REFERENCES[i], "wind"] for i in "abc"]


def test_sample_table_with_a_csv_logger_and_on_the_console(tmp_path, capsys):
    logger = CSVLogger(tmp_path, name="", version="")
    callback = SampleTable(num_samples=1, console=True)
    trainer(tmp_path, [callback], logger, num_sanity_val_steps=0).fit(Parrot(), batches(), batches())
    shown = capsys.readouterr().out
    assert "dev samples at step 6" in shown
    assert "morgen <b> sonne" in shown
    assert "abend" not in shown


def test_sample_table_needs_samples():
    with pytest.raises(ConfigError, match="num_samples"):
        SampleTable(num_samples=0)


logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
