"""Measure one decision in one environment: `python -m benchmarks.decision`; some two minutes.

All models have three layers of width 128 (DM-H its two modules' printed depths) and act by themselves, from
what they are shown to an action:
- on Hopper, after STEPS steps of an episode: DeMa by its state with three tokens a step and with one, and by
  its window; DT by a key-value cache and by its window; DM by its state;
- in a dark room, with two episodes in the context: AD (Transformer) by a cache, AD (Mamba) by its state, and
  DM-H, the mean decision of a block.

Each takes its compiled and its written path in turns, beside all others; windows have one path. Processor
time, one thread. A time is that of RUNS decisions (of DM-H, blocks) in a row over their number: the least of
thousands of single ones is set by the processor clock of a virtual machine, which was seen to be off by 90 us
once in twelve thousand. Writes results/benchmarks/decision.csv: the best is what to compare.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from bench.catalogue.load import load_catalogue
from bench.catalogue.values import defaults
from bench.methods.base import Observation, Trial, make_learner
from bench.methods.decoding import StepPolicy
from bench.methods.sequence import SequenceLearner
from bench.nn.kept_program import written_path
from benchmarks.timing import Measurement, take_turns, write

Work = Callable[[], object]
STEPS, EPISODES, RUNS, SECONDS = 20, 2, 10, 3.0
SIZES = {"layers": 3, "embedding_dim": 128, "d_model": 128, "d_state": 16, "context_length": STEPS}
BY_STATE = {
    "dema, state": ("dema", {"mode": "recurrent"}),
    "dema, state, one token": ("dema", {"mode": "recurrent", "tokens": "bl3d"}),
    "dm, state": ("dm", {}),
    "dt, cache": ("dt", {}),
}
BY_WINDOW = {"dema, window": "dema", "dt, window": "dt"}
IN_CONTEXT = {"ad-transformer, cache": "ad-transformer", "ad-mamba, state": "ad-mamba", "dmh": "dmh"}


def learner(task: str, method: str, **changes: Any) -> Any:
    """A method on a task, in these sizes where it has them, its weights as initialised."""
    torch.manual_seed(0)
    options = defaults(load_catalogue(), task, method)
    options |= {name: size for name, size in SIZES.items() if name in options} | changes
    made = make_learner(method, options)
    made.model.eval()
    return made


def seen(agent: SequenceLearner) -> Observation:
    """What a policy of one episode is shown."""
    states = np.random.default_rng(0).standard_normal((1, agent.options["observation_dim"]), dtype=np.float32)
    return Observation(states, np.ones(1, np.float32), np.ones(1, bool))


def by_state(method: str, changes: dict[str, Any]) -> Work:
    """A decision after STEPS steps from what the model remembers of them."""
    agent = learner("hopper-medium", method, **changes)
    policy, shown = StepPolicy(agent.model, agent.model.normaliser, agent.options, trial()), seen(agent)

    def decide() -> object:
        policy.rewind(STEPS)
        return policy.act(shown)

    return decide


def by_window(method: str) -> Work:
    """A decision from the last STEPS steps, which are read again."""
    agent = learner("hopper-medium", method)
    policy, shown = agent.policy(replace(trial(), cached=False)), seen(agent)
    for _ in range(STEPS):
        policy.act(shown)
    return lambda: policy.act(shown)


def in_context(method: str) -> tuple[Work, int]:
    """Decisions with EPISODES episodes in the context, and how many."""
    agent = learner("darkroom", method)
    fill = EPISODES * agent.options["horizon"] + 1
    work = agent.timed(np.random.default_rng(0)).online(fill, True, np.random.default_rng(0))
    work.begin()
    return work.decide, work.decisions


def trial() -> Trial:
    """One environment."""
    return Trial(1, torch.Generator().manual_seed(0))


def written(work: Work) -> Work:
    """The same by the written path."""

    def run() -> object:
        with written_path():
            return work()

    return run


def in_a_row(work: Work) -> Work:
    """The same RUNS times."""

    def run() -> None:
        for _ in range(RUNS):
            work()

    return run


def contestants() -> tuple[dict[str, Work], dict[str, int]]:
    """What is timed, by name, and how many decisions a run of it makes where that is more than one."""
    works = {who: by_state(method, changes) for who, (method, changes) in BY_STATE.items()}
    of_contexts = {who: in_context(method) for who, method in IN_CONTEXT.items()}
    works |= {who: work for who, (work, _) in of_contexts.items()}
    both = {f"{who}; compiled": work for who, work in works.items()}
    # A memory goes over from one path to the other at a change; each path has models and memories of its own.
    again = {who: by_state(method, changes) for who, (method, changes) in BY_STATE.items()}
    again |= {who: in_context(method)[0] for who, method in IN_CONTEXT.items()}
    both |= {f"{who}; written": written(work) for who, work in again.items()}
    both |= {f"{who}; written": by_window(method) for who, method in BY_WINDOW.items()}
    return both, {who: decisions for who, (_, decisions) in of_contexts.items()}


@torch.no_grad()
def measured() -> list[Measurement]:
    """The decisions of all contestants, in microseconds."""
    works, decisions = contestants()
    timed = {who: in_a_row(work) for who, work in works.items()}
    rows = take_turns("decision", "batch 1", timed, SECONDS, time.process_time)
    scaled = []
    for row in rows:
        factor = 1000.0 / RUNS / decisions.get(row.implementation.split(";")[0], 1)
        scaled.append(replace(row, best=row.best * factor, median=row.median * factor, unit="us"))
    return scaled


def commit() -> str:
    """The commit that is measured, with a plus sign where files differ from it."""
    asked = ["git", "describe", "--always", "--abbrev=7", "--exclude=*", "--dirty=+"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    torch.set_num_threads(1)
    rows = measured()
    path = write("decision", rows, {"commit": commit()})
    times = {row.implementation: row.best for row in rows}
    for who in sorted({name.split(";")[0] for name in times}):
        compiled, plain = times.get(f"{who}; compiled"), times[f"{who}; written"]
        shown = "" if compiled is None else f", compiled {compiled:.0f} us ({plain / compiled:.1f} times)"
        print(f"{who}: written {plain:.0f} us{shown}")
    print(path)


if __name__ == "__main__":
    main()
