"""Contracts that every model and every corpus keeps; third parties inherit them too.

>>> class TestMine(ModelContract):
...     model_class = MyModel
...     arguments = {"d_model": 16}

needs pytest, which the extra ``dev`` brings.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything

import slt_zoo
from slt_zoo.cli import training
from slt_zoo.data.base import SIMULATED_MARK, SLTDataModule
from slt_zoo.data.official import read_official
from slt_zoo.data.questions import QuestionCorpus
from slt_zoo.errors import CheckpointClassError, CheckpointMismatchError, ConfigError, DatasetError, SLTError
from slt_zoo.metrics import score
from slt_zoo.models.base import SLTModule
from slt_zoo.types import SPLITS, Batch, Clip, Modality, Ragged

__all__ = ["CorpusContract", "ModelContract", "quick_trainer", "simulated"]

Simulated = Callable[..., Path]


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """Makes simulated corpora: ``simulated("Phoenix14T", samples=(12, 4, 4), ...)``; the same call, the same folder."""
    from slt_zoo.synthetic import simulate

    made: dict[str, Path] = {}

    def make(corpus: str, **arguments: Any) -> Path:
        key = json.dumps([corpus, arguments], sort_keys=True, default=str)
        if key not in made:
            made[key] = simulate(corpus, tmp_path_factory.mktemp(corpus.lower()), **arguments)
        return made[key]

    return make


def quick_trainer(folder: Path, **settings: Any) -> Trainer:
    """A silent trainer on one CPU that writes below ``folder``."""
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "default_root_dir": folder,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    return Trainer(**{**defaults, **settings})


class ModelContract:
    """What every model keeps.

    Attributes:
        model_class: the class under test.
        arguments: small sizes for it, dropout 0.
        data_class: a corpus it can work on.
        data_arguments: of the corpus, without root and batch size.
        simulation: arguments of `slt_zoo.synthetic.simulate`.
        overfit_steps: optimizer steps in which 8 clips are learnt by heart (models that translate).
        overfit_rate: learning rate for that.
        equality_rate: learning rate at which two processes are held against one: smaller, where a loss is so steep
            that two steps blow up the rounding of its gradients.
        of_a_batch: scores that depend on how a split is cut into batches, as a contrast within a batch does.
    """

    model_class: type[SLTModule]
    arguments: ClassVar[dict[str, Any]] = {}
    data_class: ClassVar[str] = "Phoenix14T"
    data_arguments: ClassVar[dict[str, Any]] = {}
    simulation: ClassVar[dict[str, Any]] = {"samples": (8, 4, 4), "seed": 3, "difficulty": 0.0}
    overfit_steps: ClassVar[int] = 300
    overfit_rate: ClassVar[float] = 3e-3
    equality_rate: ClassVar[float] = 0.1
    of_a_batch: ClassVar[tuple[str, ...]] = ()

    # What the tests are made of.

    @pytest.fixture
    def data(self, simulated: Simulated) -> SLTDataModule:
        """The corpus, batches of four."""
        return self.make_data(simulated)

    @pytest.fixture(autouse=True)
    def _seed(self) -> None:
        seed_everything(0, verbose=False)

    def make_data(self, simulated: Simulated, **arguments: Any) -> SLTDataModule:
        """The corpus on simulated signing."""
        root = simulated(self.data_class, **self.simulation)
        given = {"batch_size": 4, **self.data_arguments, **arguments}
        data: SLTDataModule = getattr(slt_zoo, self.data_class)(str(root), **given)
        return data

    def make_model(self, **arguments: Any) -> SLTModule:
        """The model at small size."""
        return self.model_class(**{**self.arguments, **arguments})

    def prepared(self, data: SLTDataModule, **arguments: Any) -> SLTModule:
        """The model built for the data, in eval mode."""
        return self.make_model(**arguments).prepare(data).eval()

    def batch(self, data: SLTDataModule, count: int = 4) -> Batch:
        """The first clips of the development split."""
        return Batch.collate(self.clips(data, count))

    def clips(self, data: SLTDataModule, count: int = 4) -> list[Clip]:
        """The first clips of the development split, one by one."""
        data.bind(self.make_model().input_spec, ["dev"])
        dataset: Any = data.loader("dev").dataset
        return [dataset[i] for i in range(count)]

    # Learning.

    def test_a_training_step_is_finite_and_reaches_every_parameter(self, data: SLTDataModule) -> None:
        model = self.prepared(data).train()
        losses = model.losses(self.batch(data))
        losses.total.backward()  # type: ignore[no-untyped-call]
        assert torch.isfinite(losses.total) and all(torch.isfinite(t) for t in losses.terms.values())
        untouched = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert not untouched, f"no gradient reaches {untouched}"

    def test_eight_clips_are_learnt_by_heart(self, simulated: Simulated, tmp_path: Path) -> None:
        if not self.model_class.translates:
            pytest.skip("a pretraining phase translates nothing")
        data = self.make_data(simulated, batch_size=8, predict_split="train")
        model = self.make_model(optimizer=lambda p: torch.optim.AdamW(p, lr=self.overfit_rate))
        trainer = quick_trainer(tmp_path, max_steps=self.overfit_steps, limit_val_batches=0, gradient_clip_val=1.0)
        trainer.fit(model, datamodule=data)
        batches: Any = trainer.predict(model, datamodule=data)
        said = {p.id: p.hypothesis for batch in batches for p in batch}
        references = {s.id: model.references_of(s) for s in data.manifest("train")}
        assert score(said, references, "gloss").values["exact"] == 100, said

    def test_training_in_bfloat16(self, data: SLTDataModule, tmp_path: Path) -> None:
        trainer = quick_trainer(tmp_path, precision="bf16-mixed", max_steps=2, limit_val_batches=1)
        trainer.fit(self.make_model(), datamodule=data)
        assert torch.isfinite(trainer.callback_metrics["train/loss"])

    # Evaluation does not depend on what it should not depend on.

    def test_evaluation_is_deterministic(self, data: SLTDataModule) -> None:
        model = self.prepared(data)
        first, second = (self._outputs(model, self.batch(data)) for _ in range(2))
        assert first == second

    def test_a_batch_equals_its_clips_alone(self, data: SLTDataModule) -> None:
        model, clips = self.prepared(data), self.clips(data)
        together = self._outputs(model, Batch.collate(clips))
        alone = [self._outputs(model, Batch.collate([clip])) for clip in clips]
        assert together["texts"] == [a["texts"][0] for a in alone]

    def test_padding_changes_nothing(self, data: SLTDataModule, monkeypatch: pytest.MonkeyPatch) -> None:
        model, batch = self.prepared(data), self.batch(data)
        with torch.no_grad():
            plain = model.losses(batch)
            original = Ragged.padded

            def longer(ragged: Ragged, fill: float = 0, length: int | None = None) -> Any:
                return original(ragged, fill, (int(ragged.lengths.max()) if length is None else length) + 3)

            monkeypatch.setattr(Ragged, "padded", longer)
            padded = model.losses(batch)
        torch.testing.assert_close(plain.total, padded.total, atol=1e-5, rtol=1e-5)

    def test_scores_do_not_depend_on_how_a_split_is_cut_into_batches(
        self, simulated: Simulated, tmp_path: Path
    ) -> None:
        model = self.make_model(optimizer=lambda p: torch.optim.AdamW(p, lr=self.overfit_rate))
        # a few steps: where nothing is right yet, shares of what is right are 0 however they are weighed
        trainer = quick_trainer(tmp_path, max_steps=10, limit_val_batches=0, gradient_clip_val=1.0)
        trainer.fit(model, datamodule=self.make_data(simulated, batch_size=8))
        found = []
        for size in (4, 3, 1):
            data = self.make_data(simulated, eval_batch_size=size)
            (scores,) = quick_trainer(tmp_path).validate(model, datamodule=data, verbose=False)
            found.append({k: v for k, v in scores.items() if k not in self.of_a_batch})
        assert found[0], "something is scored"
        assert found[1] == pytest.approx(found[0], rel=1e-5, abs=1e-5)
        assert found[2] == pytest.approx(found[0], rel=1e-5, abs=1e-5)

    # Checkpoints.

    def test_a_checkpoint_is_complete_in_itself(self, data: SLTDataModule, tmp_path: Path) -> None:
        model = self.make_model()
        trainer = quick_trainer(tmp_path, max_steps=2, limit_val_batches=0)
        trainer.fit(model, datamodule=data)
        trainer.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
        batch = self.batch(data)
        expected = self._outputs(model.eval(), batch)
        loaded = self.model_class.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True).eval()
        assert self._outputs(loaded, batch) == expected, "load_from_checkpoint, without data"
        assert self._outputs(slt_zoo.load(tmp_path / "a.ckpt"), batch) == expected, "slt_zoo.load"
        folder = loaded.save_pretrained(tmp_path / "pretrained")
        assert self._outputs(self.model_class.from_pretrained(folder), batch) == expected, "from_pretrained"

    def test_resuming_equals_going_on(self, simulated: Simulated, tmp_path: Path) -> None:
        def fit(epochs: int, **more: Any) -> tuple[Trainer, SLTModule]:
            model = self.make_model()
            trainer = quick_trainer(tmp_path, max_epochs=epochs, limit_val_batches=0)
            seed_everything(0, verbose=False)
            trainer.fit(model, datamodule=self.make_data(simulated), **more)
            return trainer, model

        trainer, _ = fit(2)
        trainer.save_checkpoint(tmp_path / "half.ckpt", weights_only=False)
        _, resumed = fit(4, ckpt_path=tmp_path / "half.ckpt", weights_only=True)
        _, whole = fit(4)
        for (name, a), b in zip(whole.named_parameters(), resumed.parameters(), strict=True):
            torch.testing.assert_close(a, b, msg=_about(name), atol=1e-6, rtol=1e-5)

    def test_a_checkpoint_of_another_class_is_refused(self, data: SLTDataModule, tmp_path: Path) -> None:
        trainer = quick_trainer(tmp_path, max_steps=1, limit_val_batches=0)
        trainer.fit(self.make_model(), datamodule=data)
        trainer.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
        checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
        foreign, thinner = copy.deepcopy(checkpoint), copy.deepcopy(checkpoint)
        foreign["slt_zoo"]["class"] = "slt_zoo.models.other.Other"
        name = next(n for n, t in thinner["state_dict"].items() if t.ndim)
        thinner["state_dict"][name] = thinner["state_dict"][name][:0]
        for changed, error in ((foreign, CheckpointClassError), (thinner, CheckpointMismatchError)):
            torch.save(changed, tmp_path / "b.ckpt")
            with pytest.raises(error):
                quick_trainer(tmp_path, max_steps=2).fit(
                    self.make_model(), datamodule=data, ckpt_path=tmp_path / "b.ckpt", weights_only=True
                )

    # Devices.

    def test_two_processes_equal_one(self, simulated: Simulated, tmp_path: Path) -> None:
        def fit(batch_size: int, **settings: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
            seed_everything(0, verbose=False)
            model = self.make_model(optimizer=lambda p: torch.optim.SGD(p, lr=self.equality_rate))
            data = self.make_data(simulated, batch_size=batch_size, eval_batch_size=3)
            model.prepare(data)  # processes that are forked give back weights, not modules
            trainer = quick_trainer(tmp_path, max_steps=2, check_val_every_n_epoch=1, **settings)
            trainer.fit(model, datamodule=data)
            found = {k: v.item() for k, v in trainer.callback_metrics.items() if k.startswith("dev/")}
            scores = {k: v for k, v in found.items() if k not in self.of_a_batch}
            return dict(model.state_dict()), scores

        (one, score_of_one), (two, score_of_two) = fit(4), fit(2, devices=2, strategy="ddp_fork")
        for name, value in one.items():
            torch.testing.assert_close(value, two[name], msg=_about(name), atol=1e-5, rtol=1e-4)
        assert score_of_one.keys() == score_of_two.keys()
        assert score_of_one == pytest.approx(score_of_two, abs=1e-3)

    # What a person reads.

    def test_the_docstring_cites_the_paper_and_names_every_argument(self) -> None:
        text = inspect.getdoc(self.model_class) or ""
        assert "arXiv" in text
        undocumented = [n for n in self._own_arguments() if f"{n}:" not in text]
        assert not undocumented

    def test_help_lists_every_argument(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stop:
            training.main(["fit", f"--model.help={slt_zoo_path(self.model_class)}"])
        assert stop.value.code == 0
        shown = capsys.readouterr().out
        assert not [
            n
            for n in [*self._own_arguments(), "init_from"]
            if f"--model.init_args.{n}" not in shown and f"--model.{n}" not in shown
        ]

    def test_without_data_and_vocabulary_there_is_one_clear_error(self) -> None:
        with pytest.raises(ConfigError, match="vocabulary"):
            self.make_model().configure_model()

    def _own_arguments(self) -> Iterator[str]:
        yield from (n for n in inspect.signature(self.model_class).parameters if n not in ("self", "base", "kwargs"))

    def _outputs(self, model: SLTModule, batch: Batch) -> dict[str, Any]:
        with torch.no_grad():
            losses = model.losses(batch)
            texts = model.translate(batch) if model.translates else [""] * len(batch)
        return {"loss": losses.total.item(), "texts": texts}


def _about(name: str) -> Callable[[str], str]:
    return lambda message: f"{name}: {message}"


def slt_zoo_path(cls: type) -> str:
    """Import path of a class as recipes write it."""
    return f"slt_zoo.{cls.__name__}" if cls.__name__ in slt_zoo._MODELS else f"{cls.__module__}.{cls.__qualname__}"


class CorpusContract:
    """What every corpus keeps, on a simulated tree in its official layout.

    Attributes:
        data_class: name of the corpus.
        modality: of the simulated media.
        data_arguments: of the corpus, without root and batch size, such as ``{"features": "simulated"}``.
        simulation: arguments of `slt_zoo.synthetic.simulate`.
    """

    data_class: ClassVar[str]
    modality: ClassVar[Modality] = "pose"
    data_arguments: ClassVar[dict[str, Any]] = {}
    simulation: ClassVar[dict[str, Any]] = {"samples": (8, 4, 4), "seed": 3, "render": ("pose",)}

    @pytest.fixture
    def root(self, simulated: Simulated) -> Path:
        """The simulated tree; not to be changed."""
        return simulated(self.data_class, **self.simulation)

    def corpus(self, root: Path, **arguments: Any) -> SLTDataModule:
        """The data module on a folder."""
        data: SLTDataModule = getattr(slt_zoo, self.data_class)(str(root), **{**self.data_arguments, **arguments})
        return data

    def clips(self, root: Path, *needs: str, **arguments: Any) -> list[Clip]:
        """The clips of the test split, with what is needed beside the medium."""
        data = self.corpus(root, **arguments)
        data.bind(slt_zoo.InputSpec(modality=self.modality, needs=frozenset(needs)), ["test"])
        dataset: Any = data.loader("test").dataset
        return [dataset[i] for i in range(len(dataset))]

    def spec(self) -> slt_zoo.InputSpec:
        """A model that needs the medium and nothing else."""
        return slt_zoo.InputSpec(modality=self.modality)

    def test_every_split_has_its_samples(self, root: Path) -> None:
        data = self.corpus(root)
        assert tuple(len(data.manifest(s)) for s in SPLITS) == self.simulation["samples"]
        assert len({s.id for split in SPLITS for s in data.manifest(split)}) == sum(self.simulation["samples"])

    def test_references_are_the_annotation(self, root: Path) -> None:
        for sample in self.corpus(root).manifest("test"):
            assert sample.references and sample.references[0] == sample.text and sample.text

    def test_manifests_are_the_same_each_time(self, root: Path) -> None:
        first, second = (self.corpus(root).manifest("train") for _ in range(2))
        assert list(first) == list(second) and first.annotation_hash == second.annotation_hash

    def test_ids_lead_to_media_that_can_be_read(self, root: Path) -> None:
        data = self.corpus(root, batch_size=4)
        data.bind(self.spec(), SPLITS)
        for split in SPLITS:
            batches = list(data.loader(split))
            assert [i for b in batches for i in b.id] == data.manifest(split).ids
            assert all(getattr(b, self.modality).lengths.min() > 0 for b in batches)

    def test_media_are_what_was_rendered(self, root: Path) -> None:
        mark = json.loads((root / SIMULATED_MARK).read_text(encoding="utf-8"))
        for clip in self.clips(root):
            medium = getattr(clip, self.modality)
            assert len(medium) == clip.sample.meta.get("num_frames", len(medium))
            told = clip.sample.media[self.modality].path.endswith(".mp4") or self.corpus(root).fps is not None
            assert clip.fps == (mark["fps"] if told else None), "images, key points, features may have no rate"
            if self.modality == "frames":
                width, height = mark["frame_size"]
                assert medium.shape[1:] == (3, height, width) and medium.dtype == torch.uint8
                assert medium.float().std() > 20, "there is something to see"
            else:
                assert torch.isfinite(medium).all() and medium.float().std(0).max() > 0, "something moves"
            if self.modality == "pose":
                assert clip.points is not None and len(clip.points) == medium.shape[1]
                assert clip.conf is not None and clip.conf.min() >= 0 and 0 < clip.conf.max() <= 1

    def test_sign_boundaries_fit_the_medium(self, root: Path) -> None:
        for clip in self.clips(root, "segments", segments="labels"):
            assert clip.labels is not None and len(clip.labels) == len(getattr(clip, self.modality))
            begins = int((clip.labels == 2).sum())
            assert begins == len(clip.sample.gloss) if clip.sample.gloss is not None else begins > 1

    def test_the_width_of_features_is_a_fact(self, root: Path) -> None:
        data = self.corpus(root)
        data.bind(self.spec(), ["test"])
        widths = {clip.features.shape[1] for clip in self.clips(root) if clip.features is not None}
        assert data.facts().feature_dim == (widths.pop() if self.modality == "features" else None) and not widths

    def test_workers_see_what_one_process_sees(self, root: Path) -> None:
        seen = []
        for workers in (0, 2):
            data = self.corpus(root, batch_size=2, num_workers=workers)
            data.bind(self.spec(), ["train"])
            loader = data.loader("train", training=True)
            seen.append([(b.id, getattr(b, self.modality).values.double().sum().item()) for b in loader])
        assert seen[0] == seen[1]

    def test_a_missing_root_and_a_missing_split_are_told(self, root: Path, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=self.data_class) as error:
            self.corpus(tmp_path / "nowhere").manifest("train")
        assert str(tmp_path / "nowhere") in str(error.value)
        with pytest.raises(SLTError, match="unknown split 'tset'"):
            self.corpus(root).manifest("tset")

    def test_questions_are_those_of_the_file(self, root: Path) -> None:
        data = self.corpus(root)
        for split in SPLITS:
            asked = {s.id: s.question for s in data.manifest(split)}
            if not isinstance(data, QuestionCorpus):
                assert set(asked.values()) == {None}
                continue
            entries = read_official(data.corpus_folder() / f"questions/{split}.txt").entries
            assert asked == {e.id: e.question for e in entries} and all(asked.values())
            assert {s.meta["question_source"] for s in data.manifest(split)} == {"simulated"}

    def test_simulated_signing_is_told_apart(self, root: Path) -> None:
        data = self.corpus(root)
        assert data.simulated and data.facts().simulated
