"""What a sequence model remembers between two tokens: a state for each layer, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class State(Protocol):
    """What one layer remembers of the tokens that it has read, for each row of a batch."""

    def forked(self, count: int) -> State:
        """The state of batch * `count` rows: each row `count` times, the copies side by side."""

    def at(self, position: int) -> State:
        """The state moved to just before token `position`, for timing.

        A step from there takes as long as it would after `position` tokens; what it gives means nothing,
        unless these tokens were read. A recurrent state has one size and stays as it is.
        """


@dataclass(frozen=True)
class Memory:
    """The states of all layers, first to last."""

    layers: tuple[State, ...]

    def forked(self, count: int) -> Memory:
        """The memory of batch * `count` rows: each row `count` times, the copies side by side."""
        return Memory(tuple(state.forked(count) for state in self.layers))

    def at(self, position: int) -> Memory:
        """The memory moved to just before token `position`, for timing; see `State.at`."""
        return Memory(tuple(state.at(position) for state in self.layers))
