"""What a test is played by, and what plays it."""

from __future__ import annotations

from typing import Protocol

import torch

from bench.catalogue.option_types import Options
from bench.methods.base import Policy, Trial
from bench.seeds import stream_seed
from bench.work.record import Facts
from bench.worlds.contract import Test, TestRows


class Agent(Protocol):
    """What a test is played by: a learner, or what stands in front of one."""

    def policy(self, trial: Trial) -> Policy:
        """A policy for the trial."""


class Evaluator(Protocol):
    """A module that has an agent play the test of a world."""

    def evaluate(
        self, agent: Agent, test: Test, options: Options, task: str, seed: int, facts: Facts
    ) -> TestRows:
        """Rows of the test; the same for the same arguments."""


def actions_generator(task: str, seed: int) -> torch.Generator:
    """What draws discrete actions in a test: it depends on the task and the seed alone."""
    return torch.Generator().manual_seed(stream_seed("eval", "actions", task, seed))
