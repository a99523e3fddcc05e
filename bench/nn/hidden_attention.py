"""The attention matrices hidden in a Mamba mixer (Ali et al. 2024; DeMa Section 3.2, equations 5 and 6).

Written out over a sequence, the selective scan is a causal linear attention, one matrix a channel d:

    alpha[d, i, j] = sum_n C[i, n] exp(A[d, n] (step[j + 1, d] + ... + step[i, d])) step[j, d] B[j, n]

for j <= i, so that alpha @ u is the scan without the skip D and the gate. Nothing is approximated here:
equation 6 of DeMa replaces softplus by ReLU to read the formula, the code of both papers does not.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.nn.mamba import MambaMixer


@torch.no_grad()
def hidden_attention(mixer: MambaMixer, tokens: Tensor, resets: Tensor | None = None) -> Tensor:
    """Return the hidden attention of `mixer` for its input tokens (batch, length, width).

    `tokens` are the mixer's input, after the block's norm. resets (batch, length), bool, as for a
    `bench.nn.mixer.Mixer`. The result is (batch, channels, length, length); its rows are outputs. It takes
    batch * channels * length^2 numbers, so use `hidden_attention_row` for long sequences.
    Raises ValueError for a wrong shape.
    """
    length = tokens.shape[1]
    return _rows(mixer, tokens, resets, torch.arange(length, device=tokens.device))


@torch.no_grad()
def hidden_attention_row(
    mixer: MambaMixer, tokens: Tensor, row: int = -1, resets: Tensor | None = None
) -> Tensor:
    """Return one row of `hidden_attention`, (batch, channels, length), in memory linear in length.

    `row` counts tokens, from the end if negative. Raises ValueError for a wrong shape, IndexError for a
    row that does not exist.
    """
    length = tokens.shape[1]
    if not -length <= row < length:
        raise IndexError(f"row: expected within [{-length}, {length}), got {row}")
    return _rows(mixer, tokens, resets, torch.tensor([row % length], device=tokens.device)).squeeze(2)


def _rows(mixer: MambaMixer, tokens: Tensor, resets: Tensor | None, rows: Tensor) -> Tensor:
    inputs = mixer.scan_inputs(tokens, resets)
    step = F.softplus(inputs.delta + inputs.delta_bias).transpose(1, 2)
    # Differences of running sums lose digits over long sequences; in float64 what remains is exact enough.
    elapsed = step.double().cumsum(2)
    columns = torch.arange(tokens.shape[1], device=tokens.device)
    visible = (columns <= rows[:, None]).expand(tokens.shape[0], -1, -1)
    if resets is not None:
        segment = resets.cumsum(1)
        visible = visible & (segment[:, rows, None] == segment[:, None, :])
    visible = visible.unsqueeze(1)
    gap = (elapsed[:, :, rows, None] - elapsed[:, :, None, :]).masked_fill(~visible, 0.0).to(step.dtype)
    attention = torch.zeros_like(gap)
    for n in range(mixer.d_state):
        reading, writing = inputs.C[:, rows, n, None], inputs.B[:, None, :, n]
        attention += torch.exp(inputs.A[:, n, None, None] * gap) * (reading * writing).unsqueeze(1)
    return (attention * step.unsqueeze(2)).masked_fill(~visible, 0.0)
