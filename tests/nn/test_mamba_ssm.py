"""The GPU backend's packing of trajectories, with the CUDA kernels stood in for by the reference."""

import sys
import types

import pytest
import torch
from scan_cases import arguments

from bench.nn.backends.mamba_ssm import scan, trajectory_places
from bench.nn.scan import selective_scan


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    def selective_scan_fn(u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state):
        assert u.is_contiguous()
        assert u.shape[1] == A.shape[0]
        y, state = selective_scan(
            u.mT, delta.mT, A, B.mT, C.mT, D, None if z is None else z.mT, delta_bias, delta_softplus,
            return_final_state=True, backend="reference",
        )  # fmt: skip
        return y.mT, state

    interface = types.ModuleType("mamba_ssm.ops.selective_scan_interface")
    interface.selective_scan_fn = selective_scan_fn
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)


def run(case, resets=None, state=False):
    order = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
    return scan(*(case.get(name) for name in order), True, case.get("initial_state"), resets, state)


@pytest.mark.parametrize("without", [("initial_state",), ("initial_state", "z", "D", "delta_bias")])
def test_channel_major_kernels_give_the_reference(without):
    case = arguments(2, 11, 5, 3, without=without)
    y, state = run(case, state=True)
    expected = selective_scan(**case, backend="reference", return_final_state=True)
    torch.testing.assert_close((y, state), expected)


def test_trajectories_become_rows_and_come_back():
    case, resets = arguments(3, 20, 5, 3), torch.rand(3, 20) < 0.2
    y, _ = run(case, resets)
    torch.testing.assert_close(y, selective_scan(**case, backend="reference", resets=resets))


def test_places_count_from_each_reset_and_row():
    resets = torch.tensor([[False, False, True], [True, False, True]])
    trajectory, position = trajectory_places(resets)
    assert trajectory.tolist() == [[0, 0, 1], [2, 2, 3]]
    assert position.tolist() == [[0, 1, 0], [0, 1, 0]]


def test_what_the_kernels_lack_is_named():
    case = arguments(1, 4, 5, 3, without=())
    with pytest.raises(RuntimeError, match="initial_state: backend 'mamba_ssm' starts from zero"):
        run(case)
    case.pop("initial_state")
    with pytest.raises(RuntimeError, match=r"return_final_state: .* beside resets"):
        run(case, torch.zeros(1, 4, dtype=torch.bool), state=True)


def test_a_gradient_that_the_kernels_drop_is_refused():
    case = arguments(1, 4, 5, 3)
    case["A"].requires_grad_()
    with pytest.raises(RuntimeError, match=r"return_final_state: .* no gradient of the final state"):
        run(case, state=True)
    with torch.no_grad():
        assert run(case, state=True)[1].shape == (1, 5, 3)
