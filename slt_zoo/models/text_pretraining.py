"""`TextPretraining`: a small mBART learns to restore noised sentences, in the place of a pretrained one.

mBART (arXiv 2001.08210) was trained so on the text of 25 languages. Where its weights are not at hand, or are too
large, this gives a small one what later phases build on: a decoder whose attention finds its way to the encoder, which
does not form in minutes from signing alone. It has seen no more text than the corpus's training sentences.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal, cast

import numpy as np
import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from slt_zoo.errors import ConfigError
from slt_zoo.layers.seq2seq import Seq2Seq
from slt_zoo.losses import teacher_forcing, token_accuracy, token_cross_entropy
from slt_zoo.models.base import SLTModule
from slt_zoo.text import SubwordCodec, TextCodec, WordCodec
from slt_zoo.text.mbart import AttentionKind, MBartSizes, build_mbart, load_mbart, sizes_of
from slt_zoo.text.noise import TokenNoise
from slt_zoo.types import Batch, InputSpec, Losses, Ragged, Sample

__all__ = ["TextPretraining", "TextPretrainingNet"]


class TextPretrainingNet(nn.Module):
    """The mBART alone, under the name that later phases give it.

    Args:
        seq2seq: see `Seq2Seq`.
    """

    def __init__(self, seq2seq: Seq2Seq) -> None:
        super().__init__()
        self.seq2seq = seq2seq

    def forward(self, ids: Tensor, mask: Tensor, decoder_ids: Tensor) -> Tensor:
        """Logits ``(B, L, V)`` of source ids ``(B, N)``, their mask and decoder ids ``(B, L)``."""
        return self.seq2seq.logits(ids, mask, decoder_ids)


class TextPretraining(SLTModule):
    """Noised training sentences back to what they were: the stand-in for mBART's pretraining (arXiv 2001.08210).

    The encoder reads ``tokens, end, begin`` (mBART's order, with the language as the begin), the decoder begins with
    ``begin``. `translate` restores a sentence whose noise depends on its id alone, so ``dev/bleu4`` says how well
    sentences are restored; ``dev/copied/bleu4`` says how well whole ones are copied. Neither is a translation result.

    Args:
        mbart: sizes; or a folder or hub name of weights to go on from, with the tokenizer that lies there.
        tokenizer: what texts are cut into: ``"subword"`` (SentencePiece, trained on the training sentences),
            ``"word"`` or ``"char"``.
        vocabulary: number of sub-words at most.
        drop: probability that a token is dropped.
        mask: probability that a token is masked.
        swap: probability that two neighbours change places.
        noise_seed: of the noise, beside epoch and id.
        max_tokens: longest sequence, both ends counted; longer sentences are cut.
        beam_size: 1: greedy.
        length_penalty: of the beam.
        label_smoothing: of the cross-entropy.
        attention: ``"sdpa"``, or ``"eager"``, which is faster on a CPU in bfloat16.
        checkpoint_gradients: compute layers again in the backward pass, which saves memory.
        optimizer: AdamW at 1e-3.
        base: arguments of `SLTModule`.
    """

    recorded = ("mbart",)

    def __init__(
        self,
        *,
        mbart: MBartSizes | str = MBartSizes(),  # noqa: B008 - frozen
        tokenizer: Literal["subword", "word", "char"] = "subword",
        vocabulary: int = 2000,
        drop: float = 0.1,
        mask: float = 0.1,
        swap: float = 0.1,
        noise_seed: int = 0,
        max_tokens: int = 128,
        beam_size: int = 1,
        length_penalty: float = 1.0,
        label_smoothing: float = 0.0,
        attention: AttentionKind = "sdpa",
        checkpoint_gradients: bool = False,
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=1e-3),
        **base: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, **base)
        self.weights = mbart if isinstance(mbart, str) else None
        self.noise = TokenNoise(drop, mask, swap)
        if max_tokens < 3 or beam_size < 1 or noise_seed < 0 or not 0 <= label_smoothing <= 1:
            raise ConfigError(
                "max_tokens counts both ends and is at least 3, beam_size at least 1, noise_seed at least 0, "
                "label_smoothing between 0 and 1",
                found=f"{max_tokens=}, {beam_size=}, {noise_seed=}, {label_smoothing=}",
            )

    @property
    def input_spec(self) -> InputSpec:
        """Sentences and nothing else."""
        return InputSpec(modality="none", needs=frozenset({"text"}))

    def build(self) -> TextPretrainingNet:
        """The mBART for the vocabulary; its sizes are recorded, wherever they came from."""
        hp = self.hparams
        sizes = sizes_of(hp["mbart"])
        if hp["max_tokens"] > sizes.max_positions:
            raise ConfigError(
                "max_tokens is more than the mBART has positions", expected=sizes.max_positions, found=hp["max_tokens"]
            )
        hp["mbart"] = asdict(sizes)
        seq2seq = Seq2Seq(build_mbart(sizes, self.codec, attention=hp["attention"]))
        if hp["checkpoint_gradients"]:
            seq2seq.checkpoint_gradients()
        return TextPretrainingNet(seq2seq)

    def load_pretrained(self) -> list[dict[str, str]]:
        """Weights of the folder that ``mbart`` names, if it names one."""
        return [] if self.weights is None else [load_mbart(self.network.seq2seq.mbart, self.weights, self.codec)]

    @property
    def network(self) -> TextPretrainingNet:
        """The network, with its type."""
        return cast(TextPretrainingNet, self.net)

    @property
    def codec(self) -> TextCodec:
        """Vocabulary of the sentences."""
        return self.codecs["text"]

    def make_codecs(self, samples: Sequence[Sample]) -> dict[str, TextCodec]:
        """The vocabulary of the training sentences under the name ``text``, which later phases take over.

        Raises:
            ConfigError: the sentences are of several languages, and sub-words have one.
        """
        tokenizer, texts = self.hparams["tokenizer"], [s.text for s in samples]
        if self.weights is None and tokenizer != "subword":
            return {"text": WordCodec.fit(texts, tokenizer)}
        languages = sorted({s.language for s in samples})
        if len(languages) != 1:
            raise ConfigError("sub-words are of one language", found=", ".join(languages), todo="tokenizer: word")
        if self.weights is not None:
            sizes_of(self.weights)  # says more than a tokenizer can of what may stand in the place of a missing folder
            return {"text": SubwordCodec.from_pretrained(self.weights, languages[0])}
        return {"text": SubwordCodec.fit(texts, self.hparams["vocabulary"], languages[0])}

    def losses(self, batch: Batch) -> Losses:
        """Cross-entropy over the whole sentence, the language's token behind it too, and the share of right ones."""
        ids = self.codec.encode(batch.text, max_len=self.hparams["max_tokens"]).to(self.device)
        read, truth = teacher_forcing(ids, rotate=True)
        logits = self.net(*self._source(batch, noised=True), read.padded(self.codec.pad_id)[0])
        total, count = token_cross_entropy(logits, truth, label_smoothing=self.hparams["label_smoothing"])
        accuracy = token_accuracy(logits, truth, rotated=True)
        return Losses(self.mean(total, count), {"token_accuracy": accuracy}, count=len(truth.values))

    def translate(self, batch: Batch) -> list[str]:
        """Sentences restored from their noised form; the noise depends on the id alone."""
        return self._decode(batch, noised=True)

    def extra_hypotheses(self, batch: Batch) -> dict[str, list[str]]:
        """Sentences that were read whole: is what is written what was read?"""
        return {"copied": self._decode(batch, noised=False)}

    def decoding_settings(self) -> dict[str, Any]:
        """Beam size, length penalty, longest output, and the noise."""
        names = ("beam_size", "length_penalty", "max_tokens", "drop", "mask", "swap", "noise_seed")
        return {name: self.hparams[name] for name in names}

    def _decode(self, batch: Batch, noised: bool) -> list[str]:
        hp = self.hparams
        ids = self.network.seq2seq.generate(
            *self._source(batch, noised),
            start_id=self.codec.bos_id,
            num_beams=hp["beam_size"],
            max_new_tokens=hp["max_tokens"] - 1,
            length_penalty=hp["length_penalty"],
        )
        return self.codec.decode(ids)

    def _source(self, batch: Batch, noised: bool) -> tuple[Tensor, Tensor]:
        """What the encoder reads, ``(B, N)`` ids, and its mask; training noise changes from epoch to epoch."""
        codec = self.codec
        epoch = self.current_epoch + 1 if self.training else 0
        rows = []
        for sample_id, ids in zip(
            batch.id, codec.encode(batch.text, max_len=self.hparams["max_tokens"]).split(), strict=True
        ):
            tokens = ids[1:-1]
            if noised:
                key = int.from_bytes(hashlib.sha256(sample_id.encode()).digest()[:8])
                rng = np.random.default_rng([self.hparams["noise_seed"], epoch, key])
                tokens = self.noise(tokens, getattr(codec, "mask_id", codec.unk_id), rng)
            rows.append(torch.cat([tokens, ids.new_tensor([codec.eos_id, codec.bos_id])]))
        return Ragged.pack(rows).to(self.device).padded(codec.pad_id)
