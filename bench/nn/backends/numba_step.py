"""One token through a selective mixer's inner part on a CPU, by the compiled kernels; not differentiable."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.nn.backends.layout import Array, array, by_block, channels_by_block, from_blocks
from bench.nn.backends.numba_mixer import split
from bench.nn.gate import split_gate
from bench.nn.kernels import step as kernels
from bench.nn.kernels.cache import Compiled, compile_kernel
from bench.nn.kernels.convolution import TAPS
from bench.nn.kernels.vector import UNROLL


class CompiledState(NamedTuple):
    """A mixer's state in the kernels' layout: sixteen channels side by side."""

    window: Tensor  # (batch, blocks, TAPS, LANES), the newest token last
    scan: Tensor  # (batch, blocks, states, LANES)

    def forked(self, count: int) -> CompiledState:
        """The state of batch * `count` rows: each row `count` times, the copies side by side."""
        return CompiledState(*(values.repeat_interleave(count, dim=0) for values in self))

    def at(self, position: int) -> CompiledState:
        """The state itself: it has one size, whatever the position."""
        return self


@cache
def convolution_kernel() -> Compiled:
    """Compile the convolution's step, or find it compiled."""
    return compile_kernel(kernels.convolution_step, kernels.CONVOLUTION_SIGNATURE)


@cache
def scan_kernel() -> Compiled:
    """Compile the scan's step, or find it compiled."""
    return compile_kernel(kernels.scan_step, kernels.SCAN_SIGNATURE)


def compiled_state(convolution: Tensor, scan: Tensor) -> CompiledState:
    """Lay out earlier inputs (batch, taps - 1, channels) and a scan's state (batch, channels, states)."""
    earlier = F.pad(convolution, (0, 0, TAPS - convolution.shape[1], 0))
    return CompiledState(by_block(earlier), by_block(scan.transpose(1, 2), padded_states(scan.shape[2])))


def plain_state(state: CompiledState, channels: int, states: int, taps: int) -> tuple[Tensor, Tensor]:
    """Undo `compiled_state`."""
    earlier = from_blocks(state.window, channels)[:, TAPS - taps + 1 :]
    return earlier, from_blocks(state.scan, channels)[:, :states].transpose(1, 2)


class PreparedWeights(NamedTuple):
    """A mixer's weights in the kernels' layout, so that a rollout lays them out once."""

    taps: Array
    conv_bias: Array
    x_proj: Tensor
    dt_weight: Tensor
    dt_bias: Array
    decay: Array
    D: Array


def prepare(
    conv_weight: Tensor,
    conv_bias: Tensor,
    x_proj: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
) -> PreparedWeights:
    """Lay out a mixer's weights; A is -exp(A_log)."""
    taps, channels, padded = conv_weight.shape[2], D.shape[0], padded_states(A.shape[1])
    # x_proj's rows for B and C are padded to whole quads, so that what it computes is in place for the
    # kernel.
    step, B, C = x_proj.split([dt_weight.shape[1], A.shape[1], A.shape[1]])
    pad = (0, 0, 0, padded - A.shape[1])
    return PreparedWeights(
        array(by_block(F.pad(conv_weight.squeeze(1).t(), (0, 0, TAPS - taps, 0)))),
        channels_by_block(conv_bias, channels),
        torch.cat([step, F.pad(B, pad), F.pad(C, pad)]),
        dt_weight,
        channels_by_block(dt_bias, channels),
        array(by_block(A.t() * (1 / math.log(2)), padded)),
        channels_by_block(D, channels),
    )


def advance(xz: Tensor, state: CompiledState, weights: PreparedWeights) -> Tensor:
    """Map what a mixer reads of one token (batch, channels), or that and a gate (batch, 2 channels), to its
    output (batch, channels), advancing `state` in place.
    """
    inner, gate = split_gate(xz, weights.dt_weight.shape[0])
    x, z = array(inner), array(inner if gate is None else gate)
    u, y = torch.empty(x.shape), torch.empty(x.shape)
    convolution_kernel()(x, array(state.window), weights.taps, weights.conv_bias, array(u))
    low_rank, B, C = split(F.linear(u, weights.x_proj), weights.dt_weight.shape[1])
    delta, scan = array(F.linear(low_rank, weights.dt_weight)), array(state.scan)
    arguments = (array(u), delta, weights.decay, array(B), array(C), weights.D, z, weights.dt_bias)
    scan_kernel()(*arguments, gate is not None, scan, array(y))
    return y


def padded_states(states: int) -> int:
    """States of a channel as the kernels hold them: whole quads."""
    return math.ceil(states / UNROLL) * UNROLL
