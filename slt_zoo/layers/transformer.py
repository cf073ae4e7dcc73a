"""Transformer layers made to be looked into.

They are torch's own layers, with torch's parameters and names; only the attention call is ours, because torch's
layers throw the attention weights away and take a fused path in evaluation that has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

__all__ = ["AttentionRecord", "DecoderLayer", "EncoderLayer", "capture", "causal_mask", "window_mask"]


@dataclass(eq=False)
class AttentionRecord:
    """What one call of a layer did.

    Attributes:
        weights: ``(B, heads, T_query, T_key)``, rows sum to 1 over valid keys, padded keys are exactly 0.
        output: ``(B, T_query, D)``, after the output projection, before dropout and residual.
        inputs: ``(B, T_query, D)``, the query as it entered the attention.
    """

    weights: Tensor
    output: Tensor
    inputs: Tensor


@dataclass(eq=False)
class _Recorder:
    """Newest record of each attention of a layer by name; off unless inside `capture`."""

    on: bool = False
    records: dict[str, AttentionRecord] = field(default_factory=dict)

    def attend(
        self,
        name: str,
        attention: nn.MultiheadAttention,
        query: Tensor,
        memory: Tensor,
        blocked: Tensor | None,
        padding: Tensor | None,
    ) -> Tensor:
        output, weights = attention(
            query,
            memory,
            memory,
            attn_mask=blocked,
            key_padding_mask=padding,
            need_weights=self.on,
            average_attn_weights=False,
        )
        if self.on:
            self.records[name] = AttentionRecord(weights, output, query)
        return output  # type: ignore[no-any-return]  # nn.Module.__call__ is untyped


class EncoderLayer(nn.TransformerEncoderLayer):
    """``nn.TransformerEncoderLayer`` (batch first, ReLU) that can keep its attention weights as ``self``."""

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int, dropout: float, norm_first: bool) -> None:
        super().__init__(d_model, nhead, dim_feedforward, dropout, batch_first=True, norm_first=norm_first)
        self.recorder = _Recorder()

    def forward(  # type: ignore[override]  # boolean masks only, and none of the fast path's switches
        self, x: Tensor, blocked: Tensor | None = None, padding: Tensor | None = None
    ) -> Tensor:
        """One layer.

        Args:
            x: ``(B, T, D)``.
            blocked: ``(T, T)`` or ``(B * heads, T, T)`` bool, True = a query may not see the key (torch's convention);
                every query must see some valid key.
            padding: ``(B, T)`` bool, True = padding (torch's convention).
        """
        if self.norm_first:
            x = x + self._attend(self.norm1(x), blocked, padding)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(x + self._attend(x, blocked, padding))
        return self.norm2(x + self._ff_block(x))  # type: ignore[no-any-return]

    def _attend(self, x: Tensor, blocked: Tensor | None, padding: Tensor | None) -> Tensor:
        out = self.recorder.attend("self", self.self_attn, x, x, blocked, padding)
        return self.dropout1(out)  # type: ignore[no-any-return]


class DecoderLayer(nn.TransformerDecoderLayer):
    """``nn.TransformerDecoderLayer`` (batch first, ReLU) that can keep its attention as ``self`` and ``cross``."""

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int, dropout: float, norm_first: bool) -> None:
        super().__init__(d_model, nhead, dim_feedforward, dropout, batch_first=True, norm_first=norm_first)
        self.recorder = _Recorder()

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        memory: Tensor,
        blocked: Tensor | None = None,
        padding: Tensor | None = None,
        memory_padding: Tensor | None = None,
    ) -> Tensor:
        """One layer.

        Args:
            x: ``(B, T, D)``.
            memory: ``(B, S, D)``, the encoder's output.
            blocked: ``(T, T)`` bool, True = a query may not see the key.
            padding: ``(B, T)`` bool, True = padding.
            memory_padding: ``(B, S)`` bool, True = padding.
        """
        if self.norm_first:
            x = x + self._attend("self", self.norm1(x), None, blocked, padding)
            x = x + self._attend("cross", self.norm2(x), memory, None, memory_padding)
            return x + self._ff_block(self.norm3(x))
        x = self.norm1(x + self._attend("self", x, None, blocked, padding))
        x = self.norm2(x + self._attend("cross", x, memory, None, memory_padding))
        return self.norm3(x + self._ff_block(x))  # type: ignore[no-any-return]

    def _attend(
        self, name: str, x: Tensor, memory: Tensor | None, blocked: Tensor | None, padding: Tensor | None
    ) -> Tensor:
        own = memory is None
        attention, dropout = (self.self_attn, self.dropout1) if own else (self.multihead_attn, self.dropout2)
        out = self.recorder.attend(name, attention, x, x if memory is None else memory, blocked, padding)
        return dropout(out)  # type: ignore[no-any-return]


@contextmanager
def capture(module: nn.Module) -> Iterator[dict[str, dict[str, AttentionRecord]]]:
    """Inside, every layer below ``module`` keeps its newest attention.

    Yields:
        The records, filled when the context ends: layer's name in ``module``, then ``self`` or ``cross``.
    """
    layers = {n: m for n, m in module.named_modules() if isinstance(m, EncoderLayer | DecoderLayer)}
    found: dict[str, dict[str, AttentionRecord]] = {}
    for layer in layers.values():
        layer.recorder.on = True
    try:
        yield found
    finally:
        for name, layer in layers.items():
            found[name] = layer.recorder.records
            layer.recorder = _Recorder()


def causal_mask(length: int, device: torch.device | None = None) -> Tensor:
    """``(T, T)`` bool, True = blocked: a position sees itself and what came before."""
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


def window_mask(length: int, window: int, device: torch.device | None = None) -> Tensor:
    """``(T, T)`` bool, True = blocked: a position sees ``window`` positions centred on itself (``window`` odd)."""
    position = torch.arange(length, device=device)
    return (position[:, None] - position[None, :]).abs() > window // 2
