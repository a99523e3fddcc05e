"""Programs for one sequence on a CPU: what a model does with tokens, laid out once and run in one call.

A `Builder` takes the parts of a model in their order, lays out their weights and gives a `Program`; see
`bench.nn.kernels.program` for what runs it. A `Desk` holds the registers that it works in.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.nn.backends.layout import Array, array
from bench.nn.backends.numba_step import PreparedWeights
from bench.nn.kernels import dense, program
from bench.nn.kernels.cache import Compiled, compile_kernel
from bench.nn.kernels.convolution import TAPS
from bench.nn.kernels.dense import QUAD_WIDTH
from bench.nn.kernels.vector import LANES

ACTIVATIONS = {"relu": dense.RELU, "gelu": dense.GELU, "tanh": dense.TANH}


@cache
def program_kernel() -> Compiled:
    """Compile what runs a program, or find it compiled."""
    return compile_kernel(program.run_program, program.SIGNATURE)


def padded(features: int) -> int:
    """The width of a register's row of which so many features are used."""
    return math.ceil(features / QUAD_WIDTH) * QUAD_WIDTH


class Register(NamedTuple):
    """A row of `features` for each token, padded to `width`; a `single` one has the first row alone."""

    start: int
    features: int
    width: int
    single: bool


class Program(NamedTuple):
    """Instructions and weights, and how many floats registers, states and a tile of the caches take."""

    code: Array
    weights: Array
    inputs: tuple[Register, ...]
    output: Register
    registers: int
    states: int
    tile: int


class Builder:
    """Collects instructions and weights, and counts the room for registers and memory."""

    def __init__(self) -> None:
        self._code: list[list[int]] = []
        self._weights: list[Tensor] = []
        self._floats = self._used = self._registers = self._states = self._tile = 0
        self._caches: list[int] = []

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[None]:
        """Give back, at the end, the registers that were taken meanwhile."""
        used = self._used
        yield
        self._used = used

    def register(self, features: int, single: bool = False) -> Register:
        """A register that nothing has been written to."""
        taken = Register(self._used, features, padded(features), single)
        self._used += taken.width
        self._registers = max(self._registers, self._used)
        return taken

    def affine(self, source: Register, weight: Tensor, bias: Tensor | None) -> Register:
        """Rows of weight (outputs, inputs) times the inputs, the first features of the source, and a bias."""
        target = self.register(len(weight), source.single)
        self._write(program.AFFINE, source, target, [map_lines(weight, bias)], weight.shape[1])
        return target

    def norm(self, source: Register, weight: Tensor, bias: Tensor | None, epsilon: float) -> Register:
        """A layer norm; without a bias a norm by the mean square."""
        target = self.register(source.features, source.single)
        shift = torch.zeros_like(weight) if bias is None else bias
        facts = F.pad(weight.new_tensor([1 / len(weight), epsilon]), (0, QUAD_WIDTH - 2))
        rows = [
            F.pad(row.detach(), (0, source.width - len(row)))
            for row in (torch.ones_like(weight), weight, shift)
        ]
        self._write(program.NORM, source, target, [facts, *rows], int(bias is not None))
        return target

    def activate(self, source: Register, activation: str) -> None:
        """Apply an activation of ACTIVATIONS in place."""
        self._write(program.ACTIVATE, source, source, [], ACTIVATIONS[activation])

    def add(self, target: Register, source: Register) -> None:
        """Add a register of the same width to another."""
        self._write(program.ADD, source, target, [])

    def stack(self, rows: Sequence[Register]) -> Register:
        """Single rows of one width as the rows of the tokens, in order."""
        target = self.register(rows[0].features)
        for number, row in enumerate(rows):
            self._write(program.PLACE, row, target, [], number * target.width)
        return target

    def join(self, parts: Sequence[Register]) -> Register:
        """Single rows of one width side by side in one row."""
        features = parts[0].features
        target = self.register(len(parts) * features, single=True)
        # What the last one's padding overwrites; that of the others the next one overwrites.
        self.register(parts[0].width, single=True)
        for number, part in enumerate(parts):
            self._write(program.PLACE, part, target, [], number * features)
        return target

    def look_up(self, index: Register, table: Tensor) -> Register:
        """The row of a table (rows, features) whose number stands in a single register."""
        target = self.register(table.shape[1], single=True)
        laid = F.pad(table.detach(), (0, target.width - table.shape[1])).flatten()
        self._write(program.LOOK_UP, index, target, [laid])
        return target

    def mix(self, source: Register, weights: PreparedWeights) -> tuple[Register, int]:
        """The inner part of a selective mixer; returns its output, and where its state lies in the memory.

        The source holds the channels, and behind their padding the gate, if there is one.
        """
        channels, rank = weights.dt_weight.shape
        states = weights.decay.shape[1]
        target = self.register(channels, source.single)
        room = self.register(2 * target.width + padded(rank + 2 * states)).start
        laid = [torch.from_numpy(part).flatten() for part in (weights.taps, weights.conv_bias)]
        laid += [map_lines(weights.x_proj, None), map_lines(weights.dt_weight, None)]
        laid += [torch.from_numpy(part).flatten() for part in (weights.dt_bias, weights.decay, weights.D)]
        at = self._states
        self._states += len(weights.decay) * (TAPS + states) * LANES
        self._write(program.MIX, source, target, laid, channels, rank, states, at, room)
        return target, at

    def attend(self, source: Register, heads: int, features: int) -> tuple[Register, int]:
        """Attention of queries, keys and values, each of heads of so many features, padded to whole vectors.

        Returns its output, and how many floats of a tile of the caches stand before its own.
        """
        width = heads * math.ceil(features / LANES) * LANES
        target = self.register(width, source.single)
        scale = F.pad(torch.tensor([features**-0.5]), (0, QUAD_WIDTH - 1))
        at = self._tile
        self._tile += 2 * width * LANES
        self._caches.append(len(self._code))
        self._write(program.ATTEND, source, target, [scale], heads, width, 0, at)
        return target, at

    def program(self, inputs: Sequence[Register], output: Register) -> Program:
        """What was collected."""
        code = np.array(self._code, np.int64)
        # The caches lie behind the states of all layers.
        code[self._caches, 9] = self._states
        laid = array(torch.cat(self._weights))
        return Program(code, laid, tuple(inputs), output, self._registers, self._states, self._tile)

    def _write(
        self, operation: int, source: Register, target: Register, weights: list[Tensor], *numbers: int
    ) -> None:
        places = (source.start, source.width, target.start, target.width)
        row = [operation, int(source.single), *places, self._floats, *numbers]
        self._code.append(row + [0] * (program.FIELDS - len(row)))
        self._weights += weights
        self._floats += sum(map(len, weights))


def map_lines(weight: Tensor, bias: Tensor | None) -> Tensor:
    """A linear map (outputs, inputs) as its instruction reads it: for each quad of outputs a line of biases
    and one for each input.
    """
    first = weight.new_zeros(len(weight)) if bias is None else bias
    rows = torch.cat([first.unsqueeze(0), weight.t()]).detach()
    rows = F.pad(rows, (0, padded(len(weight)) - len(weight)))
    return rows.unflatten(1, (-1, QUAD_WIDTH)).transpose(0, 1).flatten()


class Desk:
    """The registers of a program for a number of tokens, and the views of its inputs and its output."""

    def __init__(self, plan: Program, tokens: int) -> None:
        self.plan, self.tokens = plan, tokens
        self.registers = array(torch.zeros(max(1, plan.registers * tokens)))
        self.inputs = [self._view(register) for register in plan.inputs]
        self.output = self._view(plan.output)[-1:]

    def _view(self, register: Register) -> Array:
        rows = 1 if register.single else self.tokens
        start = register.start * self.tokens
        flat = self.registers[start : start + rows * register.width]
        return flat.reshape(rows, register.width)[:, : register.features]
