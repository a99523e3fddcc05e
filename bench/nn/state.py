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


class Memory(Protocol):
    """The states of all layers, as plain ones or as a compiled step holds them."""

    @property
    def layers(self) -> tuple[State, ...]:
        """The state of each layer, first to last."""

    def forked(self, count: int) -> Memory:
        """The memory of batch * `count` rows: each row `count` times, the copies side by side."""

    def at(self, position: int) -> Memory:
        """The memory moved to just before token `position`, for timing; see `State.at`."""


@dataclass(frozen=True)
class States:
    """A memory of plain states, first layer to last."""

    layers: tuple[State, ...]

    def forked(self, count: int) -> States:
        """The states of batch * `count` rows: each row `count` times, the copies side by side."""
        return States(tuple(state.forked(count) for state in self.layers))

    def at(self, position: int) -> States:
        """The states moved to just before token `position`, for timing; see `State.at`."""
        return States(tuple(state.at(position) for state in self.layers))
