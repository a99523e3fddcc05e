"""Random arguments of a selective scan, and how far one backend's answers are from another's."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.nn.scan import selective_scan

Arguments = dict[str, Tensor]


def arguments(
    batch: int,
    length: int,
    channels: int,
    states: int,
    *,
    seed: int = 0,
    without: tuple[str, ...] = ("initial_state",),
    steps: float = 1.0,
    decay: float = 4.0,
) -> Arguments:
    """float32 arguments in ordinary ranges; `steps` and `decay` scale delta and A."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    made = {
        "u": normal(batch, length, channels),
        "delta": normal(batch, length, channels) * steps,
        "A": -torch.rand(channels, states, generator=generator) * decay,
        "B": normal(batch, length, states),
        "C": normal(batch, length, states),
        "D": normal(channels),
        "z": normal(batch, length, channels),
        "delta_bias": normal(channels) - 2,
        "initial_state": normal(batch, channels, states),
    }
    return {name: value for name, value in made.items() if name not in without}


def answers(
    given: Arguments,
    backend: str,
    dtype: torch.dtype = torch.float32,
    resets: Tensor | None = None,
    delta_softplus: bool = True,
    weighted: tuple[str, ...] = ("y", "state"),
) -> dict[str, Tensor]:
    """The outputs named, y and the final state, and the gradient of each argument for a fixed random
    weighting of them.
    """
    inputs = {name: value.detach().to(dtype).requires_grad_() for name, value in given.items()}
    with_state = "state" in weighted
    out = selective_scan(
        **inputs, backend=backend, resets=resets, delta_softplus=delta_softplus, return_final_state=with_state
    )
    generator = torch.Generator().manual_seed(1)
    found = dict(zip(("y", "state"), out if with_state else (out,), strict=False))
    weights = {name: torch.randn(value.shape, generator=generator).to(value) for name, value in found.items()}
    total = sum((found[name] * weights[name]).sum() for name in weighted)
    gradients = torch.autograd.grad(total, list(inputs.values()), allow_unused=True)
    for (name, value), gradient in zip(inputs.items(), gradients, strict=True):
        found[f"grad {name}"] = torch.zeros_like(value) if gradient is None else gradient
    return {name: value.detach() for name, value in found.items()}


def errors(found: dict[str, Tensor], exact: dict[str, Tensor]) -> dict[str, float]:
    """Largest absolute difference relative to the exact answer's largest value."""
    result = {}
    for name, value in found.items():
        scale = exact[name].abs().max().double()
        difference = (value.double() - exact[name].double()).abs().max()
        result[name] = float(difference / scale) if scale > 0 else float(difference)
    return result
