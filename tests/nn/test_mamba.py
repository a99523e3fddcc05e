import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.nn.mamba import MambaMixer
from bench.nn.scan import selective_scan
from bench.nn.scan_mixer import ScanMixer

MIXERS = pytest.mark.parametrize("make", [MambaMixer, ScanMixer])
sizes = st.tuples(st.integers(1, 3), st.integers(1, 40), st.sampled_from([8, 17, 24]))


def gradients(mixer, x, resets, monkeypatch, backend):
    monkeypatch.setenv("BENCH_SCAN_BACKEND", backend)
    x = x.detach().requires_grad_()
    y = mixer(x, resets=resets)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(3)).to(y.dtype)
    return [y, *torch.autograd.grad((y * weights).sum(), [x, *mixer.parameters()])]


@pytest.mark.parametrize("taps", [1, 2, 4, 6])
@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("states", [3, 16])
@MIXERS
def test_the_compiled_path_is_the_written_one(monkeypatch, make, taps, with_resets, states):
    torch.manual_seed(0)
    mixer, x = make(24, d_state=states, d_conv=taps), torch.randn(3, 70, 24)
    resets = torch.rand(3, 70) < 0.1 if with_resets else None
    found = gradients(mixer, x, resets, monkeypatch, "numba")
    exact = gradients(mixer.double(), x.double(), resets, monkeypatch, "torch")
    for value, truth in zip(found, exact, strict=True):
        assert (value - truth).abs().max() < 2e-6 * truth.abs().max()


@MIXERS
@settings(max_examples=15, deadline=None, derandomize=True)
@given(size=sizes, states=st.sampled_from([1, 8, 16]), taps=st.integers(1, 5))
def test_step_by_step_is_the_whole_mixer(make, size, states, taps):
    torch.manual_seed(0)
    batch, length, width = size
    mixer, x = make(width, d_state=states, d_conv=taps), torch.randn(batch, length, width)
    state, outputs = mixer.allocate_state(batch, length), []
    for t in range(length):
        y, state = mixer.step(x[:, t], state)
        outputs.append(y)
    torch.testing.assert_close(torch.stack(outputs, 1), mixer(x), atol=2e-6, rtol=1e-4)


@MIXERS
@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    size=sizes, states=st.sampled_from([1, 8, 16]), taps=st.integers(1, 4), change=st.integers(0, 40)
)  # fmt: skip
def test_compiled_steps_are_too_and_change_over_to_differentiable_ones(make, size, states, taps, change):
    torch.manual_seed(0)
    batch, length, width = size
    mixer, x = make(width, d_state=states, d_conv=taps), torch.randn(batch, length, width)
    state, outputs = mixer.allocate_state(batch, length), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_SCAN_BACKEND", "numba")
        for t in range(length):
            with torch.set_grad_enabled(t > change):
                y, state = mixer.step(x[:, t], state)
            outputs.append(y)
    torch.testing.assert_close(torch.stack(outputs, 1), mixer(x), atol=2e-6, rtol=1e-4)


@torch.no_grad()
def test_a_step_uses_the_weights_as_they_are(monkeypatch):
    monkeypatch.setenv("BENCH_SCAN_BACKEND", "numba")
    torch.manual_seed(0)
    mixer, x = MambaMixer(8, d_state=4), torch.randn(2, 8)
    _, state = mixer.step(x, mixer.allocate_state(2, 1))
    for parameter in (mixer.D, mixer.x_proj.weight, mixer.conv1d.bias):
        parameter.zero_()
    assert (mixer.step(x, state)[0] == 0).all()
    mixer.conv1d.bias.data.fill_(3.0)
    mixer.D.data.fill_(1.0)
    assert (mixer.step(x, mixer.allocate_state(2, 1))[0] != 0).all()


@MIXERS
@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    backend=st.sampled_from(["numba", "torch"]),
)
def test_packed_trajectories_are_what_each_is_alone(make, lengths, backend):
    torch.manual_seed(0)
    mixer = make(8, d_state=4)
    parts = [torch.randn(1, length, 8) for length in lengths]
    resets = torch.cat([torch.arange(length) == 0 for length in lengths]).unsqueeze(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_SCAN_BACKEND", backend)
        packed = mixer(torch.cat(parts, 1), resets=resets)
        alone = torch.cat([mixer(part) for part in parts], 1)
    torch.testing.assert_close(packed, alone, atol=2e-6, rtol=1e-5)


def test_checkpoints_load_into_transformers():
    modeling = pytest.importorskip("transformers.models.mamba.modeling_mamba")
    configuration = pytest.importorskip("transformers.models.mamba.configuration_mamba")
    torch.manual_seed(0)
    ours, x = MambaMixer(32, d_state=8), torch.randn(2, 21, 32)
    config = configuration.MambaConfig(
        hidden_size=32,
        state_size=8,
        expand=2,
        conv_kernel=4,
        time_step_rank=2,
        use_conv_bias=True,
        use_bias=False,
    )
    theirs = modeling.MambaMixer(config, layer_idx=0)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(theirs.eval()(x), ours(x), atol=1e-5, rtol=1e-5)


def test_checkpoints_load_into_mambapy_and_back():
    mambapy = pytest.importorskip("mambapy.mamba")
    torch.manual_seed(0)
    theirs = mambapy.MambaBlock(mambapy.MambaConfig(d_model=32, n_layers=1, d_state=8))
    ours, x = MambaMixer(32, d_state=8), torch.randn(2, 21, 32)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("width", "states", "count"), [(64, 64, 51_072), (128, 64, 153_344), (128, 16, 116_480)]
)
def test_parameter_counts_are_mambas(width, states, count):
    assert sum(p.numel() for p in MambaMixer(width, d_state=states).parameters()) == count


@pytest.mark.parametrize(("width", "states", "count"), [(128, 64, 26_496), (256, 64, 55_040)])
def test_a_bare_scan_has_neither_projections_nor_a_gate_nor_an_expansion(width, states, count):
    shapes = {name: tuple(p.shape) for name, p in ScanMixer(width, states).named_parameters()}
    rank = width // 32
    assert shapes == {
        "A_log": (width, states), "D": (width,), "conv1d.weight": (width, 1, 4), "conv1d.bias": (width,),
        "x_proj.weight": (rank + 2 * states, width), "dt_proj.weight": (width, rank),
        "dt_proj.bias": (width,),
    }  # fmt: skip
    assert sum(math.prod(shape) for shape in shapes.values()) == count


def test_a_bare_scan_reads_the_tokens_and_gives_what_it_scans():
    torch.manual_seed(0)
    mixer, x = ScanMixer(16, d_state=4), torch.randn(2, 9, 16)
    given_ = mixer.scan_inputs(x)
    assert given_.z is None
    torch.testing.assert_close(selective_scan(**given_._asdict()), mixer(x), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("mixer", [MambaMixer(128, d_state=16), ScanMixer(256, d_state=16)])
def test_initialisation_is_mambas(mixer):
    channels = mixer.channels
    step = nn.functional.softplus(mixer.dt_proj.bias)
    assert step.min() >= 9.9e-4
    assert step.max() <= 0.1001
    assert abs(step.log().mean() - (math.log(1e-3) + math.log(1e-1)) / 2) < 0.2
    torch.testing.assert_close(mixer.A_log.exp(), torch.arange(1, 17.0).expand(channels, 16))
    assert (mixer.D == 1).all()
    assert mixer.dt_proj.weight.abs().max() <= mixer.dt_rank**-0.5


@pytest.mark.parametrize("minimum", [1e-2, 1e-4, 1e-6])
def test_step_sizes_start_at_the_minimum_that_is_asked_for(minimum):
    torch.manual_seed(0)
    step = nn.functional.softplus(MambaMixer(512, step_size_minimum=minimum).dt_proj.bias.double())
    assert 0.99 * minimum <= step.min() <= 1.1 * minimum
    assert step.max() <= 0.1001
    with pytest.raises(ValueError, match=r"step_size_minimum: expected above 0 and at most 0\.1, got"):
        MambaMixer(16, step_size_minimum=-minimum)


def test_scan_inputs_are_what_the_mixer_scans():
    torch.manual_seed(0)
    mixer, x = MambaMixer(16, d_state=4), torch.randn(2, 9, 16)
    given_ = mixer.scan_inputs(x)
    torch.testing.assert_close(
        mixer.out_proj(selective_scan(**given_._asdict())), mixer(x), atol=1e-6, rtol=1e-5
    )


def test_training_in_half_precision_runs():
    mixer, x = MambaMixer(16, d_state=4).bfloat16(), torch.randn(2, 9, 16).bfloat16()
    mixer(x).float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in mixer.parameters())


def test_an_in_place_change_before_the_backward_is_noticed(monkeypatch):
    monkeypatch.setenv("BENCH_SCAN_BACKEND", "numba")
    mixer, x = MambaMixer(16, d_state=4), torch.randn(2, 9, 16)
    loss = mixer(x).sum()
    with torch.no_grad():
        mixer.D.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("name", ["conv1d.weight", "x_proj.weight", "dt_proj.bias", "D"])
def test_a_diverged_weight_is_named(monkeypatch, name):
    monkeypatch.setenv("BENCH_SCAN_BACKEND", "numba")
    mixer = MambaMixer(16, d_state=4)
    mixer.get_parameter(name).data.view(-1)[0] = float("nan")
    with pytest.raises(FloatingPointError, match=rf"^{name.removesuffix('.weight')}"):
        mixer(torch.randn(2, 9, 16))


def test_a_wrong_shape_is_named():
    mixer = MambaMixer(16)
    with pytest.raises(ValueError, match=r"x: expected shape \(batch, length, width = 16\), got \(2, 16\)"):
        mixer(torch.zeros(2, 16))
    with pytest.raises(ValueError, match=r"x: expected shape \(batch, width = 16\), got \(2, 3, 16\)"):
        mixer.step(torch.zeros(2, 3, 16), mixer.allocate_state(2, 1))
    with pytest.raises(
        ValueError, match=r"resets: expected a bool tensor of shape \(batch, length\) = \(2, 3\)"
    ):
        mixer(torch.zeros(2, 3, 16), resets=torch.zeros(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="d_state: expected at least 1, got 0"):
        MambaMixer(16, d_state=0)
