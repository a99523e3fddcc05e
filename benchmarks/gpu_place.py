"""What the steps of `benchmarks.gpu` share: where they run, what they time, and how."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bench.measure.cost import training_step
from bench.methods.base import Learner, make_learner
from bench.nn.backends.select import VARIABLE
from bench.work.cells import parse_slug
from bench.work.jobs import Job
from bench.work.suite import Suite
from benchmarks.timing import Measurement


@dataclass(frozen=True)
class Place:
    """Where it runs, and whether that is a rehearsal."""

    device: torch.device
    tiny: bool

    @property
    def has_gpu(self) -> bool:
        """Whether there is something to be measured."""
        return self.device.type == "cuda"

    def wait(self) -> None:
        """Wait until the device has done all it was told."""
        if self.has_gpu:
            torch.cuda.synchronize(self.device)

    def time(self, run: Callable[[], object], seconds: float) -> tuple[float, float, int]:
        """Best and median milliseconds a call over some turns in about `seconds`, and the number of calls."""
        run()
        self.wait()
        begun = time.perf_counter()
        run()
        self.wait()
        took = time.perf_counter() - begun
        count = 1 if self.tiny else 7 if took < seconds else 3
        calls = 1 if self.tiny else max(1, int(seconds / count / took))
        turns = []
        for _ in range(count):
            begun = time.perf_counter()
            for _ in range(calls):
                run()
            self.wait()
            turns.append(1e3 * (time.perf_counter() - begun) / calls)
        return min(turns), float(np.median(turns)), calls * len(turns)


def captured(run: Callable[[], object]) -> Callable[[], object]:
    """The work of a call as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def each(
    cells: Sequence[tuple[Any, ...]], rows_of: Callable[..., Iterator[Measurement]]
) -> Iterator[Measurement]:
    """The rows of every cell that has some; raises ExceptionGroup at the end where a cell has failed."""
    failed = []
    for cell in cells:
        try:
            yield from rows_of(*cell)
        except Exception as error:  # the other cells are still worth having
            error.add_note(" ".join(map(str, cell)))
            failed.append(error)
    if failed:
        raise ExceptionGroup("cells failed", failed)


@contextmanager
def scan_by(backend: str) -> Iterator[None]:
    """Have `auto` take this backend of the scan."""
    os.environ[VARIABLE] = backend
    try:
        yield
    finally:
        del os.environ[VARIABLE]


def learner(place: Place, task: str, method: str, **changes: Any) -> Learner:
    """A method at the paper tier's size but for `changes`, its weights as initialised from one seed."""
    suite = Suite.from_environment()
    options = Job(suite, "train", "paper", parse_slug(suite.catalogue, task, method, "default"), 0).options
    torch.manual_seed(0)
    made = make_learner(method, options | changes)
    made.model.to(place.device)
    return made


def update_of(place: Place, task: str, method: str, **changes: Any) -> Callable[[], None]:
    """A gradient update on one batch, as training makes it, after which the device is waited for."""
    made = learner(place, task, method, **changes)
    size = 2 if place.tiny else made.options["batch_size"]
    update = training_step(made, size, np.random.default_rng(0))

    def waited() -> None:
        update()
        place.wait()

    return waited


def cost(
    place: Place, benchmark: str, who: str, case: str, update: Callable[[], None]
) -> Iterator[Measurement]:
    """The time of an update, and the peak of the GPU's memory in one."""
    yield Measurement(benchmark, who, case, *place.time(update, 0.7))
    if place.has_gpu:
        torch.cuda.reset_peak_memory_stats()
        update()
        peak = torch.cuda.max_memory_allocated() / 2**20
        yield Measurement(benchmark, who, case, peak, peak, 1, "MiB")


def work_of(run: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds in which the GPU works during a call, and the number of kernels."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        run()
    events = profiled.key_averages()
    return sum(e.self_device_time_total for e in events) / 1e3, float(sum(e.count for e in events))
