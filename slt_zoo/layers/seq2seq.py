"""`Seq2Seq`: an mBART that reads embeddings or tokens, with decoder inputs and start of our own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

from slt_zoo.errors import ConfigError
from slt_zoo.layers.lora import LoRA, inject_lora

if TYPE_CHECKING:
    from transformers import MBartForConditionalGeneration

__all__ = ["Seq2Seq", "Seq2SeqAttention", "TranslationNet"]

Part = Literal["all", "encoder", "decoder", "embeddings"]


@dataclass(frozen=True, eq=False)
class Seq2SeqAttention:
    """Where both sides looked; rows sum to 1 over what is valid.

    Attributes:
        encoder: ``(layers, B, heads, N, N)``.
        decoder: ``(layers, B, heads, L, L)``, to the tokens before.
        cross: ``(layers, B, heads, L, N)``.
    """

    encoder: Tensor
    decoder: Tensor
    cross: Tensor


class Seq2Seq(nn.Module):
    """Encoder and decoder of an mBART around inputs ``(B, N, D)`` or ids ``(B, N)`` and a mask, True = valid.

    Decoder inputs are given, never derived from labels: transformers' shift moves the last token to the front, which is
    right for one layout of ids only. Padding of decoder inputs lies behind the tokens and so is never looked at.

    Args:
        mbart: the network, see `slt_zoo.text.mbart.build_mbart`.
        scale_embeddings: factor of inputs that are embeddings. mBART multiplies the embeddings of its own tokens by
            the square root of D, and not what comes in from outside: 1 leaves it so (SAGE, section 2.4).
    """

    def __init__(self, mbart: MBartForConditionalGeneration, *, scale_embeddings: float = 1.0) -> None:
        super().__init__()
        self.mbart, self.scale_embeddings = mbart, scale_embeddings

    @property
    def width(self) -> int:
        """D."""
        return int(self.mbart.config.d_model)

    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings ``(..., D)`` of ids, multiplied as the encoder reads them."""
        return cast(Tensor, self.mbart.model.encoder.embed_tokens(ids))

    def encode(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Memory ``(B, N, D)``.

        Args:
            inputs: embeddings ``(B, N, D)`` or ids ``(B, N)`` int64.
            mask: ``(B, N)`` bool, True = valid; each row has at least one.

        Raises:
            ConfigError: shapes that do not fit, an input without anything valid, or one longer than the positions.
        """
        self._check(inputs, mask)
        given = {"input_ids": inputs} if inputs.dim() == 2 else {"inputs_embeds": inputs * self.scale_embeddings}
        states = self.mbart.model.encoder(**given, attention_mask=mask.long())
        return cast(Tensor, states.last_hidden_state)

    def decode(self, memory: Tensor, mask: Tensor, decoder_ids: Tensor) -> Tensor:
        """Logits ``(B, L, V)`` of what follows each of the decoder's ids ``(B, L)``."""
        self._check_length(decoder_ids.shape[1], "decoder's sequence")
        states = self.mbart.model.decoder(
            input_ids=decoder_ids,
            encoder_hidden_states=memory,
            encoder_attention_mask=mask.long(),
            use_cache=False,
        )
        return cast(Tensor, self.mbart.lm_head(states.last_hidden_state) + self.mbart.final_logits_bias)

    def logits(self, inputs: Tensor, mask: Tensor, decoder_ids: Tensor) -> Tensor:
        """Teacher-forced logits ``(B, L, V)``: `encode`, then `decode`."""
        return self.decode(self.encode(inputs, mask), mask, decoder_ids)

    forward = logits

    def generate(self, inputs: Tensor, mask: Tensor, **settings: Any) -> Tensor:
        """`search` in the memory of the inputs."""
        return self.search(self.encode(inputs, mask), mask, **settings)

    @torch.no_grad()
    def search(
        self,
        memory: Tensor,
        mask: Tensor,
        *,
        start_id: int,
        num_beams: int = 1,
        max_new_tokens: int = 150,
        length_penalty: float = 1.0,
        use_cache: bool = True,
    ) -> Tensor:
        """Ids ``(B, T)``, the start first, then what was found, ended by the end id and filled with padding.

        Args:
            memory: of `encode`, ``(B, N, D)``.
            mask: ``(B, N)``, True = valid.
            start_id: the decoder's first token, the language in mBART.
            num_beams: 1: greedy.
            max_new_tokens: longest output behind the start; one that is cut has no end.
            length_penalty: log-probabilities of beams are divided by their length to this power.
            use_cache: keep keys and values between steps.

        Raises:
            ConfigError: the output could be longer than the decoder's positions.
        """
        from transformers import GenerationConfig
        from transformers.modeling_outputs import BaseModelOutput

        if num_beams < 1 or max_new_tokens < 1:
            found = f"num_beams={num_beams}, max_new_tokens={max_new_tokens}"
            raise ConfigError("num_beams and max_new_tokens are at least 1", found=found)
        self._check_length(max_new_tokens, "output (max_new_tokens)")  # the last token is not read again
        config = self.mbart.config
        settings = GenerationConfig(  # type: ignore[no-untyped-call]  # transformers has no types for it
            do_sample=False,
            num_beams=num_beams,
            max_new_tokens=max_new_tokens,
            length_penalty=length_penalty if num_beams > 1 else None,  # transformers warns where it has no say
            use_cache=use_cache,
            decoder_start_token_id=start_id,
            bos_token_id=config.bos_token_id,
            eos_token_id=config.eos_token_id,
            pad_token_id=config.pad_token_id,
        )
        found = self.mbart.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=memory),
            attention_mask=mask.long(),
            generation_config=settings,
        )
        return cast(Tensor, found)

    @torch.no_grad()
    def attention(self, inputs: Tensor, mask: Tensor, decoder_ids: Tensor) -> Seq2SeqAttention:
        """Attention of all layers and heads; call it in eval mode, since dropout changes it."""
        self._check(inputs, mask)
        given = {"input_ids": inputs} if inputs.dim() == 2 else {"inputs_embeds": inputs * self.scale_embeddings}
        with self._eager():
            out = self.mbart.model(
                **given,
                attention_mask=mask.long(),
                decoder_input_ids=decoder_ids,
                use_cache=False,
                output_attentions=True,
            )
        kinds = (out.encoder_attentions, out.decoder_attentions, out.cross_attentions)
        return Seq2SeqAttention(*(torch.stack(tuple(layers)) for layers in kinds))

    @contextmanager
    def _eager(self) -> Iterator[None]:
        """Eager attention for the moment: under sdpa transformers gives none, and fails with an IndexError."""
        before = self.mbart.config._attn_implementation
        self.mbart.set_attn_implementation("eager")
        try:
            yield
        finally:
            self.mbart.set_attn_implementation(before)

    def checkpoint_gradients(self) -> None:
        """Compute each layer again in the backward pass instead of keeping what it needs there."""
        newer = getattr(self.mbart, "activation_checkpointing_enable", None)  # transformers 5 renamed it on its way
        (newer or self.mbart.gradient_checkpointing_enable)({"use_reentrant": False})

    def freeze(self, *parts: Part) -> None:
        """Take parts out of training; their dropout goes on as long as the module is in training mode.

        Args:
            parts: ``"embeddings"``: tokens (and so the output) and positions; ``"encoder"`` and ``"decoder"``: their
                layers and norms; ``"all"``.

        Raises:
            ConfigError: there is no such part.
        """
        model = self.mbart.model
        tokens = [model.shared.weight]
        sides = {"encoder": model.encoder, "decoder": model.decoder}
        positions = {side: list(module.embed_positions.parameters()) for side, module in sides.items()}
        known: dict[str, list[nn.Parameter]] = {
            "all": list(self.mbart.parameters()),
            "embeddings": [*tokens, *positions["encoder"], *positions["decoder"]],
            **{
                side: [p for p in module.parameters() if not any(p is other for other in [*tokens, *positions[side]])]
                for side, module in sides.items()
            },
        }
        for part in parts:
            if part not in known:
                raise ConfigError("mBART has no such part to freeze", expected=", ".join(known), found=part)
            for parameter in known[part]:
                parameter.requires_grad_(False)

    def add_lora(
        self,
        rank: int = 16,
        alpha: int = 32,
        dropout: float = 0.0,
        targets: tuple[str, ...] = ("q_proj", "v_proj"),
        *,
        without: Sequence[Literal["encoder", "decoder"]] = (),
    ) -> None:
        """Put low-rank updates beside linear layers and train nothing else of the mBART.

        Args:
            rank: this and the next three: see `slt_zoo.layers.lora.LoRA`.
            alpha: likewise.
            dropout: likewise.
            targets: likewise.
            without: sides that get none.

        Raises:
            ConfigError: see `slt_zoo.layers.lora.inject_lora`.
        """
        inject_lora(
            self, self.mbart, LoRA(rank, alpha, dropout, targets), without=[f"model.{side}." for side in without]
        )

    def _check(self, inputs: Tensor, mask: Tensor) -> None:
        embedded = inputs.dim() == 3 and inputs.is_floating_point() and inputs.shape[2] == self.width
        ids = inputs.dim() == 2 and inputs.dtype == torch.int64
        if not (embedded or ids) or mask.shape != inputs.shape[:2] or mask.dtype != torch.bool:
            raise ConfigError(
                "inputs and mask of an mBART do not fit",
                expected=f"embeddings (B, N, {self.width}) or ids (B, N) int64, and a mask (B, N) bool, True = valid",
                found=f"{tuple(inputs.shape)} {inputs.dtype}, mask {tuple(mask.shape)} {mask.dtype}",
            )
        self._check_length(inputs.shape[1], "input")
        if not mask.is_meta and not bool(mask.any(1).all()):
            empty = (~mask.any(1)).nonzero().flatten().tolist()
            raise ConfigError("an input of the batch has nothing valid in it", found=f"rows {empty}")

    def _check_length(self, length: int, what: str) -> None:
        longest = int(self.mbart.config.max_position_embeddings)
        if length > longest:
            raise ConfigError(
                f"the {what} is longer than the positions of the mBART",
                expected=f"at most {longest} tokens",
                found=length,
                todo="cut it, or take an mBART with more positions (max_positions of its sizes)",
            )


class TranslationNet(nn.Module):
    """A network whose encoder gives memory and mask, and whose mBART writes from them.

    Args:
        seq2seq: the mBART, under the name that every phase gives it.
    """

    def __init__(self, seq2seq: Seq2Seq) -> None:
        super().__init__()
        self.seq2seq = seq2seq

    def encode(self, *sources: Any) -> tuple[Tensor, Tensor]:
        """Memory ``(B, N, D)`` and its mask ``(B, N)``, True = valid, of what a model reads of a batch."""
        raise NotImplementedError

    def forward(self, *sources: Any) -> Tensor:
        """Teacher-forced logits ``(B, L, V)``; decoder ids ``(B, L)`` come last."""
        memory, mask = self.encode(*sources[:-1])
        return self.seq2seq.decode(memory, mask, sources[-1])
