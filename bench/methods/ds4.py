"""Decision S4 (Bar David et al. 2023), trained on stored trajectories: S4 in a transformer's place.

- One token a step: the embeddings of a state, of the action before it and of the return-to-go before it,
  side by side, through a linear map, GELU and another. `shown_return=current` shows the step's own
  return-to-go.
- Blocks of S4, GELU, a linear map and GELU (`bench.nn.s4`), without residual connections, norms and
  positions.
- Trained on whole trajectories as a convolution, decoded from the state of its recurrence.
- The head is linear, without bias and tanh. What a policy does is clipped to the space of actions.
- Weight decay acts on weights and on D, and on nothing of the kernels (`decayed=weights`).
- The second half of the paper, on-policy fine-tuning by a critic, is no offline method and is not built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.return_conditioned import ReturnConditionedModel, token_embeddings
from bench.methods.sequence import SequenceLearner
from bench.methods.token_layout import ACTION, RETURN, STATE, TokenLayout
from bench.nn.s4 import S4Stack
from bench.nn.state import Memory, State, States


@dataclass(frozen=True)
class EpisodeMemory:
    """The states of all blocks, and the return-to-go (B, 1) of the step before, if there is one."""

    states: States
    last_return: Tensor | None = None

    @property
    def layers(self) -> tuple[State, ...]:
        """The state of each block, first to last."""
        return self.states.layers

    def forked(self, count: int) -> EpisodeMemory:
        """The memory of batch * `count` rows: each row `count` times, the copies side by side."""
        last = self.last_return
        copied = None if last is None else last.repeat_interleave(count, dim=0)
        return EpisodeMemory(self.states.forked(count), copied)

    def at(self, position: int) -> EpisodeMemory:
        """The memory itself: it has one size, whatever the position."""
        return self


class DecisionS4(ReturnConditionedModel):
    """Merged tokens of steps, read by a stack of S4 blocks."""

    layout = TokenLayout((STATE, ACTION, RETURN), merged=True)

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.embed_return, self.embed_state, self.embed_action = token_embeddings(options)
        width = options["d_model"]
        self.entry = nn.Sequential(
            nn.Linear(3 * options["embedding_dim"], width), nn.GELU(), nn.Linear(width, width),
            nn.Dropout(options["dropout"]),
        )  # fmt: skip
        self.backbone = S4Stack(
            options["layers"], width, options["d_state"], options["max_episode_steps"], options["kernel"],
            options["dropout"],
        )  # fmt: skip
        self.predict_action = nn.Linear(width, options["action_dim"], bias=False)
        self.shown_late = options["shown_return"] == "previous"

    def forward(
        self, returns: Tensor, states: Tensor, actions: Tensor, previous_actions: Tensor, timesteps: Tensor,
        mask: Tensor, real: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Predicted actions (B, K, A), not clipped, of steps that begin with an episode's first."""
        if self.shown_late:
            returns = torch.cat([returns[:, :1], returns[:, :-1]], dim=1)
        predicted: Tensor = self.predict_action(
            self.backbone(self._tokens(returns, states, previous_actions), mask)
        )
        return predicted

    def step(
        self, returns: Tensor, states: Tensor, last_action: Tensor, timestep: int, memory: Memory
    ) -> tuple[Tensor, EpisodeMemory]:
        """Predicted action (B, A), clipped to -1 ... 1."""
        held = cast("EpisodeMemory", memory)
        shown = returns if held.last_return is None or not self.shown_late else held.last_return
        tokens = self._tokens(shown, states, last_action)
        hidden, moved = self.backbone.step(tokens, held.states)
        return self.predict_action(hidden).clamp(-1.0, 1.0), EpisodeMemory(moved, returns)

    def allocate_state(self, count: int, steps: int) -> EpisodeMemory:
        """The memory of `count` episodes before their first step; it has one size whatever the `steps`."""
        return EpisodeMemory(self.backbone.allocate_state(count, steps))

    def _tokens(self, returns: Tensor, states: Tensor, last_actions: Tensor) -> Tensor:
        """What the stack reads (..., H) of returns (..., 1), states (..., S), actions before (..., A)."""
        embedded = self.embed_state(states), self.embed_action(last_actions), self.embed_return(returns)
        entered: Tensor = self.entry(torch.cat(embedded, dim=-1))
        return entered


class Learner(SequenceLearner):
    """Decision S4 on whole trajectories."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, DecisionS4(options), whole_trajectories=True)
