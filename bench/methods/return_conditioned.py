"""What models over windows of returns-to-go, states and actions share: embeddings and their interface.

Shapes: B windows, K steps, D `embedding_dim`, S numbers in a state, A in an action (or A actions, one-hot,
with `discrete_actions`). Batches are those of `bench.methods.windows`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.frames import WindowPlaces, frame_embeddings, reads_frames
from bench.methods.state_reader import StateReader
from bench.methods.token_layout import ACTION, RETURN, STATE, TokenLayout
from bench.nn.state import Memory


def token_embeddings(options: Options) -> tuple[nn.Module, nn.Module, nn.Module]:
    """What embeds returns (..., 1), states (..., S) and actions (..., A) as (..., D)."""
    if reads_frames(options):
        return frame_embeddings(options)
    width = options["embedding_dim"]
    return (
        nn.Linear(1, width),
        nn.Linear(options["observation_dim"], width),
        nn.Linear(options["action_dim"], width),
    )


class StepEmbeddings(nn.Module):
    """Embeddings of return-to-go, state and action, and with `position_embedding` of where they stand.

    That is a learnt embedding of the timestep, or learnt `places` in its stead.
    """

    def __init__(self, options: Options, places: WindowPlaces | None = None) -> None:
        super().__init__()
        self.embed_return, self.embed_state, self.embed_action = token_embeddings(options)
        positioned = options["position_embedding"]
        self.embed_timestep = (
            nn.Embedding(options["max_timestep"], options["embedding_dim"])
            if positioned and places is None
            else None
        )
        self.places = places if positioned else None
        self.last = options["max_timestep"] - 1

    def maps(self) -> dict[str, nn.Module]:
        """What embeds each kind."""
        return {RETURN: self.embed_return, STATE: self.embed_state, ACTION: self.embed_action}

    def forward(
        self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor
    ) -> dict[str, Tensor]:
        """Embeddings (..., D) by kind of returns (..., 1), states (..., S) and actions (..., A).

        The embedding of the timesteps (...) is added to all three, or the place of each to it.
        """
        values = {RETURN: returns, STATE: states, ACTION: actions}
        embedded = {kind: part(values[kind]) for kind, part in self.maps().items()}
        if self.places is not None:
            added = self.places(timesteps)
            return {kind: token + added[kind] for kind, token in embedded.items()}
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

    It maps (returns (B, K, 1), states (B, K, S), actions (B, K, A), previous_actions (B, K, A), timesteps (B,
    K), mask (B, K)) to predicted actions, or their logits, (B, K, A), each from what came before it. In
    training it is told the places `real` (n,) of the real steps too. `layout` says what its tokens are. Its
    learner gives it the normaliser of states. States that are frames may come as grey levels (B, K, frames,
    side, side), uint8, or as features (B, K, D) of theirs.
    """

    layout: TokenLayout
    # Whether a token is told its place in the window, so that it reads otherwise once the window has moved
    # on.
    placed_in_window: bool = False
    normaliser: StateReader

    @abstractmethod
    def step(
        self, returns: Tensor, states: Tensor, last_action: Tensor, timestep: int, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """Prediction (B, A) from returns (B, 1), states (B, S), the last action (B, A), and memory."""

    @abstractmethod
    def allocate_state(self, count: int, steps: int) -> Memory:
        """The memory of `count` episodes before the first of at most `steps` steps."""
