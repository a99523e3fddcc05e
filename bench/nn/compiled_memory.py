"""What a program remembers of one sequence, in one flat array, and how plain states go in and out."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.nn.attention import AttentionState
from bench.nn.backends.layout import Array, array
from bench.nn.backends.numba_program import Desk, Program, program_kernel
from bench.nn.backends.numba_step import CompiledState, compiled_state, padded_states, plain_state
from bench.nn.kernels.convolution import TAPS
from bench.nn.kernels.vector import LANES
from bench.nn.mamba import MambaState
from bench.nn.state import Memory, State, States


class ScanRoom(NamedTuple):
    """Where a selective mixer's state lies in the memory: its window, then that of the scan."""

    at: int
    channels: int
    states: int
    taps: int

    def put(self, state: MambaState | CompiledState, memory: Tensor, caches: int, tiles: int) -> None:
        """Lay out a state of one sequence."""
        if isinstance(state, MambaState):
            state = compiled_state(*state)
        laid = torch.cat([state.window.flatten(), state.scan.flatten()])
        memory[self.at : self.at + len(laid)] = laid

    def take(self, memory: Tensor, caches: int, tiles: int, position: int, length: int) -> MambaState:
        """A copy of the state that lies there."""
        blocks = -(-self.channels // LANES)
        lines = memory[self.at :].clone()
        window = lines[: blocks * TAPS * LANES].view(1, blocks, TAPS, LANES)
        scan = lines[window.numel() : window.numel() + blocks * padded_states(self.states) * LANES]
        held = CompiledState(window, scan.view(1, blocks, -1, LANES))
        return MambaState(*plain_state(held, self.channels, self.states, self.taps))


class CacheRoom(NamedTuple):
    """Where keys and values lie: in tiles of LANES tokens, `at` floats a tile before them."""

    at: int
    heads: int
    features: int

    def put(self, state: AttentionState, memory: Tensor, caches: int, tiles: int) -> None:
        """Lay out the cache of one sequence."""
        keys, values = (self._tiled(kept[0], tiles) for kept in (state.keys, state.values))
        held = self._tiles(memory, caches, tiles)
        held[:, 0] = keys.permute(1, 0, 3, 2).flatten(1)
        held[:, 1] = values.unflatten(-1, (-1, LANES)).permute(1, 0, 3, 2, 4).flatten(1)

    def take(self, memory: Tensor, caches: int, tiles: int, position: int, length: int) -> AttentionState:
        """A copy of the cache that lies there, for `length` tokens."""
        held, size = self._tiles(memory, caches, tiles), self._size()
        keys = held[:, 0].reshape(tiles, self.heads, size, LANES).permute(1, 0, 3, 2)
        values = held[:, 1].reshape(tiles, self.heads, -1, LANES, LANES).permute(1, 0, 3, 2, 4).flatten(3)
        plain = [kept.flatten(1, 2)[None, :, :length, : self.features].clone() for kept in (keys, values)]
        return AttentionState(plain[0], plain[1], position)

    def _size(self) -> int:
        return -(-self.features // LANES) * LANES

    def _tiles(self, memory: Tensor, caches: int, tiles: int) -> Tensor:
        """(tiles, 2, floats) of the memory: keys and values."""
        start, floats = caches + tiles * self.at, self.heads * self._size() * LANES
        return memory[start : start + 2 * tiles * floats].view(tiles, 2, floats)

    def _tiled(self, kept: Tensor, tiles: int) -> Tensor:
        """(heads, length, features) to (heads, tiles, LANES, padded features)."""
        more = tiles * LANES - kept.shape[1]
        return F.pad(kept, (0, self._size() - self.features, 0, more)).unflatten(1, (tiles, LANES))


Room = ScanRoom | CacheRoom


class _Held:
    """The arrays of a memory: states and caches in one, and room to work in."""

    def __init__(self, plan: Program, rooms: tuple[Room, ...], memory: Memory) -> None:
        lengths = [state.keys.shape[2] for state in memory.layers if isinstance(state, AttentionState)]
        self.rooms, self.caches, self.bounded = rooms, plan.states, bool(lengths)
        self.length = lengths[0] if lengths else 0
        self.tiles = -(-self.length // LANES)
        self.flat = torch.zeros(max(1, plan.states + self.tiles * plan.tile))
        self.memory, self.logits = array(self.flat), array(torch.zeros((self.tiles + 1) * LANES))
        self.desks: dict[tuple[int, int], Desk] = {}
        for room, state in zip(rooms, memory.layers, strict=True):
            room.put(cast("Any", state), self.flat, self.caches, self.tiles)

    def desk(self, plan: Program, tokens: int) -> Desk:
        """The desk of a program, which keeps it alive, so that no other has its id."""
        key = id(plan), tokens
        if key not in self.desks:
            self.desks[key] = Desk(plan, tokens)
        return self.desks[key]


class CompiledMemory:
    """The memory of one sequence after `position` tokens, which programs read and overwrite in place.

    Memories that follow each other share their arrays and differ by their position. Programs of one backbone
    can take turns on it.
    """

    __slots__ = ("_held", "position")

    def __init__(self, held: _Held, position: int) -> None:
        self._held, self.position = held, position

    @classmethod
    def of(cls, memory: Memory, plan: Program, rooms: tuple[Room, ...]) -> CompiledMemory:
        """A copy of a memory of one sequence, laid out for a program whose layers have these rooms."""
        positions = [state.position for state in memory.layers if isinstance(state, AttentionState)]
        return cls(_Held(plan, rooms, memory), positions[0] if positions else 0)

    @property
    def layers(self) -> tuple[State, ...]:
        """A copy of each layer's state, first to last, as plain ones."""
        held = self._held
        return tuple(
            room.take(held.flat, held.caches, held.tiles, self.position, held.length) for room in held.rooms
        )

    def forked(self, count: int) -> States:
        """The memory of `count` rows, the copies side by side, in buffers of their own."""
        return States(self.layers).forked(count)

    def at(self, position: int) -> CompiledMemory:
        """The same memory moved to just before token `position`, for timing; see `State.at`."""
        return CompiledMemory(self._held, position)

    def read(self, plan: Program, tokens: int, *inputs: Array) -> tuple[Tensor, CompiledMemory]:
        """Go on by so many tokens, made of the program's inputs (rows, features), a row for each or one.

        Returns what the program gives at the last one, (1, features), and the memory after it. Raises
        IndexError if the cache is full.
        """
        held, position = self._held, self.position
        if held.bounded and position + tokens > held.length:
            raise IndexError(f"state: the cache was allocated for {held.length} tokens and is full")
        desk = held.desk(plan, tokens)
        for place, values in zip(desk.inputs, inputs, strict=True):
            place[:] = values
        program_kernel()(
            plan.code, plan.weights, held.memory, desk.registers, held.logits, tokens, position, held.tiles
        )
        return torch.from_numpy(desk.output.copy()), CompiledMemory(held, position + tokens)
