"""What the Triton kernels promise, interpreted on a CPU: run by test_triton.py, with TRITON_INTERPRET=1."""

import pytest
import torch
from scan_cases import answers, arguments, errors

from bench.nn.scan import selective_scan

NOTHING_ELSE = ("D", "z", "delta_bias", "initial_state")
NO_STATE = ("initial_state",)
# batch, length, channels, states, without, with resets, softplus. Seventeen tokens end in a second chunk, and
# seventeen channels of 64 states in a second program.
CASES = {
    "plain": (2, 9, 5, 3, NO_STATE, False, True),
    "second chunk": (1, 17, 4, 16, NO_STATE, False, True),
    "second program": (1, 5, 17, 64, NO_STATE, True, True),
    "everything": (2, 18, 7, 6, (), True, True),
    "nothing but the scan": (2, 4, 6, 8, NOTHING_ELSE, False, True),
    "no softplus": (1, 8, 3, 1, ("delta_bias",), True, False),
}


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_exact_to_2e_6(case):
    *sizes, without, with_resets, smooth = CASES[case]
    given = arguments(*sizes, without=without)
    if not smooth:
        given["delta"] = given["delta"].abs()
    generator = torch.Generator().manual_seed(7)
    resets = torch.rand(sizes[:2], generator=generator) < 0.2 if with_resets else None
    exact = answers(given, "reference", torch.float64, resets, smooth)
    found = answers(given, "triton", torch.float32, resets, smooth)
    assert max(errors(found, exact).values()) < 2e-6


@pytest.mark.parametrize("weighted", [("y",), ("state",)])
def test_the_gradient_of_one_output_alone_is_exact(weighted):
    given = arguments(1, 4, 5, 3, without=())
    exact = answers(given, "reference", torch.float64, weighted=weighted)
    assert max(errors(answers(given, "triton", weighted=weighted), exact).values()) < 2e-6


def test_a_rerun_gives_the_same_bits():
    given = arguments(2, 6, 5, 3, without=())
    first, second = answers(given, "triton"), answers(given, "triton")
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_half_precision_is_computed_in_float32():
    given = {name: value.bfloat16() for name, value in arguments(1, 2, 5, 3).items()}
    y, state = selective_scan(**given, backend="triton", return_final_state=True)
    wide = {name: value.float() for name, value in given.items()}
    assert (y.dtype, state.dtype) == (torch.bfloat16, torch.float32)
    expected = selective_scan(**wide, backend="reference").bfloat16()
    torch.testing.assert_close(y, expected, atol=1e-2, rtol=1e-2)


def test_strided_views_give_the_same_bits():
    given = arguments(2, 5, 4, 3)
    both = torch.cat([given["u"], given["z"]], -1)
    views = given | {"u": both[..., :4], "z": both[..., 4:], "delta": given["delta"].mT.contiguous().mT}
    expected = selective_scan(**given, backend="triton")
    assert torch.equal(selective_scan(**views, backend="triton"), expected)


def test_a_small_step_is_as_exact_as_a_large_one():
    """With u = B = C = 1, no state before and no gate, y is softplus(delta)."""
    delta, one = torch.linspace(-30.0, 20.0, 64).reshape(1, 1, 64), torch.ones(1, 1, 1)
    y = selective_scan(torch.ones(1, 1, 64), delta, -torch.ones(64, 1), one, one, backend="triton")
    exact = torch.nn.functional.softplus(delta.double(), threshold=50.0)
    assert ((y.double() - exact).abs() / exact).max() < 3e-6
