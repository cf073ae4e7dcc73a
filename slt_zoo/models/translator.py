"""What models that end in an mBART share: its arguments, vocabulary and weights, the cross-entropy, the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Literal, NamedTuple, cast, get_args

from torch import Tensor

from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.layers.lora import LoRA
from slt_zoo.layers.seq2seq import Seq2Seq, TranslationNet
from slt_zoo.losses import teacher_forcing, token_accuracy, token_cross_entropy
from slt_zoo.models.base import SLTModule
from slt_zoo.models.evaluation import MAIN
from slt_zoo.text import SubwordCodec, TextCodec
from slt_zoo.text.mbart import AttentionKind, MBartSizes, build_mbart, load_mbart, sizes_of
from slt_zoo.types import Batch, Losses, Ragged, Sample

__all__ = ["Frozen", "Likelihood", "MBartModule"]

Frozen = Literal["visual", "encoder", "decoder", "embeddings"]


class Likelihood(NamedTuple):
    """Of texts, given a memory.

    Attributes:
        total: ``()``, cross-entropy of all targets, summed.
        tokens: ``()``, how many there are.
        accuracy: ``()``, share of tokens that are the likeliest where those before them are given.
        logits: ``(B, L, V)``.
        truth: the targets, ``B`` sequences.
    """

    total: Tensor
    tokens: Tensor
    accuracy: Tensor
    logits: Tensor
    truth: Ragged


class MBartModule(SLTModule):
    """What models share that end in an mBART.

    A paper writes `sources` (what its network's encoder reads of a batch) and ``build``, which makes the mBART by
    `make_seq2seq` and puts it into a `TranslationNet`.

    Args:
        mbart: the folder or hub name of an mBART, with its tokenizer; or sizes of a random one, which weights of
            `TextPretraining` fill (``init_from``).
        vocabulary: sub-words at most, where the mBART is random and no earlier phase brings a vocabulary.
        dropout: of the mBART; None: its own.
        beam_size: 1: greedy.
        length_penalty: of the beam.
        max_new_tokens: longest output.
        max_tokens: longest target of training, both ends counted; longer ones are cut.
        label_smoothing: of the cross-entropy.
        lora: low-rank updates of mBART's linear layers, by peft (extra ``lora``); nothing else of the mBART is trained.
            ``{}`` has the defaults of `LoRA`: rank 16, alpha 32, dropout 0, targets q_proj and v_proj.
        freeze: parts that are not trained: ``"visual"``, all up to what the mBART reads, batch norm's statistics
            included; ``"encoder"`` and ``"decoder"`` of the mBART, which then get no updates either; ``"embeddings"``,
            of its tokens (and so its output) and positions. Their dropout goes on.
        attention: ``"sdpa"``, or ``"eager"``, which is faster on a CPU in bfloat16.
        checkpoint_gradients: compute mBART's layers again in the backward pass, which saves memory.
        base: arguments of `SLTModule`.
    """

    recorded = ("mbart",)

    def __init__(
        self,
        *,
        mbart: str | MBartSizes,
        vocabulary: int = 2000,
        dropout: float | None = 0.1,
        beam_size: int = 4,
        length_penalty: float = 1.0,
        max_new_tokens: int = 150,
        max_tokens: int = 256,
        label_smoothing: float = 0.2,
        lora: LoRA | None = None,
        freeze: list[Frozen] | None = None,
        attention: AttentionKind = "sdpa",
        checkpoint_gradients: bool = False,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        if mbart is None:  # from Python nothing else refuses it
            raise ConfigError(
                f"{type(self).__name__} needs an mBART",
                todo="the folder or hub name of one, or sizes of a random one, as its overlay `tiny` has",
            )
        self.weights = mbart if isinstance(mbart, str) else None
        if beam_size < 1 or max_new_tokens < 1 or max_tokens < 3 or not 0 <= label_smoothing <= 1:
            raise ConfigError(
                "beam_size and max_new_tokens are at least 1, max_tokens at least 3, label_smoothing between 0 and 1",
                found=f"{beam_size=}, {max_new_tokens=}, {max_tokens=}, {label_smoothing=}",
            )
        check_trained(None if lora is None else LoRA.of(lora), freeze or ())

    def sources(self, batch: Batch) -> tuple[Any, ...]:
        """What `TranslationNet.encode` reads of a batch."""
        raise NotImplementedError

    def make_seq2seq(self, width: int | None = None, scale_embeddings: float = 1.0) -> Seq2Seq:
        """The mBART for the vocabulary; its sizes are recorded, wherever they came from.

        Args:
            width: of the vectors that it is to read; None: it reads ids.
            scale_embeddings: see `Seq2Seq`.

        Raises:
            ConfigError: its width is another one, or it has too few positions for ``max_tokens``.
        """
        hp = self.hparams
        sizes = sizes_of(hp["mbart"])
        if hp["dropout"] is not None:
            sizes = replace(sizes, dropout=hp["dropout"])
        if width is not None and sizes.d_model != width:
            raise ConfigError(
                "visual tokens and mBART have different widths",
                expected=f"model.width={sizes.d_model}, as the mBART",
                found=f"model.width={width}",
            )
        if hp["max_tokens"] > sizes.max_positions:
            raise ConfigError(
                "max_tokens is more than the mBART has positions", expected=sizes.max_positions, found=hp["max_tokens"]
            )
        hp["mbart"] = asdict(sizes)
        seq2seq = Seq2Seq(build_mbart(sizes, self.codec, attention=hp["attention"]), scale_embeddings=scale_embeddings)
        if hp["checkpoint_gradients"]:
            seq2seq.checkpoint_gradients()
        return seq2seq

    def load_pretrained(self) -> list[dict[str, str]]:
        """Weights of the folder that ``mbart`` names, if it names one."""
        return [] if self.weights is None else [load_mbart(self.network.seq2seq.mbart, self.weights, self.codec)]

    def adapt(self) -> None:
        """Freeze what ``freeze`` names and put LoRA beside the rest of mBART."""
        hp, seq2seq = self.hparams, self.network.seq2seq
        frozen = hp["freeze"] or ()
        if "visual" in frozen:
            self.freeze_visual()
        seq2seq.freeze(*(part for part in frozen if part != "visual"))
        if hp["lora"] is not None:
            sides: list[Literal["encoder", "decoder"]] = [side for side in ("encoder", "decoder") if side in frozen]
            seq2seq.add_lora(**vars(LoRA.of(hp["lora"])), without=sides)

    def freeze_visual(self) -> None:
        """Take all up to what the mBART reads out of training."""
        raise ConfigError(f"{type(self).__name__} has no visual part to freeze", found="freeze: [visual]")

    @property
    def network(self) -> TranslationNet:
        """The network, with its type."""
        return cast(TranslationNet, self.net)

    @property
    def codec(self) -> TextCodec:
        """Vocabulary of the sentences."""
        return self.codecs["text"]

    def make_codecs(self, samples: Sequence[Sample]) -> dict[str, TextCodec]:
        """MBART's vocabulary, or sub-words of the training sentences; an earlier phase's takes their place.

        Raises:
            ConfigError: the sentences are of several languages, and sub-words have one.
        """
        texts, languages = [s.text for s in samples], sorted({s.language for s in samples})
        if len(languages) != 1:
            raise ConfigError("sub-words are of one language", found=", ".join(languages))
        if self.weights is None:
            return {"text": SubwordCodec.fit(texts, self.hparams["vocabulary"], languages[0])}
        sizes_of(self.weights)  # says more than a tokenizer can of what may stand in the place of a missing folder
        return {"text": SubwordCodec.from_pretrained(self.weights, languages[0])}

    # Encoding and what is made of it are apart, so that an evaluation encodes once, and a model may have two memories.

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Memory ``(B, N, D)`` and its mask ``(B, N)``, True = valid."""
        return self.network.encode(*self.sources(batch))

    def likelihood(self, memory: Tensor, mask: Tensor, texts: Sequence[str], *, rotate: bool = True) -> Likelihood:
        """How likely texts are, token by token, given a memory.

        Args:
            memory: of `encode`.
            mask: likewise.
            texts: one a row.
            rotate: the language's token behind the end is a target, too, as in mBART's own training and in what
                followed it; the share of right tokens does not count it.
        """
        ids = self.codec.encode(texts, max_len=self.hparams["max_tokens"]).to(self.device)
        read, truth = teacher_forcing(ids, rotate=rotate)
        logits = self.network.seq2seq.decode(memory, mask, read.padded(self.codec.pad_id)[0])
        total, count = token_cross_entropy(logits, truth, label_smoothing=self.hparams["label_smoothing"])
        return Likelihood(total, count, token_accuracy(logits, truth, rotated=rotate), logits, truth)

    def write(self, memory: Tensor, mask: Tensor) -> list[str]:
        """Beam search in a memory, from the language's token on: one sentence a row."""
        hp = self.hparams
        ids = self.network.seq2seq.search(
            memory,
            mask,
            start_id=self.codec.bos_id,
            num_beams=hp["beam_size"],
            max_new_tokens=hp["max_new_tokens"],
            length_penalty=hp["length_penalty"],
        )
        return self.codec.decode(ids)

    def losses_of(self, batch: Batch, memory: Tensor, mask: Tensor) -> Losses:
        """Cross-entropy over all targets, to the language's token behind the end, and the share of right ones."""
        found = self.likelihood(memory, mask, batch.text)
        loss = self.mean(found.total, found.tokens)
        tokens = len(found.truth.values)
        counts = {"token_accuracy": tokens - len(batch)}  # without the language's tokens
        return Losses(loss, {"token_accuracy": found.accuracy}, count=tokens, counts=counts)

    def losses(self, batch: Batch) -> Losses:
        """`losses_of` what the encoder makes of the batch."""
        return self.losses_of(batch, *self.encode(batch))

    def translate(self, batch: Batch) -> list[str]:
        """Sentences by `write`."""
        return self.write(*self.encode(batch))

    def evaluate(self, batch: Batch) -> tuple[Losses, dict[str, list[str]]]:
        """Losses and hypotheses of one memory."""
        memory = self.encode(batch)
        return self.losses_of(batch, *memory), {MAIN: self.write(*memory), **self.extra_hypotheses(batch)}

    def decoding_settings(self) -> dict[str, Any]:
        """Beam size, length penalty and longest output."""
        return {name: self.hparams[name] for name in ("beam_size", "length_penalty", "max_new_tokens")}


def check_trained(lora: LoRA | None, freeze: Sequence[str]) -> None:
    """Refuse to train nothing, or low-rank updates of nothing.

    Raises:
        UnknownNameError: there is no such part to freeze.
        ConfigError: nothing is left to be trained, or LoRA has no place.
    """
    for part in freeze:
        if part not in get_args(Frozen):
            raise UnknownNameError("part to freeze", part, get_args(Frozen))
    frozen = set(freeze)
    if lora is not None and frozen >= {"encoder", "decoder"}:
        raise ConfigError(
            "LoRA has no place where encoder and decoder are frozen",
            found=f"freeze={list(freeze)} and lora",
            todo="leave both out of freeze: LoRA keeps mBART's own weights as they are; or leave lora out",
        )
    if lora is None and frozen == set(get_args(Frozen)):
        raise ConfigError("everything is frozen, so nothing could be trained", found=f"freeze={list(freeze)}")
