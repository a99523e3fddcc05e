"""Time of an online test: what is timed, and how a whole test follows from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.measure.online import OnlineTest, online_timing
from bench.methods.base import OnlineWork, make_learner


def linear(fill, cached, generator):
    """Work whose decisions cost 2 + fill seconds and whose episodes begin with fill seconds of work."""
    return OnlineWork(lambda: float(fill), lambda: 4.0 * (2 + fill), 4)


@pytest.mark.parametrize(("horizon", "context", "episodes"), [(20, 10, 20), (1000, 4, 10), (11, 1, 3)])
def test_a_test_is_the_sum_of_its_decisions_and_of_the_beginnings_of_its_episodes(horizon, context, episodes):
    expected = 0.0
    for episode in range(episodes):
        held = min(episode, context - 1) * horizon
        expected += held + sum(2 + held + step for step in range(horizon))
    timing = online_timing(linear, OnlineTest(horizon, context, episodes), cached=True)
    assert timing.total([work() for work in timing.works]) == pytest.approx(expected)


def test_the_empty_and_the_full_context_are_timed():
    decided, begun = OnlineTest(1000, 4, 10).sizes()
    assert (decided[0], decided[-1]) == (0, 3999)
    assert (begun[0], begun[-1]) == (0, 3000)


@pytest.mark.parametrize("fill", [0, 3, 7, 20])
@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("ad-transformer", {"step_tokens": "separate"}),
        ("ad-transformer", {"step_tokens": "merged"}),
        ("ad-mamba", {"step_tokens": "separate"}),
    ],
)
def test_a_cached_decision_is_the_one_made_by_reading_the_context_anew(method, changes, fill):
    torch.manual_seed(0)
    small = {"room_side": 5, "horizon": 7, "context_episodes": 3, "embedding_dim": 16, "heads": 4}
    options = defaults(CATALOGUE, "darkroom", method)
    options |= {key: value for key, value in small.items() if key in options} | changes
    learner = make_learner(method, options)
    learner.model.eval()
    with torch.no_grad():
        for parameter in learner.model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        timed = learner.timed(np.random.default_rng(0)).online
        anew, cached = (timed(fill, how, np.random.default_rng(0)) for how in (False, True))
        for _ in range(2):
            assert cached.decide().shape == (1, 5)
        if fill < 20 or changes["step_tokens"] == "merged":
            assert anew.decide().shape[-1] == 5


@pytest.mark.parametrize("method", ["dt", "dm", "lstm", "dmh"])
def test_every_method_of_the_t_maze_can_be_timed_at_both_ends_of_an_episode(method):
    torch.manual_seed(0)
    options = defaults(CATALOGUE, "tmaze-passive-10", method) | {"embedding_dim": 16}
    learner = make_learner(method, options)
    with torch.no_grad():
        timed = learner.timed(np.random.default_rng(0)).online
        for fill in (0, 10):
            for cached in (False, True):
                work = timed(fill, cached, np.random.default_rng(0))
                work.begin()
                work.decide()
                work.decide()


def test_a_method_whose_window_is_shorter_than_an_episode_is_not_timed_online():
    learner = make_learner("dt", defaults(CATALOGUE, "hopper-medium", "dt"))
    assert learner.timed(np.random.default_rng(0)).online is None
