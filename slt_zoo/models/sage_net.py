"""The networks of SAGE (arXiv 2507.09266); `slt_zoo.models.sage` trains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from slt_zoo.errors import ConfigError, MediaError
from slt_zoo.layers.frame_encoder import FrameEncoder
from slt_zoo.layers.seq2seq import Seq2Seq, TranslationNet
from slt_zoo.layers.visual_tokens import FrameTokens, MaxPoolTokens, SegmentTokens
from slt_zoo.losses import LogitScale
from slt_zoo.types import Ragged

__all__ = ["ContextEncoder", "Mapper", "SAGENet", "SAGEPretrainingNet", "VisualEncoder"]

TOKENS: Mapping[str, type[SegmentTokens | FrameTokens | MaxPoolTokens]] = {
    "segment": SegmentTokens,
    "window": SegmentTokens,
    "uniform": SegmentTokens,
    "stride": FrameTokens,
    "maxpool": MaxPoolTokens,
}
"""What makes tokens of the rows that a tokenization selects, see `FixedTokens` and `SegmentFrames`."""


class MapperBlock(nn.Module):
    """Layer norm, linear, GELU, dropout."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.linear, self.dropout = nn.LayerNorm(width), nn.Linear(width, width), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., D)`` to the same shape."""
        out: Tensor = self.dropout(nn.functional.gelu(self.linear(self.norm(x))))
        return out


class Mapper(nn.Module):
    """From visual tokens to the space of text (section 3.3).

    Args:
        width: D, of tokens and text.
        kind: ``"paper"``: three blocks; ``"code"``: two, and a linear layer, so that negative values are left: text
            embeddings have them.
        dropout: of the blocks.
    """

    def __init__(self, width: int, kind: Literal["paper", "code"] = "code", dropout: float = 0.1) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([MapperBlock(width, dropout) for _ in range(3 if kind == "paper" else 2)])
        self.last = nn.Linear(width, width) if kind == "code" else nn.Identity()
        if kind == "code":  # as in the released code; the paper does not say
            for block in self.blocks:
                assert isinstance(block, MapperBlock)
                nn.init.xavier_uniform_(block.linear.weight)
                nn.init.zeros_(block.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., D)`` to the same shape."""
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.last(x)
        return out


class VisualEncoder(nn.Module):
    """Rows of a clip to visual tokens in the space of text: frame encoder, temporal part, mapper.

    Args:
        frames: encoder of images by its timm name; None: rows are vectors.
        row_dim: width of a row that is a vector: of features as they are, of poses through a linear layer.
        embed_dim: width of the linear layer for poses; None: rows are taken as they are.
        width: D of tokens and text.
        tokenization: see `TOKENS`.
        mapper: see `Mapper`.
        mapper_dropout: likewise.
        bn_over_padding: see `TemporalConv`.
        freeze_norm: batch norm keeps its statistics in training, too.
    """

    def __init__(
        self,
        frames: str | None,
        row_dim: int | None,
        *,
        embed_dim: int | None = None,
        width: int = 1024,
        tokenization: str = "segment",
        mapper: Literal["paper", "code"] = "code",
        mapper_dropout: float = 0.1,
        bn_over_padding: bool = False,
        freeze_norm: bool = False,
    ) -> None:
        super().__init__()
        self.freeze_norm = freeze_norm
        self.rows: nn.Module
        if frames is not None:
            self.rows = FrameEncoder(frames)
            into = self.rows.width
        elif row_dim is None:
            raise ConfigError("the width of the features is not known", todo="bind a corpus with features first")
        else:
            self.rows = nn.Identity() if embed_dim is None else nn.Linear(row_dim, embed_dim)
            into = row_dim if embed_dim is None else embed_dim
        self.tokens = TOKENS[tokenization](into, width, bn_over_padding)
        self.mapper = Mapper(width, mapper, mapper_dropout)
        self.train()  # a trainer does not call it where a module is in training mode already

    def forward(self, rows: Ragged, segments: Ragged) -> Ragged:
        """Rows ``(sum_T, ...)`` of clips and their segments ``(sum_S, 2)`` to tokens ``(sum_N, D)``.

        Raises:
            MediaError: a training batch of a single row, of which batch norm has no statistics.
        """
        if self.training and not self.freeze_norm and len(rows.values) == 1:
            raise MediaError(
                "a training batch of a single frame, of which batch norm has no statistics",
                todo="a larger data.batch_size; or model.max_segments, which leaves so short a clip out of training",
            )
        values = rows.values if rows.values.dtype == torch.uint8 else rows.values.flatten(1)
        tokens: Ragged = self.tokens(Ragged(self.rows(values), rows.lengths), segments)
        return Ragged(self.mapper(tokens.values), tokens.lengths)

    def freeze(self) -> None:
        """Take it out of training, the statistics of batch norm included; dropout goes on in training mode."""
        self.freeze_norm = True
        self.requires_grad_(False).train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As in torch; with ``freeze_norm`` batch norm stays as in evaluation."""
        super().train(mode)
        for layer in self.modules():
            if self.freeze_norm and isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()
        return self

    def in_parts(self, rows: Ragged, segments: Ragged, clips: int | None) -> Ragged:
        """As `forward`, some clips at a time, which are computed again in the backward pass.

        Memory is then that of a part, and the loss still that of the whole batch: gradients are those of one pass, as
        long as the statistics of batch norm are frozen; in training they are those of a part. Dropout draws the same
        in both passes.

        Args:
            rows: of all clips.
            segments: likewise.
            clips: of a part; None: all at once.
        """
        if clips is None or len(rows) <= clips:
            out: Ragged = self(rows, segments)
            return out
        parts = []
        for first in range(0, len(rows), clips):
            part = slice(first, first + clips)
            inputs = _some(rows, part), _some(segments, part)
            values, lengths = checkpoint(self._pair, *inputs, use_reentrant=False)
            parts.append(Ragged(values, lengths))
        return Ragged(torch.cat([p.values for p in parts]), torch.cat([p.lengths for p in parts]))

    def _pair(self, rows: Ragged, segments: Ragged) -> tuple[Tensor, Tensor]:
        tokens: Ragged = self(rows, segments)
        return tokens.values, tokens.lengths


def _some(sequences: Ragged, part: slice) -> Ragged:
    ends = sequences.lengths.cumsum(0)
    first = int(ends[part.start - 1]) if part.start else 0
    lengths = sequences.lengths[part]
    return Ragged(sequences.values[first : first + int(lengths.sum())], lengths)


class ContextEncoder(nn.Module):
    """TE: the layers of mBART's encoder over visual tokens (section 3.4), without its token embeddings.

    Args:
        width: D.
        layers: 12 are mBART's; 3 with 8 heads and ReLU are GFSLT's.
        heads: of attention.
        ffn: width of the feed-forward blocks.
        activation: transformers' name.
        dropout: of blocks.
        max_positions: most tokens of a clip.
    """

    def __init__(
        self,
        width: int = 1024,
        layers: int = 3,
        heads: int = 8,
        ffn: int = 4096,
        activation: str = "relu",
        dropout: float = 0.1,
        max_positions: int = 1024,
    ) -> None:
        super().__init__()
        from transformers import MBartConfig
        from transformers.models.mbart.modeling_mbart import MBartEncoder

        config = MBartConfig(
            vocab_size=2,
            eos_token_id=None,
            forced_eos_token_id=None,
            pad_token_id=1,
            d_model=width,
            encoder_layers=layers,
            encoder_attention_heads=heads,
            encoder_ffn_dim=ffn,
            activation_function=activation,
            dropout=dropout,
            max_position_embeddings=max_positions,
        )
        self.encoder = MBartEncoder(config)
        del self.encoder.embed_tokens  # never asked: tokens come as vectors
        self.max_positions = max_positions

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """``(B, N, D)`` and its mask ``(B, N)``, True = valid, to the same shape."""
        states: Tensor = self.encoder(inputs_embeds=tokens, attention_mask=mask.long()).last_hidden_state
        return states


class SAGENet(TranslationNet):
    """Stage 2: visual tokens to the sentence.

    Args:
        visual: makes tokens.
        seq2seq: the mBART that reads them.
    """

    def __init__(self, visual: VisualEncoder, seq2seq: Seq2Seq) -> None:
        super().__init__(seq2seq)
        self.visual = visual

    def encode(self, rows: Ragged, segments: Ragged, ids: Sequence[str] = ()) -> tuple[Tensor, Tensor]:
        """Memory ``(B, N, D)`` and its mask ``(B, N)``; ``ids`` of the clips are for messages."""
        tokens, mask = self.visual(rows, segments).padded()
        check_positions(mask, int(self.seq2seq.mbart.config.max_position_embeddings), ids)
        return self.seq2seq.encode(tokens, mask), mask


class SAGEPretrainingNet(nn.Module):
    """Stage 1: visual tokens, their context, and the scales of the two contrasts.

    Args:
        visual: makes tokens.
        context: the encoder TE; None: there is none, and no contrast of hidden states.
        scale_init: see `LogitScale`.
        scale_max: likewise.
        share_scale: one scale for both contrasts.
    """

    def __init__(
        self,
        visual: VisualEncoder,
        context: ContextEncoder | None,
        *,
        scale_init: float,
        scale_max: float | None,
        share_scale: bool = False,
    ) -> None:
        super().__init__()
        self.visual, self.context = visual, context
        self.scale_ce = LogitScale(scale_init, scale_max)
        self.scale_hs = None if context is None or share_scale else LogitScale(scale_init, scale_max)

    def forward(
        self, rows: Ragged, segments: Ragged, clips: int | None = None, ids: Sequence[str] = ()
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Tokens L ``(B, N, D)``, their context H of the same shape or None, and the mask ``(B, N)`` of both."""
        tokens, mask = self.visual.in_parts(rows, segments, clips).padded()
        if self.context is None:
            return tokens, None, mask
        check_positions(mask, self.context.max_positions, ids)
        return tokens, self.context(tokens, mask), mask

    def scales(self) -> tuple[Tensor, Tensor]:
        """Of the contrast of embeddings, and of that of hidden states."""
        return self.scale_ce(), (self.scale_ce if self.scale_hs is None else self.scale_hs)()


def check_positions(mask: Tensor, positions: int, ids: Sequence[str] = ()) -> None:
    """Refuse clips with more tokens than a network has positions.

    Args:
        mask: ``(B, N)``, True = valid.
        positions: of the network.
        ids: of the clips, for the message.

    Raises:
        MediaError: there is one.
    """
    if mask.shape[1] > positions:
        raise MediaError(
            f"a clip has {mask.shape[1]} visual tokens; the network has {positions} positions",
            where=f"sample {ids[int(mask.sum(1).argmax())]}" if len(ids) else None,
            todo="fewer tokens (segments: a larger model.max_len; fixed schemes: model.reduction_factor), or more "
            "positions (model.max_positions in stage 1, model.mbart.max_positions in stage 2)",
        )
