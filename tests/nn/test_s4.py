"""S4: its convolution is its recurrence, and its kernel that of the dense matrices."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.nn.s4 import S4Mixer, S4Stack
from bench.nn.s4_kernel import KERNELS, make_kernel

NEAR = {"rtol": 1e-4, "atol": 1e-4}
kernels = pytest.mark.parametrize("kernel", KERNELS)


def mixer(kernel, width=3, states=8, longest=20, seed=0, moved=0.1):
    """A mixer whose parameters have moved from where they begin."""
    torch.manual_seed(seed)
    made = S4Mixer(width, states, longest, kernel)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(moved * torch.randn_like(parameter))
    return made


@torch.no_grad()
def step_by_step(net, x):
    state, given_out = net.allocate_state(len(x), x.shape[1]), []
    for token in x.unbind(1):
        y, state = net.step(token, state)
        given_out.append(y)
    return torch.stack(given_out, dim=1)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    kernel=st.sampled_from(KERNELS), states=st.sampled_from([2, 6, 32]), longest=st.integers(1, 300),
    share=st.floats(0.0, 1.0), seed=st.integers(0, 5),
)  # fmt: skip
def test_step_by_step_is_the_convolution_at_every_length(kernel, states, longest, share, seed):
    net = mixer(kernel, states=states, longest=longest, seed=seed)
    x = torch.randn(2, 1 + int(share * (longest - 1)), 3)
    torch.testing.assert_close(step_by_step(net, x), net(x), **NEAR)


@kernels
def test_step_by_step_is_the_convolution_of_a_whole_episode_at_the_size_of_ds4(kernel):
    net, x = mixer(kernel, width=8, states=96, longest=1000, moved=0.02), torch.randn(1, 1000, 8)
    torch.testing.assert_close(step_by_step(net, x), net(x), **NEAR)


def test_the_kernel_of_s4_is_that_of_the_dense_bilinear_rule():
    longest = 9
    net = mixer("nplr-legs", width=2, states=6, longest=longest).kernel
    kernel, step = net(longest).double(), net.log_step.double().exp()
    poles, p, b = (
        torch.cat([values, values.conj()])
        for values in (
            net.poles().to(torch.complex128),
            torch.view_as_complex(net.correction.double()),
            torch.view_as_complex(net.inputs.double()),
        )
    )
    a, identity = torch.diag(poles) - torch.outer(p, p.conj()), torch.eye(6)
    for channel in range(2):
        left = identity - 0.5 * step[channel] * a
        moved = torch.linalg.solve(left, identity + 0.5 * step[channel] * a)
        driven = torch.linalg.solve(left, step[channel] * b)
        held = torch.view_as_complex(net.outputs[channel].double())
        # What is learnt is C (1 - A^9), C being that of the recurrence.
        c = torch.linalg.solve(
            (identity - torch.linalg.matrix_power(moved, 9)).T, torch.cat([held, held.conj()])
        )
        wanted = torch.stack(
            [(c @ torch.linalg.matrix_power(moved, lag) @ driven).real for lag in range(longest)]
        )
        torch.testing.assert_close(kernel[channel], wanted, **NEAR)


def test_the_kernel_of_s4d_is_a_sum_of_held_exponentials():
    net = mixer("diagonal-legs", width=2, states=6).kernel
    poles, step = net.poles(), net.log_step.exp()
    weights = torch.view_as_complex(net.outputs) * torch.view_as_complex(net.inputs)
    for channel in range(2):
        for lag in (0, 1, 7, 19):
            # A token is held for one step: the integral of exp(poles t) from lag to lag + 1 steps.
            ends = [torch.exp(poles * step[channel] * (lag + end)) for end in (0, 1)]
            wanted = 2 * (weights[channel] * (ends[1] - ends[0]) / poles).real.sum()
            torch.testing.assert_close(net(20)[channel, lag], wanted, **NEAR)


@kernels
def test_a_shorter_sequence_is_the_beginning_of_a_longer_one(kernel):
    net, x = mixer(kernel), torch.randn(2, 20, 3)
    torch.testing.assert_close(net(x[:, :7]), net(x)[:, :7], rtol=1e-5, atol=1e-5)


@kernels
def test_padding_contributes_nothing_whatever_it_holds(kernel):
    net, bare = mixer(kernel), torch.randn(2, 5, 3)
    x = torch.cat([torch.full((2, 4, 3), float("nan")), bare], dim=1)
    mask = torch.arange(9).expand(2, -1) >= 4
    torch.testing.assert_close(net(x, mask)[:, 4:], net(bare), **NEAR)


@kernels
@torch.no_grad()
def test_a_prefill_is_as_many_steps_and_a_forked_state_that_of_repeated_rows(kernel):
    net, x = mixer(kernel), torch.randn(2, 6, 3)
    y, state = net.prefill(x, None, 6)
    torch.testing.assert_close(y, net(x))
    more = torch.randn(4, 3)
    whole = torch.cat([x.repeat_interleave(2, dim=0), more[:, None]], dim=1)
    torch.testing.assert_close(net.step(more, state.forked(2))[0], net(whole)[:, -1], **NEAR)


@kernels
def test_what_is_counted_is_what_runs(kernel):
    net, x = mixer(kernel), torch.randn(2, 9, 3)
    torch.testing.assert_close(net.countable_forward(x), net(x), **NEAR)


@kernels
def test_channels_are_not_mixed_and_no_token_is_seen_before_its_time(kernel):
    net, x = mixer(kernel), torch.randn(1, 9, 3)
    changed = x.clone()
    changed[:, 4, 1] += 1.0
    moved = (net(changed) - net(x)).abs()[0] > 1e-4
    assert not moved[:4].any()
    assert not moved[:, [0, 2]].any()
    assert moved[4, 1]


@kernels
def test_every_parameter_has_a_gradient_and_poles_stay_in_the_left_half_plane(kernel):
    net = mixer(kernel, moved=3.0)
    net(torch.randn(2, 20, 3)).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert (net.kernel.poles().real < 0).all()


@pytest.mark.parametrize(
    ("kernel", "shared"), [("nplr-legs", 3), ("diagonal-legs", 2), ("diagonal-linear", 2)]
)
def test_parameters_are_those_of_the_hand_count(kernel, shared):
    net = S4Mixer(5, 6, 20, kernel)
    # Of each channel: C in N / 2 complex numbers, a step size, D. Of all: N / 2 poles, and B and P, complex.
    assert sum(parameter.numel() for parameter in net.parameters()) == 5 * (6 + 1 + 1) + 6 * shared
    stack = S4Stack(2, 5, 6, 20, kernel)
    blocks = 2 * (5 * 8 + 6 * shared + 5 * 5 + 5)
    assert sum(parameter.numel() for parameter in stack.parameters()) == blocks


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"kernel: expected one of nplr-legs, .* got 'legs'"):
        make_kernel("legs", 3, 8, 20)
    with pytest.raises(ValueError, match="length: the kernel was made for 1 to 20 tokens, got 21"):
        mixer("nplr-legs")(torch.randn(1, 21, 3))
    with pytest.raises(ValueError, match="resets: S4's convolution runs over one trajectory"):
        mixer("nplr-legs")(torch.randn(1, 4, 3), resets=torch.zeros(1, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="layers: expected at least 1, got 0"):
        S4Stack(0, 5, 6, 20, "nplr-legs")
