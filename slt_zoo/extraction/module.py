"""What Lightning runs: loaders of samples, a module that encodes them, a callback that stores the outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, Subset

from slt_zoo.data.manifest import Manifest
from slt_zoo.data.stores.manifest import StoreManifest
from slt_zoo.data.stores.writer import PieceWriter, Record, StoreBuilder
from slt_zoo.errors import MediaError, SLTError
from slt_zoo.extraction.reading import ReadSample, SamplesToRead, Unread
from slt_zoo.extraction.word import Outcome, Word, gathered, on_first
from slt_zoo.types import Split

__all__ = ["Encode", "ExtractionData", "FeatureWriter"]

HOPELESS = 10
"""Samples that fail before a process gives up, where it has read none."""


class ExtractionData(LightningDataModule):
    """The samples that are still to be done, each on one process.

    Args:
        manifests: by split.
        order: ids that have media, by split.
        store: that is filled.
        overwrite: an earlier store in its folder goes.
        read: makes a record of a sample.
        fps: frame rate where neither file nor annotation has one.
        num_workers: processes that read media.
        to_device: records are moved to the device; False: nothing happens to them there.
        word: where faults are told.
    """

    def __init__(
        self,
        manifests: Mapping[Split, Manifest],
        order: Mapping[Split, Sequence[str]],
        store: StoreBuilder,
        overwrite: bool,
        read: ReadSample,
        fps: float | None,
        num_workers: int,
        to_device: bool,
        word: Word,
    ) -> None:
        super().__init__()
        self.manifests, self.order, self.store, self.overwrite = manifests, order, store, overwrite
        self.read, self.fps, self.num_workers, self.to_device, self.word = read, fps, num_workers, to_device, word
        self.pending: list[tuple[Split, str]] = []
        self.allow_zero_length_dataloader_with_multiple_devices = True  # fewer samples than processes may be left

    def setup(self, stage: str) -> None:
        """Let the first process open the store and say what is to be done; the others may look at another moment.

        Raises:
            StoreError: the folder holds a store of other making, or something else.
        """
        assert self.trainer is not None
        try:
            self.store.manifest, self.pending = on_first(self.trainer, self._begin)
        except Exception as error:
            self.word.fail(error)
            raise

    def _begin(self) -> tuple[StoreManifest, list[tuple[Split, str]]]:
        self.store.begin(self.overwrite)
        pending = [(split, i) for split, ids in self.order.items() for i in self.store.missing(split, ids)]
        if pending:
            self.store.reopen()
        return self.store.manifest, pending

    def predict_dataloader(self) -> DataLoader[Any]:
        """Every n-th sample of those that are left, on n processes.

        Lightning's own sampler refuses fewer samples than processes, which is what a stopped extraction may have left.
        """
        assert self.trainer is not None
        samples = SamplesToRead(self.manifests, self.pending, self.read, self.fps)
        mine = range(self.trainer.global_rank, len(samples), self.trainer.world_size)
        return DataLoader(Subset(samples, mine), batch_size=None, collate_fn=_as_it_is, num_workers=self.num_workers)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move what is going to be encoded."""
        if not self.to_device or not isinstance(batch, Record):
            return batch
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.tensors.items()}
        return replace(batch, tensors=moved)


def _as_it_is(batch: Any) -> Any:
    return batch


class Encode(LightningModule):
    """Frames of a record to features, by an encoder that is not trained.

    Args:
        encoder: ``(T, 3, H, W)`` uint8 to ``(T', D)``; None: records stay as they were read.
    """

    def __init__(self, encoder: nn.Module | None) -> None:
        super().__init__()
        self.encoder = encoder

    def predict_step(self, batch: Record | Unread, batch_idx: int) -> Record | Unread:
        """One sample."""
        if self.encoder is None or isinstance(batch, Unread):
            return batch
        return replace(batch, tensors={"features": self.encoder(batch.tensors["frames"]).float().cpu()})


class FeatureWriter(Callback):
    """Gives each process's records to a writer of its own; what was made is kept whatever stops the run.

    Args:
        open_writer: makes the writer, in the process that uses it.
        word: where the outcome is told.
    """

    def __init__(self, open_writer: Callable[[], PieceWriter], word: Word) -> None:
        self._open_writer, self._word = open_writer, word
        self._writer: PieceWriter | None = None
        self._left_out: dict[str, str] = {}

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Store a sample, or note why there is nothing to store.

        Raises:
            MediaError: what was extracted cannot be stored, or nothing can be read at all.
        """
        try:
            self._store(outputs)
        except SLTError as error:  # `on_exception` is not called in processes that Lightning has forked or spawned
            self._flush()
            self._word.fail(error)
            raise

    def _store(self, outputs: Record | Unread) -> None:
        if isinstance(outputs, Unread):
            self._left_out[outputs.id] = outputs.why
            if self._writer is None and len(self._left_out) == HOPELESS:
                raise MediaError(f"none of the first {HOPELESS} samples can be read", found=outputs.why)
            return
        self._writer = self._writer or self._open_writer()
        self._writer.add(outputs)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write what is left; when all processes have, they know what is left out, and go on."""
        self._flush()
        left_out = gathered(trainer, self._left_out)
        data = getattr(trainer, "datamodule")  # noqa: B009  # Lightning sets it and does not declare it
        self._word.leave(Outcome(len(data.pending), left_out))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Keep what was made."""
        self._flush()

    def _flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()
