"""The encoder of Atari's frames: its layers, and which frames make which token."""

from __future__ import annotations

import numpy as np
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
    encoder, frames = FrameEncoder(4, 84, 16), levels(2, 3, 4, 84, 84)
    tokens = encoder(frames)
    assert tokens.shape == (2, 3, 16)
    assert tokens.abs().max() <= 1.0
    torch.testing.assert_close(tokens[1, 2], encoder(frames[1, 2].unsqueeze(0))[0])
    changed = frames.clone()
    changed[1, 2] = 255 - changed[1, 2]
    differs = (encoder(changed) - tokens).abs().amax(-1) > 1e-4
    assert differs.nonzero().tolist() == [[1, 2]]


@torch.no_grad()
def test_levels_are_read_as_shares_of_255_until_they_are_centred():
    torch.manual_seed(0)
    encoder, frames = FrameEncoder(2, 36, 16), levels(3, 2, 36, 36)

    def read(shown):
        return torch.tanh(encoder.project(encoder.convolutions(shown).flatten(1)))

    torch.testing.assert_close(encoder(frames), read(frames / 255.0))
    mean = 100.0 * torch.rand(36, 36)
    encoder.centre(mean, 20.0)
    torch.testing.assert_close(encoder(frames), read((frames - mean) / 20.0))


@torch.no_grad()
def test_what_was_read_already_is_given_back():
    features = torch.rand(2, 3, 16)
    assert torch.equal(FrameEncoder(4, 84, 16)(features), features)


def test_in_bfloat16_features_and_gradients_are_those_of_float32_within_its_rounding():
    torch.manual_seed(0)
    exact, rounded = FrameEncoder(4, 84, 32), FrameEncoder(4, 84, 32, "bfloat16")
    rounded.load_state_dict(exact.state_dict())
    frames = levels(6, 4, 84, 84)
    features = [encoder(frames) for encoder in (exact, rounded)]
    assert features[1].dtype == torch.float32
    torch.testing.assert_close(features[1], features[0], atol=0.02, rtol=0.02)
    for one in features:
        one.square().sum().backward()
    for name, parameter in exact.named_parameters():
        other = rounded.get_parameter(name).grad
        assert torch.nn.functional.cosine_similarity(parameter.grad.flatten(), other.flatten(), 0) > 0.99, (
            name
        )


def levels(*shape):
    """Grey levels with random content."""
    return torch.from_numpy(np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8))


def test_frames_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="frame_side: 32 pixels are too few"):
        FrameEncoder(4, 32, 16)
