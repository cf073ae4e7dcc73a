"""`SLTDataModule`: what all corpora share. A corpus writes `read_annotations` and `locate`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from lightning.pytorch import LightningDataModule
from lightning.pytorch.overrides.distributed import UnrepeatedDistributedSampler
from lightning.pytorch.utilities import rank_zero_warn
from torch.utils.data import DataLoader

from slt_zoo.data.boundaries import fixed_length
from slt_zoo.data.checks import check_needs, check_splits_apart, report_texts, require_bools, shared_texts
from slt_zoo.data.clips import ClipDataset
from slt_zoo.data.length_cache import LengthCache
from slt_zoo.data.locations import named_folder, named_places, not_there, one_or_several
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.media_checks import check_there, first_look
from slt_zoo.data.media_finder import FilesOf, MediaFinder, check_timing
from slt_zoo.data.published import Expected, differences
from slt_zoo.data.samplers import TrainBatches, TrainLoader
from slt_zoo.data.stores import Store, attached
from slt_zoo.data.stores.naming import extract_command
from slt_zoo.data.subsets import choose_share, choose_subset, empty_texts, incomplete, without
from slt_zoo.data.time_segments import check_segments
from slt_zoo.errors import ConfigError, DatasetError, first_few
from slt_zoo.types import Batch, DataFacts, InputSpec, Media, Sample, Split, as_split

__all__ = ["Expected", "SLTDataModule"]

SIMULATED_MARK = "SIMULATED.json"


class SLTDataModule(LightningDataModule):
    """Base of every corpus.

    It meets the model in `setup`: the model says what it needs (``input_spec``), the corpus what it has, and what
    does not fit fails there with a sentence. Text travels raw in the batch; tokenizers belong to models.

    Args:
        root: folder of the corpus.
        batch_size: samples a training batch, on each process.
        eval_batch_size: samples a batch elsewhere; ``batch_size`` by default.
        frames_per_batch: budget instead of ``batch_size``, in rows: longest sample times samples of a training batch.
            A row is a frame, or a vector of features; counted before the model selects some.
        bucket: put training samples of like length into the same batch.
        num_workers: processes that read media.
        poses: folder, file of many samples, table of paths (``{split}`` in its name stands for the split) or store of
            poses, where they do not lie in the corpus.
        features: folder, file or store of features, likewise: a path, or a name below the corpus's ``features``. A list
            of folders or files: their features of a sample are joined along the width, in this order.
        frames: folder of frames or videos, as far as the corpus says so; or a store of resized frames.
        segments: id of per-frame sign boundaries (``slt-zoo segment``), a folder of them, or ``fixed-8``: no file.
        feature_stride: video frames between two vectors of features that are no store; not said: one vector a frame.
        feature_window: video frames that one such vector sees.
        subset: folder of ``<split>.files`` or ``<split>.txt`` with an id a line; a split that has none stays whole.
        train_fraction: share of the training split that is used, chosen by a hash of the ids.
        on_bad_sample: ``"error"``, or ``"skip"`` what cannot be read; skipping holds for training only, since an
            evaluation that skips has another score.
        predict_split: what ``predict`` reads.
        seed: of order and random draws.
    """

    sign_language: ClassVar[str]
    language: ClassVar[str]
    fps: ClassVar[float | None] = None
    protocol: ClassVar[str] = "strict"
    expected: ClassVar[Mapping[Split, Expected]] = {}
    other_versions: ClassVar[Mapping[str, str]] = {}
    """Texts and glosses that are met beside those of the release: what they are, by `annotation_hash`."""
    empty_in_release: ClassVar[frozenset[str]] = frozenset()
    """Ids whose text is empty in the release itself: models of text see neither them nor an error, see `left_out`."""
    remark: str = ""
    """What a person should know of the version that is read before comparing scores."""
    signers_apart: bool = False
    """Whether no signer may be in train and in an evaluation split."""
    licence: ClassVar[str] = ""
    """Under which the corpus is given, and where that was read."""
    access: ClassVar[str] = ""
    """Where a person asks for it; nothing is downloaded."""
    frames_below: ClassVar[str] = ""
    """Folder of the corpus in which a name that ``frames`` gives is looked for."""

    def __init__(
        self,
        root: str,
        *,
        batch_size: int = 8,
        eval_batch_size: int | None = None,
        frames_per_batch: int | None = None,
        bucket: bool = False,
        num_workers: int = 0,
        poses: str | None = None,
        features: str | list[str] | None = None,
        frames: str | None = None,
        segments: str | None = None,
        feature_stride: int | None = None,
        feature_window: int | None = None,
        subset: str | None = None,
        train_fraction: float = 1.0,
        on_bad_sample: Literal["error", "skip"] = "error",
        predict_split: str = "test",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < train_fraction <= 1:
            raise ConfigError("train_fraction must be in (0, 1]", found=train_fraction)
        if batch_size < 1 or (eval_batch_size is not None and eval_batch_size < 1):
            raise ConfigError("batch sizes must be at least 1", found=(batch_size, eval_batch_size))
        if num_workers < 0 or seed < 0 or (frames_per_batch is not None and frames_per_batch < 1):
            raise ConfigError(
                "num_workers must be at least 0, seed must be at least 0, and frames_per_batch at least 1",
                found=f"num_workers={num_workers}, seed={seed}, frames_per_batch={frames_per_batch}",
            )
        require_bools(bucket=bucket)
        check_timing(features, feature_stride, feature_window)
        self.root = Path(root).expanduser()
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size or batch_size
        self.frames_per_batch, self.bucket = frames_per_batch, bucket
        self.num_workers, self.seed = num_workers, seed
        self.poses, self.features, self.segments, self.subset = poses, one_or_several(features), segments, subset
        self.frames: str | None = frames
        self.train_fraction, self.on_bad_sample = train_fraction, on_bad_sample
        self.predict_split: Split = as_split(predict_split)
        self.skipped: dict[Split, dict[str, str]] = {}  # by id why
        self.partial: set[Split] = set()
        self.left_out: dict[Split, list[str]] = {}
        self._with_left_out: dict[Split, Manifest] = {}
        self.annotation_hashes: dict[Split, str] = {}
        self._manifests: dict[Split, Manifest] = {}
        self._spec: InputSpec | None = None
        self.finder = MediaFinder(self.fps, feature_stride, feature_window)

    # What a corpus writes.

    def read_annotations(self, split: Split) -> Iterable[Sample]:
        """Parse the annotation of a split; touches no media. ``media`` stays empty: `locate` fills it."""
        raise NotImplementedError

    def locate(self, sample: Sample) -> dict[str, Media]:
        """Where each kind of input of the sample should lie; kinds that the disk has not at all are left out."""
        raise NotImplementedError

    def corpus_folder(self) -> Path:
        """The folder that holds annotation and media, found below ``root``."""
        return self.root

    def published(self, split: Split) -> Expected | None:
        """What the release has of a split; a corpus of several versions answers for the one that is read."""
        return self.expected.get(split)

    def score_notes(self, split: Split) -> dict[str, Any]:
        """What a score of the split must say of the data: plain data, written beside it."""
        ids = self.left_out.get(split)
        return {"left_out": {"why": "empty text in the release", "ids": ids}} if ids else {}

    def media_settings(self) -> dict[str, str]:
        """Arguments that choose between recordings of the same samples (camera, cut): their features differ."""
        return {}

    # What users call.

    @property
    def corpus(self) -> str:
        """Name of the corpus in messages and results."""
        return type(self).__name__

    @property
    def simulated(self) -> bool:
        """Whether the signing is simulated: no score on it is a translation result."""
        return self._simulation_mark() is not None

    def simulation_note(self) -> dict[str, Any] | None:
        """What `slt_zoo.synthetic` wrote about a simulated corpus; None where the corpus is real.

        Raises:
            DatasetError: the note is damaged.
        """
        path = self._simulation_mark()
        if path is None:
            return None
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as cause:
            raise DatasetError("the note of a simulated corpus is damaged", where=path, found=str(cause)) from cause
        return note if isinstance(note, dict) else {}

    def _simulation_mark(self) -> Path | None:
        folder = self.corpus_folder()
        marks = (place / SIMULATED_MARK for place in (folder, *list(folder.parents)[:2]))
        return next((mark for mark in marks if mark.is_file()), None)

    def manifest(self, split: str) -> Manifest:
        """The samples of a split with their media located; works without a trainer.

        Raises:
            DatasetError: the annotation is not there or cannot be read.
        """
        split = as_split(split)
        if split not in self._manifests:
            samples = (
                replace(s, media=attached.attach(self.locate(s), self.stores, s.id))
                for s in self.read_annotations(split)
            )
            manifest = Manifest(samples, corpus=self.corpus, split=split)
            self.annotation_hashes[split] = known = manifest.annotation_hash  # of the whole split, unlike a subset's
            for store in self.stores.values():
                attached.compare_with_corpus(store, manifest, known, self.simulated, self.media_settings())
            self._compare_with_published(manifest)
            for oddity in report_texts(manifest):
                rank_zero_warn(oddity)
            self._manifests[split] = self._reduce(manifest)
        return self._manifests[split]

    @cached_property
    def stores(self) -> dict[str, Store]:
        """The stores that ``features``, ``poses`` and ``frames`` name, by kind of media."""
        named = {kind: getattr(self, argument) for kind, argument in attached.ARGUMENTS.items()}
        stores = attached.find_stores(self.corpus_folder(), named)
        attached.refuse_timing(stores.get("features"), self.finder.stride, self.finder.window)
        return stores

    def facts(self) -> DataFacts:
        """What a model records about its data."""
        return DataFacts(
            corpus=self.corpus,
            language=self.language,
            sign_language=self.sign_language,
            fps=self.fps,
            feature_dim=self._feature_dim() if self._spec and self._spec.modality == "features" else None,
            simulated=self.simulated,
        )

    def bind(self, spec: InputSpec, splits: Iterable[Split], model: str = "the model") -> None:
        """Fix what is read, and check that it is there.

        Args:
            spec: what the model needs.
            splits: which splits are going to be read.
            model: its name, for messages.

        Raises:
            ConfigError: the corpus has not what the model needs.
            MissingMediaError: samples lack their media.
        """
        if spec != self._spec:
            self._spec = spec
        splits = list(dict.fromkeys(splits))
        if spec.feature_id is not None:
            command = extract_command(spec.feature_id, self.corpus, str(self.root), self.media_settings(), splits)
            named = getattr(self, attached.ARGUMENTS[spec.modality])
            attached.check_feature_id(spec, self.stores, named, model, command)
        for split in splits:
            self._leave_out_empty(split, spec)
            self._skip_empty(split, spec)
            check_needs(self.manifest(split), spec, model, str(self.root))
        check_splits_apart([self.manifest(split) for split in splits])
        if "train" in splits:
            self._tell_leaks([split for split in splits if split != "train"])
        for split in splits:
            self._check_media(split, spec)

    def loader(self, split: str, *, training: bool = False) -> DataLoader[Any]:
        """Batches of a split: in training order and with random draws, or in annotation order without.

        `bind` (or a trainer) comes first.
        """
        if self._spec is None:
            raise ConfigError(
                f"{self.corpus} does not know what to read yet",
                todo="call data.bind(model.input_spec, ['test']) first, or let a Trainer do it",
            )
        split = as_split(split)
        manifest = self.manifest(split)
        dataset = ClipDataset(manifest, self._spec, self.fps, training, self.on_bad_sample == "skip", self.seed)
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        common: dict[str, Any] = {
            "collate_fn": dataset.collate,
            "num_workers": self.num_workers,
            "persistent_workers": self.num_workers > 0,
            "pin_memory": self.trainer is not None and self.trainer.strategy.root_device.type == "cuda",
        }
        if not training:
            order = UnrepeatedDistributedSampler(dataset, world, rank, shuffle=False) if world > 1 else None
            return DataLoader(dataset, batch_size=self.eval_batch_size, sampler=order, **common)
        cache = self._lengths(split, self._spec.modality)
        lengths = dataset.lengths(cache) if self.bucket or self.frames_per_batch else None
        batches = TrainBatches(
            len(dataset),
            batch_size=self.batch_size,
            frames_per_batch=self.frames_per_batch,
            lengths=lengths,
            bucket=self.bucket,
            chunks=self._chunks(manifest),
            limit=1.0 if self.trainer is None else self.trainer.limit_train_batches,
            seed=self.seed,
            num_replicas=world,
            rank=rank,
        )
        return TrainLoader(dataset, batches, **common)

    # What Lightning calls.

    def setup(self, stage: str) -> None:
        """Meet the model: see `bind`."""
        assert self.trainer is not None
        for name, todo in (
            ("overfit_batches", "name a few samples with data.subset instead"),
            ("reload_dataloaders_every_n_epochs", "leave it out: every epoch has an order of its own"),
        ):
            if getattr(self.trainer, name, 0):
                raise ConfigError(f"Trainer's {name} would replace the order of training batches by another", todo=todo)
        model: Any = self.trainer.lightning_module
        splits: dict[str, list[Split]] = {"fit": ["train", "dev"], "validate": ["dev"], "test": ["test"]}
        wanted = splits.get(stage, [self.predict_split])
        if stage == "fit" and self.trainer.limit_val_batches == 0:
            wanted = ["train"]
        self.bind(model.input_spec, wanted, type(model).__name__)

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of the training split."""
        return self.loader("train", training=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Batches of the development split."""
        return self.loader("dev")

    def test_dataloader(self) -> DataLoader[Any]:
        """Batches of the test split."""
        return self.loader("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """Batches of ``predict_split``."""
        return self.loader(self.predict_split)

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Move the packed tensors; strings stay."""
        return (
            batch.to(device)
            if isinstance(batch, Batch)
            else super().transfer_batch_to_device(batch, device, dataloader_idx)
        )

    # What corpora build `locate` from.

    def find_media(
        self,
        sample: Sample,
        frames: Path | None,
        pose_layout: str | None = None,
        files: FilesOf | None = None,
        other_names: Sequence[str] = (),
    ) -> dict[str, Media]:
        """Frames, poses, features and sign boundaries of a sample, as far as they are anywhere; see `MediaFinder.find`.

        Poses lie in ``poses/`` of the corpus or where ``poses`` says. The declared number of frames is
        ``sample.meta["num_frames"]``, where the annotation has one.

        Args:
            sample: whose media.
            frames: folder with a folder of images, or a video, a sample, with or without a level for the split.
            pose_layout: layout of ``.npy`` poses, where the number of points does not tell it.
            files: see `MediaFinder.find`.
            other_names: of the sample's features, likewise.
        """
        places = {
            "frames": frames,
            "features": named_places(self.corpus_folder(), self.features, "features"),
            "segments": self._named(self.segments, "segments", ""),
            "pose": self.corpus_folder() / "poses" if self.poses is None else Path(self.poses).expanduser(),
        }
        found: dict[str, Media] = {}
        for kind, place in places.items():
            if place is None or kind in self.stores:
                continue
            media = self.finder.find(kind, place, sample, pose_layout, files, other_names)
            if media is not None:
                found[kind] = media
        return found

    def _named(self, name: str | None, *below: str) -> Path | None:
        """A folder or file given by path, or by its name inside the corpus."""
        return named_folder(self.corpus_folder(), name, *below)

    # Inside.

    def _reduce(self, manifest: Manifest) -> Manifest:
        whole = len(manifest)
        if self.subset is not None:
            manifest = choose_subset(manifest, self.subset)
            if len(manifest) < whole:
                self.partial.add(manifest.split)  # scores on it are not scores of the split
        if manifest.split == "train" and self.train_fraction < 1:
            manifest = choose_share(manifest, self.train_fraction, self.seed)
        return manifest

    def _compare_with_published(self, manifest: Manifest) -> None:
        if not self.simulated:
            for difference in differences(manifest, self.published(manifest.split), self.other_versions):
                rank_zero_warn(f"{self.corpus} {manifest.split}: {difference}")

    def _leave_out_empty(self, split: Split, spec: InputSpec) -> None:
        """Samples whose text the release lacks go, where a model needs text; what is left is the corpus's own set."""
        if split in self._with_left_out:
            self._manifests[split] = self._with_left_out.pop(split)
        self.left_out.pop(split, None)
        if "text" not in spec.needs or not self.empty_in_release:
            return
        manifest = self.manifest(split)
        gone = empty_texts(manifest, self.empty_in_release)
        if gone:
            self._with_left_out[split], self.left_out[split] = manifest, gone
            self._manifests[split] = without(manifest, gone)
            rank_zero_warn(
                f"{self.corpus} {split}: {len(gone)} of {len(manifest)} samples have an empty text in the release and "
                f"are left out: {first_few(gone)}"
            )

    def _skip_empty(self, split: Split, spec: InputSpec) -> None:
        """Training samples whose text or glosses are empty go, where the person said so."""
        if split != "train" or self.on_bad_sample != "skip":
            return
        manifest = self.manifest(split)
        empty = incomplete(manifest, spec.needs)
        if 0 < len(empty) < len(manifest):
            self._skip(split, empty, "with an empty text, gloss or question")

    def _skip(self, split: Split, ids: list[str], why: str) -> None:
        self.skipped.setdefault(split, {}).update(dict.fromkeys(ids, why))
        self._manifests[split] = without(self.manifest(split), ids)
        rank_zero_warn(f"{self.corpus} {split}: {len(ids)} samples {why} are skipped: {first_few(ids)}")

    def _tell_leaks(self, splits: list[Split]) -> None:
        for split in splits:
            shared = shared_texts(self.manifest("train"), self.manifest(split))
            if shared:
                total = len(self.manifest(split))
                rank_zero_warn(f"{self.corpus}: {shared} of {total} texts of {split} also occur in train")

    def _check_media(self, split: Split, spec: InputSpec) -> None:
        kinds = [] if spec.modality == "none" else [spec.modality]
        for kind in [*kinds, *sorted(spec.needs & {"segments"})]:
            self._check_kind(split, kind)

    def _check_kind(self, split: Split, kind: str) -> None:
        skip = split == "train" and self.on_bad_sample == "skip"
        store, look = self.stores.get(kind), self.finder.advice
        advice = self.media_advice if store is None else lambda _: store.advice
        missing = check_there(self.manifest(split), kind, skip, lambda: look(kind, split) or advice(kind))
        if missing:
            self._skip(split, missing, f"without {kind}")
        outside = check_segments(self.manifest(split), kind, self._lengths(split, kind), skip)
        if outside:
            self._skip(split, outside, "whose segment lies past the end of its video")
        first_look(self.manifest(split), kind, sizes=not self.simulated)

    def _lengths(self, split: Split, kind: str) -> LengthCache:
        return LengthCache(self.annotation_hashes[split], kind, self.root)

    def not_there(self, kind: str) -> str | None:
        """What a message says where the argument of a kind names places that do not exist; None: all do."""
        argument = attached.ARGUMENTS.get(kind, kind)
        below = {"features": ("features",), "frames": (self.frames_below,), "segments": ("segments", "")}.get(kind, ())
        named = None if kind in self.stores else getattr(self, argument, None)
        if kind == "segments" and named is not None and fixed_length(named) is not None:
            return None
        return not_there(f"data.{argument}", named, self.corpus_folder(), below)

    def media_advice(self, modality: str) -> str:
        """What a person can do when a kind of media is missing; a corpus may say it better."""
        make = "them with `slt-zoo segment`" if modality == "segments" else "a store with `slt-zoo extract`"
        if (lacking := self.not_there(modality)) is not None:
            return f"{lacking}; correct the path, or make {make}"
        argument = attached.ARGUMENTS.get(modality, modality)
        if modality == "frames" and self.frames is None:
            return "unpack the media of the corpus"
        return f"pass data.{argument}=<folder>, or make {make}"

    def _chunks(self, manifest: Manifest) -> list[int] | None:
        """Which file each sample is fetched with, where what is read is fetched."""
        store = None if self._spec is None else self.stores.get(self._spec.modality)
        chunks = [] if store is None else [store.chunk_of(i) for i in manifest.ids if i in store]
        known = [chunk for chunk in chunks if chunk is not None]
        return known if len(known) == len(manifest.ids) else None

    def _feature_dim(self) -> int:
        assert self._spec is not None
        if "features" in self.stores:
            return self.stores["features"].manifest.shape[0]
        split: Split = next(iter(self._manifests), "train")
        clip = ClipDataset(self.manifest(split), self._spec, self.fps, False, False, self.seed)[0]
        assert not isinstance(clip, list) and clip.features is not None
        return int(clip.features.shape[1])
