import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A kernel of a few instructions that goes through a helper of the kernels' own, and needs no torch.
PROGRAM = """
import sys
import numpy as np
from numba import float32, types
from bench.nn.kernels.cache import compile_kernel
from bench.nn.kernels.functions import sigmoid
from bench.nn.kernels.memory import load, store

def probe(values):
    store(values, (0,), sigmoid(load(values, (0,))))

kernel = compile_kernel(probe, types.void(float32[::1]))
values = np.zeros(16, np.float32)
kernel(values)
print(values[0], sum(kernel._cache_misses.values()))
"""


def start(source, cache):
    environment = {**os.environ, "PYTHONPATH": str(source), "BENCH_CACHE": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=source,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(process):
    """Return the value computed, how many kernels were compiled for it, and what was warned."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    value, compiled = out.split()
    return float(value), int(compiled), err


@pytest.fixture
def source(tmp_path):
    """A copy of the kernels that a test may edit."""
    kernels = tmp_path / "source" / "bench" / "nn" / "kernels"
    shutil.copytree(ROOT / "bench" / "nn" / "kernels", kernels, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "source"


def test_cold_processes_share_one_kernel_and_edits_are_never_stale(source, tmp_path):
    cache = tmp_path / "cache"
    both = [start(source, cache), start(source, cache)]
    assert sorted(outcome(process)[:2] for process in both) == [(0.5, 0), (0.5, 1)]
    assert outcome(start(source, cache))[:2] == (0.5, 0)

    helper = source / "bench" / "nn" / "kernels" / "functions.py"
    times = helper.stat()
    code = helper.read_text()
    sigmoid = "return where_negative(x, e, broadcast(ONE)) * inverse_of_one_plus(e)"
    assert code.count(sigmoid) == 1
    helper.write_text(code.replace(sigmoid, "return where_negative(x, e, broadcast(ONE))"))
    os.utime(helper, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert outcome(start(source, cache))[:2] == (1.0, 1)


def test_a_torn_file_is_compiled_again(source, tmp_path):
    cache = tmp_path / "cache"
    outcome(start(source, cache))
    (kernel,) = cache.rglob("probe.kernel")
    kernel.write_bytes(kernel.read_bytes()[:-100])
    assert outcome(start(source, cache))[:2] == (0.5, 1)
    assert outcome(start(source, cache))[:2] == (0.5, 0)


def test_a_cache_that_cannot_be_written_is_done_without(source, tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("")
    value, _, warned = outcome(start(source, occupied))
    assert value == 0.5
    assert "cannot be used" in warned


def test_kernels_depend_on_nothing_outside_their_folder():
    """The cache hashes this folder's sources, so that nothing else of the suite may be compiled in."""
    for path in (ROOT / "bench" / "nn" / "kernels").glob("*.py"):
        for line in path.read_text().splitlines():
            if line.startswith(("from bench", "import bench")):
                assert line.startswith("from bench.nn.kernels"), f"{path.name}: {line}"


TRAIN = """
import torch
from bench.nn.backbone import Backbone
from bench.nn.backends import numba_mixer, numba_program, numba_scan, numba_step
from bench.nn.mamba import MambaMixer

mixer = MambaMixer(8)
mixer(torch.randn(2, 5, 8)).sum().backward()
with torch.no_grad():
    mixer.step(torch.randn(2, 8), mixer.allocate_state(2, 1))
    net = Backbone(1, 8, lambda _: mixer).eval()
    net.step(torch.randn(1, 8), net.allocate_state(1, 1))
kernels = [
    numba_mixer.forward_kernel(), numba_mixer.backward_kernel(), numba_scan.forward_kernel(),
    numba_scan.backward_kernel(), numba_step.convolution_kernel(), numba_step.scan_kernel(),
    numba_program.program_kernel(),
]
print(len(kernels), sum(sum(kernel._cache_misses.values()) for kernel in kernels))
"""


def test_a_second_process_compiles_nothing(monkeypatch):
    monkeypatch.setenv("BENCH_SCAN_BACKEND", "numba")
    printed = [
        subprocess.run(
            [sys.executable, "-c", TRAIN], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    ]
    assert printed[1].split() == ["7", "0"]
