"""One residual block: DT and DeMa differ by the mixer and by whether an MLP follows."""

from __future__ import annotations

from typing import Generic

from torch import Tensor, nn

from bench.nn.linear import GPT2Linear
from bench.nn.mixer import Mixer, StateT

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}
EPSILON = 1e-5  # GPT-2's and Mamba's


def make_norm(kind: str, width: int) -> nn.Module:
    """A norm over `width` features: `layer` with a weight and a bias, `rms` with a weight alone.

    Raises ValueError for another kind.
    """
    if kind == "layer":
        return nn.LayerNorm(width, eps=EPSILON)
    if kind == "rms":
        return nn.RMSNorm(width, eps=EPSILON)
    raise ValueError(f"norm: expected one of layer, rms, got {kind!r}")


class MLP(nn.Sequential):
    """The position-wise network of a transformer block: `width` to 4 `width` and back.

    Raises ValueError for an unknown activation.
    """

    def __init__(self, width: int, activation: str) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"feed_forward: expected one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        super().__init__(
            GPT2Linear(width, 4 * width), ACTIVATIONS[activation](), GPT2Linear(4 * width, width)
        )


class Block(nn.Module, Generic[StateT]):
    """A mixer with a norm and a residual connection, and an MLP with its own if `feed_forward` is given.

    Without: x + mixer(norm(x)), which is DeMa's "pre up-projection" (Section 4.3). With an activation of
    ACTIVATIONS: the same, then x + mlp(norm(x)), which is its "post up-projection", the transformer's.
    Dropout acts on what is added to x. Raises ValueError as `MLP` and `make_norm` do.
    """

    def __init__(
        self, mixer: Mixer[StateT], feed_forward: str | None = None, dropout: float = 0.0, norm: str = "layer"
    ) -> None:
        super().__init__()
        self.norm = make_norm(norm, mixer.width)
        self.mixer = mixer
        self.mlp_norm = None if feed_forward is None else make_norm(norm, mixer.width)
        self.mlp = None if feed_forward is None else MLP(mixer.width, feed_forward)
        self.dropout = nn.Dropout(dropout)
        self.mixer_dropout = nn.Dropout(dropout if mixer.drops_out else 0.0)

    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        """Map (batch, length, width) to the same; mask and resets as for a `Mixer`."""
        return self._feed_forward(x + self.mixer_dropout(self.mixer(self.norm(x), mask, resets)))

    def prefill(self, x: Tensor, mask: Tensor | None, length: int) -> tuple[Tensor, StateT]:
        """Map (batch, tokens, width) to the same, and give the state after it, as a `Mixer`."""
        mixed, state = self.mixer.prefill(self.norm(x), mask, length)
        return self._feed_forward(x + self.mixer_dropout(mixed)), state

    def step(self, x: Tensor, state: StateT) -> tuple[Tensor, StateT]:
        """Advance by one token x (batch, width); returns y (batch, width) and the new state."""
        mixed, state = self.mixer.step(self.norm(x), state)
        return self._feed_forward(x + self.mixer_dropout(mixed)), state

    def allocate_state(self, batch: int, length: int) -> StateT:
        """Return the state before any token; `length` bounds the tokens that a growing state can take."""
        return self.mixer.allocate_state(batch, length)

    def _feed_forward(self, x: Tensor) -> Tensor:
        if self.mlp is None or self.mlp_norm is None:
            return x
        return x + self.dropout(self.mlp(self.mlp_norm(x)))
