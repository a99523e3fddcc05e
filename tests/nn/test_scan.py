import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_cases import answers, arguments, errors

from bench.conformance.other_device import OtherDevice, Remote
from bench.nn.backends.select import why_it_fails
from bench.nn.scan import scan_backend, selective_scan, selective_scan_step

BACKENDS = ("numba", "torch")
ROOT = Path(__file__).parents[2]


@st.composite
def scans(draw):
    optional = ("D", "z", "delta_bias", "initial_state")
    without = tuple(name for name in optional if draw(st.booleans()))
    sizes = draw(st.tuples(st.integers(1, 3), st.integers(1, 50), st.integers(1, 37)))
    states = draw(st.sampled_from([1, 3, 8, 16, 64]))
    case = arguments(*sizes, states, seed=draw(st.integers(0, 99)), without=without)
    resets = torch.rand(sizes[:2], generator=torch.Generator().manual_seed(7)) < 0.15
    smooth = draw(st.booleans())
    if not smooth:
        case["delta"] = case["delta"].abs()
        case.pop("delta_bias", None)
    return case, resets if draw(st.booleans()) else None, smooth


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(case=scans())
def test_values_and_gradients_are_exact_to_2e_6(backend, case):
    given_, resets, smooth = case
    exact = answers(given_, "reference", torch.float64, resets, smooth)
    found = answers(given_, backend, torch.float32, resets, smooth)
    assert max(errors(found, exact).values()) < 2e-6


@pytest.mark.parametrize("shape", [(2, 700, 40, 16), (2, 130, 40, 64)])
def test_ordinary_ranges_stay_exact_over_long_sequences_and_many_states(shape):
    case = arguments(*shape)
    exact = answers(case, "torch", torch.float64)
    assert max(errors(answers(case, "numba"), exact).values()) < 2e-6


@pytest.mark.parametrize(("steps", "decay"), [(5.0, 100.0), (1.0, 0.001), (20.0, 4.0)])
def test_harsh_ranges_cost_at_most_twice_a_plain_float32_loop(steps, decay):
    case = arguments(1, 12_000, 3, 4, steps=steps, decay=decay)
    exact = answers(case, "torch", torch.float64)
    plain, found = errors(answers(case, "torch"), exact), errors(answers(case, "numba"), exact)
    for name, error in found.items():
        assert error <= max(2 * plain[name], 5e-7), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_step_by_step_is_the_whole_scan(backend):
    case = arguments(2, 33, 19, 8, without=())
    y, final = selective_scan(**case, backend=backend, return_final_state=True)
    state = case["initial_state"]
    for t in range(33):
        sequences = {name: case[name][:, t] for name in ("u", "delta", "B", "C", "z")}
        constants = {name: case[name] for name in ("A", "D", "delta_bias")}
        token, state = selective_scan_step(state, **sequences, **constants)
        torch.testing.assert_close(token, y[:, t], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(state, final, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_final_state_continues_the_sequence(backend):
    case = arguments(2, 50, 20, 16)
    sequences = ("u", "delta", "B", "C", "z")
    first = {name: value[:, :21] if name in sequences else value for name, value in case.items()}
    second = {name: value[:, 21:] if name in sequences else value for name, value in case.items()}
    y, state = selective_scan(**first, backend=backend, return_final_state=True)
    rest = selective_scan(**second, backend=backend, initial_state=state)
    whole = selective_scan(**case, backend=backend)
    torch.testing.assert_close(torch.cat([y, rest], 1), whole, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
def test_a_reset_makes_two_sequences_of_one(backend):
    case = arguments(1, 40, 20, 8)
    resets = torch.zeros(1, 40, dtype=torch.bool)
    resets[0, 17] = True
    joined = selective_scan(**case, backend=backend, resets=resets)
    sequences = ("u", "delta", "B", "C", "z")
    tail = {name: value[:, 17:] if name in sequences else value for name, value in case.items()}
    assert torch.equal(joined[:, :17], selective_scan(**case, backend=backend)[:, :17])
    torch.testing.assert_close(joined[:, 17:], selective_scan(**tail, backend=backend), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_half_precision_is_computed_in_float32(backend):
    case = {name: value.bfloat16() for name, value in arguments(2, 40, 20, 16).items()}
    wide = {name: value.float() for name, value in case.items()}
    y = selective_scan(**case, backend=backend)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(
        y, selective_scan(**wide, backend="reference").bfloat16(), atol=1e-2, rtol=1e-2
    )


def test_parameters_may_stay_float32_beside_half_precision():
    case = arguments(2, 12, 20, 16)
    mixed = {
        name: case[name].bfloat16() if name in ("u", "delta", "B", "C", "z") else case[name] for name in case
    }
    assert selective_scan(**mixed).dtype == torch.bfloat16


@pytest.mark.parametrize("backend", BACKENDS)
def test_strided_views_are_read_in_place(backend):
    case = arguments(2, 30, 16, 8)
    both = torch.cat([case["u"], case["z"]], -1)
    views = dict(
        case, u=both[..., :16], z=both[..., 16:], delta=case["delta"].transpose(1, 2).contiguous().mT
    )
    torch.testing.assert_close(
        selective_scan(**views, backend=backend),
        selective_scan(**case, backend=backend),
        atol=1e-6,
        rtol=1e-6,
    )


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_rerun_gives_the_same_bits_on_one_thread_and_on_two(backend, batch):
    case = arguments(batch, 70, 50, 16, without=())
    runs = []
    before = torch.get_num_threads()
    for threads in (1, 1, 2, 2):
        torch.set_num_threads(threads)
        runs.append(answers(case, backend))
    torch.set_num_threads(before)
    for first, second in ((0, 1), (2, 3), *([(0, 2)] if backend == "numba" else [])):
        for name, value in runs[first].items():
            assert torch.equal(value, runs[second][name]), name


@pytest.mark.parametrize("shape", [(2, 70, 32, 16), (1, 48, 16, 13), (2, 33, 20, 16), (2, 33, 32, 8)])
def test_the_last_backward_overwrites_what_it_read_and_an_earlier_one_does_not(shape):
    """A gradient may take the memory of the saved states, but not while another backward will read them."""
    case = {name: value.requires_grad_() for name, value in arguments(*shape).items()}
    inputs = list(case.values())
    y = selective_scan(**case, backend="numba")
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    runs = [torch.autograd.grad(y, inputs, weights, retain_graph=kept) for kept in (True, True, False)]
    for others in runs[1:]:
        assert all(torch.equal(first, other) for first, other in zip(runs[0], others, strict=True))
    exact = torch.autograd.grad(selective_scan(**case, backend="reference"), inputs, weights)
    for found, expected in zip(runs[2], exact, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_last_backward_needs_no_memory_for_the_gradient_of_u():
    case = {name: value.requires_grad_() for name, value in arguments(1, 64, 32, 16).items()}
    y = selective_scan(**case, backend="numba")
    grad_u, grad_delta = torch.autograd.grad(y.sum(), (case["u"], case["delta"]))
    state = 32 * 16 * grad_u.element_size()
    assert grad_u.untyped_storage().nbytes() == (64 // 16 + 1) * state
    assert grad_delta.untyped_storage().nbytes() == grad_delta.nbytes


def test_fading_states_are_flushed_and_the_caller_keeps_its_denormals():
    case = arguments(1, 200, 16, 16, decay=50.0)
    case["u"][:, 3:] = 0
    state = selective_scan(**case, backend="numba", return_final_state=True)[1]
    assert not ((state != 0) & (state.abs() < torch.finfo(torch.float32).tiny)).any()
    assert (torch.tensor(1e-38) * torch.tensor(1e-2)).item() > 0


def test_growing_states_overflow_as_in_the_reference():
    case = arguments(1, 400, 16, 4)
    case["A"] = case["A"].abs() * 3
    found, exact = (selective_scan(**case, backend=name) for name in ("numba", "reference"))
    finite = exact.isfinite()
    assert not finite.all()
    assert torch.equal(found.isfinite(), finite)


@pytest.mark.parametrize("processor", ["generic", "haswell"])
def test_kernels_without_avx512_are_as_exact(processor):
    """Most processors have narrower registers and no instruction that scales by powers of two."""
    program = (
        "from scan_cases import answers, arguments, errors; import torch;"
        "case = arguments(2, 37, 21, 16, without=());"
        "exact = answers(case, 'torch', torch.float64);"
        "print(max(errors(answers(case, 'numba'), exact).values()))"
    )
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    environment = {**os.environ, "NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": "", "PYTHONPATH": path}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) < 2e-6


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("u", torch.zeros(2, 6), r"u: expected shape \(batch, length, channels\), got \(2, 6\)"),
        ("A", torch.zeros(4), r"A: expected shape \(channels, states\), got \(4,\)"),
        ("A", torch.zeros(3, 5), r"A: expected shape \(channels, states\) = \(4, 5\), got \(3, 5\)"),
        ("delta", torch.zeros(2, 6, 3), r"delta: expected shape \(batch, length, channels\) = \(2, 6, 4\)"),
        ("B", torch.zeros(2, 5, 6), r"B: expected shape \(batch, length, states\) = \(2, 6, 5\)"),
        ("C", torch.zeros(2, 6, 4), r"C: expected shape \(batch, length, states\) = \(2, 6, 5\)"),
        ("D", torch.zeros(5), r"D: expected shape \(channels\) = \(4,\)"),
        ("z", torch.zeros(2, 4, 6), r"z: expected shape \(batch, length, channels\) = \(2, 6, 4\)"),
        ("delta_bias", torch.zeros(1), r"delta_bias: expected shape \(channels\) = \(4,\)"),
        ("initial_state", torch.zeros(2, 5, 4), r"initial_state: expected shape \(batch, channels, states\)"),
        (
            "resets",
            torch.zeros(2, 5, dtype=torch.bool),
            r"resets: expected shape \(batch, length\) = \(2, 6\)",
        ),
        ("u", torch.zeros(2, 0, 4), "u: length must be at least 1"),
    ],
)
def test_a_wrong_shape_is_named(name, value, message):
    case = arguments(2, 6, 4, 5)
    case[name] = value
    with pytest.raises(ValueError, match=message):
        selective_scan(**case)


@pytest.mark.parametrize("name", ["delta", "A", "B", "C", "D", "z", "delta_bias"])
def test_a_dtype_mix_is_named(name):
    case = arguments(2, 6, 4, 5)
    case[name] = case[name].double()
    with pytest.raises(TypeError, match=rf"{name}: expected dtype torch.float32 beside u of torch.float32"):
        selective_scan(**case)


def test_resets_must_be_bool():
    with pytest.raises(TypeError, match=r"resets: expected dtype torch.bool"):
        selective_scan(**arguments(2, 6, 4, 5), resets=torch.zeros(2, 6, dtype=torch.int64))


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
@pytest.mark.parametrize("name", ["u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_named(backend, name, bad):
    case = arguments(2, 20, 17, 5, without=())
    case[name].view(-1)[-1] = bad
    if name == "A" and bad > 0:
        case["delta"] += 1
    with pytest.raises(FloatingPointError, match=rf"^{name}: expected finite values of shape"):
        selective_scan(**case, backend=backend)


def test_backends_are_chosen_by_name_by_variable_and_by_device(monkeypatch):
    monkeypatch.delenv("BENCH_SCAN_BACKEND", raising=False)
    assert scan_backend("cpu") == "numba"
    monkeypatch.setenv("BENCH_SCAN_BACKEND", "torch")
    assert scan_backend("cpu") == "torch"
    monkeypatch.setenv("BENCH_SCAN_BACKEND", "fastest")
    with pytest.raises(ValueError, match=r"BENCH_SCAN_BACKEND: expected 'auto' or one of .* got 'fastest'"):
        scan_backend("cpu")
    with pytest.raises(ValueError, match=r"backend: expected 'auto' or one of .* got 'quick'"):
        selective_scan(**arguments(1, 2, 3, 4), backend="quick")


def test_an_absent_backend_says_why():
    with pytest.raises(RuntimeError, match="'mamba_ssm' cannot be used here: it computes on cuda"):
        selective_scan(**arguments(1, 2, 3, 4), backend="mamba_ssm")
    with pytest.raises(
        TypeError, match=r"backend 'numba' expects float32 or half precision, got torch.float64"
    ):
        selective_scan(**{k: v.double() for k, v in arguments(1, 2, 3, 4).items()}, backend="numba")


def test_float64_is_computed_in_float64(monkeypatch):
    monkeypatch.delenv("BENCH_SCAN_BACKEND", raising=False)
    case = {name: value.double() for name, value in arguments(1, 9, 5, 4).items()}
    torch.testing.assert_close(
        selective_scan(**case), selective_scan(**case, backend="reference"), atol=1e-12, rtol=1e-12
    )


def test_without_numba_the_torch_backend_is_used_and_said_once():
    program = (
        "import warnings; warnings.simplefilter('always')\n"
        "import importlib.util; found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'numba' else found(name, *a)\n"
        "from bench.nn.scan import scan_backend; print(scan_backend('cpu'), scan_backend('cpu'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_SCAN_BACKEND": "auto"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert run.stdout.split() == ["torch", "torch"], run.stderr
    assert run.stderr.count("numba is not installed; using the slower torch backend") == 1


@pytest.mark.parametrize("with_resets", [False, True])
def test_what_the_backends_are_compared_by_keeps_to_one_device(with_resets):
    case = arguments(2, 9, 5, 3, without=())
    resets = torch.rand(2, 9) < 0.2 if with_resets else None
    here = answers(case, "torch", resets=resets)
    with OtherDevice():
        there = answers(
            {name: Remote(value) for name, value in case.items()}, "torch",
            resets=None if resets is None else Remote(resets),
        )  # fmt: skip
    assert all(torch.equal(there[name].held, value) for name, value in here.items())


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ModuleNotFoundError("No module named 'einops'", name="einops"), "einops is not installed"),
        (ImportError("libcudart.so.12"), "mamba_ssm fails here, ImportError: libcudart.so.12"),
        (RuntimeError("no kernel image"), "mamba_ssm fails here, RuntimeError: no kernel image"),
    ],
)
def test_a_package_whose_kernels_do_not_work_is_not_used(monkeypatch, error, why):
    """That it is installed says nothing: its kernels may not have been built."""
    interface = types.ModuleType("mamba_ssm.ops.selective_scan_interface")

    def selective_scan_fn(*arguments, **options):
        raise error

    interface.selective_scan_fn = selective_scan_fn
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    assert why_it_fails("mamba_ssm", "cpu") == why


@pytest.mark.parametrize(("why", "chosen"), [("", "triton"), ("triton fails here", "torch")])
def test_on_a_gpu_triton_is_used_where_it_works(why, chosen):
    program = (
        "import warnings; warnings.simplefilter('always')\n"
        "from bench.nn.backends import select\n"
        f"select.why_it_fails = lambda name, device: {why!r}\n"
        "print(select.scan_backend('cuda'), select.scan_backend('cuda'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_SCAN_BACKEND": "auto"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert run.stdout.split() == [chosen, chosen], run.stderr
    assert run.stderr.count("using the slower torch backend") == (1 if why else 0)
