"""How the three things of a step become tokens: in which order, or side by side in one token."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

RETURN, STATE, ACTION = "return", "state", "action"


class TokenLayout(NamedTuple):
    """The tokens of a step, in time: one of each of `kinds`, in their order, or one of all three (`merged`).

    B3LD and BL3D are DeMa's names for the two (Section 4.1). A prediction is read at the token that holds the
    state, and sees that token and those before it. So an action that stands before the state is that of the
    step before, and so it is in a merged token; one that stands behind it is the step's own.
    """

    kinds: tuple[str, ...]
    merged: bool = False

    @property
    def per_step(self) -> int:
        """Tokens of a step."""
        return 1 if self.merged else len(self.kinds)

    @property
    def read_at(self) -> int:
        """Which token of a step its action is read at, counted from 0."""
        return 0 if self.merged else self.kinds.index(STATE)

    @property
    def shows_previous_action(self) -> bool:
        """Whether the action shown in a step is that of the step before."""
        return self.merged or self.kinds.index(ACTION) < self.kinds.index(STATE)

    @property
    def decision_kinds(self) -> tuple[str, ...]:
        """The kinds that a decision reads after an earlier one: an action that ends a step comes first."""
        if self.merged:
            return self.kinds
        own = self.kinds[: self.read_at + 1]
        return own if self.shows_previous_action else (ACTION, *own)

    def up_to_decision(self, steps: int) -> int:
        """Tokens of so many steps up to the one that the last action is read at."""
        return self.per_step * (steps - 1) + self.read_at + 1

    def before_decision(self, steps: int) -> int:
        """Tokens that were read when `steps` steps are over and the next decision is due."""
        return self.up_to_decision(steps) if steps else 0

    def arrange(self, embedded: dict[str, Tensor]) -> Tensor:
        """Embeddings (B, K, D) by kind to tokens (B, 3 K, D), or merged to (B, K, 3 D)."""
        parts = [embedded[kind] for kind in self.kinds]
        return torch.cat(parts, dim=-1) if self.merged else torch.stack(parts, dim=2).flatten(1, 2)

    def own(self, embedded: dict[str, Tensor]) -> list[Tensor]:
        """Embeddings (n, D) by kind to the tokens of one step up to its decision: [(n, D)], or [(n, 3 D)]."""
        parts = [embedded[kind] for kind in self.kinds]
        return [torch.cat(parts, dim=-1)] if self.merged else parts[: self.read_at + 1]


def layout_named(order: str, merged: bool = False) -> TokenLayout:
    """The layout of an order such as `return-action-state`."""
    return TokenLayout(tuple(order.split("-")), merged)


# The Decision Transformer's, and that of all methods which share its model.
STATE_BEFORE_ACTION = layout_named("return-state-action")
