"""The encoder of Atari's frames: its layers, and which frames make which token."""

from __future__ import annotations

import pytest
import torch

from bench.nn.frames import FrameEncoder

# DT's Atari code: 32 filters of 8 x 8, 64 of 4 x 4, 64 of 3 x 3, and a linear map of what is left of 84 x 84.
SHAPES = {
    "convolutions.0.weight": (32, 4, 8, 8), "convolutions.0.bias": (32,),
    "convolutions.2.weight": (64, 32, 4, 4), "convolutions.2.bias": (64,),
    "convolutions.4.weight": (64, 64, 3, 3), "convolutions.4.bias": (64,),
    "project.weight": (128, 3136), "project.bias": (128,),
}  # fmt: skip


def test_tensors_are_those_of_dts_encoder():
    encoder = FrameEncoder(4, 84, 128)
    assert {name: tuple(p.shape) for name, p in encoder.named_parameters()} == SHAPES
    assert sum(p.numel() for p in encoder.parameters()) == 479_520


@torch.no_grad()
def test_each_step_has_a_token_of_its_own_frames():
    torch.manual_seed(0)
    encoder, frames = FrameEncoder(4, 84, 16), torch.rand(2, 3, 4, 84, 84)
    tokens = encoder(frames)
    assert tokens.shape == (2, 3, 16)
    assert tokens.abs().max() <= 1.0
    torch.testing.assert_close(tokens[1, 2], encoder(frames[1, 2].unsqueeze(0))[0])
    changed = frames.clone()
    changed[1, 2] += 0.5
    differs = (encoder(changed) - tokens).abs().amax(-1) > 1e-4
    assert differs.nonzero().tolist() == [[1, 2]]


def test_frames_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="frame_side: 32 pixels are too few"):
        FrameEncoder(4, 32, 16)
