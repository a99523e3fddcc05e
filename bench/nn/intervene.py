"""Operations on the hidden attention of a trained model: swap, random, zero (DeMa Section 4.2).

DeMa replaces "the parameters of the hidden attention" of one layer or of all, and does not list them. Here
they are the tensors that make up the matrices of `bench.nn.hidden_attention`, and D, without which a zeroed
mixer would still pass its input on. With all of them zero a mixer outputs exactly zero and only the residual
connection is left, as DeMa says of zeroing. in_proj, the convolution and out_proj stay, unless the other
reading is chosen (`replaced="mixer"`), in which they go too.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import nn

from bench.nn.mamba import MambaMixer

# x_proj makes the low-rank step, B and C; dt_proj the step; A_log the decay; D the skip connection.
HIDDEN_ATTENTION = ("x_proj.weight", "dt_proj.weight", "dt_proj.bias", "A_log", "D")
# What is replaced: those tensors, or every one of the mixer.
TENSORS = ("scan", "mixer")
OPERATIONS = ("swap", "random", "zero")
RANDOM_VALUES = ("initialisation", "normal")

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def intervene(
    model: Model,
    operation: str,
    layers: Iterable[int] | None = None,
    donor: nn.Module | None = None,
    seed: int = 0,
    replaced: str = "scan",
    random_values: str = "initialisation",
) -> Model:
    """Return a copy of `model` with the hidden attention of some layers replaced; `model` stays as it is.

    "swap" takes the tensors of `donor`'s same layers (a model trained on another task). "zero" clears them.
    "random" draws them by `seed`: as Mamba's initialisation does, in which A_log and D are not random, or
    each from a unit Gaussian (`random_values="normal"`). `replaced` is one of TENSORS. `layers` counts a
    model's Mamba mixers from 1, as the paper does; None means all. Raises ValueError for an unknown operation
    or choice, a layer that does not exist, a missing donor, or one whose tensors have other shapes.
    """
    _check_choice("operation", operation, OPERATIONS)
    _check_choice("replaced", replaced, TENSORS)
    _check_choice("random_values", random_values, RANDOM_VALUES)
    if (donor is None) == (operation == "swap"):
        raise ValueError("donor: expected a model for 'swap', and none otherwise")
    changed = copy.deepcopy(model)
    targets = mamba_mixers(changed)
    chosen = list(range(1, len(targets) + 1)) if layers is None else list(layers)
    for layer in chosen:
        if not 1 <= layer <= len(targets):
            raise ValueError(f"layers: expected numbers from 1 to {len(targets)}, got {layer}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in chosen:
            target = targets[layer - 1]
            if operation == "zero":
                for parameter in tensors(target, replaced).values():
                    parameter.zero_()
            elif operation == "random":
                _randomise(target, replaced, random_values)
            elif donor is not None:
                _copy(donor, target, layer, replaced)
    return changed


def mamba_mixers(model: nn.Module) -> list[MambaMixer]:
    """Return a model's Mamba mixers in the order of its layers, but not those of a frozen target network."""
    return [module for module in model.modules() if isinstance(module, MambaMixer) and module.D.requires_grad]


def tensors(mixer: MambaMixer, replaced: str = "scan") -> dict[str, nn.Parameter]:
    """Return the parameters of a mixer's hidden attention, or all of them ("mixer"), by name."""
    if replaced == "mixer":
        return dict(mixer.named_parameters())
    return {name: mixer.get_parameter(name) for name in HIDDEN_ATTENTION}


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def _randomise(target: MambaMixer, replaced: str, random_values: str) -> None:
    if random_values == "normal":
        for parameter in tensors(target, replaced).values():
            parameter.normal_()
        return
    if replaced == "mixer":
        for module in (target.in_proj, target.conv1d, target.out_proj):
            module.reset_parameters()
    target.reset_scan_parameters()


def _copy(donor: nn.Module, target: MambaMixer, layer: int, replaced: str) -> None:
    sources = mamba_mixers(donor)
    if layer > len(sources):
        raise ValueError(f"donor: expected at least {layer} Mamba layers, got {len(sources)}")
    source = tensors(sources[layer - 1], replaced)
    for name, parameter in tensors(target, replaced).items():
        if parameter.shape != source[name].shape:
            raise ValueError(
                f"donor: expected {name} of shape {tuple(parameter.shape)} in layer {layer}, "
                f"got {tuple(source[name].shape)}"
            )
        parameter.copy_(source[name])
