"""Backends on a CUDA device against the float64 reference on the CPU."""

import importlib.util

import pytest
import torch
from backbone_cases import mamba
from scan_cases import answers, arguments, errors

from bench.nn.scan import scan_backend

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
WITH_KERNELS = importlib.util.find_spec("mamba_ssm") is not None


def on_gpu(case):
    return {name: value.cuda() for name, value in case.items()}


@pytest.mark.parametrize("backend", ["torch", "mamba_ssm"])
@pytest.mark.parametrize("with_resets", [False, True])
def test_values_and_gradients_are_the_references(backend, with_resets):
    if backend == "mamba_ssm" and not WITH_KERNELS:
        pytest.skip("mamba_ssm is not installed")
    case = arguments(3, 70, 40, 16)
    resets = torch.rand(3, 70) < 0.1 if with_resets else None
    if backend == "mamba_ssm" and with_resets:
        pytest.skip("no final state beside resets")
    exact = answers(case, "reference", torch.float64, resets)
    found = answers(on_gpu(case), backend, resets=None if resets is None else resets.cuda())
    assert max(errors({name: value.cpu() for name, value in found.items()}, exact).values()) < 1e-5


def test_a_model_trains_with_whatever_is_there():
    torch.manual_seed(0)
    net, x = mamba(2, 32).cuda(), torch.randn(2, 30, 32)
    assert scan_backend("cuda") == ("mamba_ssm" if WITH_KERNELS else "torch")
    y = net(x.cuda())
    y.square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())
    torch.testing.assert_close(y.cpu(), net.cpu()(x), atol=1e-4, rtol=1e-4)
