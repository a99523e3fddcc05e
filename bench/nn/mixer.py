"""What a layer of a sequence model asks of the part that mixes its tokens: the contract of every mixer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from torch import Tensor, nn

from bench.nn.state import State

StateT = TypeVar("StateT", bound=State)


class Mixer(nn.Module, ABC, Generic[StateT]):
    """A causal map of tokens (batch, length, width) to the same, which can also read them one by one."""

    width: int
    # Whether the dropout of a block acts on what the mixer adds to its input.
    drops_out: ClassVar[bool] = True
    # The parameters of its attention, that is, of how much it takes of each token before: named by the mixers
    # whose attention can be replaced (`bench.nn.intervene`). Maps into the mixer and out of it are no part.
    attention: ClassVar[tuple[str, ...]] = ()
    # Those of a short convolution that its attention reads through.
    short_convolution: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        """Mix x (batch, length, width).

        mask (batch, length), bool: False at padding, which contributes nothing to any other token.
        resets (batch, length), bool: tokens that begin a new trajectory and see nothing before them.
        Raises ValueError for a wrong shape or dtype.
        """

    @abstractmethod
    def prefill(self, x: Tensor, mask: Tensor | None, length: int) -> tuple[Tensor, StateT]:
        """Return what `forward` gives for x (batch, tokens, width), and the state after its last token.

        `length` bounds the tokens that a growing state can take, those of x included.
        Raises ValueError as `forward` does, and if x has more tokens than that.
        """

    @abstractmethod
    def step(self, x: Tensor, state: StateT) -> tuple[Tensor, StateT]:
        """Advance by one token x (batch, width); returns y (batch, width) and the new state.

        The old state may be overwritten. Raises ValueError for a wrong shape.
        """

    @abstractmethod
    def allocate_state(self, batch: int, length: int) -> StateT:
        """Return the state before any token; `length` bounds the tokens that a growing state can take."""

    @abstractmethod
    def countable_forward(
        self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None
    ) -> Tensor:
        """`forward` in operators whose products the counters of `bench.measure.counting` know.

        The shapes are those of `forward`; the values need not be.
        """
