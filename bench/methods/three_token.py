"""The model that DT, DM and the LSTM share: three tokens a step, read by a backbone each gives.

The tokens of a step follow each other in the order return-to-go, state, action; if
`position_embedding` asks for it, a learnt embedding of the timestep is added to all three. The
action is read off the state's token, through tanh (or as logits, with `discrete_actions`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.return_conditioned import ReturnConditionedModel, StepEmbeddings, action_head, interleave
from bench.nn.state import Memory


class SequenceModel(Protocol):
    """A causal map of tokens (batch, length, D) to the same that can also be advanced token by token."""

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, length, D) of (batch, length, D); mask (batch, length), bool, is False at padding."""

    def step(self, x: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Output (batch, D) for one more token (batch, D), and the memory after it."""

    def allocate_state(self, batch: int, length: int) -> Memory:
        """The memory before the first of at most `length` tokens."""


class ThreeTokenModel(ReturnConditionedModel):
    """A backbone over (return-to-go, state, action) tokens.

    `make_backbone` is called between embeddings and head, which fixes the order of random numbers.
    """

    def __init__(self, options: Options, make_backbone: Callable[[], SequenceModel]) -> None:
        super().__init__()
        self.embed = StepEmbeddings(options)
        self.embed_norm = nn.LayerNorm(options["embedding_dim"])
        self.dropout = nn.Dropout(options["dropout"])
        self.backbone = make_backbone()
        self.predict_action = action_head(options)
        self.from_beginning = options["window_start"] == "beginning"

    def forward(
        self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor, mask: Tensor
    ) -> Tensor:
        """Predicted actions (B, K, A)."""
        tokens = interleave(self.embed(returns, states, actions, timesteps))
        hidden = self.backbone(self._enter(tokens), self._token_mask(mask))
        return self._leave(hidden[:, 1::3])

    def step(
        self, returns: Tensor, states: Tensor, last_action: Tensor, timestep: int, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """Predicted action (B, A) from returns (B, 1), states (B, S), the last action (B, A), and memory."""
        for token in self.embed.decision(returns, states, last_action, timestep):
            hidden, memory = self.backbone.step(self._enter(token), memory)
        return self._leave(hidden), memory

    def allocate_state(self, count: int, steps: int) -> Memory:
        """The memory of `count` episodes before the first of at most `steps` steps."""
        return self.backbone.allocate_state(count, 3 * steps)

    def _token_mask(self, mask: Tensor) -> Tensor | None:
        # Windows from the beginning are mostly whole episodes without padding. Without a mask, attention
        # needs no matrix of (3 K)^2 entries, which at thousands of steps is most of its memory.
        if self.from_beginning and bool(mask.all()):
            return None
        return mask.repeat_interleave(3, dim=1)

    def _enter(self, tokens: Tensor) -> Tensor:
        entered: Tensor = self.dropout(self.embed_norm(tokens))
        return entered

    def _leave(self, hidden: Tensor) -> Tensor:
        predicted: Tensor = self.predict_action(hidden)
        return predicted
