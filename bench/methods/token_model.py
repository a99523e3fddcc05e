"""The model of every return-conditioned sequence method: tokens of steps, read by a backbone.

The methods differ by the layout of their tokens, by what these pass as they enter, and by the backbone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.return_conditioned import ReturnConditionedModel, StepEmbeddings
from bench.methods.token_layout import ACTION, RETURN, STATE, TokenLayout
from bench.nn.backbone import Backbone
from bench.nn.kept_program import KeptProgram
from bench.nn.state import Memory

if TYPE_CHECKING:
    from bench.nn.compiled import Compiled


class SequenceModel(Protocol):
    """A causal map of tokens (batch, length, D) to the same that can also be advanced token by token."""

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, length, D) of (batch, length, D); mask (batch, length), bool, is False at padding."""

    def read(self, tokens: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Output (batch, D) at the last of more tokens (batch, count, D), and the memory after them."""

    def allocate_state(self, batch: int, length: int) -> Memory:
        """The memory before the first of at most `length` tokens."""


class TokenModel(ReturnConditionedModel):
    """Embeddings of steps, laid out as tokens, entered into a backbone and read by a head.

    `entry` maps tokens (..., D), merged ones (..., 3 D), to what the backbone reads, and `predict_action`
    what the backbone gives to actions (..., A) or their logits. The parts are made by the caller, which fixes
    the order of random numbers. With `padding=attended` padding is read as any other token.
    """

    def __init__(
        self,
        options: Options,
        layout: TokenLayout,
        embed: StepEmbeddings,
        entry: nn.Module,
        backbone: SequenceModel,
        predict_action: nn.Module,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.embed, self.entry = embed, entry
        self.backbone = backbone
        self.predict_action = predict_action
        self._kept = KeptProgram()
        self.placed_in_window = embed.places is not None
        self.attends_to_padding = options["padding"] == "attended"
        self.from_beginning = options["window_start"] == "beginning"

    def forward(
        self, returns: Tensor, states: Tensor, actions: Tensor, previous_actions: Tensor, timesteps: Tensor,
        mask: Tensor, real: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Predicted actions (B, K, A)."""
        tokens = self.step_tokens(returns, states, actions, previous_actions, timesteps)
        hidden = self.backbone(tokens, self.token_mask(mask, real))
        return self.head(hidden[:, self.layout.read_at :: self.layout.per_step])

    def step_tokens(
        self, returns: Tensor, states: Tensor, actions: Tensor, previous_actions: Tensor, timesteps: Tensor
    ) -> Tensor:
        """(B, tokens, width) what the backbone reads of whole steps (B, K, .)."""
        shown = previous_actions if self.layout.shows_previous_action else actions
        entered: Tensor = self.entry(self.layout.arrange(self.embed(returns, states, shown, timesteps)))
        return entered

    def decision_tokens(
        self, returns: Tensor, states: Tensor, last_action: Tensor, timesteps: Tensor
    ) -> list[Tensor]:
        """[(n, width)] what the backbone reads of a step up to its decision.

        Takes returns (n, 1), states (n, S), the actions of the step before (n, A), timesteps (n,).
        """
        embedded = self.embed(returns, states, last_action, timesteps)
        return [self.entry(token) for token in self.layout.own(embedded)]

    def head(self, hidden: Tensor) -> Tensor:
        """Predicted actions (..., A) of what the backbone gives (..., width)."""
        predicted: Tensor = self.predict_action(hidden)
        return predicted

    def step(
        self, returns: Tensor, states: Tensor, last_action: Tensor, timestep: int, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """Predicted action (B, A) from returns (B, 1), states (B, S), the last action (B, A), and memory.

        One episode on a CPU, in evaluation and without gradients, is decoded by one compiled call from its
        second step on, where programs know all parts of the model.
        """
        if timestep or self.layout.shows_previous_action:
            program = self._kept.to_read(states, memory, self, self._lay_out)
            if program is not None:
                shown = {RETURN: returns, STATE: states, ACTION: last_action}
                return self._read_at_once(program, shown, timestep, memory)
        tokens = self.layout.own(self.embed.at(returns, states, last_action, timestep))
        if timestep and not self.layout.shows_previous_action:
            # The action ends the step before, whose timestep embedding it takes.
            tokens = [self.embed.at(returns, states, last_action, timestep - 1)[ACTION], *tokens]
        hidden, memory = self.backbone.read(
            torch.stack([self.entry(token) for token in tokens], dim=1), memory
        )
        return self.head(hidden), memory

    def _lay_out(self, parameters: Sequence[Tensor]) -> Compiled | None:
        """The program of a decision; there is none for frames and their places."""
        from bench.nn.reading_program import reading_program

        embed, backbone = self.embed, self.backbone
        maps = {
            kind: (part.in_features, part)
            for kind, part in embed.maps().items()
            if isinstance(part, nn.Linear)
        }
        if len(maps) < 3 or embed.places is not None or not isinstance(backbone, Backbone):
            return None
        table = None if embed.embed_timestep is None else embed.embed_timestep.weight
        tokens = [[kind] for kind in self.layout.decision_kinds]
        return reading_program(
            maps, tokens, table, backbone, self.predict_action, parameters,
            entry=self.entry, joined=self.layout.merged,
        )  # fmt: skip

    def _read_at_once(
        self, program: Compiled, shown: dict[str, Tensor], timestep: int, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """`step` from what is `shown` of each kind, by one compiled call."""
        layout, last = self.layout, self.embed.last
        inputs: list[Any] = [values.numpy() for values in shown.values()]
        if self.embed.embed_timestep is not None:
            earlier = not layout.shows_previous_action
            times = [timestep - (earlier and kind == ACTION) for kind in layout.decision_kinds]
            inputs += [min(time, last) for time in times]
        return program.read(memory, 1 if layout.merged else len(layout.decision_kinds), *inputs)

    def allocate_state(self, count: int, steps: int) -> Memory:
        """The memory of `count` episodes before the first of at most `steps` steps."""
        return self.backbone.allocate_state(count, self.layout.per_step * steps)

    def token_mask(self, mask: Tensor, real: Tensor | None) -> Tensor | None:
        """Which tokens (B, tokens) are real, by the steps (B, K) that are; None if all are read alike.

        How many `real` places there are is known without a look at what a GPU holds.
        """
        if self.attends_to_padding:
            return None
        # Windows from the beginning are mostly whole episodes without padding. Without a mask, attention
        # needs no matrix of (3 K)^2 entries, which at thousands of steps is most of its memory.
        if self.from_beginning:
            whole = bool(mask.all()) if real is None else len(real) == mask.numel()
            if whole:
                return None
        return mask.repeat_interleave(self.layout.per_step, dim=1)
