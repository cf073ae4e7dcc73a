"""`TextPretraining`: a small mBART learns to restore noised sentences, in the place of a pretrained one.

mBART (arXiv 2001.08210) was trained so on the text of 25 languages. Where its weights are not at hand, or are too
large, this gives a small one what later phases build on: a decoder whose attention finds its way to the encoder, which
does not form in minutes from signing alone. It has seen no more text than the corpus's training sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from slt_zoo.errors import ConfigError
from slt_zoo.layers.seq2seq import TranslationNet
from slt_zoo.models.translator import MBartModule
from slt_zoo.text import TextCodec, WordCodec
from slt_zoo.text.mbart import MBartSizes
from slt_zoo.text.noise import TokenNoise
from slt_zoo.types import Batch, InputSpec, Ragged, Sample

__all__ = ["TextPretraining", "TextPretrainingNet"]


class TextPretrainingNet(TranslationNet):
    """The mBART alone."""

    def encode(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Memory ``(B, N, D)`` of source ids ``(B, N)``, and their mask."""
        return self.seq2seq.encode(ids, mask), mask


class TextPretraining(MBartModule):
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
        max_new_tokens: longest output; None: as long as ``max_tokens`` lets a sentence be.
        beam_size: 1: greedy.
        label_smoothing: of the cross-entropy.
        dropout: of the mBART; None: its own.
        optimizer: AdamW at 1e-3.
        base: arguments of `MBartModule` and of `SLTModule`.
    """

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
        max_new_tokens: int | None = None,
        beam_size: int = 1,
        label_smoothing: float = 0.0,
        dropout: float | None = None,
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=1e-3),
        **base: Any,
    ) -> None:
        longest = max_tokens - 1 if max_new_tokens is None else max_new_tokens
        super().__init__(
            optimizer=optimizer,
            mbart=mbart,
            vocabulary=vocabulary,
            max_tokens=max_tokens,
            max_new_tokens=longest,
            beam_size=beam_size,
            label_smoothing=label_smoothing,
            dropout=dropout,
            **base,
        )
        self.hparams["max_new_tokens"] = longest
        self.noise = TokenNoise(drop, mask, swap)
        if noise_seed < 0:
            raise ConfigError("noise_seed is at least 0", found=f"{noise_seed=}")

    @property
    def input_spec(self) -> InputSpec:
        """Sentences and nothing else."""
        return InputSpec(modality="none", needs=frozenset({"text"}))

    def build(self) -> TextPretrainingNet:
        """The mBART."""
        return TextPretrainingNet(self.make_seq2seq())

    def make_codecs(self, samples: Sequence[Sample]) -> dict[str, TextCodec]:
        """The vocabulary of the training sentences under the name ``text``, which later phases take over."""
        tokenizer = self.hparams["tokenizer"]
        if self.weights is None and tokenizer != "subword":
            return {"text": WordCodec.fit([s.text for s in samples], tokenizer)}
        return super().make_codecs(samples)

    def sources(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Noised sentences; those of `translate` depend on the id alone."""
        return self._sentences(batch, noised=True)

    def extra_hypotheses(self, batch: Batch) -> dict[str, list[str]]:
        """Sentences that were read whole: is what is written what was read?"""
        return {"copied": self.write(*self.network.encode(*self._sentences(batch, noised=False)))}

    def decoding_settings(self) -> dict[str, Any]:
        """Beam size, length penalty, longest output, and the noise."""
        names = ("drop", "mask", "swap", "noise_seed")
        return {**super().decoding_settings(), **{name: self.hparams[name] for name in names}}

    def _sentences(self, batch: Batch, noised: bool) -> tuple[Tensor, Tensor]:
        """What the encoder reads, ``(B, N)`` ids, and its mask; training noise changes from epoch to epoch."""
        codec = self.codec
        rows = []
        read = codec.encode_source(batch.text, max_len=self.hparams["max_tokens"]).split()
        for sample_id, ids in zip(batch.id, read, strict=True):
            tokens, ends = ids[:-2], ids[-2:]
            if noised:
                rng = self.draws(self.hparams["noise_seed"], sample_id)
                tokens = self.noise(tokens, getattr(codec, "mask_id", codec.unk_id), rng)
            rows.append(torch.cat([tokens, ends]))
        return Ragged.pack(rows).to(self.device).padded(codec.pad_id)
