"""Causal multi-head self-attention with a key-value cache, as in GPT-2: a Decision Transformer's mixer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class AttentionState:
    """Keys and values of the tokens seen so far, in buffers allocated once; `step` writes them in place."""

    keys: Tensor  # (batch, heads, length, d_model / heads)
    values: Tensor  # same shape
    position: int = 0  # tokens written so far
    real: Tensor | None = None  # (batch, length), bool: False at padding, which is never attended to


class CausalSelfAttention(nn.Module):
    """Scaled dot-product attention over past tokens (DeMa equation 4); (batch, length, d_model) to the same.

    4 d_model^2 + 4 d_model parameters, as GPT-2's. Raises ValueError where `heads` does not divide `d_model`.
    """

    def __init__(self, d_model: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if heads < 1 or d_model % heads:
            raise ValueError(
                f"heads: expected a divisor of d_model = {d_model}, got {heads}; "
                f"a head takes d_model / heads features"
            )
        self.d_model, self.heads, self.dropout = d_model, heads, dropout
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        """Attend over (batch, length, d_model); `mask` (batch, length), bool, is False at padding.

        `resets` (batch, length), bool, marks tokens that begin a trajectory: nothing before them is attended
        to. Padding is never attended to, except by itself, so that no row of the softmax is empty. Raises
        ValueError for a wrong shape.
        """
        if x.dim() != 3 or x.shape[2] != self.d_model:
            raise ValueError(f"x: expected shape (batch, length, {self.d_model}), got {tuple(x.shape)}")
        return self._attend(*self._heads(x), _allowed(x, mask, resets))

    def prefill(self, x: Tensor, mask: Tensor | None, length: int) -> tuple[Tensor, AttentionState]:
        """What `forward` gives for x (batch, tokens, d_model), and the cache after it, for `length` tokens.

        Raises ValueError for more tokens than that, and as `forward` does.
        """
        batch, tokens, _ = x.shape
        if tokens > length:
            raise ValueError(f"length: the cache must take the {tokens} tokens of x, got {length}")
        state = self.allocate_state(batch, length)
        queries, keys, values = self._heads(x)
        state.keys[:, :, :tokens], state.values[:, :, :tokens], state.position = keys, values, tokens
        if mask is not None:
            state.real = F.pad(mask, (0, length - tokens), value=True)
        return self._attend(queries, keys, values, _allowed(x, mask, None)), state

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None) -> Tensor:
        y = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=allowed, is_causal=allowed is None,
            dropout_p=self.dropout if self.training else 0.0,
        )  # fmt: skip
        return self.out_proj(y.transpose(1, 2).flatten(2))

    def step(self, x: Tensor, state: AttentionState) -> tuple[Tensor, AttentionState]:
        """Advance by one token x (batch, d_model); writes into the cache and returns it.

        Raises ValueError for a wrong shape and IndexError where the cache is full.
        """
        if x.dim() != 2 or x.shape[1] != self.d_model:
            raise ValueError(f"x: expected shape (batch, {self.d_model}), got {tuple(x.shape)}")
        position = state.position
        if position >= state.keys.shape[2]:
            raise IndexError(f"state: the cache was allocated for {state.keys.shape[2]} tokens and is full")
        queries, keys, values = self._heads(x.unsqueeze(1))
        state.keys[:, :, position] = keys[:, :, 0]
        state.values[:, :, position] = values[:, :, 0]
        seen = slice(0, position + 1)
        real = None if state.real is None else state.real[:, None, None, seen]
        y = F.scaled_dot_product_attention(
            queries, state.keys[:, :, seen], state.values[:, :, seen], attn_mask=real
        )
        state.position = position + 1
        return self.out_proj(y.transpose(1, 2).flatten(1)), state

    def allocate_state(self, batch: int, length: int) -> AttentionState:
        """Return an empty cache for `length` tokens."""
        shape = (batch, self.heads, length, self.d_model // self.heads)
        weight = self.qkv.weight
        return AttentionState(weight.new_zeros(shape), weight.new_zeros(shape))

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        queries, keys, values = qkv.unbind(0)
        return queries, keys, values


def _allowed(x: Tensor, mask: Tensor | None, resets: Tensor | None) -> Tensor | None:
    """Return which key each query sees, (batch, 1, length, length) bool, None for plain causal attention."""
    batch, length, _ = x.shape
    for name, flags in (("mask", mask), ("resets", resets)):
        if flags is not None and (flags.shape != (batch, length) or flags.dtype != torch.bool):
            raise ValueError(
                f"{name}: expected a bool tensor of shape (batch, length) = {(batch, length)}, "
                f"got {flags.dtype} of {tuple(flags.shape)}"
            )
    if mask is None and resets is None:
        return None
    allowed = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
    if resets is not None:
        segment = resets.cumsum(1)
        allowed = allowed & (segment[:, :, None] == segment[:, None, :])
    if mask is not None:
        itself = torch.eye(length, dtype=torch.bool, device=x.device)
        allowed = (allowed & mask[:, None, :]) | itself
    return allowed.unsqueeze(1)
