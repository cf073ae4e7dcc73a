"""The tensors of an mBART, with some rows of its vocabulary."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slt_zoo.errors import CheckpointError, CheckpointMismatchError, ConfigError, first_few, one_line
from slt_zoo.files import replacing
from slt_zoo.text.folders import model_file

__all__ = ["SHARED", "TIED", "WEIGHT_FILES", "read_weights", "trim_weights", "weight_files"]

log = logging.getLogger(__name__)

WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""Where weights may lie, best first; of a pickle only tensors are read, nothing in it is run."""

SHARED, BIAS = "model.shared.weight", "final_logits_bias"
TIED = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight")
_TOKEN_IDS = ("decoder_start_token_id", "forced_bos_token_id")
_CONFIG_OUT = ("task_specific_params", "_name_or_path", "transformers_version", "tokenizer_class")


def trim_weights(source: str | Path, out: Path, rows: Sequence[int], size: int) -> dict[str, str]:
    """Write ``config.json``, ``generation_config.json`` where there is one, and ``model.safetensors``.

    Args:
        source: folder or hub name of the whole model.
        out: folder to write into.
        rows: of the vocabulary, in their new order.
        size: rows of the whole vocabulary.

    Returns:
        SHA-256 of the files of weights that were read, by name.

    Raises:
        CheckpointError: a file is damaged.
        CheckpointMismatchError: names or shapes are not those of ``config.json``.
    """
    from safetensors.torch import save_file

    files = weight_files(source)
    weights: dict[str, Tensor] = {}
    for path in files:
        weights |= read_weights(path)
    config_file = model_file(source, "config.json")
    config = json.loads(config_file.read_text(encoding="utf-8"))
    for name in (SHARED, BIAS, *TIED):
        if name in weights:
            weights[name] = _cut(name, weights[name], rows, size)
    weights.setdefault(BIAS, torch.zeros(1, len(rows)))
    config = _with_ids({k: v for k, v in config.items() if k not in _CONFIG_OUT}, rows) | {"vocab_size": len(rows)}
    weights = _checked(weights, config, config_file.parent)
    weights = {name: weight.contiguous() for name, weight in weights.items()}
    with replacing(out / "model.safetensors") as temporary:  # safetensors makes private files; these are to be shared
        save_file(weights, temporary, metadata={"format": "pt"})  # transformers asks for the mark
    _write(out / "config.json", config)
    if (generation := _generation(source)) is not None:
        kept = {k: v for k, v in generation.items() if k not in _CONFIG_OUT}
        _write(out / "generation_config.json", _with_ids(kept, rows))
    return {path.name: _sha256(path) for path in files}


def _generation(source: str | Path) -> dict[str, Any] | None:
    """How the model decodes by default; older models do not say."""
    try:
        path = model_file(source, "generation_config.json")
    except ConfigError:
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as cause:
        raise CheckpointError("generation_config.json cannot be read", where=path, found=str(cause)) from cause
    return content


def weight_files(source: str | Path) -> list[Path]:
    """The files of weights that a model has, one or its shards.

    Raises:
        ConfigError: it has none.
        CheckpointError: the list of the shards is damaged.
    """
    first = model_file(source, *WEIGHT_FILES)
    if not first.name.endswith(".index.json"):
        return [first]
    try:
        names = sorted(set(json.loads(first.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as cause:
        raise CheckpointError("the index of the weights cannot be read", where=first, found=repr(cause)) from cause
    return [model_file(source, name) for name in names]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name.

    Raises:
        CheckpointError: it is damaged, or holds more than tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:  # files of old releases are no archives, and cannot be mapped
            content = torch.load(path, "cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as cause:
        raise CheckpointError(
            "the weights cannot be read",
            where=path,
            found=str(cause).split("\n")[0],
            todo="get the file again; compare its size with the published one",
        ) from cause
    if not isinstance(content, dict) or not all(isinstance(w, Tensor) for w in content.values()):
        raise CheckpointError("the file holds no weights by name", where=path)
    return content


def _cut(name: str, weight: Tensor, rows: Sequence[int], size: int) -> Tensor:
    axis = 1 if name == BIAS else 0
    if weight.ndim != 2 or weight.shape[axis] != size:
        raise CheckpointMismatchError(
            "the weights and the tokenizer have vocabularies of different sizes",
            where=name,
            expected=f"{size} rows",
            found=tuple(weight.shape),
            todo="use tokenizer, config.json and weights of the same model",
        )
    return weight.index_select(axis, torch.tensor(rows))


def _checked(weights: dict[str, Tensor], config: dict[str, Any], where: Path) -> dict[str, Tensor]:
    """The weights that the network of the configuration has, each once."""
    from transformers import MBartConfig, MBartForConditionalGeneration

    try:
        with torch.device("meta"):
            network = MBartForConditionalGeneration(MBartConfig.from_dict(config))
    except Exception as cause:  # transformers has an error of its own for each way in which a configuration is wrong
        raise CheckpointError("config.json describes no mBART", where=where, found=one_line(cause)) from cause
    expected = {name: tuple(w.shape) for name, w in network.state_dict().items()}
    if config.get("tie_word_embeddings", True):
        whole = next((weights[name] for name in (SHARED, *TIED) if name in weights), None)
        other = [name for name in TIED if whole is not None and name in weights and not weights[name].equal(whole)]
        if other:
            raise CheckpointMismatchError(
                "embeddings that config.json says are one differ", where=where, found=first_few(other)
            )
        if whole is not None:
            weights = {SHARED: whole} | {n: w for n, w in weights.items() if n not in (SHARED, *TIED)}
        expected = {name: shape for name, shape in expected.items() if name not in TIED}
    missing = sorted(expected.keys() - weights.keys())
    shapes = [n for n, s in expected.items() if n in weights and tuple(weights[n].shape) != s]
    if missing or shapes:
        raise CheckpointMismatchError(
            "the weights are not those of the network in config.json",
            where=where,
            expected=f"every weight of an mBART: {first_few(missing)} missing" if missing else None,
            found=f"other shapes: {first_few([f'{n} {tuple(weights[n].shape)}, not {expected[n]}' for n in shapes])}"
            if shapes
            else None,
        )
    surplus = sorted(weights.keys() - expected.keys())
    if surplus:
        log.warning("weights that an mBART has not are left out: %s", first_few(surplus))
    return {name: weights[name] for name in expected}


def _with_ids(config: dict[str, Any], rows: Sequence[int]) -> dict[str, Any]:
    """Ids of tokens, renamed; those of control tokens stay."""
    row_of = {old: new for new, old in enumerate(rows)}
    return {k: row_of.get(v) if k in _TOKEN_IDS and v is not None else v for k, v in config.items()}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
