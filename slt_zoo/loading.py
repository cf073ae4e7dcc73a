"""Weights in and out: strict initialisation from another run, and loading a model by its file.

Everything is read with ``weights_only=True``; nothing in a checkpoint is run.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import torch
import yaml
from torch import Tensor, nn

from slt_zoo.errors import (
    CheckpointClassError,
    CheckpointError,
    CheckpointMismatchError,
    ConfigError,
    UnknownNameError,
    first_few,
    nearest,
)

if TYPE_CHECKING:
    from slt_zoo.models.base import SLTModule

__all__ = [
    "InitFrom",
    "check_choices",
    "check_class",
    "check_weights",
    "load",
    "plain_data",
    "read_checkpoint",
    "read_pretrained",
    "sha256_of",
    "weights_of",
    "write_pretrained",
]

CLASS_KEY = "slt_zoo"
"""Key of a checkpoint that holds its class's name and the version that wrote it."""

WEIGHTS, CONFIG = "model.safetensors", "config.yaml"


@dataclass(frozen=True)
class InitFrom:
    """Weights of an earlier run as the start of this one (never through ``--ckpt_path``, which resumes a run).

    For every prefix all parameters of the target are filled and all of the source are used, with equal shapes.

    Attributes:
        path: a checkpoint, or a folder of ``save_pretrained``.
        map: prefix in the source to prefix here (``{"net.encoder.": "net.encoder."}``).
        unused: prefixes of the source, below a mapped one, that are left behind on purpose.
        fresh: prefixes here, below a mapped one, that keep their initialisation on purpose.
    """

    path: str
    map: Mapping[str, str]
    unused: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)

    def codecs(self) -> dict[str, Any]:
        """Vocabularies of the run that the weights come from, by name, as plain data."""
        path = Path(self.path)
        stored = _config(path) if path.is_dir() else read_checkpoint(path)
        codecs: dict[str, Any] = stored.get("hyper_parameters", {}).get("codecs") or {}
        return codecs

    def load_into(self, module: nn.Module) -> dict[str, str]:
        """Copy the weights.

        Returns:
            Path and SHA-256 of the source, for the record.

        Raises:
            CheckpointError: there is no such file.
            CheckpointMismatchError: names or shapes differ; both lists and the nearest names are told.
        """
        source = _state_dict(Path(self.path))
        target = module.state_dict()
        moved: dict[str, Tensor] = {}
        for here, there in self.map.items():
            wanted = {k for k in source if k.startswith(here) and not k.startswith(tuple(self.unused) or ("\0",))}
            open_keys = {k for k in target if k.startswith(there) and not k.startswith(tuple(self.fresh) or ("\0",))}
            named = {there + k.removeprefix(here): k for k in wanted}
            self._compare(named, open_keys, source, target, here, there)
            moved |= {name: source[k] for name, k in named.items()}
        if any(target[name].is_meta for name in moved):
            raise CheckpointMismatchError(
                "weights cannot be copied into a network without memory", where=self.path, found="meta tensors"
            )
        module.load_state_dict(moved, strict=False)
        return {"path": str(self.path), "sha256": sha256_of(Path(self.path))}

    def _compare(
        self,
        named: dict[str, str],
        open_keys: set[str],
        source: dict[str, Tensor],
        target: dict[str, Tensor],
        here: str,
        there: str,
    ) -> None:
        if not named:
            near = nearest(here, {k[: len(here)] for k in source} | {k.rsplit(".", 1)[0] + "." for k in source})
            raise CheckpointMismatchError(
                f"no weight in the checkpoint begins with {here!r}",
                where=self.path,
                found=first_few(sorted({k.split(".")[0] + "." for k in source})),
                todo=f"did you mean {' or '.join(near)}?" if near else None,
            )
        empty, surplus = sorted(open_keys - set(named)), sorted(set(named) - open_keys)
        if empty or surplus:
            alike = {name: nearest(name, empty, 1) for name in surplus[:5]}
            hints = "; ".join(f"{a} is like {b[0]}" for a, b in alike.items() if b)
            raise CheckpointMismatchError(
                f"weights under {here!r} and the network under {there!r} have different names",
                where=self.path,
                expected=f"not filled: {first_few(empty) or 'none'}",
                found=f"not used: {first_few(surplus) or 'none'}",
                todo=" ".join(part for part in (hints, "name a deliberate subset in `unused` or `fresh`") if part),
            )
        shapes = [
            f"{name} {tuple(source[k].shape)} into {tuple(target[name].shape)}"
            for name, k in sorted(named.items())
            if source[k].shape != target[name].shape
        ]
        if shapes:
            raise CheckpointMismatchError(
                f"{len(shapes)} weights under {here!r} have other shapes than the network",
                where=self.path,
                found=first_few(shapes),
                todo="use the sizes that the checkpoint was trained with",
            )


def sha256_of(path: Path) -> str:
    """SHA-256 of a checkpoint file, or of the weights in a ``save_pretrained`` folder."""
    digest = hashlib.sha256()
    with (path / WEIGHTS if path.is_dir() else path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def weights_of(run: Path) -> Path:
    """The checkpoint of a run folder to work with: the best, else the last.

    Raises:
        CheckpointError: it has none.
    """
    for name in ("best.ckpt", "last.ckpt"):
        if (run / name).is_file():
            return run / name
    raise CheckpointError(
        "there are no weights to use",
        where=run,
        expected="best.ckpt or last.ckpt in the run folder",
        todo="train first with `slt-zoo fit`, or pass --ckpt_path FILE",
    )


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A Lightning checkpoint as plain data and tensors, on the CPU.

    Raises:
        CheckpointError: no such file, no checkpoint, or one that would have to run code.
    """
    path = Path(path)
    if not path.is_file():
        here = sorted(p.name for p in path.parent.glob("*.ckpt")) if path.parent.is_dir() else []
        raise CheckpointError(
            "there is no such checkpoint",
            where=path,
            found=f"checkpoints in that folder: {', '.join(here) or 'none'}",
            todo="run the phase that makes it first: `slt-zoo run zoo:<model>/<corpus>` runs all in order",
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # torch raises a different class for each way in which a file is no checkpoint
        asks = re.search(r"GLOBAL ([\w.]+)|Unsupported class ([\w.]+)", str(cause))
        if asks or ("weights_only" in str(cause).lower() and path.read_bytes()[:2] in (b"PK", b"\x80\x02")):
            raise CheckpointError(
                "the checkpoint holds more than weights and plain data; it would have to run code, and is not read",
                where=path,
                found=f"it asks for {asks[1] or asks[2]}" if asks else None,
                todo="use a checkpoint that slt_zoo wrote",
            ) from cause
        raise CheckpointError(
            "this file is no checkpoint", where=path, todo="give a .ckpt file that a fit wrote"
        ) from cause
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise CheckpointError("this is no Lightning checkpoint", where=path, expected="a dict with 'state_dict'")
    return checkpoint


def check_class(checkpoint: Mapping[str, Any], class_name: str) -> None:
    """Refuse a checkpoint of another class.

    Raises:
        CheckpointClassError: it holds another model than the one of that name.
    """
    found = checkpoint.get(CLASS_KEY, {}).get("class")
    if found != class_name:
        raise CheckpointClassError(
            f"the checkpoint holds another model than {class_name.rpartition('.')[2]}",
            expected=class_name,
            found=found or "no class name: not a checkpoint of slt_zoo",
            todo="weights of another phase come in through model.init_from, not through ckpt_path",
        )


_QUIET = {"codecs", "facts", "init_from", "initialised_from"}
"""Hyper-parameters that are too long to be told, or differ in any two runs."""


def check_weights(
    what: str,
    given: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    theirs: Mapping[str, Any],
    ours: Mapping[str, Any],
) -> None:
    """Refuse weights of a checkpoint that are not those of a model.

    Args:
        what: the model's name.
        given: the checkpoint's weights.
        own: the model's.
        theirs: the checkpoint's hyper-parameters; those that differ are told.
        ours: the model's.

    Raises:
        CheckpointMismatchError: names or shapes differ.
    """
    wrong = sorted(set(own) ^ set(given)) + [k for k in own if k in given and own[k].shape != given[k].shape]
    if wrong:
        differ = [
            f"{k}: {theirs[k]!r} there, {ours.get(k)!r} here"
            for k in theirs
            if k not in _QUIET and theirs[k] != ours.get(k)
        ]
        raise CheckpointMismatchError(
            f"the checkpoint does not fit this {what}: {len(wrong)} weights differ",
            found=first_few(wrong),
            expected="; ".join(differ) or "the same vocabulary and data as in its own run",
            todo="use the config.yaml that lies beside the checkpoint",
        )


def load(path: str | Path) -> SLTModule:
    """The model of a checkpoint file or of a ``save_pretrained`` folder, whichever class it has, in eval mode.

    Raises:
        CheckpointError: it cannot be read.
        CheckpointClassError: it is no model of slt_zoo.
    """
    path = Path(path)
    written = _config(path) if path.is_dir() else read_checkpoint(path).get(CLASS_KEY, {})
    cls = _find_class(str(written.get("class", "")), path)
    return cls.from_pretrained(path) if path.is_dir() else cls.load_from_checkpoint(path, weights_only=True).eval()


def _find_class(name: str, path: Path) -> type[SLTModule]:
    from slt_zoo.models.base import SLTModule

    module, _, attribute = name.rpartition(".")
    cls = None
    if module.split(".")[0] == "slt_zoo":  # never import what a file names unless it is ours
        cls = getattr(importlib.import_module(module), attribute, None)
    else:
        loaded = [c for c in _subclasses(SLTModule) if f"{c.__module__}.{c.__qualname__}" == name]
        cls = loaded[0] if loaded else None
    if not (isinstance(cls, type) and issubclass(cls, SLTModule)):
        raise CheckpointClassError(
            "the checkpoint's class is not known",
            where=path,
            found=name or "no class name",
            todo="import the module that defines the class, then load again",
        )
    return cls


def _subclasses(cls: type[SLTModule]) -> list[type[SLTModule]]:
    return [s for direct in cls.__subclasses__() for s in (direct, *_subclasses(direct))]


def check_choices(cls: type, values: Mapping[str, Any]) -> None:
    """Refuse arguments of a class, those of its bases too, that are none of the words its annotation lists.

    The command line reads the annotations; from Python a misspelt word would train something without a name.

    Raises:
        UnknownNameError: there is one; with the nearest word.
    """
    for base in inspect.getmro(cls):
        for name, words in _choices(base).items():
            if isinstance(value := values.get(name), str) and value not in words:
                raise UnknownNameError(f"model.{name}", value, words)
        if base.__name__ == "SLTModule":  # above it is Lightning's
            return


@lru_cache(maxsize=64)
def _choices(cls: type) -> dict[str, tuple[str, ...]]:
    """Arguments of a class that are one of some words, or that or None."""
    if "__init__" not in vars(cls):
        return {}
    try:
        hints = get_type_hints(vars(cls)["__init__"])
    except NameError:  # a class of somebody else whose annotations cannot be read here
        return {}
    found = {}
    for name, annotation in hints.items():
        parts = [part for part in (get_args(annotation) or ()) if part is not type(None)]
        whole = annotation if get_origin(annotation) is Literal else parts[0] if len(parts) == 1 else None
        if get_origin(whole) is Literal:
            found[name] = get_args(whole)
    return found


def write_pretrained(folder: str | Path, module: nn.Module, config: Mapping[str, Any]) -> Path:
    """Write weights (safetensors) and hyper-parameters (YAML) into a folder."""
    from safetensors.torch import save_model

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_model(module, str(folder / WEIGHTS))
    (folder / CONFIG).write_text(yaml.safe_dump(dict(config), allow_unicode=True, sort_keys=False), encoding="utf-8")
    return folder


def read_pretrained(folder: str | Path, build: Callable[[dict[str, Any]], SLTModule], class_name: str) -> SLTModule:
    """Inverse of `write_pretrained`: ``build`` makes the module of the configuration.

    Raises:
        CheckpointError: the folder is none of ours.
        CheckpointClassError: it holds another class.
        CheckpointMismatchError: names or shapes differ.
    """
    from safetensors.torch import load_model

    folder = Path(folder)
    config = _config(folder)
    if config.get("class") != class_name:
        raise CheckpointClassError(
            "the folder holds another model", where=folder, expected=class_name, found=config.get("class")
        )
    module = build(config)
    try:
        load_model(module, str(folder / WEIGHTS))
    except RuntimeError as cause:
        raise CheckpointMismatchError(
            "weights and hyper-parameters of the folder do not fit", where=folder, found=str(cause)
        ) from cause
    return module.eval()


def _config(folder: Path) -> dict[str, Any]:
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise CheckpointError(
            "this folder holds no pretrained model",
            where=folder,
            expected=f"{CONFIG} and {WEIGHTS}",
            found=", ".join(sorted(p.name for p in folder.iterdir())) if folder.is_dir() else "no such folder",
            todo="give a checkpoint file, or a folder that save_pretrained wrote; nothing is downloaded",
        )
    config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    if not isinstance(config, dict) or "hyper_parameters" not in config:
        raise CheckpointError("not a config of save_pretrained", where=folder / CONFIG)
    return config


def _state_dict(path: Path) -> dict[str, Tensor]:
    if path.is_dir():
        from safetensors import safe_open
        from safetensors.torch import load_file

        _config(path)
        stored = load_file(str(path / WEIGHTS))
        with safe_open(str(path / WEIGHTS), "pt") as file:  # names of tied weights that were not written twice
            tied: dict[str, str] = file.metadata() or {}
        return stored | {gone: stored[kept] for gone, kept in tied.items() if kept in stored}
    weights: dict[str, Tensor] = read_checkpoint(path)["state_dict"]
    return weights


def plain_data(name: str, value: Any) -> Any:
    """A hyper-parameter as JSON-like data.

    Raises:
        ConfigError: it holds something that only a pickle could keep.
    """
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return plain_data(name, asdict(value))
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): plain_data(name, v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_data(name, v) for v in (sorted(value) if isinstance(value, set | frozenset) else value)]
    raise ConfigError(
        f"hyper-parameter {name!r} is no plain data, so no checkpoint could hold it",
        found=f"{type(value).__name__}",
        expected="numbers, strings, lists, dicts or dataclasses of them",
    )
