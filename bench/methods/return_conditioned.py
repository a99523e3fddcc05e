"""What models over windows of (return-to-go, state, action) share: embeddings, heads and their interface.

Shapes: B windows, K steps, D `embedding_dim`, S numbers in a state, A in an action (or A actions, one-hot,
with `discrete_actions`). Batches are those of `bench.methods.windows`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.heads import prediction_head
from bench.methods.normaliser import Normaliser
from bench.nn.state import Memory


def interleave(tokens: list[Tensor]) -> Tensor:
    """[(B, K, D)] * m to (B, m K, D): the m tokens of a step follow each other (B3LD for m = 3)."""
    return torch.stack(tokens, dim=2).flatten(1, 2)


class StepEmbeddings(nn.Module):
    """Linear embeddings of return-to-go, state and action, and the optional timestep embedding."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        width = options["embedding_dim"]
        self.embed_return = nn.Linear(1, width)
        self.embed_state = nn.Linear(options["observation_dim"], width)
        self.embed_action = nn.Linear(options["action_dim"], width)
        self.embed_timestep = (
            nn.Embedding(options["max_timestep"], width) if options["position_embedding"] else None
        )
        self.last = options["max_timestep"] - 1

    def forward(self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor) -> list[Tensor]:
        """Embeddings [(..., D)] of returns (..., 1), states (..., S) and actions (..., A)."""
        embedded = [self.embed_return(returns), self.embed_state(states), self.embed_action(actions)]
        if self.embed_timestep is None:
            return embedded
        position = self.embed_timestep(timesteps)
        return [token + position for token in embedded]

    def at(self, returns: Tensor, states: Tensor, actions: Tensor, timestep: int) -> list[Tensor]:
        """The same for one step of returns (B, 1), states (B, S) and actions (B, A)."""
        timesteps = torch.full((len(states),), min(timestep, self.last), device=states.device)
        return self(returns, states, actions, timesteps)

    def decision(self, returns: Tensor, states: Tensor, last_action: Tensor, timestep: int) -> list[Tensor]:
        """Tokens [(B, D)] that are new at a decision: the last action (B, A), then return and state."""
        tokens = self.at(returns, states, last_action, timestep)[:2]
        if timestep == 0:
            return tokens
        # The action belongs to the step before, and so does its timestep embedding.
        return [self.at(returns, states, last_action, timestep - 1)[2], *tokens]


def action_head(options: Options) -> nn.Sequential:
    """From (..., D) to actions in -1 ... 1 (..., A), or to logits (..., A) with `discrete_actions`."""
    return prediction_head(options["embedding_dim"], options["action_dim"], options["discrete_actions"])


class ReturnConditionedModel(nn.Module, ABC):
    """A model over windows of (return-to-go, state, action) that can also read an episode step by step.

    It maps (returns (B, K, 1), states (B, K, S), actions (B, K, A), timesteps (B, K), mask (B, K)) to
    predicted actions, or their logits, (B, K, A), each from what came before it. Its learner gives it the
    normaliser of states.
    """

    normaliser: Normaliser

    @abstractmethod
    def step(
        self, returns: Tensor, states: Tensor, last_action: Tensor, timestep: int, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """Prediction (B, A) from returns (B, 1), states (B, S), the last action (B, A), and memory."""

    @abstractmethod
    def allocate_state(self, count: int, steps: int) -> Memory:
        """The memory of `count` episodes before the first of at most `steps` steps."""
