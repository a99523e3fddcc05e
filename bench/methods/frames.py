"""Atari: what a step of a game is, and how DT and DeMa embed it.

States are stacks of grey frames, of levels 0 ... 255; actions are one of several. The shapes and tables are
those of DT's Atari code (mingpt/model_atari.py), which DeMa's takes over.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.arrays import States
from bench.methods.token_layout import TokenLayout
from bench.nn.frames import FrameEncoder
from bench.nn.linear import INITIAL_STD


def reads_frames(options: Options) -> bool:
    """Whether the states of the task are stacks of frames."""
    return "frame_side" in options


def state_shape(options: Options) -> tuple[int, ...]:
    """The shape of a state: its numbers, or (frames, side, side)."""
    if reads_frames(options):
        return options["stacked_frames"], options["frame_side"], options["frame_side"]
    return (options["observation_dim"],)


def kept_shape(options: Options, width: int) -> tuple[int, ...]:
    """The shape of a state as a policy keeps it: its numbers, or the features of its frames."""
    return (width,) if reads_frames(options) else state_shape(options)


def random_states(options: Options, shape: tuple[int, ...], generator: np.random.Generator) -> States:
    """States (*shape, ...) with random content: numbers, or grey levels."""
    size = *shape, *state_shape(options)
    if reads_frames(options):
        return generator.integers(256, size=size, dtype=np.uint8)
    return generator.standard_normal(size, dtype=np.float32)


def frame_encoder(options: Options, width: int) -> FrameEncoder:
    """The encoder of a task's frames, of that width."""
    precision = options["encoder_precision"]
    return FrameEncoder(options["stacked_frames"], options["frame_side"], width, precision)


class ActionEmbedding(nn.Module):
    """A learnt vector for each of `actions` to choose from, through tanh."""

    def __init__(self, actions: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(actions, width)
        nn.init.normal_(self.table.weight, std=INITIAL_STD)

    def forward(self, actions: Tensor) -> Tensor:
        """(..., width) of one-hot actions (..., A); where there is none, zeros, it is that of action 0."""
        return torch.tanh(self.table(actions.argmax(-1)))


def frame_embeddings(options: Options) -> tuple[nn.Module, nn.Module, nn.Module]:
    """What embeds returns (..., 1), states (..., frames, side, side) and actions (..., A) as (..., D)."""
    width = options["embedding_dim"]
    return (
        nn.Sequential(nn.Linear(1, width), nn.Tanh()),
        frame_encoder(options, width),
        ActionEmbedding(options["action_dim"], width),
    )


class WindowPlaces(nn.Module):
    """Places that DT adds to its tokens in Atari: the window's in its episode, a token's in its window.

    Both begin at zero. There are `timesteps` rows for the timestep of a window's first step, and one for each
    token of a window of `steps` steps.
    """

    def __init__(self, layout: TokenLayout, steps: int, timesteps: int, width: int) -> None:
        super().__init__()
        self.kinds, self.steps = layout.kinds, steps
        self.in_episode = nn.Parameter(torch.zeros(timesteps, width))
        self.in_window = nn.Parameter(torch.zeros(steps, len(layout.kinds), width))

    def forward(self, timesteps: Tensor) -> dict[str, Tensor]:
        """What to add to the embeddings of each kind, (B, K, D) for the timesteps of windows (B, K).

        Timesteps (n,) are each one step of a window that began with its episode, and give (n, D). Raises
        ValueError for more steps than a window has.
        """
        if timesteps.dim() == 1:
            first, places = torch.zeros_like(timesteps), timesteps
        else:
            # A window that is padded on the left holds the whole of an episode. Padding has the timestep 0
            # too.
            padding = ((timesteps == 0).sum(1, keepdim=True) - 1).clamp(min=0)
            first = timesteps[:, :1]
            places = (torch.arange(timesteps.shape[1], device=timesteps.device) - padding).clamp(min=0)
        if int(places.max()) >= self.steps:
            raise ValueError(f"timesteps: a window has {self.steps} steps, got step {int(places.max()) + 1}")
        of_window, of_tokens = self.in_episode[first], self.in_window[places]
        return {kind: of_window + of_tokens[..., number, :] for number, kind in enumerate(self.kinds)}
