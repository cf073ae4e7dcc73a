"""Greedy and beam search over any next-token function, whole batches at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["beam_search", "greedy_search"]

NextLogProbs = Callable[[Tensor, Tensor], Tensor]
"""``(prefixes (N, t) int64, rows (N,) int64) -> (N, V)`` log-probabilities; ``rows`` says whose video it is."""


@torch.no_grad()
def greedy_search(
    next_log_probs: NextLogProbs, batch_size: int, *, bos_id: int, eos_id: int, max_len: int, device: torch.device
) -> Tensor:
    """Append the most probable token until all rows have ended.

    Args:
        next_log_probs: scores of the next token.
        batch_size: number of rows, B.
        bos_id: first token of every row.
        eos_id: ends a row; a finished row goes on emitting it.
        max_len: longest sequence, the first token counted.
        device: of the result.

    Returns:
        ``(B, T)`` int64 with T <= ``max_len``, the first token included.
    """
    rows = torch.arange(batch_size, device=device)
    ids = torch.full((batch_size, 1), bos_id, dtype=torch.int64, device=device)
    ended = torch.zeros(batch_size, dtype=torch.bool, device=device)
    while ids.shape[1] < max_len and not bool(ended.all()):
        token = next_log_probs(ids, rows).argmax(-1)
        token = torch.where(ended, torch.full_like(token, eos_id), token)
        ids = torch.cat([ids, token[:, None]], dim=1)
        ended |= token == eos_id
    return ids


@torch.no_grad()
def beam_search(
    next_log_probs: NextLogProbs,
    batch_size: int,
    *,
    bos_id: int,
    eos_id: int,
    max_len: int,
    beam_size: int,
    length_penalty: float = 0.0,
    device: torch.device,
) -> Tensor:
    """Keep the ``beam_size`` most probable prefixes of each row; ended ones keep their probability.

    A prefix is reached by one path only, so no duplicates arise. With a beam of 1 it equals `greedy_search`.

    Args:
        next_log_probs: scores of the next token.
        batch_size: number of rows, B.
        bos_id: first token of every row.
        eos_id: ends a row.
        max_len: longest sequence, the first token counted.
        beam_size: prefixes kept a row.
        length_penalty: final scores are divided by ``generated tokens ** length_penalty``; 0: plain probability.
        device: of the result.

    Returns:
        ``(B, T)`` int64, the best sequence of each row, padded with ``eos_id``.
    """
    rows = torch.arange(batch_size, device=device).repeat_interleave(beam_size)
    ids = torch.full((batch_size * beam_size, 1), bos_id, dtype=torch.int64, device=device)
    scores = torch.full((batch_size, beam_size), -torch.inf, device=device)
    scores[:, 0] = 0.0  # all beams are equal at the start: only one may speak
    ended = torch.zeros(batch_size * beam_size, dtype=torch.bool, device=device)
    lengths = torch.zeros(batch_size * beam_size, dtype=torch.int64, device=device)
    while ids.shape[1] < max_len and not bool(ended.all()):
        log_probs = next_log_probs(ids, rows).float()
        vocabulary = log_probs.shape[1]
        log_probs[ended] = -torch.inf
        log_probs[ended, eos_id] = 0.0
        total = (scores.view(-1, 1) + log_probs).view(batch_size, beam_size * vocabulary)
        scores, best = total.topk(min(beam_size, total.shape[1]), dim=1)
        parent = (best // vocabulary + torch.arange(batch_size, device=device)[:, None] * beam_size).view(-1)
        token = (best % vocabulary).view(-1)
        ids = torch.cat([ids[parent], token[:, None]], dim=1)
        lengths = lengths[parent] + (~ended[parent]).long()
        ended = ended[parent] | (token == eos_id)
    final = scores / lengths.view(batch_size, beam_size).clamp(min=1).float() ** length_penalty
    chosen = final.argmax(1) + torch.arange(batch_size, device=device) * beam_size
    return ids[chosen]
