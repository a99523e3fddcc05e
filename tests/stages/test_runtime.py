"""Where models train, and what is said when that is not to be had."""

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


def test_a_device_that_is_none_is_named(monkeypatch):
    monkeypatch.setenv("BENCH_DEVICE", "tpu")
    with pytest.raises(SpecError, match="BENCH_DEVICE: expected auto, cpu or cuda, got 'tpu'"):
        training_device()


def test_the_record_names_device_and_scan_backend():
    assert described(torch.device("cpu")) == {
        "device": "cpu",
        "scan_backend": "numba",
        "threads": torch.get_num_threads(),
    }
