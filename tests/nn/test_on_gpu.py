"""Backends on a CUDA device against the float64 reference on the CPU."""

import pytest
import torch
from backbone_cases import mamba
from scan_cases import answers, arguments, errors

from bench.nn.backends.select import why_it_fails
from bench.nn.scan import scan_backend

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
LENGTH = 70


def on_gpu(case):
    return {name: value.cuda() for name, value in case.items()}


def some_resets():
    return torch.rand(3, LENGTH, generator=torch.Generator().manual_seed(7)) < 0.1


def furthest(found, exact):
    return max(errors({name: value.cpu() for name, value in found.items()}, exact).values())


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize(("channels", "states"), [(40, 16), (33, 64), (5, 3)])
def test_values_and_gradients_are_the_references(backend, with_resets, channels, states):
    case, resets = arguments(3, LENGTH, channels, states, without=()), some_resets() if with_resets else None
    exact = answers(case, "reference", torch.float64, resets)
    found = answers(on_gpu(case), backend, resets=None if resets is None else resets.cuda())
    assert furthest(found, exact) < 1e-5


def test_triton_gives_the_same_bits_again():
    case, resets = on_gpu(arguments(3, LENGTH, 40, 64, without=())), some_resets().cuda()
    first, second = (answers(case, "triton", resets=resets) for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("with_resets", [False, True])
def test_the_official_kernels_agree(with_resets):
    if why := why_it_fails("mamba_ssm", "cuda"):
        pytest.skip(why)
    case, resets = on_gpu(arguments(3, LENGTH, 40, 16)), some_resets().cuda() if with_resets else None
    ours, official = (
        answers(case, backend, resets=resets, weighted=("y",)) for backend in ("triton", "mamba_ssm")
    )
    assert max(errors(official, ours).values()) < 1e-5


def test_a_model_trains_with_triton():
    torch.manual_seed(0)
    net, x = mamba(2, 32).cuda(), torch.randn(2, 30, 32)
    assert scan_backend("cuda") == "triton"
    y = net(x.cuda())
    y.square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())
    torch.testing.assert_close(y.cpu(), net.cpu()(x), atol=1e-4, rtol=1e-4)
