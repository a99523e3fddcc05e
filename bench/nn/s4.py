"""S4 (Gu et al. 2022) as a mixer, and Decision S4's stack of it, which adds nothing back.

Shapes: B sequences, L tokens, H channels, N states a channel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.checks import check_flags, check_width
from bench.nn.mixer import Mixer
from bench.nn.s4_kernel import Recurrence, make_kernel, paired_sum
from bench.nn.state import Memory, States


@dataclass(frozen=True)
class S4State:
    """The modes of every channel, and the recurrence that moves them."""

    modes: Tensor  # (B, H, N / 2) complex
    recurrence: Recurrence

    def forked(self, count: int) -> S4State:
        """The state of batch * `count` rows: each row `count` times, the copies side by side."""
        return replace(self, modes=self.modes.repeat_interleave(count, dim=0))

    def at(self, position: int) -> S4State:
        """The state itself: it has one size, whatever the position."""
        return self


class S4Mixer(Mixer[S4State]):
    """y = kernel * u + D u in each of `width` channels, by a Fourier transform or token by token.

    2 N H + H weights of outputs and steps, H of D, and 2 N (for `nplr-legs` 3 N) that channels share.
    `kernel` is one of `bench.nn.s4_kernel.KERNELS`; `longest` bounds the tokens of a sequence that is read
    at once. Raises ValueError as the kernel does.
    """

    def __init__(self, width: int, states: int, longest: int, kernel: str = "nplr-legs") -> None:
        super().__init__()
        self.width = width
        self.kernel = make_kernel(kernel, width, states, longest)
        self.D = nn.Parameter(torch.randn(width))

    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        """Convolve x (B, L, H). Raises ValueError for `resets`, which a convolution cannot see."""
        u = self._channels(x, mask, resets)
        length = u.shape[-1]
        size = 1 << (2 * length - 1).bit_length()  # so long that nothing wraps around
        spectrum = torch.fft.rfft(u, n=size) * torch.fft.rfft(self.kernel(length), n=size)
        y = torch.fft.irfft(spectrum, n=size)[..., :length] + self.D.unsqueeze(-1) * u
        return y.transpose(1, 2)

    def countable_forward(
        self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None
    ) -> Tensor:
        """The same with the convolution written out, and so counted: what runs takes fewer products."""
        u = self._channels(x, mask, resets)
        length = u.shape[-1]
        taps = self.kernel(length).flip(-1).unsqueeze(1)
        y = F.conv1d(F.pad(u, (length - 1, 0)), taps, groups=self.width) + self.D.unsqueeze(-1) * u
        return y.transpose(1, 2)

    def prefill(self, x: Tensor, mask: Tensor | None, length: int) -> tuple[Tensor, S4State]:
        """Return what `forward` gives for x (B, L, H), and the state after it; any `length` will do."""
        state = self.allocate_state(len(x), length)
        modes = state.modes
        for token in self._channels(x, mask, None).unbind(-1):
            modes = state.recurrence.advance(modes, token)
        return self.forward(x, mask), replace(state, modes=modes)

    def step(self, x: Tensor, state: S4State) -> tuple[Tensor, S4State]:
        """Advance by one token x (B, H); returns y (B, H) and the new state."""
        check_width(x, ("batch",), self.width)
        modes = state.recurrence.advance(state.modes, x)
        y = paired_sum(state.recurrence.outputs * modes).to(x.dtype) + self.D * x
        return y, replace(state, modes=modes)

    def allocate_state(self, batch: int, length: int) -> S4State:
        """Return the state before any token; it has one size whatever the `length`."""
        recurrence = self.kernel.recurrence()
        outputs = recurrence.outputs
        return S4State(outputs.new_zeros(batch, *outputs.shape), recurrence)

    def _channels(self, x: Tensor, mask: Tensor | None, resets: Tensor | None) -> Tensor:
        """(B, H, L); padding is zero, so that it contributes nothing."""
        check_width(x, ("batch", "length"), self.width)
        check_flags(x, mask=mask)
        if resets is not None:
            raise ValueError("resets: S4's convolution runs over one trajectory, so expected none")
        return (x if mask is None else x.masked_fill(~mask.unsqueeze(-1), 0.0)).transpose(1, 2)


class S4Block(nn.Module):
    """Decision S4's block: S4, GELU, dropout, a linear layer, GELU."""

    def __init__(self, mixer: S4Mixer, dropout: float) -> None:
        super().__init__()
        self.mixer = mixer
        self.after = nn.Sequential(
            nn.GELU(), nn.Dropout(dropout), nn.Linear(mixer.width, mixer.width), nn.GELU()
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, L, H) to the same; mask as for a `Mixer`."""
        mixed: Tensor = self.after(self.mixer(x, mask))
        return mixed

    def step(self, x: Tensor, state: S4State) -> tuple[Tensor, S4State]:
        """Advance by one token x (B, H)."""
        mixed, state = self.mixer.step(x, state)
        return self.after(mixed), state


class S4Stack(nn.Module):
    """`layers` blocks one after the other, without residual connections and norms; (B, L, H) to the same.

    Raises ValueError for fewer than one layer, and as the mixer does.
    """

    def __init__(
        self, layers: int, width: int, states: int, longest: int, kernel: str, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers: expected at least 1, got {layers}")
        self.blocks = nn.ModuleList(
            S4Block(S4Mixer(width, states, longest, kernel), dropout) for _ in range(layers)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (B, L, H) to the same; mask as for a `Mixer`."""
        for block in self._blocks():
            x = block(x, mask)
        return x

    def step(self, x: Tensor, memory: Memory) -> tuple[Tensor, States]:
        """Advance by one token x (B, H); returns y (B, H) and the new memory."""
        states = []
        for block, state in zip(self._blocks(), memory.layers, strict=True):
            x, state = block.step(x, cast("S4State", state))
            states.append(state)
        return x, States(tuple(states))

    def allocate_state(self, batch: int, length: int) -> States:
        """Return the memory before any token; it has one size whatever the `length`."""
        return States(tuple(block.mixer.allocate_state(batch, length) for block in self._blocks()))

    def _blocks(self) -> Iterable[S4Block]:
        return cast("Iterable[S4Block]", self.blocks)
