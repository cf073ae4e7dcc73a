"""mBART (Liu et al., arXiv 2001.08210): the sizes of one, a network of them, and weights out of a folder.

The network is that of `transformers`; vocabulary size and special ids are the codec's. Nothing is downloaded unless a
name on the Hugging Face hub is given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor

from slt_zoo.errors import CheckpointError, CheckpointMismatchError, ConfigError, UnknownNameError, first_few
from slt_zoo.text.codec import TextCodec
from slt_zoo.text.folders import model_file
from slt_zoo.text.trim_weights import SHARED, TIED, read_weights, weight_files

if TYPE_CHECKING:
    from transformers import MBartConfig, MBartForConditionalGeneration

__all__ = ["MBART_LARGE", "AttentionKind", "MBartSizes", "build_mbart", "load_mbart", "mbart_hash", "sizes_of"]

AttentionKind = Literal["sdpa", "eager"]
"""How attention is computed: torch's own kernel, or matrix products (faster on a CPU in bfloat16)."""


@dataclass(frozen=True)
class MBartSizes:
    """Sizes of an mBART without weights; the defaults are small: what learns in a minute on a CPU.

    Attributes:
        d_model: width D.
        encoder_layers: layers of the encoder.
        decoder_layers: layers of the decoder.
        encoder_heads: attention heads of an encoder layer.
        decoder_heads: of a decoder layer.
        encoder_ffn: width of the feed-forward blocks of the encoder.
        decoder_ffn: of the decoder.
        dropout: of embeddings and blocks.
        attention_dropout: of attention weights.
        activation_dropout: inside the feed-forward blocks.
        activation: of the feed-forward blocks, transformers' name.
        max_positions: longest sequence on either side.
        scale_embedding: multiply token embeddings by the square root of D.
        init_std: standard deviation of random weights.
        seed: of random weights; None: the run's own generator draws them.
    """

    d_model: int = 256
    encoder_layers: int = 2
    decoder_layers: int = 2
    encoder_heads: int = 4
    decoder_heads: int = 4
    encoder_ffn: int = 1024
    decoder_ffn: int = 1024
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    activation: str = "gelu"
    max_positions: int = 256
    scale_embedding: bool = True
    init_std: float = 0.02
    seed: int | None = None

    def __post_init__(self) -> None:
        counts = ("d_model", "encoder_heads", "decoder_heads", "encoder_ffn", "decoder_ffn", "max_positions")
        for name in (*counts, "encoder_layers", "decoder_layers"):
            if getattr(self, name) < (1 if name in counts else 0):
                raise ConfigError("sizes of an mBART are positive", found=f"{name}={getattr(self, name)}")
        for name in ("dropout", "attention_dropout", "activation_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError("dropout is in [0, 1)", found=f"{name}={getattr(self, name)}")
        if self.d_model % self.encoder_heads or self.d_model % self.decoder_heads:
            found = f"d_model={self.d_model}, heads {self.encoder_heads} and {self.decoder_heads}"
            raise ConfigError("d_model must be divisible by the heads of both sides", found=found)


MBART_LARGE = MBartSizes(
    d_model=1024,
    encoder_layers=12,
    decoder_layers=12,
    encoder_heads=16,
    decoder_heads=16,
    encoder_ffn=4096,
    decoder_ffn=4096,
    max_positions=1024,
)
"""mBART-large (cc25 and 50), with the dropout of 0.1 that papers of sign language translation give."""

_IN_CONFIG = {
    "d_model": "d_model",
    "encoder_layers": "encoder_layers",
    "decoder_layers": "decoder_layers",
    "encoder_heads": "encoder_attention_heads",
    "decoder_heads": "decoder_attention_heads",
    "encoder_ffn": "encoder_ffn_dim",
    "decoder_ffn": "decoder_ffn_dim",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "activation": "activation_function",
    "max_positions": "max_position_embeddings",
    "scale_embedding": "scale_embedding",
    "init_std": "init_std",
}
"""Our names and those of a ``config.json``."""


def sizes_of(source: str | Path | MBartSizes | Mapping[str, Any]) -> MBartSizes:
    """Sizes as such, as plain data (a recipe's, a checkpoint's), or those of a folder of weights.

    Args:
        source: sizes, their dict, a folder with a ``config.json``, or a hub name.

    Raises:
        UnknownNameError: plain data name a size that there is not.
        ConfigError: there is no such folder, or the hub cannot be reached; says what to give instead.
        CheckpointError: its ``config.json`` is not that of an mBART.
    """
    if isinstance(source, MBartSizes):
        return source
    if isinstance(source, Mapping):
        known = {f.name for f in fields(MBartSizes)}
        for name in source:
            if name not in known:
                raise UnknownNameError("size of an mBART", str(name), known)
        return MBartSizes(**source)
    config = _read_config(source)
    return MBartSizes(**{name: config.get(key, getattr(MBART_LARGE, name)) for name, key in _IN_CONFIG.items()})


def build_mbart(
    sizes: MBartSizes, codec: TextCodec, *, attention: AttentionKind = "sdpa"
) -> MBartForConditionalGeneration:
    """A network with random weights for the codec's ids; embeddings of both sides and the output share one matrix.

    Works on the meta device, where it costs no memory.

    Args:
        sizes: of the network.
        codec: gives the size of the vocabulary V and the ids of padding, begin (the decoder's first token) and end.
        attention: see `AttentionKind`.

    Raises:
        UnknownNameError: an activation that transformers does not know.
    """
    from transformers import MBartForConditionalGeneration

    config = _config(sizes, codec)
    if sizes.seed is None:
        model = MBartForConditionalGeneration(config)
    else:
        with torch.random.fork_rng():
            torch.manual_seed(sizes.seed)
            model = MBartForConditionalGeneration(config)
    model.tie_weights()  # transformers 5.0 leaves this out on the meta device
    model.set_attn_implementation(attention)
    return model


def _config(sizes: MBartSizes, codec: TextCodec) -> MBartConfig:
    from transformers import MBartConfig
    from transformers.activations import ACT2FN

    if sizes.activation not in ACT2FN:
        raise UnknownNameError("activation", sizes.activation, ACT2FN)
    return MBartConfig(
        vocab_size=len(codec),
        pad_token_id=codec.pad_id,
        bos_token_id=codec.bos_id,
        eos_token_id=codec.eos_id,
        decoder_start_token_id=codec.bos_id,
        forced_eos_token_id=None,  # a sentence that was cut must not look finished
        **{key: getattr(sizes, name) for name, key in _IN_CONFIG.items()},
    )


def load_mbart(model: MBartForConditionalGeneration, source: str | Path, codec: TextCodec) -> dict[str, str]:
    """Copy the weights of a folder into a network of `build_mbart`.

    Args:
        model: built with the sizes of the same source.
        source: folder or hub name.
        codec: whose ids the rows of the embedding must be.

    Returns:
        Path and SHA-256 of the source, for the record.

    Raises:
        ConfigError: vocabulary or special ids are not the codec's.
        CheckpointError: weights cannot be read, or are not tied.
        CheckpointMismatchError: names or shapes differ.
    """
    _check_vocabulary(source, codec)
    with _advice(source):
        files = weight_files(source)
    stored: dict[str, Tensor] = {}
    for path in files:
        stored |= read_weights(path)
    own = model.state_dict()
    shared = stored.get(SHARED, next((stored[name] for name in TIED if name in stored), None))
    if shared is None:
        raise CheckpointMismatchError("the weights hold no token embedding", where=source, expected=SHARED)
    untied = [name for name in TIED if name in stored and not torch.equal(stored[name], shared)]
    if untied:
        raise CheckpointError(
            "embeddings and output of this mBART are different matrices, here they are one",
            where=source,
            found=f"unlike {SHARED}: {', '.join(untied)}",
        )
    stored |= {name: shared for name in (SHARED, *TIED)}
    stored.setdefault("final_logits_bias", torch.zeros(1, len(shared)))
    wrong = [f"not in the files: {n}" for n in own.keys() - stored] + [
        f"not in mBART: {n}" for n in stored.keys() - own
    ]
    wrong += [
        f"{n}: {tuple(stored[n].shape)} in the files, {tuple(own[n].shape)} in the network"
        for n in own.keys() & stored
        if own[n].shape != stored[n].shape
    ]
    if wrong:
        what = f"{len(wrong)} weights do not fit the network of config.json"
        raise CheckpointMismatchError(what, where=source, found=first_few(sorted(wrong)))
    model.load_state_dict(stored)
    return {"path": str(source), "sha256": _sha256(files)}


def mbart_hash(source: str | Path) -> str:
    """SHA-256 of the weights of a folder or hub name, as `load_mbart` records it."""
    return _sha256(weight_files(source))


@contextmanager
def _advice(source: str | Path) -> Iterator[None]:
    """Where files are not to be had, say all that can stand in their place."""
    try:
        yield
    except ConfigError as cause:
        raise ConfigError(
            cause.what,
            where=source,
            expected="an mBART: config.json and model.safetensors (or pytorch_model.bin)",
            found=cause.found,
            todo="give the folder of an mBART (`slt-zoo tokenizer trim` makes one for a corpus), a hub name while "
            "online, or sizes (d_model, encoder_layers, ...) in its place, as the synthetic recipes and the tiny "
            "overlays do: a small random network, to be trained by TextPretraining first",
        ) from cause


def _read_config(source: str | Path) -> dict[str, Any]:
    with _advice(source):
        path = model_file(source, "config.json")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as cause:
        raise CheckpointError("the configuration of an mBART is damaged", where=path, found=str(cause)) from cause
    kind = config.get("model_type") if isinstance(config, dict) else type(config).__name__
    if kind != "mbart":
        raise CheckpointError("this folder holds another model", where=path, expected="model_type mbart", found=kind)
    return cast(dict[str, Any], config)


def _check_vocabulary(source: str | Path, codec: TextCodec) -> None:
    config = _read_config(source)
    trim = "use the tokenizer that lies in that folder, or cut both to the corpus with `slt-zoo tokenizer trim`"
    if config.get("vocab_size") != len(codec):
        raise ConfigError(
            "vocabulary and mBART have different sizes",
            where=source,
            expected=f"{len(codec)} rows, as the codec has ids",
            found=f"{config.get('vocab_size')} rows",
            todo=trim,
        )
    for key, own in (("pad_token_id", codec.pad_id), ("eos_token_id", codec.eos_id)):
        if config.get(key, own) != own:
            raise ConfigError(
                f"the codec and mBART number their special tokens differently ({key})",
                where=source,
                expected=f"{own}, as in the codec",
                found=config[key],
                todo=trim,
            )


def _sha256(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
