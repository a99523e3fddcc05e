"""What a record says of a GPU: nothing without one, else its memory and what computed on it."""

import subprocess

import torch

from bench.stages import gpu_use as module
from bench.stages.gpu_use import driver, gpu_use
from bench.work.record import Record, Status


def test_a_process_that_has_used_no_gpu_says_nothing_of_one():
    assert torch.cuda.is_initialized() or gpu_use() == {}


def test_memory_and_versions_of_a_gpu_are_told(monkeypatch):
    """With torch's answers stood in for."""
    peaks = [3 * 2**20, 2**29 + 2**19]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda number: peaks[number])
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    monkeypatch.setattr(module, "driver", lambda: "580.65.06")
    monkeypatch.setattr(module.importlib.metadata, "version", {"triton": "3.6.0", "mamba-ssm": "2.3.2"}.get)
    used = gpu_use()
    assert used == {
        "gpu_memory_mib": 512.5,
        "gpu_versions": {
            "cuda": "13.0", "cudnn": "91002", "driver": "580.65.06", "triton": "3.6.0", "mamba-ssm": "2.3.2",
        },
    }  # fmt: skip
    assert Record(status=Status("ok"), **used).as_dict() == {"status": "ok"} | used


def test_the_driver_is_what_its_program_says(monkeypatch):
    said = subprocess.CompletedProcess([], 0, stdout="580.65.06\n580.65.06\n")
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: said)
    assert driver() == "580.65.06"


def test_a_machine_without_that_program_has_no_driver(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert driver() == "absent"


def test_a_package_that_is_not_there_is_absent(monkeypatch):
    monkeypatch.setattr(module, "PACKAGES", ("no-such-package",))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda number: 0)
    assert gpu_use()["gpu_versions"]["no-such-package"] == "absent"


def test_a_program_that_does_not_answer_is_waited_for_no_longer_than_said(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(module, "LONGEST_SECONDS", 0.2)
    assert driver() == "absent"


def test_what_cannot_be_found_out_is_said_and_loses_no_record(monkeypatch):
    def lost(number):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lost)
    used = gpu_use()
    assert used == {"gpu_versions": {"unknown": "RuntimeError: CUDA error: device-side assert triggered"}}
    assert Record(status=Status("ok"), **used).as_dict() == {"status": "ok"} | used
