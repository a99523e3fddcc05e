"""HiPPO-LegS equals its closed form, and its modes are the same system in another basis."""

from __future__ import annotations

import math

import pytest
import torch

from bench.nn.hippo import legs, legs_correction, legs_modes, linear_modes


def whole(values):
    """Held modes and their conjugates."""
    return torch.cat([values, values.conj()])


def test_legs_of_three_states_by_hand():
    a, b = legs(3)
    wanted = [
        [-1.0, 0.0, 0.0],
        [-math.sqrt(3), -2.0, 0.0],
        [-math.sqrt(5), -math.sqrt(15), -3.0],
    ]
    torch.testing.assert_close(a, torch.tensor(wanted, dtype=torch.float64))
    torch.testing.assert_close(b, torch.tensor([1.0, math.sqrt(3), math.sqrt(5)], dtype=torch.float64))


@pytest.mark.parametrize("states", [1, 2, 9, 64])
def test_legs_is_its_closed_form_entry_by_entry(states):
    a, b = legs(states)
    for n in range(states):
        assert b[n].item() == pytest.approx(math.sqrt(2 * n + 1))
        for k in range(states):
            wanted = -math.sqrt((2 * n + 1) * (2 * k + 1)) if n > k else -(n + 1) if n == k else 0.0
            assert a[n, k].item() == pytest.approx(wanted)


@pytest.mark.parametrize("states", [2, 8, 64])
def test_a_term_of_rank_one_makes_legs_normal(states):
    a, _ = legs(states)
    p = legs_correction(states)
    normal = a + torch.outer(p, p)
    torch.testing.assert_close(normal @ normal.T, normal.T @ normal)


@pytest.mark.parametrize("states", [2, 8, 32])
def test_modes_answer_as_the_matrix_does(states):
    a, b = legs(states)
    poles, p, inputs = (whole(values) for values in legs_modes(states))
    modal = torch.diag(poles) - torch.outer(p, p.conj())
    for s in (0.3, 2.0, 5.0 + 7.0j):
        plain = s * torch.eye(states) - a.to(torch.complex128)
        wanted = b.to(plain.dtype) @ torch.linalg.solve(plain, b.to(plain.dtype))
        found = inputs.conj() @ torch.linalg.solve(s * torch.eye(states) - modal, inputs)
        torch.testing.assert_close(found, wanted)


def test_poles_of_legs_begin_at_one_decay_and_rise():
    poles = legs_modes(16).poles
    assert (poles.real == -0.5).all()
    assert (poles.imag > 0).all()
    assert (poles.imag.diff() > 0).all()


def test_linear_modes_are_multiples_of_pi_with_inputs_of_one():
    poles, correction, inputs = linear_modes(6)
    torch.testing.assert_close(poles.imag, torch.pi * torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64))
    assert (poles.real == -0.5).all()
    assert (correction == 0).all()
    assert (inputs == 1).all()


@pytest.mark.parametrize("make", [legs_modes, linear_modes])
@pytest.mark.parametrize("states", [0, 1, 7])
def test_modes_come_in_pairs(make, states):
    with pytest.raises(ValueError, match=f"states: modes come in pairs, .* got {states}"):
        make(states)
