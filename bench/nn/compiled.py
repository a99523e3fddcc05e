"""Models as programs that read one sequence on a CPU in one call: which parts programs know, and how they are
laid out. A model with any other part takes its written path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter, is_
from typing import Any, NamedTuple, cast

import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.attention import CausalSelfAttention
from bench.nn.backends.layout import Array
from bench.nn.backends.numba_program import Builder, Program, Register, padded
from bench.nn.backends.numba_step import prepare
from bench.nn.block import Block
from bench.nn.compiled_memory import CacheRoom, CompiledMemory, Room, ScanRoom
from bench.nn.kernels.vector import LANES
from bench.nn.mamba import COMPILED_TAPS, MambaMixer, SelectiveMixer
from bench.nn.mixer import Mixer
from bench.nn.scan_mixer import ScanMixer
from bench.nn.state import Memory

# A tensor counts how often it was changed in place.
VERSION = attrgetter("_version")


class Compiled(NamedTuple):
    """A program, where its layers' states lie, and the parameters that it was laid out from, as they were."""

    plan: Program
    rooms: tuple[Room, ...]
    parameters: Sequence[Tensor]
    versions: list[int]

    def current(self) -> bool:
        """Whether none of the parameters has changed in place."""
        return list(map(VERSION, self.parameters)) == self.versions

    def fits(self, parameters: Sequence[Tensor]) -> bool:
        """Whether these are its parameters, and none has changed in place."""
        same = len(parameters) == len(self.parameters) and all(map(is_, parameters, self.parameters))
        return same and self.current()

    def read(self, memory: Memory, tokens: int, *inputs: Array) -> tuple[Tensor, CompiledMemory]:
        """Go on by so many tokens from a memory of one sequence; see `CompiledMemory.read`."""
        if not isinstance(memory, CompiledMemory):
            memory = CompiledMemory.of(memory, self.plan, self.rooms)
        return memory.read(self.plan, tokens, *inputs)


def can_compile(blocks: Iterable[Block[Any]]) -> bool:
    """Whether programs know the mixers of all blocks."""
    return all(_known(block.mixer) for block in blocks)


def _known(mixer: Mixer[Any]) -> bool:
    if type(mixer) in (MambaMixer, ScanMixer):
        return cast("SelectiveMixer", mixer).d_conv <= COMPILED_TAPS
    return isinstance(mixer, CausalSelfAttention) and mixer.kernel == "fused"


def compile_backbone(
    blocks: list[Block[Any]], norm: nn.Module, width: int, parameters: Sequence[Tensor]
) -> Compiled | None:
    """The program of blocks and a norm with those `parameters`, which reads tokens (tokens, width).

    None where programs do not know a block.
    """
    if not can_compile(blocks):
        return None
    builder = Builder()
    x = builder.register(width)
    output, rooms = add_blocks(builder, blocks, norm, x)
    return finished(builder, [x], output, rooms, parameters)


def finished(
    builder: Builder,
    inputs: list[Register],
    output: Register,
    rooms: tuple[Room, ...],
    parameters: Sequence[Tensor],
) -> Compiled:
    """What a builder collected, laid out from those parameters as they are now."""
    return Compiled(builder.program(inputs, output), rooms, parameters, list(map(VERSION, parameters)))


def add_blocks(
    builder: Builder, blocks: Iterable[Block[Any]], norm: nn.Module, x: Register
) -> tuple[Register, tuple[Room, ...]]:
    """Add blocks, which overwrite the register x, and the norm behind them; returns what they give."""
    rooms = []
    for block in blocks:
        with builder.borrowed():
            mixed, room = _add_mixer(builder, block.mixer, add_chain(builder, block.norm, x))
            builder.add(x, mixed)
        rooms.append(room)
        if block.mlp is not None and block.mlp_norm is not None:
            with builder.borrowed():
                normed = add_chain(builder, block.mlp_norm, x)
                builder.add(x, add_chain(builder, block.mlp, normed))
    return add_chain(builder, norm, x), tuple(rooms)


def knows_chain(module: nn.Module) -> bool:
    """Whether `add_chain` can add a module."""
    if isinstance(module, nn.Sequential):
        # One with a `forward` of its own does more than its parts.
        return type(module).forward is nn.Sequential.forward and all(map(knows_chain, module))
    if isinstance(module, nn.GELU):
        return module.approximate == "none"
    return isinstance(
        module, nn.Linear | nn.LayerNorm | nn.RMSNorm | nn.ReLU | nn.Tanh | nn.Dropout | nn.Identity
    )


def add_chain(builder: Builder, module: nn.Module, x: Register) -> Register:
    """Add a linear layer, a norm, an activation or a sequence of them; dropout does nothing in evaluation."""
    if isinstance(module, nn.Sequential):
        for part in module:
            x = add_chain(builder, part, x)
        return x
    if isinstance(module, nn.Linear):
        return builder.affine(x, module.weight, module.bias)
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        assert module.eps is not None
        return builder.norm(x, module.weight, getattr(module, "bias", None), module.eps)
    if isinstance(module, nn.ReLU | nn.GELU | nn.Tanh):
        builder.activate(x, type(module).__name__.lower())
    return x


def _add_mixer(builder: Builder, mixer: Mixer[Any], x: Register) -> tuple[Register, Room]:
    if isinstance(mixer, CausalSelfAttention):
        return _add_attention(builder, mixer, x)
    assert isinstance(mixer, SelectiveMixer)
    if isinstance(mixer, MambaMixer):
        # The gate stands behind the padding of the channels.
        halves = mixer.in_proj.weight.unflatten(0, (2, -1))
        more = padded(mixer.channels) - mixer.channels
        x = builder.affine(x, F.pad(halves, (0, 0, 0, more)).flatten(0, 1), None)
    y, at = builder.mix(x, prepare(*mixer.weights()))
    if isinstance(mixer, MambaMixer):
        y = builder.affine(y, mixer.out_proj.weight, None)
    return y, ScanRoom(at, mixer.channels, mixer.d_state, mixer.d_conv)


def _add_attention(builder: Builder, mixer: CausalSelfAttention, x: Register) -> tuple[Register, Room]:
    features = mixer.width // mixer.heads
    more = -features % LANES
    weight, bias = (
        F.pad(rows.unflatten(0, (3, mixer.heads, features)), pad).flatten(0, 2)
        for rows, pad in ((mixer.qkv.weight, (0, 0, 0, more)), (mixer.qkv.bias, (0, more)))
    )
    y, at = builder.attend(builder.affine(x, weight, bias), mixer.heads, features)
    columns = F.pad(mixer.out_proj.weight.unflatten(1, (mixer.heads, features)), (0, more)).flatten(1)
    return builder.affine(y, columns, mixer.out_proj.bias), CacheRoom(at, mixer.heads, features)
