"""Measure the sequence core: `python -m benchmarks.sequence_core [benchmark ...]`.

Benchmarks are scan, states, scaling, memory, training, rollout and first; all of them by default. Prints the
ratios that matter beside their goals, writes results/benchmarks/<benchmark>.csv and, for scaling, a figure of
time a token against length, and goals.csv from all tables that lie there. One thread and its processor's
time: a busy machine slows all contestants alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch

from benchmarks import isolated, models, sampling, timing
from benchmarks.contestants import SCANS
from benchmarks.floor import forward_backward_floor, forward_floor
from benchmarks.goals import BOTH, FORWARD, report, write_goals
from benchmarks.passes import forward, forward_backward, scan_inputs
from benchmarks.scaling_figure import draw
from benchmarks.timing import RESULTS, Measurement, write

S1 = (64, 60, 256, 16)
TOKENS = 12_000
LENGTHS = (60, 120, 240, 600, 1200, 3000, 6000, 12_000)
# The backward of a scan that indexes one step at a time takes time quadratic in the length.
LONGEST: dict[str, dict[str, int]] = {BOTH: {"transformers": 120}, FORWARD: {}}
take_turns = partial(timing.take_turns, clock=time.process_time)
PASSES = {FORWARD: forward, BOTH: forward_backward}


def name(shape: tuple[int, ...]) -> str:
    """Batch x length x channels x states."""
    return "x".join(str(size) for size in shape)


def scan() -> list[Measurement]:
    """All implementations in DeMa's MuJoCo shape, JAX's among them, and the floor."""
    from benchmarks import jax_scan

    inputs, found = scan_inputs(*S1), []
    for way, floor in ((FORWARD, forward_floor), (BOTH, forward_backward_floor)):
        contestants = {who: PASSES[way](run, inputs) for who, run in SCANS.items()}
        prepare = jax_scan.forward if way == FORWARD else jax_scan.forward_backward
        contestants |= {who: prepare(run, inputs) for who, run in jax_scan.JAX_SCANS.items()}
        found += take_turns("scan", f"{way} {name(S1)}", {**contestants, "floor": floor(*S1)})
    return found


def states() -> list[Measurement]:
    """Sixteen and sixty-four states, and a longer window."""
    found = []
    for shape in ((64, 60, 256, 64), (64, 60, 128, 64), (64, 90, 256, 16)):
        inputs = scan_inputs(*shape)
        for way, prepare in PASSES.items():
            contestants = {who: prepare(SCANS[who], inputs) for who in ("numba", "torch", "mambapy")}
            found += take_turns("states", f"{way} {name(shape)}", contestants)
    return found


def scaling() -> list[Measurement]:
    """The same number of tokens in ever fewer, longer sequences."""
    found = []
    for length in LENGTHS:
        shape = (TOKENS // length, length, 256, 16)
        inputs = scan_inputs(*shape)
        for way, prepare in PASSES.items():
            able = [who for who in SCANS if length <= LONGEST[way].get(who, TOKENS)]
            contestants = {who: prepare(SCANS[who], inputs) for who in able}
            found += take_turns("scaling", f"{way} {name(shape)}", contestants)
    draw(found, RESULTS / "scaling.png")
    return found


def memory() -> list[Measurement]:
    """Peak memory above the inputs, each in a process of its own."""
    found = []
    for shape in (S1, (1, TOKENS, 256, 16)):
        for who in ("numba", "torch", "mambapy"):
            mebibytes = isolated.peak_memory(who, *shape)
            found.append(Measurement("memory", who, f"{BOTH} {name(shape)}", mebibytes, mebibytes, 1, "MiB"))
    return found


def training() -> list[Measurement]:
    """A training step of DeMa, of DT, and of DeMa with others' Mamba."""
    nets = {
        "dema": models.dema(),
        "dt": models.decision_transformer(),
        "dema with mambapy": models.dema(models.mambapy_mixer),
        "dema with transformers": models.dema(models.transformers_mixer),
    }
    return take_turns("training", "step", {who: models.training_step(net) for who, net in nets.items()})


def rollout() -> list[Measurement]:
    """One step of 64 environments."""
    contestants = {
        "dema recurrent": models.recurrent_step(models.dema(), 64),
        "dema window": models.window_step(models.dema(), 64),
        "dt window": models.window_step(models.decision_transformer(), 64),
        "dt cached": models.cached_step(models.decision_transformer(), 64),
    }
    return take_turns("rollout", "step", contestants)


def batches() -> list[Measurement]:
    """One training batch of 64 windows of 20 steps."""
    dataset = sampling.trajectories()
    contestants = {"gathered": sampling.ours(dataset), "one by one": sampling.one_by_one(dataset)}
    return take_turns("batches", "64x20", contestants)


def first() -> list[Measurement]:
    """The first training step of a fresh process, the kernels compiled before, and the second."""
    isolated.first_step()
    times = isolated.first_step()
    return [
        Measurement("first", f"dema step {number}", "step", seconds * 1e3, seconds * 1e3, 1)
        for number, seconds in enumerate(times, 1)
    ]


BENCHMARKS: dict[str, Callable[[], list[Measurement]]] = {
    "scan": scan,
    "states": states,
    "scaling": scaling,
    "memory": memory,
    "training": training,
    "rollout": rollout,
    "batches": batches,
    "first": first,
}


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "benchmarks", nargs="*", choices=[*BENCHMARKS, []], help="which to run; all by default"
    )
    chosen = parser.parse_args().benchmarks or list(BENCHMARKS)
    torch.set_num_threads(1)
    everything = []
    for benchmark in chosen:
        measurements = BENCHMARKS[benchmark]()
        everything += measurements
        write(benchmark, measurements)
        for m in measurements:
            print(
                f"{m.benchmark:9} {m.case:34} {m.implementation:24} {m.best:10.4g} {m.median:10.4g} {m.unit}"
            )
    report(everything)
    write_goals()


if __name__ == "__main__":
    main()
