"""Attention by distance: the exponential fitted to it, and on which tokens it falls."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.attention_profiles import fit_exponential, shares
from bench.nn.hidden_attention import hidden_attention_row
from bench.nn.mamba import MambaMixer


@given(
    half_life=st.floats(0.5, 500.0),
    scale=st.floats(1e-6, 1e3),
    length=st.integers(3, 180),
)
def test_the_fit_recovers_an_exponential(half_life, scale, length):
    weights = scale * 2.0 ** (-np.arange(length) / half_life)
    found = fit_exponential(weights)
    assert found.half_life == pytest.approx(half_life, rel=1e-6)
    assert found.fit == pytest.approx(1.0, abs=1e-6)


@given(st.integers(0, 1000))
def test_noise_lowers_the_fit_and_hardly_moves_the_half_life(seed):
    noise = np.exp(0.5 * np.random.default_rng(seed).standard_normal(120))
    found = fit_exponential(noise * 2.0 ** (-np.arange(120) / 10.0))
    assert found.half_life == pytest.approx(10.0, rel=0.15)
    assert 0.9 < found.fit < 0.999


def test_distances_without_weight_are_left_out_and_too_few_are_no_fit():
    weights = 2.0 ** (-np.arange(10) / 4.0)
    weights[[2, 7]] = 0.0, np.nan
    assert fit_exponential(weights).half_life == pytest.approx(4.0)
    assert np.isnan(fit_exponential(np.array([1.0, 0.5, 0.0, np.nan]))).all()


def test_weights_that_do_not_fall_have_no_half_life():
    rising = fit_exponential(2.0 ** (np.arange(10) / 4.0))
    assert np.isnan(rising.half_life)
    assert rising.fit == pytest.approx(1.0)
    assert np.isnan(fit_exponential(np.ones(10))).all()


@pytest.mark.parametrize(("rate", "step"), [(0.5, 0.2), (2.0, 0.1), (0.1, 1.5)])
def test_a_mixer_of_known_decay_has_its_half_life(rate, step):
    torch.manual_seed(0)
    mixer = MambaMixer(8, d_state=4)
    with torch.no_grad():
        mixer.A_log.fill_(np.log(rate))
        mixer.dt_proj.weight.zero_()
        mixer.dt_proj.bias.fill_(np.log(np.expm1(step)))
    row = hidden_attention_row(mixer, torch.randn(1, 8).expand(1, 40, 8)).abs().mean((0, 1))
    # The convolution has not seen its four tokens before the fourth.
    found = fit_exponential(row.flip(0).numpy()[:37])
    assert found.half_life == pytest.approx(np.log(2) / (rate * step), rel=1e-4)
    assert found.fit == pytest.approx(1.0, abs=1e-5)


def test_weights_are_shared_out_by_kind_and_by_whether_their_step_is_over():
    weights = np.array([[4.0, 2.0, 1.0, 3.0, 0.0, np.nan], [4.0, 2.0, 1.0, 1.0, 1.0, 1.0]])
    found = shares(weights, ("state", "action", "return"), present=3)
    assert found.all_steps == pytest.approx({"state": 12 / 20, "action": 5 / 20, "return": 3 / 20})
    assert found.earlier_steps == pytest.approx({"state": 4 / 20, "action": 1 / 20, "return": 1 / 20})


def test_an_action_behind_its_state_is_of_the_step_before_the_one_decided_at():
    found = shares(np.array([[3.0, 2.0, 5.0]]), ("state", "return", "action"), present=2)
    assert found.earlier_steps == pytest.approx({"state": 0.0, "return": 0.0, "action": 0.5})


@given(st.lists(st.floats(0.001, 1000.0), min_size=1, max_size=40), st.integers(1, 3))
def test_all_of_the_weight_is_shared_out(weights, present):
    found = shares(np.array([weights]), ("state", "action", "return"), present)
    assert sum(found.all_steps.values()) == pytest.approx(1.0)
    assert sum(found.earlier_steps.values()) == pytest.approx(sum(weights[present:]) / sum(weights))
