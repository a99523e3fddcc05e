"""Operations on the attention of a trained model: swap, random, zero (DeMa Section 4.2, Figure 5).

DeMa replaces "the parameters of the hidden attention" of one layer or of all. Its text does not list them;
its code (gym/merge_exp.py) takes all tensors of a mixer but the maps into it and out of it: the convolution's
two, x_proj, dt_proj's two, A_log and D. With all of them zero a mixer's output is exactly zero and only the
residual connection is left, as DeMa says of zeroing. Two other readings can be chosen: without the
convolution (`scan`), and the whole mixer with its maps (`mixer`). The paper's contrast is with the attention
of transformers (Finding 5): there queries, keys and values are replaced, in either of the first two readings.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from bench.nn.mamba import MambaMixer
from bench.nn.mixer import Mixer

TENSORS = ("convolution-and-scan", "scan", "mixer")
OPERATIONS = ("swap", "random", "zero")
# What random values are drawn from: [0, 1), as the authors' code does, or a unit Gaussian.
RANDOM_VALUES: dict[str, Callable[[Tensor], Tensor]] = {
    "uniform": torch.rand_like,
    "normal": torch.randn_like,
}

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def intervene(
    model: Model,
    operation: str,
    layers: Iterable[int] | None = None,
    donor: nn.Module | None = None,
    seed: int = 0,
    replaced: str = "convolution-and-scan",
    random_values: str = "uniform",
) -> Model:
    """Return a copy of `model` with the attention of some layers replaced; `model` stays as it is.

    "swap" takes the tensors of `donor`'s same layers, a model trained on another task or not trained at all.
    "zero" clears them. "random" draws them by `seed` as RANDOM_VALUES says. `replaced` is one of TENSORS.
    `layers` counts the mixers that have attention from 1, as the paper does; None means all. Raises
    ValueError for an unknown operation or choice, a layer that does not exist, a missing donor, or one whose
    tensors have other shapes.
    """
    _check_choice("operation", operation, OPERATIONS)
    _check_choice("replaced", replaced, TENSORS)
    if operation == "random":
        _check_choice("random_values", random_values, RANDOM_VALUES)
    if (donor is None) == (operation == "swap"):
        raise ValueError("donor: expected a model for 'swap', and none otherwise")
    changed = copy.deepcopy(model)
    targets = attention_mixers(changed)
    chosen = list(range(1, len(targets) + 1)) if layers is None else list(layers)
    for layer in chosen:
        if not 1 <= layer <= len(targets):
            raise ValueError(f"layers: expected numbers from 1 to {len(targets)}, got {layer}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in chosen:
            target = tensors(targets[layer - 1], replaced)
            if operation == "swap":
                assert donor is not None
                _copy(donor, target, layer, replaced)
                continue
            for parameter in target.values():
                draw = torch.zeros_like if operation == "zero" else RANDOM_VALUES[random_values]
                parameter.copy_(draw(parameter))
    return changed


def attention_mixers(model: nn.Module) -> list[Mixer[Any]]:
    """The mixers of a model that name the parameters of their attention, in the order of its layers.

    Those of a frozen target network are not among them.
    """
    mixers = (module for module in model.modules() if isinstance(module, Mixer) and module.attention)
    return [mixer for mixer in mixers if mixer.get_parameter(mixer.attention[0]).requires_grad]


def mamba_mixers(model: nn.Module) -> list[MambaMixer]:
    """Those of them that are Mamba's: the attention of these is hidden."""
    return [mixer for mixer in attention_mixers(model) if isinstance(mixer, MambaMixer)]


def tensors(mixer: Mixer[Any], replaced: str = "convolution-and-scan") -> dict[str, nn.Parameter]:
    """The parameters of a mixer that an intervention replaces, by name; `replaced` is one of TENSORS."""
    if replaced == "mixer":
        return dict(mixer.named_parameters())
    convolution = mixer.short_convolution if replaced == "convolution-and-scan" else ()
    return {name: mixer.get_parameter(name) for name in (*convolution, *mixer.attention)}


def _check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def _copy(donor: nn.Module, target: dict[str, nn.Parameter], layer: int, replaced: str) -> None:
    sources = attention_mixers(donor)
    if layer > len(sources):
        raise ValueError(f"donor: expected at least {layer} layers with attention, got {len(sources)}")
    source = tensors(sources[layer - 1], replaced)
    for name, parameter in target.items():
        found = source.get(name)
        if found is None or parameter.shape != found.shape:
            shape = "none" if found is None else str(tuple(found.shape))
            raise ValueError(
                f"donor: expected {name} of shape {tuple(parameter.shape)} in layer {layer}, got {shape}"
            )
        parameter.copy_(found)
