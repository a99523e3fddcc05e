"""What a model costs: its counts, the work that is timed, and how attention is computed meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from bench.measure.counting import macs, macs_as_published, parameters
from bench.measure.memory import peak_during
from bench.measure.online import OnlineTest, online_timing
from bench.measure.stopwatch import Timing
from bench.methods.base import Batch, Learner, Timed
from bench.methods.optimisation import make_optimiser
from bench.methods.spaces import space_of

MIB = 2**20


def counted(learner: Learner, timed: Timed, single: Batch) -> dict[str, int]:
    """Parameters, and operations of a pass over a batch of one, ours and as the authors count them."""
    return {
        "parameters": parameters(timed.counted),
        "parameters_as_published": parameters(timed.counted) + learner.unused_parameters(),
        "macs": macs(learner.model, single),
        "macs_as_published": macs_as_published(learner.model, single),
    }


def training_step(learner: Learner, sequences: int, generator: np.random.Generator) -> Callable[[], None]:
    """One gradient update on a batch of the true shapes, where the model is."""
    batch = learner.on_device(learner.sampler.synthetic(sequences, generator))
    optimiser = make_optimiser(learner.model, learner.options)
    learner.model.train()

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        learner.loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(learner.model.parameters(), learner.options["gradient_clip"])
        optimiser.step()

    return step


def warm_up(learner: Learner, generator: np.random.Generator) -> None:
    """Make one update on a single sequence: kernels are compiled, or read from their cache, here."""
    training_step(learner, 1, generator)()
    learner.model.zero_grad(set_to_none=True)


def first_step_memory(step: Callable[[], None]) -> float:
    """MiB by which memory rose at most in a training step that was not made before."""
    return peak_during(step) / MIB


def online_timings(learner: Learner, timed: Timed) -> dict[str, Timing]:
    """An online test in one environment as the papers timed it and with a key-value cache, by metric.

    Empty where the options ask for none, or the method has none.
    """
    options: Mapping[str, int] = learner.options  # type: ignore[assignment]
    if not learner.options["probe_online"] or timed.online is None:
        return {}
    test = OnlineTest(
        horizon=space_of(learner.options).horizon,
        context_episodes=options.get("context_episodes", 1),
        episodes=options.get("episodes", options.get("evaluation_episodes", 1)),
    )
    return {
        "online_testing_minutes": online_timing(timed.online, test, cached=False),
        "cached_online_testing_minutes": online_timing(timed.online, test, cached=True),
    }
