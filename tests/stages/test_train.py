"""The same cell gives the same bytes, run twice or taken up after a kill; what goes wrong is a status."""

import importlib
import json
import shutil
import time
from contextlib import nullcontext
from itertools import count

import pytest
import torch
from suites import suite_with

from bench.errors import UserError
from bench.methods.ad import ADLearner
from bench.stages import runner
from bench.stages.checkpoints import checked_data, checkpoint_path, checkpoint_steps
from bench.stages.dataset import dataset
from bench.stages.evaluate import evaluate
from bench.stages.runner import run
from bench.stages.train import Run, train
from bench.work.availability import collector_module
from bench.work.cells import make_cell
from bench.work.jobs import Job, dataset_job
from bench.work.state_files import read_state, write_state

TINY_TIER = """
title: Every stage for real on almost nothing
budget: reduced
budgets:
  - label: darkroom
    tasks: [darkroom]
    methods: [ad-mamba, ad-transformer, dmh, dpt, amago]
    stages: [train, evaluate]
    options: {room_side: 5, train_tasks: 16, test_tasks: 9, history_steps: 20000, horizon: 7,
      evaluation_environments: 9, episodes: 3, context_episodes: 3, embedding_dim: 16, batch_size: 4,
      updates: 6, warmup_updates: 2, checkpoints: 2}
    core_seconds: {train: 1, evaluate: 1}
  - label: hopper
    tasks: [hopper-medium]
    methods: [dt, dema]
    stages: [train, evaluate]
    options: {transitions: 2000, embedding_dim: 16, layers: 1, batch_size: 4, updates: 6, warmup_updates: 2,
      checkpoints: 2, evaluation_episodes: 2}
    core_seconds: {train: 1, evaluate: 1}
  - label: hopper, feed-forward
    tasks: [hopper-medium]
    methods: [bc, bc-10, td3, td3-bc]
    stages: [train, evaluate]
    options: {transitions: 2000, hidden_dim: 16, batch_size: 4, updates: 6, warmup_updates: 2, checkpoints: 2,
      evaluation_episodes: 2}
    core_seconds: {train: 1, evaluate: 1}
  - label: hopper, guided by critics
    tasks: [hopper-medium]
    methods: [qt, q-dema]
    stages: [train, evaluate]
    options: {transitions: 2000, embedding_dim: 16, layers: 1, hidden_dim: 16, batch_size: 4, updates: 6,
      slow_policy_from: 2, slow_policy_every: 2, candidates_per_target: 3, checkpoints: 2,
      evaluation_episodes: 2}
    core_seconds: {train: 1, evaluate: 1}
  - label: T-maze
    tasks: [tmaze-passive-10]
    methods: [dt, dm, lstm]
    stages: [train, evaluate]
    options: {embedding_dim: 16, layers: 1, updates: 6, warmup_updates: 2, checkpoints: 2, temperature: 1.0}
    core_seconds: {train: 1, evaluate: 1}
"""
SUITE = suite_with(tiny=TINY_TIER)
CHECKPOINT = ["step-0000003.json", "step-0000003.safetensors"]
METHODS = [
    ("darkroom", "ad-mamba"),
    ("darkroom", "ad-transformer"),
    ("darkroom", "dmh"),
    ("hopper-medium", "dt"),
    ("hopper-medium", "dema"),
    ("tmaze-passive-10", "dm"),
    ("tmaze-passive-10", "lstm"),
    ("darkroom", "dpt"),
    ("darkroom", "amago"),
    ("hopper-medium", "bc"),
    ("hopper-medium", "bc-10"),
    ("hopper-medium", "td3"),
    ("hopper-medium", "td3-bc"),
    ("hopper-medium", "qt"),
    ("hopper-medium", "q-dema"),
]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """A folder in which the datasets of both tasks lie."""
    folder = tmp_path_factory.mktemp("datasets")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for task, method in (METHODS[0], METHODS[3], METHODS[5]):
            job = dataset_job(SUITE, "tiny", make_cell(SUITE.catalogue, task, method, {}))
            run(job, dataset)
            assert str(job.recorded().status) == "ok"
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch, datasets):
    """A function that goes to a new folder with the datasets in it."""

    def go(name):
        shutil.copytree(datasets, tmp_path / name)
        monkeypatch.chdir(tmp_path / name)

    return go


def job_of(stage, task="darkroom", method="ad-mamba", seed=0):
    return Job(SUITE, stage, "tiny", make_cell(SUITE.catalogue, task, method, {}), seed)


def finish(task, method, seed=0):
    """Train and evaluate; the bytes of both tables and the weights of both checkpoints."""
    tables = []
    for stage, work in (("train", train), ("evaluate", evaluate)):
        job = job_of(stage, task, method, seed)
        run(job, work)
        assert str(job.recorded().status) == "ok", str(job.recorded().status)
        tables.append(job.table.read_bytes())
    saved = sorted((job.folder / "checkpoints").glob("*.json"))
    assert len(saved) == 2
    return tables, [read_state(path)["model"] for path in saved]


def assert_same_weights(first, second):
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name, weight in one.items():
            assert torch.equal(weight, other[name]), name


@pytest.mark.parametrize(("task", "method"), METHODS)
def test_the_same_cell_twice_gives_the_same_bytes_and_another_seed_others(place, task, method):
    place("first")
    tables, weights = finish(task, method)
    assert len(set(tables[1].splitlines())) > 3, "scores that are all the same would be equal by chance"
    other_tables, _ = finish(task, method, seed=1)
    place("second")
    again_tables, again_weights = finish(task, method)
    assert again_tables == tables
    assert_same_weights(again_weights, weights)
    assert other_tables[0] != tables[0]


@pytest.mark.parametrize(("task", "method"), METHODS)
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(place, monkeypatch, capsys, task, method):
    place("whole")
    tables, weights = finish(task, method)
    place("killed")
    update = Run.update

    def killed_in_the_fifth(self):
        if self.step == 4:
            raise KeyboardInterrupt
        update(self)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "update", killed_in_the_fifth)
        with pytest.raises(KeyboardInterrupt):
            run(job_of("train", task, method), train)
    job = job_of("train", task, method)
    assert job.state == "missing", "a killed run leaves no record"
    assert sorted(path.name for path in (job.folder / "checkpoints").iterdir()) == CHECKPOINT
    capsys.readouterr()
    resumed_tables, resumed_weights = finish(task, method)
    assert "resumed after 3 updates" in capsys.readouterr().out
    assert resumed_tables == tables
    assert_same_weights(resumed_weights, weights)


def test_checkpoints_of_other_code_are_not_gone_on_from(place, capsys):
    place("whole")
    tables, _ = finish("darkroom", "ad-mamba")
    job = job_of("train")
    for path in (job.folder / "checkpoints").glob("*.json"):
        write_state(path, read_state(path) | {"fingerprint": "of other code"})
    capsys.readouterr()
    again, _ = finish("darkroom", "ad-mamba")
    assert "resumed" not in capsys.readouterr().out
    assert again == tables


def test_a_loss_that_is_not_finite_is_a_status_and_evaluation_is_skipped(place, monkeypatch):
    place("diverging")
    monkeypatch.setattr(ADLearner, "loss", lambda self, batch: self.model(**batch).sum() * float("nan"))
    run(job_of("train"), train)
    run(job_of("evaluate"), evaluate)
    train_record, evaluate_record = (job_of(stage).recorded() for stage in ("train", "evaluate"))
    assert str(train_record.status) == "diverged: loss is nan after 1 updates"
    assert str(evaluate_record.status) == "skipped: its training is diverged: loss is nan after 1 updates"
    assert job_of("evaluate").table.read_text() == "metric,step,index,value\n"


def test_a_run_may_go_on_on_another_device(place, monkeypatch):
    """Begun on a GPU and ended on a CPU: nothing of a GPU is needed, and the record names both."""
    place("moved")
    whole, _ = finish("darkroom", "ad-transformer")
    job = job_of("train", method="ad-transformer")
    first, last = sorted((job.folder / "checkpoints").glob("*.json"))
    last.unlink()
    write_state(first, read_state(first) | {"devices": ["a GPU"]})
    again, _ = finish("darkroom", "ad-transformer")
    assert again == whole
    assert job.recorded().device == "a GPU and cpu"
    assert job.recorded().facts["training_clock"] == "wall and processor", "seconds that are no one's"


def test_updates_are_timed_by_the_processor_and_on_a_gpu_by_the_wall(place, monkeypatch):
    """While a GPU works, the processor's time is that of Python and of waiting in a loop."""
    place("timed")
    finish("darkroom", "ad-transformer")
    assert job_of("train", method="ad-transformer").recorded().facts["training_clock"] == "processor"
    ticks = {"processor": count(0, 1.0), "wall": count(0, 10.0)}
    monkeypatch.setattr("bench.stages.train.time.process_time", lambda: next(ticks["processor"]))
    monkeypatch.setattr("bench.stages.train.time.perf_counter", lambda: next(ticks["wall"]))
    collector = importlib.import_module(collector_module(SUITE.catalogue, "darkroom"))
    spent = {}
    for device in ("cpu", "cuda"):
        run = Run(job_of("train", method="ad-transformer"))
        run.learner.prepare(collector.load(checked_data(run.job.upstream[0])))
        run.device = torch.device(device)
        run.update()
        spent[device] = run.spent
    assert spent == {"cpu": 1.0, "cuda": 10.0}


def test_dropout_on_a_gpu_is_seeded_by_the_checkpoint(place, monkeypatch):
    """With a GPU's generator stood in for by a list of what it is seeded with."""
    place("seeded")
    assert finish("darkroom", "ad-transformer")
    seeds = []
    monkeypatch.setattr(torch.cuda, "manual_seed", seeds.append)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    run = Run(job_of("train", method="ad-transformer"))
    run.device = torch.device("cuda")
    run.step = 3
    run.save()
    assert len(seeds) == 1
    going_on = Run(job_of("train", method="ad-transformer"))
    going_on.device = torch.device("cuda")
    checkpoint_path(going_on.job.folder, 6).unlink()
    going_on.resume()
    assert seeds == [seeds[0]] * 2


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
])  # fmt: skip
def test_memory_that_ran_out_is_a_status_of_its_own(place, monkeypatch, error):
    place("full")

    def full(self, batch):
        raise error

    monkeypatch.setattr(ADLearner, "loss", full)
    run(job_of("train"), train)
    assert str(job_of("train").recorded().status) == "oom"


def test_a_bug_is_a_status_and_what_the_user_can_mend_is_raised(place, monkeypatch):
    place("broken")

    def broken(self, batch):
        raise ValueError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(ADLearner, "loss", broken)
        run(job_of("train"), train)
    assert str(job_of("train").recorded().status) == "failed: ValueError: planted"
    next(
        (
            dataset_job(SUITE, "tiny", make_cell(SUITE.catalogue, "darkroom", "ad-mamba", {})).folder / "data"
        ).iterdir()
    ).write_bytes(b"")
    with pytest.raises(UserError, match=r"histories\.npz"):
        run(job_of("train", seed=1), train)
    assert not job_of("train", seed=1).record.exists()


def test_training_without_its_dataset_is_skipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(job_of("train"), train)
    assert str(job_of("train").recorded().status) == "skipped: its dataset is not made"


def test_the_seconds_of_a_record_are_those_of_its_work_and_not_of_what_is_asked_afterwards(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "gpu_use", lambda: time.sleep(1.5) or {})
    run(job_of("train"), lambda _: ([("training_loss", 1, 0.0, 0.5)], {}))
    record = job_of("train").recorded()
    assert record.status.is_ok
    assert record.seconds < 1.5


def test_the_sidecar_says_what_was_run(place):
    place("whole")
    finish("darkroom", "ad-mamba")
    record = json.loads(job_of("evaluate").record.read_text())
    assert record["fingerprint"] == job_of("evaluate").fingerprint
    assert record["command"] == (
        "python -m bench evaluate --tier tiny --task darkroom --method ad-mamba --seed 0 --settings 'default'"
    )
    assert record["seconds"] > 0
    assert record["peak_memory_mib"] > 10
    assert record["facts"]["threads"] == 1
    assert {
        "git_commit",
        "versions",
        "platform",
        "parts",
        "cpu_seconds",
        "started",
    } <= record.keys()


@pytest.mark.parametrize(
    ("updates", "checkpoints", "steps"),
    [(6, 2, [3, 6]), (10, 1, [10]), (3, 10, [1, 2, 3]), (10, 4, [2, 5, 8, 10])],
)
def test_checkpoints_are_evenly_spaced_and_the_last_is_the_end(updates, checkpoints, steps):
    assert checkpoint_steps({"updates": updates, "checkpoints": checkpoints}) == steps
