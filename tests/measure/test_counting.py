"""Parameters and MACs: two counters, and formulas written out from the papers' layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fvcore.nn.flop_count import FlopCountAnalysis
from suites import CATALOGUE
from torch import nn

from bench.catalogue.values import defaults
from bench.measure.counting import (
    macs,
    macs_as_published,
    macs_by_torch,
    parameters,
    parameters_by_fvcore,
)
from bench.methods.base import make_learner
from bench.nn.attention import CausalSelfAttention
from bench.nn.backbone import Backbone
from bench.nn.convolution import ConvolutionMixer
from bench.nn.mamba import MambaMixer


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


@pytest.mark.parametrize(
    ("task", "changes", "counted"),
    [
        ("hopper-medium", {}, 11_783_610),
        ("hopper-medium", {"embedding_dim": 128}, 11_280_186),
        ("halfcheetah-medium", {}, 11_305_722),
        ("halfcheetah-medium-expert", {}, 31_309_581),
        ("hopper-medium", {"embedding_dim": 128, "d_model": 128}, 31_280_397),
        ("hopper-medium", {"embedding_dim": 128, "tokens": "bl3d"}, 4_101_132),
    ],
)
def test_operations_as_published_are_those_of_the_authors_script(task, changes, counted):
    """What their script prints for one window of K = 20, which is 19 tuples, with fvcore's rounding in it."""
    learner = make(task, "dema", first_step="context", **changes)
    batch = learner.sampler.synthetic(1, np.random.default_rng(0))
    assert macs_as_published(learner.model, batch) == pytest.approx(counted, rel=1e-4)


@pytest.mark.parametrize(
    ("task", "changes", "millions"),
    [
        ("hopper-medium", {}, 12.40),
        ("hopper-medium", {"embedding_dim": 128}, 11.87),
        ("halfcheetah-medium", {}, 11.90),
        ("halfcheetah-medium-expert", {}, 32.96),
    ],
)
def test_operations_as_published_of_twenty_tuples(task, changes, millions):
    learner = make(task, "dema", **changes)
    batch = learner.sampler.synthetic(1, np.random.default_rng(0))
    assert macs_as_published(learner.model, batch) / 1e6 == pytest.approx(millions, abs=0.005)


def test_the_model_of_the_authors_timing_script():
    """Walker2d, width 256, 16 states, 63 tuples; two heads of theirs are used by no pass."""
    learner = make("walker2d-medium", "dema", d_model=256, d_state=16, context_length=63)
    assert parameters(learner.model) + learner.unused_parameters() == 1_356_952
    assert learner.sampler.synthetic(1, np.random.default_rng(0))["states"].shape == (1, 63, 17)


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
        ("dmh", {"long_tokens": "separate", "local_tokens": "separate"}),
        ("dmh", {"long_tokens": "rich", "local_tokens": "merged"}),
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


class EinsumScan(nn.Module):
    """The selective scan of a small Mamba, written in einsums: what DeMa's authors hand to fvcore."""

    def forward(self, u, step, A, B, C):
        decay = torch.exp(torch.einsum("bld,dn->bldn", step, A))
        written = torch.einsum("bld,bln,bld->bldn", step, B, u)
        state, outputs = torch.zeros_like(decay[:, 0]), []
        for token in range(u.shape[1]):
            state = decay[:, token] * state + written[:, token]
            outputs.append(torch.einsum("bdn,bn->bd", state, C[:, token]))
        return torch.stack(outputs, dim=1)


def test_a_scan_as_published_is_what_fvcore_finds_in_einsums():
    """fvcore reads its sums off a text of four digits."""
    batch, length, channels, states = 2, 7, 10, 3
    u = torch.randn(batch, length, channels)
    B = torch.randn(batch, length, states)
    found = FlopCountAnalysis(EinsumScan(), (u, u.abs(), -torch.rand(channels, states), B, B))
    found.unsupported_ops_warnings(False)
    assert found.total() == pytest.approx(2.5 * batch * length * channels * states, rel=1e-3)


@pytest.mark.parametrize(("layers", "states"), [(1, 4), (3, 64)])
def test_conventions_differ_by_the_scan_and_by_layer_norm(layers, states):
    length, width = 12, 16
    batch = {"x": torch.randn(2, length, width)}
    mamba = Backbone(layers, width, lambda _: MambaMixer(width, d_state=states))
    attention = Backbone(layers, width, lambda _: CausalSelfAttention(width, 2), "relu")
    norms = {
        net: 5 * 2 * length * width * count
        for net, count in ((mamba, layers + 1), (attention, 2 * layers + 1))
    }
    scans = 2 * layers * length * 2 * width * states
    assert macs_as_published(attention, batch) - macs(attention, batch) == norms[attention]
    assert macs_as_published(mamba, batch) - macs(mamba, batch) == norms[mamba] - 1.5 * scans


def test_dema_has_about_a_quarter_of_dts_parameters():
    dt, dema = make("hopper-medium", "dt", embedding_dim=128).model, make("hopper-medium", "dema").model
    for count in (parameters, parameters_by_fvcore):
        assert 0.22 <= count(dema) / count(dt) <= 0.25
    assert parameters(dt) == parameters_by_fvcore(dt)
    assert parameters(dema) == parameters_by_fvcore(dema)


def test_frozen_parameters_are_not_counted():
    model = make("darkroom", "dmh", room_side=5, embedding_dim=16).model
    everything = sum(parameter.numel() for parameter in model.parameters())
    assert everything - parameters(model) == everything - parameters_by_fvcore(model) == 2 * 16 + 16


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
