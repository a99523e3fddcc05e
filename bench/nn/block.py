"""One residual block: DT and DeMa differ by the mixer and by whether an MLP follows."""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor, nn

from bench.nn.attention import AttentionState, CausalSelfAttention
from bench.nn.convolution import ConvolutionMixer, ConvolutionState
from bench.nn.mixer import STEP_MIN, MambaMixer, StepState

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}
BlockState: TypeAlias = "StepState | AttentionState | ConvolutionState"


class MLP(nn.Sequential):
    """The position-wise network of a transformer block: d_model to 4 d_model and back."""

    def __init__(self, d_model: int, activation: str) -> None:
        super().__init__(
            nn.Linear(d_model, 4 * d_model), ACTIVATIONS[activation](), nn.Linear(4 * d_model, d_model)
        )


class Block(nn.Module):
    """A mixer with LayerNorm and residual connection; "post" adds an MLP with its own (DeMa Section 4.3).

    arrangement "pre" (pre up-projection, DeMa): x + mixer(norm(x)). "post" (post up-projection, the
    transformer's): the same, then x + mlp(norm(x)). Dropout acts on what is added to x, but not on a
    convolution's, as in Decision ConvFormer's code. Raises ValueError for an unknown mixer, arrangement or
    activation.
    """

    def __init__(
        self,
        d_model: int,
        mixer: str = "mamba",
        arrangement: str = "pre",
        heads: int = 1,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dropout: float = 0.0,
        activation: str = "relu",
        step_size_minimum: float = STEP_MIN,
        convolution_window: int = 6,
    ) -> None:
        super().__init__()
        _check_choice("mixer", mixer, ("mamba", "attention", "convolution"))
        _check_choice("arrangement", arrangement, ("pre", "post"))
        _check_choice("activation", activation, tuple(ACTIVATIONS))
        self.norm = nn.LayerNorm(d_model)
        self.mixer: MambaMixer | CausalSelfAttention | ConvolutionMixer
        if mixer == "mamba":
            self.mixer = MambaMixer(d_model, d_state, d_conv, expand, step_size_minimum=step_size_minimum)
        elif mixer == "attention":
            self.mixer = CausalSelfAttention(d_model, heads, dropout)
        else:
            self.mixer = ConvolutionMixer(d_model, convolution_window)
        self.mlp_norm = nn.LayerNorm(d_model) if arrangement == "post" else None
        self.mlp = MLP(d_model, activation) if arrangement == "post" else None
        self.dropout = nn.Dropout(dropout)
        self.mixer_dropout = nn.Dropout(0.0 if mixer == "convolution" else dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        """Map (batch, length, d_model) to the same; mask and resets as for a `Backbone`."""
        normed = self.norm(x)
        if isinstance(self.mixer, MambaMixer):
            mixed = self.mixer(normed, starts(mask, resets))
        else:
            mixed = self.mixer(normed, mask, resets)
        return self._feed_forward(x + self.mixer_dropout(mixed))

    def prefill(self, x: Tensor, mask: Tensor | None, length: int) -> tuple[Tensor, BlockState]:
        """Map (batch, tokens, d_model) to the same, and give the state after it, as a `Backbone`."""
        normed = self.norm(x)
        state: BlockState
        if isinstance(self.mixer, MambaMixer):
            mixed, state = self.mixer.prefill(normed, starts(mask, None))
        elif isinstance(self.mixer, CausalSelfAttention):
            mixed, state = self.mixer.prefill(normed, mask, length)
        else:
            mixed, state = self.mixer.prefill(normed, mask)
        return self._feed_forward(x + self.mixer_dropout(mixed)), state

    def step(self, x: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """Advance by one token x (batch, d_model); returns y (batch, d_model) and the new state."""
        mixed, state = self.mixer.step(self.norm(x), state)  # type: ignore[arg-type]
        return self._feed_forward(x + self.mixer_dropout(mixed)), state

    def allocate_state(self, batch: int, length: int) -> BlockState:
        """Return the state before any token; `length` bounds the tokens an attention cache can take."""
        if isinstance(self.mixer, CausalSelfAttention):
            return self.mixer.allocate_state(batch, length)
        return self.mixer.allocate_state(batch)

    def _feed_forward(self, x: Tensor) -> Tensor:
        if self.mlp is None or self.mlp_norm is None:
            return x
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


def starts(mask: Tensor | None, resets: Tensor | None) -> Tensor | None:
    """Join `mask` and `resets` into resets for a recurrent mixer: a token after padding begins a trajectory.

    A reset there makes padding contribute exactly nothing, which zero inputs alone do not: the convolution's
    bias still drives the state.
    """
    if mask is None:
        return resets
    first = mask.clone()
    first[:, 1:] &= ~mask[:, :-1]
    return first if resets is None else first | resets


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
