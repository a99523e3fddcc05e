"""The sequence model both papers' methods share: a stack of blocks and a final norm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from torch import Tensor, nn

from bench.nn.block import Block, make_norm
from bench.nn.checks import check_flags, check_width
from bench.nn.kept_program import KeptProgram
from bench.nn.linear import GPT2Linear
from bench.nn.mixer import Mixer
from bench.nn.state import Memory, States

if TYPE_CHECKING:
    from bench.nn.compiled import Compiled

MakeMixer: TypeAlias = Callable[[int], Mixer[Any]]


class Backbone(nn.Module):
    """`layers` blocks of `bench.nn.block.Block` and a norm; (batch, length, width) to the same.

    `mixer` makes the mixer of a layer from its number, counted from 0, so layers can differ.
    `feed_forward`, `dropout` and `norm` are those of every block. Linear layers of attention and MLP start as
    GPT-2's, Mamba's as Mamba's. Raises ValueError for fewer than one layer, if a mixer has another width,
    and as `Block` does.
    """

    def __init__(
        self,
        layers: int,
        width: int,
        mixer: MakeMixer,
        feed_forward: str | None = None,
        dropout: float = 0.0,
        norm: str = "layer",
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers: expected at least 1, got {layers}")
        self.width = width
        self.blocks = nn.ModuleList(
            Block(_of_width(width, mixer(layer)), feed_forward, dropout, norm) for layer in range(layers)
        )
        self.norm = make_norm(norm, width)
        self._kept = KeptProgram()
        for module in self.modules():
            if isinstance(module, GPT2Linear):
                module.draw()

    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        """Map (batch, length, width) to the same.

        mask (batch, length), bool: True for tokens that are not padding. Padding contributes nothing to any
        other token, whatever it holds: a left-padded window gives what the bare window gives. The output at
        padding is finite and means nothing. For Mamba each run of tokens between paddings is a sequence of
        its own. resets (batch, length), bool: tokens that begin a new trajectory and see nothing before them.
        Raises ValueError for a wrong shape or dtype.
        """
        x = self._checked(x, mask, resets)
        for block in self._blocks():
            x = block(x, mask, resets)
        return self.norm(x)

    def prefill(self, x: Tensor, mask: Tensor | None = None, length: int = 0) -> tuple[Tensor, Memory]:
        """Return what `forward` gives for x (batch, tokens, width), and the memory for `step` to go on from.

        Rows shorter than the longest are padded on the left, `mask` False there, so that every row ends at
        the last token. `length` bounds the tokens of an attention cache, those of x included. Raises
        ValueError as `forward` does, and if the cache is too small for x.
        """
        x = self._checked(x, mask, None)
        states = []
        for block in self._blocks():
            x, state = block.prefill(x, mask, length)
            states.append(state)
        return self.norm(x), States(tuple(states))

    def step(self, x: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Advance by one token x (batch, width); returns y (batch, width) and the new memory.

        One row on a CPU, in evaluation and without gradients, is read by one compiled call: the memory takes
        its layout at the first step and is overwritten from then on. Raises IndexError if a cache is full.
        """
        return self.read(x.unsqueeze(1), memory)

    def read(self, tokens: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Advance by tokens (batch, count, width); returns y (batch, width) at the last, and the new memory.

        The same as that many calls of `step`, to the last bit, and cheaper for one row. Raises ValueError for
        a wrong shape, IndexError if a cache is full.
        """
        check_width(tokens, ("batch", "count"), self.width)
        program = self._kept.to_read(tokens, memory, self, self._lay_out)
        if program is not None:
            return program.read(memory, tokens.shape[1], tokens.numpy())
        for x in tokens.unbind(1):
            states = []
            for block, state in zip(self._blocks(), memory.layers, strict=True):
                x, state = block.step(x, state)
                states.append(state)
            memory = States(tuple(states))
        return self.norm(x), memory

    def allocate_state(self, batch: int, length: int) -> Memory:
        """Return the memory before any token; `length` bounds the tokens an attention cache can take."""
        return States(tuple(block.allocate_state(batch, length) for block in self._blocks()))

    def _lay_out(self, parameters: Sequence[Tensor]) -> Compiled | None:
        from bench.nn.compiled import compile_backbone

        return compile_backbone(*self.parts(), self.width, parameters)

    def parts(self) -> tuple[list[Block[Any]], nn.Module]:
        """The blocks, and the norm behind them."""
        return list(self._blocks()), self.norm

    def _blocks(self) -> Iterable[Block[Any]]:
        return cast("Iterable[Block[Any]]", self.blocks)

    def _checked(self, x: Tensor, mask: Tensor | None, resets: Tensor | None) -> Tensor:
        check_width(x, ("batch", "length"), self.width)
        check_flags(x, mask=mask, resets=resets)
        # Padding may hold anything, NaN included; zero times NaN would leak through the softmax's zero
        # weights.
        return x if mask is None else x.masked_fill(~mask.unsqueeze(-1), 0.0)


def _of_width(width: int, mixer: Mixer[Any]) -> Mixer[Any]:
    if mixer.width != width:
        raise ValueError(f"mixer: expected one of width {width}, got {mixer.width}")
    return mixer
