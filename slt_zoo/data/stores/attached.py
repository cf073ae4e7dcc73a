"""Stores beside a corpus: which ones its arguments name, whether they belong to it, and what it reads from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.locations import named_folder
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.stores.base import Store
from slt_zoo.data.stores.opening import is_store, open_store
from slt_zoo.data.stores.streamed import is_url
from slt_zoo.errors import ConfigError, first_few
from slt_zoo.types import InputSpec, Media, Split

__all__ = ["ARGUMENTS", "attach", "check_feature_id", "compare_with_corpus", "find_stores", "refuse_timing"]

ARGUMENTS = {"features": "features", "pose": "poses", "frames": "frames"}
"""Kind of media to the argument (and attribute) of a data module that names it."""


def find_stores(corpus_folder: Path, named: Mapping[str, str | list[str] | None]) -> dict[str, Store]:
    """The stores that a corpus's arguments name, opened, by kind of media.

    Args:
        corpus_folder: a name is looked for in its ``features`` first, and taken as a path then.
        named: kind of media to what the person gave.

    Raises:
        ConfigError: a store of another kind.
        StoreError: an unfinished or damaged one.
    """
    stores: dict[str, Store] = {}
    for kind, name in named.items():
        if isinstance(name, list):
            _refuse_joined_stores(corpus_folder, kind, name)
            continue
        place = _store_place(corpus_folder, name)
        if place is None:
            continue
        store = open_store(place)
        there = store.manifest.made_by.kind
        if there != kind:
            raise ConfigError(
                f"data.{ARGUMENTS[kind]} names a store of {there}",
                where=store.name,
                found=f"extractor {store.manifest.made_by.extractor}",
                todo=f"pass it as data.{ARGUMENTS[there]}",
            )
        stores[kind] = store
    return stores


def _store_place(corpus_folder: Path, name: str | None) -> str | Path | None:
    """Where the store of a name is; None: it names none."""
    if name is not None and is_url(name):
        return name
    folder = named_folder(corpus_folder, name, "features")
    return folder if folder is not None and folder.is_dir() and is_store(folder) else None


def _refuse_joined_stores(corpus_folder: Path, kind: str, names: Sequence[str]) -> None:
    stores = [name for name in names if _store_place(corpus_folder, name) is not None]
    if stores:
        raise ConfigError(
            f"a store is not joined with other {kind}: its manifest tells of its own features alone",
            found=f"data.{ARGUMENTS[kind]}={names}; {first_few(stores)} is a store",
            todo="name the store alone, or join folders and files",
        )


def attach(media: Mapping[str, Media], stores: Mapping[str, Store], sample_id: str) -> dict[str, Media]:
    """What a sample has, with its stores' instead of the corpus's own; what a store lacks is missing."""
    found = dict(media)
    for kind, store in stores.items():
        stored = store.media(sample_id)
        if stored is None:
            found.pop(kind, None)
        else:
            found[kind] = stored
    return found


def refuse_timing(store: Store | None, stride: int | None, window: int | None) -> None:
    """A store of features knows its own stride and window.

    Raises:
        ConfigError: a person stated one beside it.
    """
    if store is not None and not (stride is None and window is None):
        raise ConfigError(
            "data.features is a store, which knows its own stride and window",
            where=store.name,
            found=f"feature_stride={stride}, feature_window={window}",
            todo="leave both out",
        )


def compare_with_corpus(
    store: Store, manifest: Manifest, annotation_hash: str, simulated: bool, chosen: Mapping[str, str]
) -> None:
    """Warn where a store was made from something else than the corpus that reads it.

    Args:
        store: the store.
        manifest: of a split, whole.
        annotation_hash: of it.
        simulated: whether the corpus is simulated.
        chosen: arguments of the corpus that choose between recordings (`SLTDataModule.media_settings`).
    """
    made, name = store.manifest, f"{manifest.corpus} {manifest.split}: the store {store.name!r}"
    split: Split = manifest.split
    if made.simulated != simulated:
        kinds = {True: "simulated signing", False: "real signing"}
        rank_zero_warn(f"{name} was made from {kinds[made.simulated]}, the corpus is {kinds[simulated]}")
    told = {key: (made.media.get(key), value) for key, value in chosen.items()}
    other = "; ".join(f"{key} was {old!r} and is {new!r}" for key, (old, new) in told.items() if old != new)
    if made.corpus == manifest.corpus and other:
        rank_zero_warn(f"{name} was made from other recordings: {other}")
    there = made.annotations.get(split)
    if there is None or there == annotation_hash:  # where a split is not in the store, its samples are missing
        return
    stored, wanted = set(store.ids(split)), set(manifest.ids)
    differs = [f"annotation {annotation_hash[:12]}, in the store {there[:12]}"]
    if made.corpus != manifest.corpus:
        differs.append(f"it was made for {made.corpus}")
    for what, ids in (("only in the store", stored - wanted), ("not in it", {i for i in wanted if i not in store})):
        if ids:
            differs.append(f"{len(ids)} samples {what}: {first_few(sorted(ids), 2)}")
    if len(differs) == 1:
        differs.append("the ids are the same; texts or glosses differ")
    rank_zero_warn(f"{name} was made from another annotation: {'; '.join(differs)}")


def check_feature_id(
    spec: InputSpec, stores: Mapping[str, Store], named: str | list[str] | None, model: str, command: str
) -> None:
    """What is read is of the making that a recipe was made for.

    Args:
        spec: its ``feature_id`` is the id of the extraction, its ``modality`` the kind.
        stores: of a corpus, by kind.
        named: what the person named for this kind.
        model: name of what asks, for messages.
        command: that makes the right store.

    Raises:
        ConfigError: it is another, or nobody knows what made it; the message holds the command.
    """
    expected, store, argument = spec.feature_id, stores.get(spec.modality), ARGUMENTS[spec.modality]
    found = None if store is None else store.manifest.made_by.id
    if found == expected:
        return
    if named is None:
        what = f"no {argument} are named"
    elif store is None:
        what = f"{named!r} is no store, so what made its {argument} is not known"
    else:
        what = f"{found!r} in {store.name!r}"
    raise ConfigError(
        f"{model} was set up for the {argument} {expected!r}",
        found=what,
        todo=f"make them: {command}; then pass data.{argument}={expected}. model.feature_id=null takes what is there",
    )
