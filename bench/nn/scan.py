"""The selective scan of Mamba (S6), the one operator both papers stand on.

Token-major layout throughout: (batch, length, channels), so that a token's channels lie side by side in
memory.

Glossary (Gu and Dao 2023, Section 3; DeMa Section 3.2, equations 1 to 5)

| symbol | shape                     | meaning                                                               |
|--------|---------------------------|-----------------------------------------------------------------------|
| u      | (batch, length, channels) | input of the scan, after convolution and SiLU; x in the papers        |
| delta  | (batch, length, channels) | step size before bias and softplus; S_Delta(x)                        |
| A      | (channels, states)        | continuous-time decay, negative in a trained Mamba: A = -exp(A_log)   |
| B      | (batch, length, states)   | input projection, S_B(x)                                              |
| C      | (batch, length, states)   | output projection, S_C(x)                                             |
| D      | (channels,)               | skip connection from u to y                                           |
| z      | (batch, length, channels) | gate: the output is multiplied by SiLU(z)                             |
| h      | (batch, channels, states) | recurrent state                                                       |
| step   | as delta                  | softplus(delta + delta_bias), the discretisation step                 |
| Abar   | as h, one a token         | exp(step A), decay of the state over one token (zero-order hold)      |
| Bbar u | as h, one a token         | step B u, what a token writes into the state (Euler, as Mamba's code) |

    h_t = Abar_t h_{t-1} + Bbar_t u_t        y_t = (C_t h_t + D u_t) SiLU(z_t)

Backends compute the same thing: `reference` (the oracle: sequential, any dtype), `torch` (any device,
hand-written backward), `numba` (float32 on a CPU, compiled), `triton` (float32 on a GPU, compiled),
`mamba_ssm` (CUDA, from the optional package of that name; for comparison).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.nn.backends.select import choose_backend, load_backend, scan_backend
from bench.nn.checks import check_dtypes, check_finite, check_shape

__all__ = ["scan_backend", "selective_scan", "selective_scan_step"]


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = True,
    initial_state: Tensor | None = None,
    return_final_state: bool = False,
    backend: str = "auto",
    *,
    resets: Tensor | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Run the selective scan over whole sequences (Gu and Dao 2023, Algorithm 2; DeMa equations 1 and 5).

    Shapes are in the glossary above; delta_bias is (channels,), initial_state (batch, channels, states), zero
    if absent. `resets` (batch, length), bool, marks tokens that begin a new trajectory: the state is zero
    before them. `backend` is "auto", which BENCH_SCAN_BACKEND decides, or one of those named above.
    Returns y (batch, length, channels), and with `return_final_state` also h (batch, channels, states) after
    the last token. Half precision is computed in float32, and h is float32 then. Differentiable once with
    respect to every floating argument.
    Raises ValueError for a wrong shape or unknown backend, TypeError for mixed dtypes, RuntimeError for a
    backend that this machine lacks or that cannot do what is asked, FloatingPointError for NaN or infinite
    input on a CPU.
    """
    _check(u, delta, A, B, C, D, z, delta_bias, initial_state, resets)
    name = choose_backend(backend, u.device, u.dtype)
    y, final_state = load_backend(name)(
        u, delta, A, B, C, D, z, delta_bias, delta_softplus, initial_state, resets, return_final_state
    )
    if name != "numba":  # its kernels check their output themselves
        check_finite(
            y, u=u, delta=delta, A=A, B=B, C=C, D=D, z=z, delta_bias=delta_bias, initial_state=initial_state
        )
    return y if final_state is None else (y, final_state)


def selective_scan_step(
    state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = True,
) -> tuple[Tensor, Tensor]:
    """Advance the recurrence by one token: the RNN view of `selective_scan`.

    state (batch, channels, states); u, delta, z (batch, channels); B, C (batch, states); A, D, delta_bias as
    in `selective_scan`. Returns y (batch, channels) and the new state; `state` itself is left as it was.
    Raises ValueError and TypeError as `selective_scan` does.
    """
    _check(
        u.unsqueeze(1), delta.unsqueeze(1), A, B.unsqueeze(1), C.unsqueeze(1), D,
        None if z is None else z.unsqueeze(1), delta_bias, state, None,
    )  # fmt: skip
    step = delta if delta_bias is None else delta + delta_bias
    if delta_softplus:
        step = F.softplus(step)
    state = torch.exp(step.unsqueeze(-1) * A) * state + (step * u).unsqueeze(-1) * B.unsqueeze(1)
    y = torch.matmul(state, C.unsqueeze(-1).to(state.dtype)).squeeze(-1)
    if D is not None:
        y = y + D * u
    if z is not None:
        y = y * F.silu(z)
    return y.to(u.dtype), state


def _check(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
) -> None:
    if u.dim() != 3:
        raise ValueError(f"u: expected shape (batch, length, channels), got {tuple(u.shape)}")
    if A.dim() != 2:
        raise ValueError(f"A: expected shape (channels, states), got {tuple(A.shape)}")
    batch, length, channels = u.shape
    sizes = {"batch": batch, "length": length, "channels": channels, "states": A.shape[1]}
    for size in ("length", "channels", "states"):
        if sizes[size] == 0:
            raise ValueError(f"{'A' if size == 'states' else 'u'}: {size} must be at least 1")
    check_shape("delta", delta, ("batch", "length", "channels"), sizes)
    check_shape("A", A, ("channels", "states"), sizes)
    check_shape("B", B, ("batch", "length", "states"), sizes)
    check_shape("C", C, ("batch", "length", "states"), sizes)
    check_shape("D", D, ("channels",), sizes)
    check_shape("z", z, ("batch", "length", "channels"), sizes)
    check_shape("delta_bias", delta_bias, ("channels",), sizes)
    check_shape("initial_state", initial_state, ("batch", "channels", "states"), sizes)
    check_shape("resets", resets, ("batch", "length"), sizes)
    check_dtypes(u, {"delta": delta, "B": B, "C": C, "z": z},
                 {"A": A, "D": D, "delta_bias": delta_bias, "initial_state": initial_state})  # fmt: skip
    if resets is not None and resets.dtype != torch.bool:
        raise TypeError(f"resets: expected dtype torch.bool, got {resets.dtype}")
