"""Graph Decision Transformer's blocks: causal attention whose scores know which tokens an edge joins.

Tokens follow each other in the order return-to-go, state, action (R, s, a). Edges lead from what causes to
what it causes (Hu et al. 2023): R_t -> a_t, s_t -> a_t, and from step t to the next R -> R, s ->
R, s -> s, a -> R, a -> s. The relation of a query to a key is whether an edge leads from the key's token to
the query's. It has a learnt embedding of two rows, so that *every* earlier token is attended to, and an edge
changes the score alone.

Shapes: B sequences, L tokens, D features, h heads of d = D / h features.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from bench.nn.attention import AttentionState
from bench.nn.checks import check_flags, check_width
from bench.nn.linear import GPT2Linear
from bench.nn.state import Memory

RETURN, STATE, ACTION = range(3)
# (token that an edge leads from, tokens between it and that which it leads to).
EDGES = (
    (RETURN, 2), (STATE, 1),  # to the step's own action
    (RETURN, 3), (STATE, 2), (ACTION, 1),  # to the next return
    (STATE, 3), (ACTION, 2),  # to the next state
)  # fmt: skip


def edges(queries: Tensor, keys: Tensor) -> Tensor:
    """Whether an edge leads from each key to each query: (Q, K) bool of places (Q,) and (K,)."""
    apart = queries.unsqueeze(1) - keys
    found = torch.zeros_like(apart, dtype=torch.bool)
    for kind, distance in EDGES:
        found |= (keys % 3 == kind) & (apart == distance)
    return found


class RelationAttention(nn.Module):
    """Attention with score (q_i + r_ij) . (k_j + r'_ij) / sqrt(d), the relations r, r' being two rows each.

    The scores of both rows are made whole and chosen from, so that no tensor of (L, L, D) is held. The copy
    of the authors' code divides by sqrt(d) twice (`scaled_twice`). 6 D^2 + 6 D parameters. Raises ValueError
    if `heads` does not divide `width`.
    """

    def __init__(self, width: int, heads: int, dropout: float, scaled_twice: bool) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"heads: expected a divisor of width = {width}, got {heads}")
        self.width, self.heads = width, heads
        self.scale = (width // heads) ** (-1.0 if scaled_twice else -0.5)
        self.qkv = GPT2Linear(width, 3 * width)
        self.relation = GPT2Linear(width, 2 * width)
        self.out_proj = GPT2Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, h, L, d) of x (B, L, D)."""
        heads = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = heads.unbind(0)
        return queries, keys, values

    def attend(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        relations: Tensor,
        joined: Tensor,
        allowed: Tensor,
    ) -> Tensor:
        """What queries (B, h, Q, d) gather from K keys and values: (B, Q, D).

        relations (2, D): embeddings of no edge and of an edge. joined (Q, K) and allowed, which broadcasts to
        (B, h, Q, K), bool: which pairs have an edge, and which are attended to.
        """
        rows = self.relation(relations).unflatten(-1, (2, self.heads, 1, -1))  # (2, 2, h, 1, d)
        without, along = (
            (queries + of_query) @ (keys + of_key).transpose(-2, -1) for of_query, of_key in rows
        )
        scores = self.scale * torch.where(joined, along, without)
        weights = torch.softmax(scores.masked_fill(~allowed, torch.finfo(scores.dtype).min), dim=-1)
        gathered: Tensor = self.out_proj((self.dropout(weights) @ values).transpose(1, 2).flatten(2))
        return gathered


class GraphBlock(nn.Module):
    """Relation attention, then a network of twice the width with ReLU; each is added and *then* normalised.

    10 D^2 + 13 D parameters.
    """

    def __init__(self, width: int, heads: int, dropout: float, scaled_twice: bool) -> None:
        super().__init__()
        self.attention = RelationAttention(width, heads, dropout, scaled_twice)
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            GPT2Linear(width, 2 * width), nn.ReLU(), nn.Dropout(dropout), GPT2Linear(2 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def after_attention(self, x: Tensor, gathered: Tensor) -> Tensor:
        """The block's output (B, Q, D) from its input x and what attention gathered."""
        x = self.attention_norm(x + self.dropout(gathered))
        added: Tensor = self.mlp_norm(x + self.dropout(self.mlp(x)))
        return added


@dataclass(frozen=True)
class GraphMemory:
    """The keys and values of each block, and what the last block gave for the last token (B, D)."""

    layers: tuple[AttentionState, ...]
    last: Tensor

    def forked(self, count: int) -> GraphMemory:
        """The memory of batch * `count` rows: each row `count` times, the copies side by side."""
        layers = tuple(state.forked(count) for state in self.layers)
        return GraphMemory(layers, self.last.repeat_interleave(count, dim=0))

    def at(self, position: int) -> GraphMemory:
        """The memory moved to just before token `position`, for timing; see `State.at`."""
        return replace(self, layers=tuple(state.at(position) for state in self.layers))


class GraphTransformer(nn.Module):
    """`layers` blocks over the tokens of whole steps: (B, L, D) to (B, L, 2 D).

    What comes out beside a token is the one before it too, since an action is read off its state and its
    return. `drawn` says whether edges are those of the paper's graph; in the copy of the authors' code they
    are transposed twice, so that they lead backwards in time, where the causal mask hides them, and no pair
    has one. Raises ValueError for fewer than one layer, and as `RelationAttention` does.
    """

    def __init__(
        self, layers: int, width: int, heads: int, dropout: float = 0.0, scaled_twice: bool = False,
        drawn: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers: expected at least 1, got {layers}")
        self.width, self.heads, self.drawn = width, heads, drawn
        self.relations = nn.Embedding(2, width)
        self.blocks = nn.ModuleList(GraphBlock(width, heads, dropout, scaled_twice) for _ in range(layers))
        for module in self.modules():
            if isinstance(module, GPT2Linear):
                module.draw()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, L, 2 D): each token and the one before it, zeros before the first.

        mask (B, L), bool, is False at padding, which is attended to by itself alone.
        """
        check_width(x, ("batch", "length"), self.width)
        check_flags(x, mask=mask)
        places = torch.arange(x.shape[1], device=x.device)
        joined, allowed = self._joined(places, places), places.unsqueeze(1) >= places
        if mask is not None:
            allowed = (allowed & mask[:, None, None, :]) | (places.unsqueeze(1) == places)
        for block in self._blocks():
            heads = block.attention.project(x)
            gathered = block.attention.attend(*heads, self.relations.weight, joined, allowed)
            x = block.after_attention(x, gathered)
        return beside_the_one_before(x, torch.zeros_like(x[:, 0]))

    def read(self, tokens: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Advance by tokens (B, count, D); returns (B, 2 D) at the last, and the memory after them.

        Raises IndexError if the memory has no room for them.
        """
        check_width(tokens, ("batch", "count"), self.width)
        held = cast("GraphMemory", memory)
        first, room = held.layers[0].position, held.layers[0].keys.shape[2]
        end = first + tokens.shape[1]
        if end > room:
            raise IndexError(f"memory: it was allocated for {room} tokens, which {end} exceed")
        seen = torch.arange(end, device=tokens.device)
        joined, allowed = self._joined(seen[first:], seen), seen[first:].unsqueeze(1) >= seen
        x, states = tokens, []
        for block, state in zip(self._blocks(), held.layers, strict=True):
            queries, keys, values = block.attention.project(x)
            state.keys[:, :, first:end], state.values[:, :, first:end] = keys, values
            gathered = block.attention.attend(
                queries,
                state.keys[:, :, :end],
                state.values[:, :, :end],
                self.relations.weight,
                joined,
                allowed,
            )
            x = block.after_attention(x, gathered)
            states.append(state.at(end))
        both = beside_the_one_before(x, held.last)
        return both[:, -1], GraphMemory(tuple(states), x[:, -1])

    def allocate_state(self, batch: int, length: int) -> GraphMemory:
        """The memory before the first of at most `length` tokens."""
        weight = self.relations.weight
        shape = (batch, self.heads, length, self.width // self.heads)
        layers = tuple(
            AttentionState(weight.new_zeros(shape), weight.new_zeros(shape)) for _ in self._blocks()
        )
        return GraphMemory(layers, weight.new_zeros(batch, self.width))

    def _joined(self, queries: Tensor, keys: Tensor) -> Tensor:
        found = edges(queries, keys)
        return found if self.drawn else torch.zeros_like(found)

    def _blocks(self) -> Iterable[GraphBlock]:
        return cast("Iterable[GraphBlock]", self.blocks)


def beside_the_one_before(x: Tensor, before: Tensor) -> Tensor:
    """Tokens (B, L, D), each with the one before it beside it, (B, L, 2 D); the first has `before` (B, D)."""
    return torch.cat([x, torch.cat([before.unsqueeze(1), x[:, :-1]], dim=1)], dim=-1)
