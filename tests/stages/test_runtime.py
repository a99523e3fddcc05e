"""Where models train, and what is said when that is not to be had."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.errors import SpecError, UnavailableError
from bench.stages.runtime import described, training_device


def test_a_machine_without_a_gpu_trains_on_the_cpu(monkeypatch):
    monkeypatch.delenv("BENCH_DEVICE", raising=False)
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert training_device().type == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_an_absent_gpu_is_unavailable_with_a_remedy(monkeypatch):
    monkeypatch.setenv("BENCH_DEVICE", "cuda")
    with pytest.raises(UnavailableError, match=r"BENCH_DEVICE=cuda, but .* sees no GPU; unset it"):
        training_device()


@pytest.mark.parametrize("name", ["tpu", "cuda:first", "cuda:-1", "cpu:0"])
def test_a_device_that_is_none_is_named(monkeypatch, name):
    monkeypatch.setenv("BENCH_DEVICE", name)
    with pytest.raises(SpecError, match=f"BENCH_DEVICE: expected .* cuda:<number>, got '{name}'"):
        training_device()


def test_the_gpus_of_a_machine_are_counted_before_one_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("BENCH_DEVICE", "cuda:1")
    assert training_device() == torch.device("cuda:1")
    monkeypatch.setenv("BENCH_DEVICE", "cuda:2")
    with pytest.raises(UnavailableError, match="BENCH_DEVICE=cuda:2, but torch sees GPUs 0 to 1 only"):
        training_device()


def test_a_gpu_computes_deterministically_and_in_float32():
    """Where operators may only warn, torch's backward of attention takes its other kernel.

    In a process of its own, since it is about the state of one, and as on a machine with a GPU.
    """
    program = (
        "import os, torch; torch.cuda.is_available = lambda: True\n"
        "from bench.stages.runtime import one_thread; one_thread()\n"
        "print(torch.are_deterministic_algorithms_enabled(),"
        " torch.is_deterministic_algorithms_warn_only_enabled(), torch.backends.cudnn.allow_tf32,"
        " torch.backends.cuda.matmul.allow_tf32, torch.utils.deterministic.fill_uninitialized_memory,"
        " os.environ['CUBLAS_WORKSPACE_CONFIG'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "CUBLAS_WORKSPACE_CONFIG"}
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert run.stdout.split() == ["True", "False", "False", "False", "False", ":4096:8"], run.stderr


def test_the_record_names_device_and_scan_backend():
    assert described(torch.device("cpu")) == {
        "device": "cpu",
        "scan_backend": "numba",
        "threads": torch.get_num_threads(),
    }
