"""What a model predicts of an action: the head, its loss, and how one of several actions is drawn.

A action numbers, or A actions to choose from (`discrete`).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.frames import reads_frames


def prediction_head(width: int, actions: int, discrete: bool, bias: bool = True) -> nn.Sequential:
    """From hidden states (..., width) to logits (..., A), or to continuous actions in -1 ... 1."""
    linear = nn.Linear(width, actions, bias=bias)
    return nn.Sequential(linear) if discrete else nn.Sequential(linear, nn.Tanh())


def action_head(options: Options, width: int) -> nn.Sequential:
    """The same for the actions of a task with `action_dim` and `discrete_actions`; no bias in games."""
    discrete = options["discrete_actions"]
    return prediction_head(width, options["action_dim"], discrete, bias=not reads_frames(options))


def prediction_loss(predicted: Tensor, actions: Tensor, discrete: bool) -> Tensor:
    """Mean squared error of actions (n, A); if discrete, cross-entropy of their numbers (n,) or one-hot."""
    if discrete:
        return nn.functional.cross_entropy(predicted, actions)
    return nn.functional.mse_loss(predicted, actions)


def random_choices(actions: int, shape: tuple[int, ...], generator: np.random.Generator) -> Tensor:
    """One-hot choices (*shape, A) of so many actions, drawn evenly."""
    drawn = torch.from_numpy(generator.integers(actions, size=shape))
    return nn.functional.one_hot(drawn, actions).float()


def chosen_actions(
    logits: Tensor, temperature: float, generator: torch.Generator, likeliest: int = 0
) -> Tensor:
    """One-hot actions (n, A) drawn from logits (n, A), of the `likeliest` alone if that is not 0."""
    if likeliest:
        least = logits.topk(min(likeliest, logits.shape[-1]), dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    drawn = drawn_actions(logits, temperature, generator)
    return nn.functional.one_hot(drawn, logits.shape[-1]).float()


def drawn_actions(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Numbers (n,) of actions drawn from logits (n, A); at temperature 0 the likeliest.

    The draw is made where the generator is, so that every device draws alike.
    """
    if temperature == 0.0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(logits.double() / temperature, dim=-1).to(generator.device)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1).to(logits.device)
