"""Causal multi-head self-attention with a key-value cache, as in GPT-2: a Decision Transformer's mixer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.checks import check_flags, check_width
from bench.nn.linear import GPT2Linear
from bench.nn.mixer import Mixer

# "fused" is torch's kernel, which need not hold the matrix of (length, length) weights; "eager" holds it, and
# its logits, as the GPT-2 of DT's code does (Hugging Face, without a kernel of its own).
AttentionKernel = Literal["fused", "eager"]


@dataclass(frozen=True)
class AttentionState:
    """Keys and values of the tokens read so far, in buffers allocated once, which `step` writes in place.

    States that follow each other share the buffers and differ by their position.
    """

    keys: Tensor  # (batch, heads, length, width / heads)
    values: Tensor  # same shape
    position: int = 0  # tokens written so far
    real: Tensor | None = None  # (batch, length), bool: False at padding, which is never attended to

    def forked(self, count: int) -> AttentionState:
        """The state of batch * `count` rows, in buffers of its own; the copies of a row side by side."""
        keys, values = (kept.repeat_interleave(count, dim=0) for kept in (self.keys, self.values))
        real = None if self.real is None else self.real.repeat_interleave(count, dim=0)
        return AttentionState(keys, values, self.position, real)

    def at(self, position: int) -> AttentionState:
        """The same buffers with `position` tokens in use: later ones are forgotten."""
        return replace(self, position=position)


class CausalSelfAttention(Mixer[AttentionState]):
    """Scaled dot-product attention over past tokens (DeMa equation 4); (batch, length, width) to the same.

    4 width^2 + 4 width parameters, as GPT-2's. `kernel` is how it is computed, and changes no output.
    Raises ValueError if `heads` does not divide `width`.
    """

    # Queries, keys and values.
    attention = ("qkv.weight", "qkv.bias")
    kernel: AttentionKernel

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(
                f"heads: expected a divisor of width = {width}, got {heads}; "
                f"a head takes width / heads features"
            )
        self.width, self.heads, self.dropout = width, heads, dropout
        self.kernel = "fused"
        self.qkv = GPT2Linear(width, 3 * width)
        self.out_proj = GPT2Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        """Attend over (batch, length, width); mask and resets (batch, length) as for a `Mixer`.

        Padding is attended to only by itself, so that no row of the softmax is empty.
        """
        check_width(x, ("batch", "length"), self.width)
        return self._attend(*self._heads(x), _allowed(x, mask, resets))

    def countable_forward(
        self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None
    ) -> Tensor:
        """The same as `forward`: the counters know its operators."""
        return self.forward(x, mask, resets)

    def prefill(self, x: Tensor, mask: Tensor | None, length: int) -> tuple[Tensor, AttentionState]:
        """Return what `forward` gives for x (batch, tokens, width), and the cache, which can take `length`.

        Raises ValueError for more tokens than that, and as `forward` does.
        """
        check_width(x, ("batch", "length"), self.width)
        batch, tokens, _ = x.shape
        if tokens > length:
            raise ValueError(f"length: the cache must take the {tokens} tokens of x, got {length}")
        state = self.allocate_state(batch, length)
        queries, keys, values = self._heads(x)
        state.keys[:, :, :tokens], state.values[:, :, :tokens] = keys, values
        real = None if mask is None else F.pad(mask, (0, length - tokens), value=True)
        y = self._attend(queries, keys, values, _allowed(x, mask, None))
        return y, replace(state, position=tokens, real=real)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        if self.kernel == "eager":
            if allowed is None:
                length = queries.shape[2]
                allowed = torch.ones(length, length, dtype=torch.bool, device=queries.device).tril()
            y = _eager_attention(queries, keys, values, allowed, dropout)
        else:
            y = F.scaled_dot_product_attention(
                queries, keys, values, attn_mask=allowed, is_causal=allowed is None, dropout_p=dropout
            )
        return self.out_proj(y.transpose(1, 2).flatten(2))

    def step(self, x: Tensor, state: AttentionState) -> tuple[Tensor, AttentionState]:
        """Advance by one token x (batch, width); returns y (batch, width) and the new state.

        The token is written into the cache, which both states share. Raises ValueError for a wrong shape and
        IndexError if the cache is full.
        """
        check_width(x, ("batch",), self.width)
        position = state.position
        if position >= state.keys.shape[2]:
            raise IndexError(f"state: the cache was allocated for {state.keys.shape[2]} tokens and is full")
        queries, keys, values = self._heads(x.unsqueeze(1))
        state.keys[:, :, position] = keys[:, :, 0]
        state.values[:, :, position] = values[:, :, 0]
        seen = slice(0, position + 1)
        real = None if state.real is None else state.real[:, None, None, seen]
        keys, values = state.keys[:, :, seen], state.values[:, :, seen]
        if self.kernel == "eager":
            y = _eager_attention(queries, keys, values, real, 0.0)
        else:
            y = F.scaled_dot_product_attention(queries, keys, values, attn_mask=real)
        return self.out_proj(y.transpose(1, 2).flatten(1)), replace(state, position=position + 1)

    def allocate_state(self, batch: int, length: int) -> AttentionState:
        """Return an empty cache for `length` tokens."""
        shape = (batch, self.heads, length, self.width // self.heads)
        weight = self.qkv.weight
        return AttentionState(weight.new_zeros(shape), weight.new_zeros(shape))

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        queries, keys, values = qkv.unbind(0)
        return queries, keys, values


def use_attention_kernel(model: nn.Module, kernel: AttentionKernel) -> None:
    """Let every attention layer of the model be computed so.

    Raises ValueError for a model without attention, whose cost no kernel of attention changes.
    """
    layers = [module for module in model.modules() if isinstance(module, CausalSelfAttention)]
    if not layers:
        raise ValueError("attention_kernel: the model has no attention layers")
    for layer in layers:
        layer.kernel = kernel


def _eager_attention(
    queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None, dropout: float
) -> Tensor:
    """Attention in separate steps, with its weights (batch, heads, queries, keys) in memory."""
    logits = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
    if allowed is not None:
        logits = torch.where(allowed, logits, torch.finfo(logits.dtype).min)
    weights = torch.softmax(logits, dim=-1)
    return (F.dropout(weights, dropout) if dropout else weights) @ values


def _allowed(x: Tensor, mask: Tensor | None, resets: Tensor | None) -> Tensor | None:
    """Return which key each query sees, (batch, 1, length, length) bool, None for plain causal attention."""
    check_flags(x, mask=mask, resets=resets)
    length = x.shape[1]
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
