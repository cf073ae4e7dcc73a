"""`extract`: a corpus, a plan and a folder make a store, or what is missing of one."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.checks import find_missing_media
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.stores.manifest import StoreManifest
from slt_zoo.data.stores.writer import StoreBuilder
from slt_zoo.errors import ConfigError, MediaError, MissingMediaError, SLTError, StoreError, first_few
from slt_zoo.extraction.module import Encode, ExtractionData, FeatureWriter
from slt_zoo.extraction.plan import Plan
from slt_zoo.extraction.word import Outcome, Word
from slt_zoo.types import Split

__all__ = ["Summary", "extract", "first_process"]

_QUOTED = 800  # characters of a reason that are shown


PAUSES = (1.0, 2.0, 4.0)
"""Seconds before the folder is listed again, where samples lack: network disks show new files late."""


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
        trainer: arguments of Lightning's ``Trainer``: devices, accelerator, strategy, callbacks, ...

    Raises:
        MissingMediaError: samples lack their media.
        MediaError: samples cannot be read, or what was made of them cannot be stored.
        StoreError: the folder holds a store of other making, or something else; another extraction fills it; or what
            processes have written is not there.
    """
    began = time.monotonic()
    manifests = {split: data.manifest(split) for split in splits}
    order = {split: _with_media(data, manifest, plan, on_bad_sample) for split, manifest in manifests.items()}
    annotations = {split: data.annotation_hashes[split] for split in splits}
    described = StoreManifest(plan.made, data.corpus, data.media_settings(), data.simulated, annotations)
    store = StoreBuilder(folder, described)
    with tempfile.TemporaryDirectory() as place:
        word = Word(Path(place) / "word.json")
        runner = _trainer(plan, store, save_every, word, trainer)  # before anything is written: it may refuse these
        samples = ExtractionData(
            manifests, order, store, overwrite, plan.read, data.fps, num_workers, plan.encoder is not None, word
        )
        try:
            outcome = _predict(runner, plan, samples, word)
            if first_process():
                _finish(store, {split: m.ids for split, m in manifests.items()}, order, outcome, on_bad_sample)
        finally:
            store.release()
    total, left_out = sum(len(ids) for ids in order.values()), outcome.left_out
    done = outcome.pending - len(left_out)
    return Summary(folder, done, total - outcome.pending, left_out, time.monotonic() - began)


def _finish(
    store: StoreBuilder,
    whole: Mapping[Split, Sequence[str]],
    order: Mapping[Split, Sequence[str]],
    outcome: Outcome,
    on_bad_sample: Literal["error", "skip"],
) -> None:
    if outcome.left_out and on_bad_sample == "error":
        raise _unreadable(outcome.left_out, store.folder)
    for pause in (*PAUSES, None):
        lost = [i for split, ids in order.items() for i in store.missing(split, ids) if i not in outcome.left_out]
        if not lost:
            return store.finish(whole, outcome.left_out)
        if pause is not None:
            time.sleep(pause)
    raise StoreError(
        f"{len(lost)} samples were extracted and are not in the folder: {first_few(lost)}",
        where=store.folder,
        found="the processes wrote them to a disk that this one does not see, or something has deleted them",
        todo="on several machines, name a folder on a disk that all of them share, with --out; then run the same "
        "command again: the store is unfinished, and what is there counts",
    )


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


def _trainer(plan: Plan, store: StoreBuilder, seconds: float, word: Word, settings: dict[str, Any]) -> Trainer:
    callbacks = [*settings.pop("callbacks", []), FeatureWriter(partial(store.writer, seconds), word)]
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


def _predict(trainer: Trainer, plan: Plan, samples: ExtractionData, word: Word) -> Outcome:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Total length of `DataLoader` across ranks is zero")  # nothing is pending
            trainer.predict(Encode(plan.encoder), datamodule=samples, return_predictions=False)
    except Exception as error:
        outcome = word.read()  # a process that was started by Lightning can give back its traceback alone
        fault = None if outcome is None else outcome.error()
        if fault is None or isinstance(error, SLTError):
            raise
        raise fault from error
    outcome = word.read()
    assert outcome is not None, "every process leaves word"
    return outcome


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
