"""Parameters and MACs: two counters, and formulas written out from the papers' layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from suites import CATALOGUE
from torch import nn

from bench.measure.counting import macs, macs_by_torch, parameters, parameters_by_fvcore
from bench.methods.base import make_learner
from bench.nn.attention import CausalSelfAttention
from bench.nn.backbone import Backbone
from bench.nn.convolution import ConvolutionMixer
from bench.nn.mamba import MambaMixer
from bench.work.cells import defaults


def make(task, method, **changes):
    torch.manual_seed(0)
    return make_learner(method, defaults(CATALOGUE, task, method) | changes)


def dt_macs(K, L, D, S, A, sequences):
    """Embeddings; in each block four maps of attention, the network of 4 D, and attention's two products."""
    T = 3 * K
    embeddings, blocks = K * (1 + S + A) * D, L * (T * (4 + 8) * D * D + 2 * T * T * D)
    return sequences * (embeddings + blocks + K * D * A)


def scan_macs(T, C, R, N=64, taps=4):
    """C channels: convolution, step sizes of rank R, and the scan over N states."""
    # The convolution pads on both sides and its last outputs are cut off: they are computed all the same.
    return (T + taps - 1) * C * taps + T * C * (R + 2 * N) + T * R * C + 4 * T * C * N


def dema_macs(K, L, W, M, S, A, sequences, temporal=True, expand=2):
    """W: width of the embeddings, M: of the blocks, C: channels of the mixer."""
    T, C = (3 * K if temporal else K), expand * M
    enter = T * (1 if temporal else 3) * W * M
    mixer = T * M * 2 * C + scan_macs(T, C, -(-M // 16)) + T * C * M
    return sequences * (K * (1 + S + A) * W + enter + L * mixer + K * M * A)


def post_macs(K, L, W, S, A, sequences, temporal=True):
    """A bare scan of W channels, and a network of 4 W, in each block."""
    T = 3 * K if temporal else K
    enter = 0 if temporal else T * 3 * W * W
    blocks = L * (scan_macs(T, W, -(-W // 32)) + T * 8 * W * W)
    return sequences * (K * (1 + S + A) * W + enter + blocks + K * W * A)


@pytest.mark.parametrize(("K", "L", "D", "sequences"), [(20, 3, 128, 1), (5, 2, 32, 3), (7, 1, 16, 2)])
def test_macs_of_dt(K, L, D, sequences):
    learner = make("hopper-medium", "dt", context_length=K, layers=L, embedding_dim=D)
    batch = learner.sampler.synthetic(sequences, np.random.default_rng(0))
    assert macs(learner.model, batch) == dt_macs(K, L, D, 11, 3, sequences)
    assert macs_by_torch(learner.model, batch) == dt_macs(K, L, D, 11, 3, sequences)


@pytest.mark.parametrize("temporal", [True, False])
@pytest.mark.parametrize(
    ("K", "L", "W", "M", "sequences"), [(20, 3, 256, 64, 1), (5, 2, 24, 16, 3), (7, 1, 16, 32, 2)]
)
def test_macs_of_dema(K, L, W, M, sequences, temporal):
    changes = {"tokens": "b3ld" if temporal else "bl3d", "context_length": K, "layers": L, "embedding_dim": W}
    wanted = {
        "pre": dema_macs(K, L, W, M, 11, 3, sequences, temporal),
        "post": post_macs(K, L, W, 11, 3, sequences, temporal),
    }
    for block, count in wanted.items():
        learner = make("hopper-medium", "dema", d_model=M, block=block, **changes)
        batch = learner.sampler.synthetic(sequences, np.random.default_rng(0))
        assert macs(learner.model, batch) == count
        assert macs_by_torch(learner.model, batch) == count


@pytest.mark.parametrize("layers", [1, 2])
def test_macs_of_an_lstm(layers):
    """Four gates, each of two maps of D to D, in every layer and token."""
    K, D, S, A = 11, 16, 2, 4
    learner = make("tmaze-passive-10", "lstm", layers=layers, embedding_dim=D)
    batch = learner.sampler.synthetic(2, np.random.default_rng(0))
    wanted = 2 * (K * (1 + S + A) * D + 3 * K * layers * 8 * D * D + K * D * A)
    assert macs(learner.model, batch) == macs_by_torch(learner.model, batch) == wanted


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("ad-transformer", {"step_tokens": "merged"}),
        ("ad-transformer", {"step_tokens": "separate"}),
        ("ad-mamba", {}),
        ("dmh", {"long_token": "literal", "local_tokens": "literal"}),
        ("dmh", {"long_token": "rich", "local_tokens": "merged"}),
    ],
)
def test_both_counters_agree_on_the_in_context_methods(method, changes):
    learner = make(
        "darkroom", method, room_side=5, horizon=7, context_episodes=2, embedding_dim=16, **changes
    )
    batch = learner.sampler.synthetic(2, np.random.default_rng(0))
    assert macs(learner.model, batch) == macs_by_torch(learner.model, batch) > 0
    assert parameters(learner.model) == parameters_by_fvcore(learner.model) > 0


def test_layers_with_different_mixers_cost_what_each_costs_alone():
    mixers = [ConvolutionMixer(16, 6), CausalSelfAttention(16, 2), MambaMixer(16)]
    batch = {"x": torch.randn(2, 9, 16)}
    alone = [macs(Backbone(1, 16, lambda _, mixer=mixer: mixer, "relu"), batch) for mixer in mixers]
    hybrid = Backbone(3, 16, mixers.__getitem__, "relu")
    assert macs(hybrid, batch) == macs_by_torch(hybrid, batch) == sum(alone)
    assert len(set(alone)) == 3


def test_dema_has_about_a_quarter_of_dts_parameters():
    dt, dema = make("hopper-medium", "dt", embedding_dim=128).model, make("hopper-medium", "dema").model
    for count in (parameters, parameters_by_fvcore):
        assert 0.22 <= count(dema) / count(dt) <= 0.25
    assert parameters(dt) == parameters_by_fvcore(dt)
    assert parameters(dema) == parameters_by_fvcore(dema)


def test_frozen_parameters_are_not_counted():
    model = make("darkroom", "dmh", room_side=5, embedding_dim=16).model
    everything = sum(parameter.numel() for parameter in model.parameters())
    assert everything - parameters(model) == everything - parameters_by_fvcore(model) == 2 * 5 * 16 + 16


def test_counting_leaves_the_model_as_it_was():
    learner = make("hopper-medium", "dema", context_length=3, embedding_dim=16, d_model=16, layers=1)
    batch = learner.sampler.synthetic(1, np.random.default_rng(0))
    mixers = [block.mixer for block in learner.model.backbone.blocks]
    learner.model.eval()
    with torch.no_grad():
        before = learner.model(**batch)
        learner.model.train()
        for count in (macs, macs_by_torch):
            count(learner.model, batch)
        assert learner.model.training
        assert [block.mixer for block in learner.model.backbone.blocks] == mixers
        torch.testing.assert_close(learner.model.eval()(**batch), before, rtol=0, atol=0)


class Uncountable(nn.Module):
    """Multiplies by an operator that fvcore has no handle for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addbmm(torch.zeros(3, 3), x, x)


def test_a_product_that_cannot_be_counted_is_an_error():
    with pytest.raises(RuntimeError, match=r"fvcore cannot count aten::addbmm; add a handle"):
        macs(Uncountable(), {"x": torch.ones(2, 3, 3)})
