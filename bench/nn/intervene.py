"""Operations on the hidden attention of a trained model: swap, random, zero (DeMa Section 4.2).

DeMa replaces "the parameters of the hidden attention" of one layer or of all, and does not list them. Here
they are the tensors that the matrices of `bench.nn.hidden_attention` are made of, and D, without which a
zeroed mixer would still pass its input on: with all of them zero a mixer outputs exactly zero and only the
residual connection is left, which is what DeMa says zeroing does. in_proj, the convolution and out_proj stay.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import nn

from bench.nn.mixer import MambaMixer

# x_proj makes the low-rank step, B and C; dt_proj the step; A_log the decay; D the skip connection.
HIDDEN_ATTENTION = ("x_proj.weight", "dt_proj.weight", "dt_proj.bias", "A_log", "D")
OPERATIONS = ("swap", "random", "zero")

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def intervene(
    model: Model,
    operation: str,
    layers: Iterable[int] | None = None,
    donor: nn.Module | None = None,
    seed: int = 0,
) -> Model:
    """Return a copy of `model` with the hidden attention of some layers replaced; `model` stays as it is.

    "swap" takes the tensors of `donor`'s same layers (a model trained on another task), "random" draws them
    anew as Mamba's initialisation does, by `seed`, "zero" clears them. `layers` counts a model's Mamba mixers
    from 1, as the paper does; none means all. Raises ValueError for an unknown operation, a layer that is
    none, a donor that is missing, or one whose tensors have other shapes.
    """
    if operation not in OPERATIONS:
        raise ValueError(f"operation: expected one of {', '.join(OPERATIONS)}, got {operation!r}")
    if (donor is None) == (operation == "swap"):
        raise ValueError("donor: expected a model for 'swap', and none otherwise")
    changed = copy.deepcopy(model)
    targets = mixers(changed)
    chosen = list(range(1, len(targets) + 1)) if layers is None else list(layers)
    for layer in chosen:
        if not 1 <= layer <= len(targets):
            raise ValueError(f"layers: expected numbers from 1 to {len(targets)}, got {layer}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in chosen:
            if operation == "zero":
                for parameter in tensors(targets[layer - 1]).values():
                    parameter.zero_()
            elif operation == "random":
                targets[layer - 1].reset_scan_parameters()
            elif donor is not None:
                _copy(donor, targets[layer - 1], layer)
    return changed


def mixers(model: nn.Module) -> list[MambaMixer]:
    """Return a model's Mamba mixers in the order of its layers."""
    return [module for module in model.modules() if isinstance(module, MambaMixer)]


def tensors(mixer: MambaMixer) -> dict[str, nn.Parameter]:
    """Return the parameters of a mixer's hidden attention by name."""
    return {name: mixer.get_parameter(name) for name in HIDDEN_ATTENTION}


def _copy(donor: nn.Module, target: MambaMixer, layer: int) -> None:
    sources = mixers(donor)
    if layer > len(sources):
        raise ValueError(f"donor: expected at least {layer} Mamba layers, got {len(sources)}")
    source = tensors(sources[layer - 1])
    for name, parameter in tensors(target).items():
        if parameter.shape != source[name].shape:
            raise ValueError(
                f"donor: expected {name} of shape {tuple(parameter.shape)} in layer {layer}, "
                f"got {tuple(source[name].shape)}"
            )
        parameter.copy_(source[name])
