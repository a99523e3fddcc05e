"""What a model predicts of an action: the head, its loss, and how one of several actions is drawn.

A action numbers, or A actions to choose from (`discrete`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options


def prediction_head(width: int, actions: int, discrete: bool) -> nn.Sequential:
    """From hidden states (..., width) to logits (..., A), or to continuous actions in -1 ... 1."""
    linear = nn.Linear(width, actions)
    return nn.Sequential(linear) if discrete else nn.Sequential(linear, nn.Tanh())


def action_head(options: Options, width: int) -> nn.Sequential:
    """The same for the actions of a task with `action_dim` and `discrete_actions`."""
    return prediction_head(width, options["action_dim"], options["discrete_actions"])


def prediction_loss(predicted: Tensor, actions: Tensor, discrete: bool) -> Tensor:
    """Mean squared error of actions (n, A); if discrete, cross-entropy of their numbers (n,) or one-hot."""
    if discrete:
        return nn.functional.cross_entropy(predicted, actions)
    return nn.functional.mse_loss(predicted, actions)


def drawn_actions(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Numbers (n,) of actions drawn from logits (n, A); at temperature 0 the likeliest.

    The draw is made where the generator is, so that every device draws alike.
    """
    if temperature == 0.0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(logits.double() / temperature, dim=-1).to(generator.device)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1).to(logits.device)
