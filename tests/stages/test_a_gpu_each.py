"""Trainings on one machine share its GPUs out: pretend devices, real processes."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOLD = (
    "import os, sys; from bench.stages.devices import hold_device; "
    "print(hold_device() or 'none', os.environ.get('CUDA_VISIBLE_DEVICES', 'unset'), flush=True); "
    "sys.stdin.read()"
)


MODULES = ("evaluate", "attend", "intervene", "probe", "dataset", "train")
# Stands in for a stage's module: says, at its import, what torch would see.
SEEN = """
import importlib, os, sys
real = importlib.import_module
def imported(name, package=None):
    if name.startswith("bench.stages."):
        assert "torch" not in sys.modules
        print(os.environ.get("CUDA_VISIBLE_DEVICES", "unset"))
        sys.exit()
    return real(name, package)
importlib.import_module = imported
from bench.__main__ import main
sys.argv = ["bench", {name!r}]
main()
"""


def seen_by(name, **environment):
    """What is visible to a stage when its module is imported, by the command line."""
    base = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "CUDA", "BENCH"))}
    run = subprocess.run(
        [sys.executable, "-c", SEEN.format(name=name)],
        env=base | {"PYTHONPATH": str(ROOT)} | environment, capture_output=True, text=True,
    )  # fmt: skip
    assert not run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize("name", MODULES)
def test_all_stages_but_training_see_no_gpu(name):
    """Hidden before torch is imported, which would start the driver when asked for a GPU."""
    assert seen_by(name, CUDA_VISIBLE_DEVICES="0,1") == ("0,1" if name == "train" else "")
    assert seen_by(name) == ("unset" if name == "train" else "")


def test_a_stage_sees_the_gpu_that_was_asked_for():
    assert seen_by("probe", BENCH_DEVICE="cuda:1") == "unset"
    assert seen_by("probe", BENCH_DEVICE="cpu") == ""


class Machine:
    """Starts processes that take a device and hold it until they are told to end."""

    def __init__(self, folder):
        self.folder, self.running = folder, []

    def start(self, **environment):
        base = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "CUDA", "BENCH"))}
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD],
            env=base | {"TMPDIR": str(self.folder), "PYTHONPATH": str(ROOT)} | environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.running.append(process)
        return process

    def said(self, process):
        """The next line: `device what-cuda-sees`, or that it waits."""
        return process.stdout.readline().strip()


@pytest.fixture
def machine():
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(folder)
        yield machine
        for process in machine.running:
            process.kill()
            process.communicate()


def test_each_process_gets_a_device_of_its_own_and_sees_no_other(machine):
    processes = [machine.start(CUDA_VISIBLE_DEVICES="0,1,2") for _ in range(3)]
    assert sorted(machine.said(process) for process in processes) == ["0 0", "1 1", "2 2"]


def test_one_process_too_many_waits_until_a_killed_holder_frees_its_device(machine):
    first, second = (machine.start(CUDA_VISIBLE_DEVICES="4,7") for _ in range(2))
    held = {machine.said(first): first, machine.said(second): second}
    third = machine.start(CUDA_VISIBLE_DEVICES="4,7")
    assert machine.said(third) == "every GPU is taken (4, 7): waiting for one"
    assert third.poll() is None
    held["7 7"].kill()
    assert machine.said(third) == "7 7"


def test_what_slurm_gave_a_job_is_kept_whatever_other_jobs_hold(machine):
    """Slurm numbers the devices of each job from 0: equal names are not equal devices."""
    jobs = [machine.start(CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID=job) for job in ("11", "12")]
    assert [machine.said(process) for process in jobs] == ["0 0", "0 0"]


def test_processes_within_one_slurm_job_share_its_devices_out(machine):
    inside = [machine.start(CUDA_VISIBLE_DEVICES="0,1", SLURM_JOB_ID="11") for _ in range(2)]
    assert sorted(machine.said(process) for process in inside) == ["0 0", "1 1"]


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_devices_stay_hidden(machine, hidden):
    assert machine.said(machine.start(CUDA_VISIBLE_DEVICES=hidden)) == f"none {hidden}".strip()


def test_a_device_named_by_the_user_is_not_shared_out(machine):
    assert machine.said(machine.start(CUDA_VISIBLE_DEVICES="0,1", BENCH_DEVICE="cuda:1")) == "none 0,1"
