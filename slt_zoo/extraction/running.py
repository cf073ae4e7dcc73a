"""`extract`: a corpus, a plan and a folder make a store, or what is missing of one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.checks import find_missing_media
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.stores.manifest import StoreManifest
from slt_zoo.data.stores.writer import RecordWriter, StoreBuilder
from slt_zoo.errors import ConfigError, MediaError, MissingMediaError, SLTError, first_few
from slt_zoo.extraction.module import Encode, ExtractionData, FeatureWriter
from slt_zoo.extraction.plan import Plan
from slt_zoo.types import Split

__all__ = ["Summary", "Target", "extract", "first_process"]

_QUOTED = 800  # characters of a reason that are shown


class Target(Protocol):
    """What an extraction fills: a store (`StoreBuilder`), or another container of records.

    `begin`, `reopen` and `finish` are called in the first process alone; the others in every process.
    """

    folder: Path

    def begin(self, overwrite: bool = False) -> None:
        """Make the folder, or go on with what is in it; refuse what is of other making."""

    def missing(self, split: Split, ids: Sequence[str]) -> list[str]:
        """Those of the ids that are not in it yet."""

    def reopen(self) -> None:
        """Something is going to be added."""

    def writer(self, seconds: float) -> RecordWriter:
        """The writer of a process; it writes at least every so many seconds."""

    def leave_out(self, sample_id: str, why: str) -> None:
        """Note that a sample could not be extracted."""

    def stop(self, why: str) -> None:
        """Note that a process cannot go on."""

    def notes(self) -> tuple[dict[str, str], str | None]:
        """What was noted."""

    def finish(self, order: Mapping[Split, Sequence[str]], unreadable: Mapping[str, str]) -> None:
        """Make it whole."""


@dataclass(frozen=True)
class Summary:
    """What an extraction did.

    Attributes:
        folder: of the store.
        samples: that were extracted now.
        there: that were there before.
        unreadable: that were left out, with the reason.
        seconds: it took.
    """

    folder: Path
    samples: int
    there: int
    unreadable: Mapping[str, str]
    seconds: float


def extract(
    data: SLTDataModule,
    plan: Plan,
    folder: Path,
    *,
    splits: Sequence[Split],
    overwrite: bool = False,
    on_bad_sample: Literal["error", "skip"] = "error",
    save_every: float = 60.0,
    num_workers: int = 0,
    make_target: Callable[[Path, StoreManifest], Target] = StoreBuilder,
    **trainer: Any,
) -> Summary:
    """Extract what a store does not have yet; stopped at any moment, it goes on when it is called again.

    Args:
        data: the corpus.
        plan: what is done.
        folder: of the store.
        splits: of the corpus.
        overwrite: an earlier store in the folder goes.
        on_bad_sample: ``"error"``: the store stays unfinished where samples cannot be read; ``"skip"``: it is
            finished without them, and its manifest names them.
        save_every: seconds of work that a kill costs at most, on each process.
        num_workers: processes that read media, on each process.
        make_target: makes what is filled.
        trainer: arguments of Lightning's ``Trainer``: devices, accelerator, strategy, callbacks, ...

    Raises:
        MissingMediaError: samples lack their media.
        MediaError: samples cannot be read, or what was made of them cannot be stored.
        StoreError: the folder holds a store of other making, or something else.
    """
    began = time.monotonic()
    manifests = {split: data.manifest(split) for split in splits}
    order = {split: _with_media(data, manifest, plan, on_bad_sample) for split, manifest in manifests.items()}
    annotations = {split: data.annotation_hashes[split] for split in splits}
    described = StoreManifest(plan.made, data.corpus, data.media_settings(), data.simulated, annotations)
    target, first = make_target(folder, described), first_process()
    runner = _trainer(plan, target, save_every, trainer)  # before anything is written: it may refuse its arguments
    if first:
        target.begin(overwrite)
    pending = [(split, i) for split, ids in order.items() for i in target.missing(split, ids)]
    total = sum(len(ids) for ids in order.values())
    if pending:
        if first:
            target.reopen()
        samples = ExtractionData(
            manifests, pending, plan.read, data.fps, num_workers, to_device=plan.encoder is not None
        )
        _predict(runner, plan, samples, target)
    left_out, _ = target.notes()
    if first:
        if left_out and on_bad_sample == "error":
            raise _unreadable(left_out, folder)
        target.finish({split: manifest.ids for split, manifest in manifests.items()}, left_out)
    done = len(pending) - len(left_out)
    return Summary(folder, done, total - len(pending), left_out, time.monotonic() - began)


def _with_media(
    data: SLTDataModule, manifest: Manifest, plan: Plan, on_bad_sample: Literal["error", "skip"]
) -> list[str]:
    missing, example = find_missing_media(manifest, plan.modality)
    if missing and (on_bad_sample == "error" or len(missing) == len(manifest)):
        raise MissingMediaError(
            f"{data.corpus} {manifest.split}: {len(missing)} of {len(manifest)} samples have no {plan.modality}",
            where=example,
            found=f"missing for {first_few(missing)}",
            todo=data.media_advice(plan.modality) + "; --on-bad-sample skip goes on without them",
        )
    if missing:
        rank_zero_warn(f"{data.corpus} {manifest.split}: {len(missing)} samples without {plan.modality} are left out")
    gone = set(missing)
    return [i for i in manifest.ids if i not in gone]


def _trainer(plan: Plan, target: Target, seconds: float, settings: dict[str, Any]) -> Trainer:
    callbacks = [*settings.pop("callbacks", []), FeatureWriter(lambda: target.writer(seconds), target)]
    try:
        return Trainer(
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            use_distributed_sampler=False,  # `ExtractionData` deals the samples out itself
            precision=plan.precision,  # type: ignore[arg-type]  # Lightning says what it does not know
            callbacks=callbacks,
            **settings,
        )
    except (ValueError, MisconfigurationException) as cause:
        raise ConfigError(str(cause)) from cause


def _predict(trainer: Trainer, plan: Plan, samples: ExtractionData, target: Target) -> None:
    try:
        trainer.predict(Encode(plan.encoder), datamodule=samples, return_predictions=False)
    except Exception as error:
        why = target.notes()[1]  # a process that was started by Lightning can give back its traceback alone
        if why is None or isinstance(error, SLTError):
            raise
        raise MediaError(why) from error


def _unreadable(left_out: Mapping[str, str], folder: Path) -> MediaError:
    sample_id, why = next(iter(left_out.items()))
    return MediaError(
        f"{len(left_out)} samples could not be read: {first_few(sorted(left_out))}",
        where=folder,
        found=f"{sample_id}: {why[:_QUOTED]}",
        todo="mend them and run the same command again, which reads them alone; or --on-bad-sample skip finishes the "
        "store without them",
    )


def first_process() -> bool:
    """Lightning reads the rank from the environment before it starts anything."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0
