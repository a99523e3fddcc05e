"""JAX's selective scans, jitted: `lax.scan`, its steps recomputed in the backward or kept, and
`lax.associative_scan`.

The state is held as (batch, states, channels), which XLA vectorises best on a CPU. One thread, as all others.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from torch import Tensor

from benchmarks.contestants import JAX_NAMES
from benchmarks.passes import output_weights

# Read when JAX computes for the first time.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"

Arrays = tuple[Array, ...]
JaxScan = Callable[..., Array]


def _prepared(u: Array, delta: Array, A: Array, B: Array, C: Array, delta_bias: Array) -> Arrays:
    """The step, what a token writes, and all that a token brings, tokens first."""
    step = jax.nn.softplus(delta + delta_bias)
    return tuple(jnp.swapaxes(x, 0, 1) for x in (step, step * u, B, C))


def _finished(y: Array, u: Array, D: Array, z: Array) -> Array:
    return (jnp.swapaxes(y, 0, 1) + D * u) * jax.nn.silu(z)


def step_by_step(recompute: bool) -> JaxScan:
    """The scan by `lax.scan`; with `recompute` the backward computes each step again from its state."""

    def scan(
        u: Array, delta: Array, A: Array, B: Array, C: Array, D: Array, z: Array, delta_bias: Array
    ) -> Array:
        def advance(h: Array, token: Arrays) -> tuple[Array, Array]:
            step, written, B_t, C_t = token
            h = jnp.exp(step[:, None, :] * A.T) * h + written[:, None, :] * B_t[:, :, None]
            return h, (h * C_t[:, :, None]).sum(1)

        body = jax.checkpoint(advance, prevent_cse=False) if recompute else advance
        h = jnp.zeros((u.shape[0], A.shape[1], u.shape[2]), u.dtype)
        _, y = lax.scan(body, h, _prepared(u, delta, A, B, C, delta_bias))
        return _finished(y, u, D, z)

    return scan


def associative(
    u: Array, delta: Array, A: Array, B: Array, C: Array, D: Array, z: Array, delta_bias: Array
) -> Array:
    """The scan by `lax.associative_scan`, with the states of all tokens in memory."""
    step, written, B, C = _prepared(u, delta, A, B, C, delta_bias)
    decay = jnp.exp(step[:, :, None, :] * A.T)

    def join(left: Arrays, right: Arrays) -> Arrays:
        return left[0] * right[0], left[1] * right[0] + right[1]

    _, h = lax.associative_scan(join, (decay, written[:, :, None, :] * B[:, :, :, None]))
    return _finished((h * C[:, :, :, None]).sum(2), u, D, z)


JAX_SCANS: dict[str, JaxScan] = dict(
    zip(JAX_NAMES, (step_by_step(True), step_by_step(False), associative), strict=True)
)


def arrays(tensors: list[Tensor]) -> list[Array]:
    """Tensors as JAX's arrays."""
    return [jnp.asarray(tensor.detach().numpy()) for tensor in tensors]


def forward(scan: JaxScan, inputs: list[Tensor]) -> Callable[[], Any]:
    """One forward pass."""
    given, compiled = arrays(inputs), jax.jit(scan)
    return lambda: jax.block_until_ready(compiled(*given))


def forward_backward(scan: JaxScan, inputs: list[Tensor]) -> Callable[[], Any]:
    """One forward and backward pass: y, and the gradients of everything for `output_weights`."""
    given, (weighted,) = arrays(inputs), arrays([output_weights(inputs)])

    def both(weighted: Array, *given: Array) -> Any:
        y, pull = jax.vjp(scan, *given)
        return y, pull(weighted)

    compiled = jax.jit(both)
    return lambda: jax.block_until_ready(compiled(weighted, *given))
