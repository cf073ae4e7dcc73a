"""`SLTModule`: what all papers share, once.

A paper writes ``input_spec``, ``build``, ``losses`` and, if it translates, ``translate``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from slt_zoo import loading
from slt_zoo._version import __version__
from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.draws import draws
from slt_zoo.errors import CheckpointMismatchError, ConfigError, SLTError
from slt_zoo.loading import InitFrom
from slt_zoo.metrics import ScoredSplit, gather_first
from slt_zoo.models.evaluation import MAIN, SplitEvaluation
from slt_zoo.text import TextCodec, WordCodec, check_reachable, codec_from_dict
from slt_zoo.text.normalise import Normaliser, TextRules, check_rule
from slt_zoo.types import Batch, DataFacts, InputSpec, Losses, Prediction, Sample, Split

__all__ = ["SLTModule"]

# what is logged under these names was summed or gathered over all processes before
warnings.filterwarnings("ignore", message=r"It is recommended to use `self.log\('(dev|test)/.*sync_dist=True")


class SLTModule(LightningModule):
    """Base of every model.

    The network is built in `configure_model`, when the vocabulary is known; it is ``self.net`` and works without
    Lightning. Hyper-parameters are plain data, vocabulary included: a checkpoint is complete in itself and loads
    with ``weights_only=True``.

    Args:
        optimizer: makes the optimizer of the parameter groups.
        lr_scheduler: makes its schedule; stepped each epoch, or each step where the class has
            ``interval = "step"``.
        init_from: weights of earlier phases.
        protocol: how hypotheses are scored; the corpus's own by default, ``gloss`` where glosses are the target.
        codecs: vocabularies as plain data; read from the training data, or from a checkpoint.
        facts: `DataFacts` as plain data; likewise.
        normalise_text: what the model sees of texts, in the data's language (``{final_stop: " ."}``, see `Normaliser`);
            undone in its output, and no change to references. It is part of the vocabulary, which later phases take
            over. None: texts as annotated, or as an earlier phase had them.
        allow_unreachable: train although the tokenizer cannot represent characters of some references, which then can
            never be right.
        initialised_from: path and SHA-256 of the weights that ``init_from`` brought; recorded, never given.
    """

    target: Literal["text", "gloss"] = "text"
    """What ``translate`` gives and is scored against."""

    translates: ClassVar[bool] = True
    """Whether evaluation decodes; a pretraining phase says no and is scored by its losses."""

    recorded: ClassVar[tuple[str, ...]] = ()
    """Further hyper-parameters that `read_data` fills in; a checkpoint's values replace them."""

    net: nn.Module
    codecs: dict[str, TextCodec]

    def __init__(
        self,
        *,
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=1e-3),
        lr_scheduler: LRSchedulerCallable | None = None,
        init_from: list[InitFrom] | None = None,
        protocol: str | None = None,
        codecs: dict[str, Any] | None = None,
        facts: dict[str, Any] | None = None,
        normalise_text: TextRules | None = None,
        allow_unreachable: bool = False,
        initialised_from: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__()
        # the frames of all subclasses are read here, so that no paper has to call this
        self.save_hyperparameters(ignore=["optimizer", "lr_scheduler"])
        for name, value in self.hparams.items():
            self.hparams[name] = loading.plain_data(name, value)
        loading.check_choices(type(self), self.hparams)
        self.optimizer, self.lr_scheduler = optimizer, lr_scheduler
        self.codecs = {}
        self.scored: dict[Split, ScoredSplit] = {}
        self.measured: dict[Split, dict[str, float]] = {}
        """Mean losses and measures of each evaluated split."""
        self.skipped: dict[str, str] = {}
        """Training samples that were left out, and why: missing at setup, or unreadable later."""
        self._evaluation: SplitEvaluation | None = None
        self._steps = 0

    # What a paper writes.

    @property
    def input_spec(self) -> InputSpec:
        """What the model needs from the data, its transforms included."""
        return InputSpec()

    def build(self) -> nn.Module:
        """Make the network of the hyper-parameters, ``self.codecs`` and ``self.facts``."""
        raise NotImplementedError

    def load_pretrained(self) -> list[dict[str, str]]:
        """Load foreign weights (of a language model, an image encoder) into the new network.

        Called once, after `build` and before ``init_from``; never where a checkpoint follows.

        Returns:
            A record of each source, at least its ``path`` and ``sha256``.
        """
        return []

    def adapt(self) -> None:
        """Decide what of the network is trained: freeze parts, add low-rank updates.

        Called once, when weights of other runs are there, and likewise where a checkpoint follows.
        """

    def losses(self, batch: Batch) -> Losses:
        """Losses of a batch; no logging, no moving between devices."""
        raise NotImplementedError

    def translate(self, batch: Batch) -> list[str]:
        """One hypothesis a sample; called without gradients and in eval mode."""
        raise NotImplementedError

    def make_codecs(self, samples: Sequence[Sample]) -> dict[str, TextCodec]:
        """Vocabularies from the training samples; a word vocabulary of the target, named after it, by default."""
        return {self.target: WordCodec.fit(self.target_of(s) for s in samples)}

    def read_data(self, data: SLTDataModule) -> None:
        """Record in ``hparams`` what the network's size depends on; called once, before `build`."""
        self.hparams["facts"] = asdict(data.facts())
        samples, rule = list(data.manifest("train")), self._rule()
        samples = samples if rule is None else [replace(s, text=rule.apply(s.text)) for s in samples]
        codecs = {name: codec.to_dict() for name, codec in self.make_codecs(samples).items()}
        if rule is not None and "text" in codecs:
            codecs["text"].setdefault("normaliser", rule.to_dict())
        self.hparams["codecs"] = codecs

    def param_groups(self) -> Iterable[Any]:
        """What the optimizer gets: parameters, or groups of them."""
        return [p for p in self.parameters() if p.requires_grad]

    def evaluate(self, batch: Batch) -> tuple[Losses, dict[str, list[str]]]:
        """Losses and hypotheses by name, the main ones under ``""``; a model may share its encoder between them."""
        losses = self.losses(batch)
        return losses, ({MAIN: self.translate(batch), **self.extra_hypotheses(batch)} if self.translates else {})

    def extra_hypotheses(self, batch: Batch) -> dict[str, list[str]]:
        """Further hypotheses by name, scored beside the main ones (``dev/<name>/bleu4``)."""
        return {}

    def measure(self, split: Split, kept: Mapping[str, Any]) -> dict[str, float]:
        """Scores of a whole split that are no mean over its clips, by name; logged as ``dev/<name>``.

        Args:
            split: which one.
            kept: what `losses` kept of each clip, by id, of all processes.
        """
        return {}

    def decoding_settings(self) -> dict[str, Any]:
        """How `translate` decodes; written beside every score."""
        return {}

    def target_of(self, sample: Sample) -> str:
        """The string that the model is to produce."""
        return sample.text if self.target == "text" else " ".join(sample.gloss or ())

    def targets(self, batch: Batch) -> list[str]:
        """`target_of` for a batch."""
        return batch.text if self.target == "text" else [" ".join(g or ()) for g in batch.gloss]

    def references_of(self, sample: Sample) -> tuple[str, ...]:
        """What a hypothesis is scored against."""
        return sample.references if self.target == "text" else (self.target_of(sample),)

    def mean(self, total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """``total / count`` over all processes of a training step.

        DDP averages gradients over processes; a mean over each one's own tokens would weigh a token by how few its
        process has. With the shared count two processes give what one with both batches gives.

        Args:
            total: ``()``, a sum over this process's tokens (or whatever is counted).
            count: ``()``, how many there are.
        """
        if self.training and self._trainer is not None and self._trainer.world_size > 1:
            count = self._trainer.strategy.reduce(count.detach().clone().float(), reduce_op="mean")
        return total / count

    def draws(self, seed: int, sample_id: str) -> np.random.Generator:
        """What a model draws at random for a sample: by seed, epoch and id, whatever batch or process it is in.

        Outside of training the epoch is 0, in training it counts from 1, so that no epoch draws as an evaluation does.

        Args:
            seed: a hyper-parameter of the model, at least 0; with several kinds of draws, one each.
            sample_id: of the sample.
        """
        return draws(seed, self.current_epoch + 1 if self.training else 0, sample_id)

    @property
    def trained_steps(self) -> int:
        """Optimizer steps behind the weights, for losses that change with them.

        Unlike Lightning's ``global_step`` it is not 0 when a checkpoint is evaluated.
        """
        trainer = self._trainer
        return self.global_step if trainer is not None and trainer.state.fn == TrainerFn.FITTING else self._steps

    # Construction.

    @property
    def facts(self) -> DataFacts:
        """What was recorded of the data."""
        return DataFacts(**self.hparams["facts"])

    def _rule(self) -> Normaliser | None:
        rules = self.hparams["normalise_text"]
        return None if rules is None else TextRules.of(rules, self.facts.language)

    def configure_model(self) -> None:
        """Vocabulary, network, weights of earlier phases; once.

        Raises:
            ConfigError: there is neither data nor a vocabulary.
        """
        if hasattr(self, "net"):
            return
        if self.hparams.get("codecs") is None:
            with torch.device("cpu"):  # Lightning builds networks on the device; annotation is read where it is
                self.read_data(self.data())
        sources = [InitFrom(**s) for s in self.hparams.get("init_from") or []]
        if self.hparams.get("initialised_from") is None:
            for source in sources:  # rows of an earlier phase's embedding mean what they meant there
                theirs = source.codecs()
                self.hparams["codecs"] |= {n: theirs[n] for n in theirs.keys() & self.hparams["codecs"].keys()}
        if (rule := self._rule()) is not None:
            check_rule(rule, self.hparams["codecs"])
        self.codecs = {name: codec_from_dict(d) for name, d in self.hparams["codecs"].items()}
        self.net = self.build()
        records = self.hparams.get("initialised_from")
        try:
            if records is None:
                records = [*self.load_pretrained(), *(source.load_into(self) for source in sources)]
            self.adapt()
        except Exception:
            del self.net  # a network that is half what was asked for must not be trained by the next call
            raise
        # a checkpoint of this run holds these weights itself
        self.hparams["initialised_from"], self.hparams["init_from"] = records, None

    def prepare(self, data: SLTDataModule) -> Self:
        """Build the network for a corpus without a trainer; gives the model back."""
        data.bind(self.input_spec, ["train"], type(self).__name__)
        if self.hparams.get("codecs") is None:
            self.read_data(data)
        self.configure_model()
        return self

    def adopt(self, checkpoint: Mapping[str, Any]) -> None:
        """Take what a checkpoint recorded of its data, before the network is built for its weights.

        Raises:
            CheckpointClassError: it holds another model.
            CheckpointMismatchError: it has another target.
        """
        loading.check_class(checkpoint, self.class_name())
        given = checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {})
        target = given.get("target", self.target)
        if target != self.target:
            raise CheckpointMismatchError(
                f"the checkpoint was trained to write {target}, this {type(self).__name__} is to write {self.target}",
                todo=f"pass --model.target {target}, or the config.yaml that lies beside the checkpoint",
            )
        for name in ("codecs", "facts", *self.recorded):
            if given.get(name) is not None:
                self.hparams[name] = given[name]
        self.hparams["initialised_from"], self.hparams["init_from"] = given.get("initialised_from") or [], None

    def configure_optimizers(self) -> Any:
        """The optimizer of `param_groups` and its schedule."""
        optimizer = self.optimizer(self.param_groups())
        if self.lr_scheduler is None:
            return optimizer
        scheduler = self.lr_scheduler(optimizer)
        settings: dict[str, Any] = {"scheduler": scheduler, "interval": getattr(scheduler, "interval", "epoch")}
        if isinstance(scheduler, ReduceLROnPlateau):
            settings["monitor"] = getattr(scheduler, "monitor", "dev/loss")
        return {"optimizer": optimizer, "lr_scheduler": settings}

    # The four steps.

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Losses, logged a step."""
        self.skipped = {**batch.skipped, **self.skipped} if batch.skipped else self.skipped
        losses = self.losses(batch)
        terms = {f"train/{name}": value.detach() for name, value in losses.terms.items()}
        self.log_dict({"train/loss": losses.total.detach(), **terms}, batch_size=len(batch))
        self.log("loss", losses.total.detach(), prog_bar=True, logger=False, batch_size=len(batch))
        return losses.total

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Losses and hypotheses of the development split."""
        self._evaluate("dev", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Losses and hypotheses of the test split."""
        self._evaluate("test", batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> list[Prediction]:
        """Hypotheses; references are beside them where the corpus has some."""
        data = getattr(self.trainer, "datamodule", None)
        known = data.manifest(data.predict_split) if isinstance(data, SLTDataModule) else None
        return [
            Prediction(
                sample_id,
                hypothesis,
                () if known is None else self.references_of(known.by_id(sample_id)),
            )
            for sample_id, hypothesis in zip(batch.id, self.translate(batch), strict=True)
        ]

    def on_fit_start(self) -> None:
        """Take over what setup left out; refuse a vocabulary with which references can never be written."""
        if isinstance(data := getattr(self.trainer, "datamodule", None), SLTDataModule):
            self.skipped = {**data.skipped.get("train", {}), **self.skipped}
        codec = self.codecs.get(self.target)
        if codec is not None and self.translates:
            splits = {split: self.data().manifest(split) for split in ("train", "dev")}
            references = {split: [r for s in m for r in self.references_of(s)] for split, m in splits.items()}
            check_reachable(codec, references, allow=self.hparams["allow_unreachable"])

    def on_train_end(self) -> None:
        """Remember how far the weights have come, for a trainer that only evaluates."""
        self._steps = self.global_step

    def on_validation_epoch_start(self) -> None:
        """Forget what an interrupted evaluation left."""
        self._evaluation = None

    def on_test_epoch_start(self) -> None:
        """Forget what an interrupted evaluation left."""
        self._evaluation = None

    def on_validation_epoch_end(self) -> None:
        """Score the development split."""
        self._finish("dev")

    def on_test_epoch_end(self) -> None:
        """Score the test split."""
        self._finish("test")

    def _evaluate(self, split: Split, batch: Batch) -> None:
        self._evaluation = self._evaluation or SplitEvaluation(self, split)
        self._evaluation.add(batch.id, *self.evaluate(batch))

    def _finish(self, split: Split) -> None:
        evaluation, self._evaluation = self._evaluation or SplitEvaluation(self, split), None
        self.skipped = gather_first(self.skipped)
        scored = evaluation.finish()
        if scored is not None:
            self.scored[split] = scored

    def protocol(self) -> str:
        """Name of the protocol that hypotheses are scored by."""
        own = self.hparams.get("protocol")
        return cast(str, own or ("gloss" if self.target == "gloss" else self.data().protocol))

    def data(self) -> SLTDataModule:
        """The corpus of the trainer.

        Raises:
            ConfigError: there is no trainer, or it has none.
        """
        trainer = self._trainer
        data = getattr(trainer, "datamodule", None) if trainer is not None else None
        if not isinstance(data, SLTDataModule):
            raise ConfigError(
                f"{type(self).__name__} has no data to learn its vocabulary from or to be scored on",
                todo="give trainer.fit(model, datamodule=...) a corpus of slt_zoo, load a checkpoint, "
                "or call model.prepare(datamodule)",
            )
        return data

    # Checkpoints.

    @classmethod
    def class_name(cls) -> str:
        """Name under which files record the class."""
        return f"{cls.__module__}.{cls.__qualname__}"

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Record the class, so that no other can load it by mistake, and which samples were skipped."""
        own = {"class": self.class_name(), "version": __version__, "skipped": dict(self.skipped)}
        checkpoint[loading.CLASS_KEY] = own

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights of another class or shape before anything is changed.

        Raises:
            CheckpointClassError: they are of another class.
            CheckpointMismatchError: names or shapes differ; hyper-parameters that differ are told.
        """
        loading.check_class(checkpoint, self.class_name())
        self._steps = int(checkpoint.get("global_step", 0))
        self.skipped = {**checkpoint[loading.CLASS_KEY].get("skipped", {}), **self.skipped}
        given = checkpoint.get("state_dict")
        if given is None:
            return  # sharded strategies load strictly themselves
        theirs = checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {})
        loading.check_weights(type(self).__name__, given, self.state_dict(), theirs, self.hparams)

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, *args: Any, **kwargs: Any) -> Self:
        """Lightning's, with ``weights_only=True``.

        Raises:
            CheckpointError: there is no such file, or it is no checkpoint.
        """
        try:
            return super().load_from_checkpoint(checkpoint_path, *args, **{"weights_only": True, **kwargs})
        except SLTError:
            raise
        except Exception:
            loading.read_checkpoint(checkpoint_path)  # says what is wrong, if it is the file
            raise

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write weights (safetensors) and hyper-parameters (YAML); `from_pretrained` reads them."""
        plain = {k: loading.plain_data(k, v) for k, v in self.hparams.items()}
        config: dict[str, Any] = {"class": self.class_name(), "version": __version__, "hyper_parameters": plain}
        config["trained_steps"] = self.trained_steps
        return loading.write_pretrained(folder, self, config)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """The model of a `save_pretrained` folder, in eval mode; nothing is downloaded."""

        def build(config: dict[str, Any]) -> SLTModule:
            model = cls(**config["hyper_parameters"])
            model.configure_model()
            model._steps = config.get("trained_steps", 0)
            return model

        return cast(Self, loading.read_pretrained(folder, build, cls.class_name()))
