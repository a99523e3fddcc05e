"""JAX's scans, which the benchmarks compare with, against the reference in float64."""

import pytest
import torch

from bench.nn.scan import selective_scan

pytest.importorskip("jax", reason="jax, which the benchmarks compare with, is not installed")
pytest.importorskip("mambapy", reason="mambapy, which the benchmarks compare with, is not installed")
pytest.importorskip(
    "transformers", reason="transformers, which the benchmarks compare with, is not installed"
)

from benchmarks.contestants import JAX_NAMES

NAMES = ("y", "u", "delta", "A", "B", "C", "D", "z", "delta_bias")


@pytest.mark.parametrize("name", JAX_NAMES)
def test_values_and_gradients_are_those_of_the_reference(name):
    from benchmarks.jax_scan import JAX_SCANS, forward, forward_backward
    from benchmarks.passes import output_weights, scan_inputs

    inputs = scan_inputs(2, 33, 20, 8)
    wide = [tensor.detach().double().requires_grad_() for tensor in inputs]
    y = selective_scan(*wide, backend="reference")
    exact = (y, *torch.autograd.grad(y, wide, output_weights(inputs).double()))
    found_y, gradients = forward_backward(JAX_SCANS[name], inputs)()
    for what, expected, found in zip(NAMES, exact, (found_y, *gradients), strict=True):
        error = (torch.tensor(found.tolist(), dtype=torch.float64) - expected.detach()).abs().max()
        assert error <= 2e-6 * expected.abs().max(), what
    alone = torch.tensor(forward(JAX_SCANS[name], inputs)().tolist(), dtype=torch.float64)
    assert (alone - y.detach()).abs().max() <= 2e-6 * y.abs().max()
