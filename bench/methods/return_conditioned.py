"""What models over windows of returns-to-go, states and actions share: embeddings and their interface.

Shapes: B windows, K steps, D `embedding_dim`, S numbers in a state, A in an action (or A actions, one-hot,
with `discrete_actions`). Batches are those of `bench.methods.windows`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.normaliser import Normaliser
from bench.methods.token_layout import ACTION, RETURN, STATE, TokenLayout
from bench.nn.state import Memory


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

    def forward(
        self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor
    ) -> dict[str, Tensor]:
        """Embeddings (..., D) by kind of returns (..., 1), states (..., S) and actions (..., A).

        The embedding of the timesteps (...) is added to all three.
        """
        embedded = {
            RETURN: self.embed_return(returns),
            STATE: self.embed_state(states),
            ACTION: self.embed_action(actions),
        }
        if self.embed_timestep is None:
            return embedded
        position = self.embed_timestep(timesteps)
        return {kind: token + position for kind, token in embedded.items()}

    def at(self, returns: Tensor, states: Tensor, actions: Tensor, timestep: int) -> dict[str, Tensor]:
        """The same for one step of returns (B, 1), states (B, S) and actions (B, A)."""
        timesteps = torch.full((len(states),), min(timestep, self.last), device=states.device)
        embedded: dict[str, Tensor] = self(returns, states, actions, timesteps)
        return embedded


class ReturnConditionedModel(nn.Module, ABC):
    """A model over windows of returns-to-go, states and actions that can also read an episode step by step.

    It maps (returns (B, K, 1), states (B, K, S), actions (B, K, A), previous_actions (B, K, A), timesteps
    (B, K), mask (B, K)) to predicted actions, or their logits, (B, K, A), each from what came before it.
    `layout` says what its tokens are. Its learner gives it the normaliser of states.
    """

    layout: TokenLayout
    normaliser: Normaliser

    @abstractmethod
    def step(
        self, returns: Tensor, states: Tensor, last_action: Tensor, timestep: int, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """Prediction (B, A) from returns (B, 1), states (B, S), the last action (B, A), and memory."""

    @abstractmethod
    def allocate_state(self, count: int, steps: int) -> Memory:
        """The memory of `count` episodes before the first of at most `steps` steps."""
