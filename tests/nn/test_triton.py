"""The Triton kernels without a GPU: interpreted on the CPU, and compiled for a Hopper."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scan_cases import arguments

from bench.nn.scan import selective_scan

triton = pytest.importorskip(
    "triton", reason="Triton is not installed: pip install -c constraints.txt -e '.[dev]'"
)
HERE = Path(__file__).parent


def test_the_interpreted_kernels_keep_their_promises():
    """In a process of its own: whether kernels are interpreted is decided where Triton is imported."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, str(HERE / "interpreted_triton.py")],
        cwd=HERE.parents[1], env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


def test_compiled_kernels_want_a_gpu():
    with pytest.raises(RuntimeError, match="'triton' cannot be used here: it computes on cuda"):
        selective_scan(**arguments(1, 2, 3, 4), backend="triton")


def compiled(kernel, states, absent):
    """The kernel in machine code for compute capability 9.0, made as for a launch with float32 tensors."""
    from bench.nn.backends.triton_scan import constants
    from bench.nn.kernels.triton_scan import SIZES

    fixed = constants(states, softplus=True)
    warps = fixed.pop("num_warps")
    fixed |= dict.fromkeys(absent)
    fixed = {name: value for name, value in fixed.items() if name in kernel.arg_names}

    def kind(name):
        if name in fixed:
            return "constexpr"
        is_size = name in SIZES or name == "channels" or name.endswith(("_row", "_token"))
        return "i32" if is_size and name != "by_row" else "*u8" if name == "resets" else "*fp32"

    source = triton.compiler.ASTSource(
        kernel, {name: kind(name) for name in kernel.arg_names},
        {(kernel.arg_names.index(name),): value for name, value in fixed.items()},
    )  # fmt: skip
    target = triton.backends.compiler.GPUTarget("cuda", 90, 32)
    return triton.compile(source, target=target, options={"num_warps": warps})


@pytest.mark.parametrize("direction", ["scan_forward", "scan_backward"])
@pytest.mark.parametrize(
    ("states", "absent"), [(64, ("initial", "final", "grad_initial", "grad_final", "resets")), (6, ())]
)
def test_kernels_compile_for_a_hopper_without_atomic_additions(
    monkeypatch, tmp_path, direction, states, absent
):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    from bench.nn.kernels import triton_scan

    made = compiled(getattr(triton_scan, direction), states, absent)
    assert ".target sm_90" in made.asm["ptx"]
    assert not re.search(r"\b(atom|red)\.", made.asm["ptx"])
    assert len(made.asm["cubin"]) > 1000
