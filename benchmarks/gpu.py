"""Check and measure a GPU: `python -m benchmarks.gpu [step ...]`, all steps by default, some four minutes.

Each step writes results/benchmarks/gpu_<step>.csv, row by row, so that a cut run keeps what it has:
- `error`: the Triton scan's largest error against the float64 reference, and whether two runs have the same
  bits;
- `bits`: whether two short trainings from one seed end with equal weights;
- `updates`: a gradient update at the papers' sizes, its memory, its kernels, and the GPU's own time;
- `scan`: the scan alone by launch shape, beside the torch backend's loop; `eager` is what a call takes from
  Python, `graph` what the same work takes replayed as a CUDA graph, without Python;
- `shared`: updates a second of all of 1, 4 and 12 processes that train at once;
- `lengths`, `contexts`: an update over the steps of a window and of a context, with its memory.

A step that fails says why and the others go on; the exit status is then 1. `--device cpu --tiny` rehearses
all of it without a GPU, Triton left out: its numbers are worth nothing, and no file is written.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator

import numpy as np
import torch

from bench.measure.cost import training_step
from bench.stages.runtime import device_name, one_thread
from benchmarks.goals import BOTH, FORWARD
from benchmarks.gpu_place import Place, captured, cost, each, learner, scan_by, update_of, work_of
from benchmarks.passes import forward, forward_backward, ours, scan_inputs
from benchmarks.timing import Measurement, write

# batch, length, channels, states: DeMa in MuJoCo in two widths, DM-H in rooms, a whole episode of DeMa, and a
# long T-maze.
SHAPES = ((64, 60, 128, 64), (64, 60, 256, 64), (128, 40, 256, 16), (64, 3000, 128, 64), (2, 3003, 256, 16))
# States that a program holds, and its warps.
LAUNCHES = ((128, 1), (256, 1), (512, 1), (1024, 4))
# The papers' methods at their printed sizes.
CELLS = (
    ("hopper-medium", "dt"), ("hopper-medium", "dema"), ("halfcheetah-medium-expert", "dema"),
    ("darkroom", "ad-transformer"), ("darkroom", "ad-mamba"), ("darkroom", "dmh"),
    ("tmaze-passive-100", "dm"), ("tmaze-passive-1000", "dm"), ("tmaze-passive-1000", "dmh"),
    ("tmaze-passive-1000", "dt"),
    ("hopper-medium", "bc"), ("hopper-medium", "td3-bc"), ("hopper-medium", "qt"),
)  # fmt: skip
# Steps of a full context, by task.
CONTEXTS = {"darkroom": 200, "large-darkroom": 2000, "hopper-medium": 4000}
SHARING = ("hopper-medium", "dema")
SHARED, SECONDS_SHARED = (1, 4, 12), 3.0


def error(place: Place) -> Iterator[Measurement]:
    """Values and gradients in three shapes, with and without resets, both states among them."""
    sys.path.insert(0, "tests/nn")
    from scan_cases import answers, arguments, errors

    for shape in ((3, 37, 20, 6), (2, 60, 128, 64), (1, 700, 33, 16)):
        case = arguments(*shape, without=())
        resets = torch.rand(shape[:2], generator=torch.Generator().manual_seed(7)) < 0.05
        there = {name: value.to(place.device) for name, value in case.items()}
        for some in (None, resets):
            exact = answers(case, "reference", torch.float64, some)
            marked = None if some is None else some.to(place.device)
            backend = "triton" if place.has_gpu else "torch"
            first, second = (answers(there, backend, resets=marked) for _ in range(2))
            same = all(torch.equal(value, second[name]) for name, value in first.items())
            largest = max(errors({name: value.cpu() for name, value in first.items()}, exact).values())
            name = f"{'x'.join(map(str, shape))}{'' if some is None else ', resets'}"
            yield Measurement("gpu_error", backend, name, largest, largest, 1, "relative error")
            yield Measurement("gpu_error", backend, name, float(same), float(same), 2, "same bits")


def scan(place: Place) -> Iterator[Measurement]:
    """Both passes of the scan in the papers' shapes."""

    def timed_as(who: str, inputs: list[torch.Tensor], capture: bool) -> Iterator[Measurement]:
        backend = who.split()[0]
        for way, passes in ((FORWARD, forward), (BOTH, forward_backward)):
            run = passes(ours(backend), inputs)
            for how, timed in (("eager", run), *([("graph", captured(run))] if capture else [])):
                case = f"{way} {'x'.join(map(str, shape))}, {how}"
                yield Measurement("gpu_scan", who, case, *place.time(timed, 0.1))

    for shape in SHAPES:
        if place.tiny:
            shape = (1, min(shape[1], 20), 8, 4)
        inputs = scan_inputs(*shape, device=place.device)
        if place.has_gpu:
            from bench.nn.backends import triton_scan

            usual = triton_scan.TILE, triton_scan.WARPS
            for triton_scan.TILE, triton_scan.WARPS in LAUNCHES:
                yield from timed_as(f"triton {triton_scan.TILE}/{triton_scan.WARPS}", inputs, True)
            triton_scan.TILE, triton_scan.WARPS = usual
        if shape[1] <= 60:
            yield from timed_as("torch", inputs, False)


def updates(place: Place) -> Iterator[Measurement]:
    """Milliseconds of an update, those in which the GPU works, and the peak of its memory."""

    def of_cell(task: str, method: str) -> Iterator[Measurement]:
        update = update_of(place, task, method)
        yield from cost(place, "gpu_updates", method, task, update)
        if place.has_gpu:
            busy, launches = work_of(update)
            yield Measurement("gpu_updates", method, task, busy, busy, 1, "ms the GPU works")
            yield Measurement("gpu_updates", method, task, launches, launches, 1, "kernels")

    def by_loop(task: str, method: str) -> Iterator[Measurement]:
        with scan_by("torch"):
            slow = place.time(update_of(place, task, method), 0.7)
        yield Measurement("gpu_updates", f"{method}, torch's loop", task, *slow)

    def filled(task: str, method: str) -> Iterator[Measurement]:
        torch.utils.deterministic.fill_uninitialized_memory = True
        slow = place.time(update_of(place, task, method), 0.7)
        torch.utils.deterministic.fill_uninitialized_memory = False
        yield Measurement("gpu_updates", f"{method}, memory filled", task, *slow)

    yield from each(CELLS[:2] if place.tiny else CELLS, of_cell)
    yield from each(CELLS[:2], filled)
    if place.has_gpu:
        yield from each((CELLS[1], CELLS[5], CELLS[6]), by_loop)


def lengths(place: Place) -> Iterator[Measurement]:
    """DT and DeMa over the steps of a window (DeMa Figure 2), a batch as printed."""

    def of_window(method: str, steps: int) -> Iterator[Measurement]:
        update = update_of(place, "hopper-medium", method, context_length=steps)
        yield from cost(place, "gpu_lengths", method, f"{steps} steps", update)

    wanted = (5, 20) if place.tiny else (5, 20, 50, 100, 200, 500, 1000)
    yield from each([(method, steps) for steps in wanted for method in ("dt", "dema")], of_window)


def contexts(place: Place) -> Iterator[Measurement]:
    """The methods that learn in context over the steps of a context (DM-H Table 4), four contexts a batch."""

    def of_context(task: str, method: str, steps: int) -> Iterator[Measurement]:
        update = update_of(place, task, method, batch_size=4)
        yield from cost(place, "gpu_contexts", method, f"{steps} steps", update)

    wanted = list(CONTEXTS.items())[: 1 if place.tiny else None]
    methods = ("ad-transformer", "ad-mamba", "dmh")
    yield from each([(task, method, steps) for task, steps in wanted for method in methods], of_context)


def bits(place: Place) -> Iterator[Measurement]:
    """Five updates, twice."""

    def of_cell(task: str, method: str) -> Iterator[Measurement]:
        ends = []
        for _ in range(2):
            made = learner(place, task, method)
            size = 2 if place.tiny else made.options["batch_size"]
            update = training_step(made, size, np.random.default_rng(0))
            for _ in range(5):
                update()
            ends.append(torch.cat([weights.detach().flatten() for weights in made.model.parameters()]))
        same = float(torch.equal(*ends))
        yield Measurement("gpu_bits", method, task, same, same, 2, "same bits")

    yield from each(CELLS[:1] if place.tiny else CELLS, of_cell)


def shared(place: Place) -> Iterator[Measurement]:
    """Processes that train DeMa side by side: all are started at once, then ever more of them work."""
    counts = (1, 2) if place.tiny else SHARED
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", str(place.device), "--worker"]
    command += ["--tiny"] if place.tiny else []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    workers = [subprocess.Popen(command, text=True, bufsize=1, **pipes) for _ in range(counts[-1])]
    for count in (0, *counts):
        # Nothing is asked of them at first: each says so once it is ready.
        asked = workers[:count] or workers
        for worker in workers[:count]:
            worker.stdin.write("work\n")
        rate = sum(float(worker.stdout.readline()) for worker in asked)
        if count:
            case = f"{SHARING[0]}, {count} processes"
            yield Measurement("gpu_shared", SHARING[1], case, rate, rate, 1, "updates a second")
    for worker in workers:
        worker.communicate()


def work(place: Place) -> None:
    """Print 0 when ready, then for each line that is read the updates a second that this process makes."""
    update = update_of(place, *SHARING)
    for _ in range(3):
        update()
    print(0, flush=True)
    for _ in sys.stdin:
        begun, made = time.perf_counter(), 0
        while (spent := time.perf_counter() - begun) < SECONDS_SHARED:
            update()
            made += 1
        print(made / spent, flush=True)


STEPS: dict[str, Callable[[Place], Iterator[Measurement]]] = {
    "error": error, "bits": bits, "updates": updates, "scan": scan, "shared": shared, "lengths": lengths,
    "contexts": contexts,
}  # fmt: skip


def facts_of(place: Place, step: str) -> dict[str, str]:
    """What the numbers depend on beside the host, and the command that makes them."""
    import triton

    return {
        "device": device_name(place.device),
        "cuda": str(torch.version.cuda),
        "triton": triton.__version__,
        "command": f"python -m benchmarks.gpu {step}",
    }


def run_step(place: Place, step: str) -> None:
    """Print and write each row as soon as it is there."""
    rows = []
    for row in STEPS[step](place):
        print(f"{row.implementation:20} {row.case:36} {row.best:10.4g} {row.median:10.4g} {row.unit}")
        rows.append(row)
        if place.has_gpu:
            write(f"gpu_{step}", rows, facts_of(place, step))


def main() -> None:
    """Run the steps named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("steps", nargs="*", choices=[*STEPS, []])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    place = Place(torch.device(asked.device), asked.tiny)
    one_thread()
    if asked.worker:
        work(place)
        return
    failed = False
    for step in asked.steps or STEPS:
        begun = time.perf_counter()
        try:
            run_step(place, step)
        except Exception:  # the other steps are still worth having
            traceback.print_exc()
            failed = True
        print(f"{step}: {time.perf_counter() - begun:.1f} s", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
