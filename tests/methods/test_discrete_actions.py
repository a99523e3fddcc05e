"""Discrete actions, on the T-maze: batches, loss, decoding, and a Decision Transformer that solves one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from method_cases import NEAR, begun, next_batch, observation, tiny_learner, trial, update
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.evaluators.return_conditioned import evaluate
from bench.methods import decoding
from bench.methods.base import make_learner
from bench.worlds.tmaze import test as mazes
from bench.worlds.tmaze.data import load, make
from bench.worlds.tmaze.world import TMaze

TASK = "tmaze-passive-10"
TINY = {"embedding_dim": 16, "d_model": 16, "layers": 2, "dropout": 0.0, "context_length": 11}
METHODS = [("dt", {}), ("dm", {}), ("lstm", {}), ("dema", {}), ("dema", {"mode": "recurrent"})]


def learner_of(method, task=TASK, **changes):
    """A tiny learner in a T-maze."""
    return tiny_learner(task, method, TINY, **changes)


def episodes(folder, task=TASK, **changes):
    make(defaults(CATALOGUE, task, None) | changes, task, folder)
    return load(folder)


@pytest.mark.parametrize("method", ["dt", "dm", "lstm"])
def test_every_batch_holds_both_optimal_episodes_whole(tmp_path, method):
    learner = learner_of(method)
    learner.prepare(episodes(tmp_path))
    generator, orders = np.random.default_rng(0), set()
    for _ in range(20):
        batch = next_batch(learner, generator)
        assert batch["mask"].all()
        assert batch["actions"].shape == (2, 11, 4)
        assert batch["timesteps"].tolist() == [list(range(11))] * 2
        assert (batch["returns"] == 1).all()
        orders.add(tuple(batch["states"][:, 0, 1].tolist()))
    assert orders == {(1, -1), (-1, 1)}


def test_windows_from_the_beginning_are_the_first_steps_and_repeat_only_where_they_must(tmp_path):
    dataset = episodes(tmp_path, trajectories=6)
    dataset.observations[dataset.starts[:-1], 0] = np.arange(6)  # names each episode
    for size, distinct in ((6, 6), (4, 4), (40, 6)):
        learner = learner_of("dt", batch_size=size, context_length=5)
        learner.prepare(dataset)
        batch = next_batch(learner, np.random.default_rng(1))
        assert batch["timesteps"].tolist() == [list(range(5))] * size
        assert len(set(batch["states"][:, 0, 0].tolist())) == distinct


def test_whole_trajectories_of_dema_hold_both_episodes_when_asked_to(tmp_path):
    learner = learner_of("dema", mode="recurrent", window_start="beginning")
    learner.prepare(episodes(tmp_path))
    generator = np.random.default_rng(0)
    for _ in range(10):
        assert sorted(next_batch(learner, generator)["states"][:, 0, 1].tolist()) == [-1, 1]


@pytest.mark.parametrize(("method", "changes"), METHODS)
def test_the_loss_is_the_cross_entropy_of_real_steps(tmp_path, method, changes):
    learner = learner_of(method, window_start="anywhere", batch_size=30, **changes)
    learner.prepare(episodes(tmp_path))
    batch = next_batch(learner, np.random.default_rng(0))
    assert batch["mask"].all() == (changes == {"mode": "recurrent"})
    with torch.no_grad():
        learner.model.predict_action[0].weight.mul_(10)
        logits, mask = learner.model(**batch), batch["mask"]
        assert logits.abs().max() > 1, "no tanh"
        logarithms = torch.log_softmax(logits, dim=-1)
        wanted = -sum(
            logarithms[row, step, batch["actions"][row, step].argmax()]
            for row, step in mask.nonzero().tolist()
        )
        torch.testing.assert_close(learner.loss(batch), wanted / mask.sum(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", ["dt", "dm", "lstm"])
def test_leaving_out_a_mask_that_masks_nothing_changes_nothing(method):
    bare, masked = learner_of(method), learner_of(method, window_start="anywhere")
    batch = bare.sampler.synthetic(3, np.random.default_rng(0))
    assert (batch["actions"].sum(dim=-1) == 1).all(), "synthetic actions are one-hot too"
    with torch.no_grad():
        torch.testing.assert_close(bare.model(**batch), masked.model(**batch), **NEAR)


def forced(monkeypatch, policy, actions):
    """Logits (2, steps, 4) of a policy that is made to take `actions` (2, steps)."""
    seen = []

    def choose(predicted, trial, discrete):
        seen.append(predicted)
        return torch.eye(4)[actions[:, len(seen) - 1]]

    monkeypatch.setattr(decoding, "choose_actions", choose)
    states = np.random.default_rng(3).normal(size=(11, 2, 2)).astype(np.float32)
    begun(policy, states[0])
    with torch.no_grad():
        for t in range(11):
            policy.act(observation(states[t], 1 - t / 10))
    return torch.stack(seen, dim=1)


@pytest.mark.parametrize(("method", "changes"), METHODS)
def test_steps_and_windows_give_the_same_logits(monkeypatch, method, changes):
    learner = learner_of(method, **changes)
    actions = torch.from_numpy(np.random.default_rng(1).integers(4, size=(2, 11)))
    window = decoding.WindowPolicy(learner.model, learner.model.normaliser, learner.options, trial(2))
    stepped = forced(monkeypatch, learner.policy(trial(2)), actions)
    window = forced(monkeypatch, window, actions)
    torch.testing.assert_close(stepped, window, **NEAR)
    assert stepped.std(dim=(0, 1)).min() > 0.01, "logits that are all alike would be equal by chance"


def test_temperature_zero_takes_the_likeliest_action_and_others_draw():
    logits = torch.log(torch.tensor([[0.1, 0.6, 0.2, 0.1]])).expand(20_000, -1)
    assert decoding.choose_actions(logits, trial(20_000), discrete=True)[0].tolist() == [0, 1, 0, 0]
    drawn = {
        temperature: decoding.choose_actions(logits, trial(20_000, temperature=temperature), True).mean(dim=0)
        for temperature in (1.0, 0.5)
    }
    squares = torch.tensor([0.01, 0.36, 0.04, 0.01])
    torch.testing.assert_close(drawn[1.0], torch.tensor([0.1, 0.6, 0.2, 0.1]), rtol=0, atol=0.02)
    torch.testing.assert_close(drawn[0.5], squares / squares.sum(), rtol=0, atol=0.02)


class Scripted:
    """Walks to the junction and goes up, or where it was told to; keeps what it was asked."""

    def __init__(self, listens: bool) -> None:
        self.listens, self.wanted = listens, []

    def policy(self, trial):
        self.count = trial.count
        return self

    def begin(self, past):
        assert past.lengths.shape == (self.count, 0)
        self.told = np.zeros(self.count)

    def act(self, seen):
        assert seen.alive.all()
        self.wanted.append(seen.wanted.copy())
        first, second = seen.states.T
        self.told = np.where(first == 0, self.told + second, self.told)
        side = np.where(self.told == -1, 3, 1) if self.listens else 1
        return np.eye(4, dtype=np.float32)[np.where(first == 1, side, 0)]

    def observe(self, rewards):
        assert rewards.shape == (self.count,)


@pytest.mark.parametrize(("listens", "share"), [(True, 1.0), (False, 0.5)])
def test_the_evaluation_scores_who_knows_the_goal_1_and_a_habit_one_half(listens, share):
    options = defaults(CATALOGUE, TASK, "dt") | {"evaluation_episodes": 20, "penalty": -0.1}
    learner = Scripted(listens)
    scores = {metric: value for metric, _, value in evaluate(learner, mazes, options, TASK, 0, {})}
    assert scores["return"] == scores["solved"] == share
    assert (scores["return_deviation"] == 0.0) == listens
    assert len(learner.wanted) == options["max_episode_steps"]
    np.testing.assert_array_equal(learner.wanted, 1.0)


def test_the_return_still_wanted_falls_by_what_was_paid(monkeypatch):
    monkeypatch.setattr(TMaze, "step", lambda self, actions: _paying(self, 0.25))
    options = defaults(CATALOGUE, TASK, "dt") | {"evaluation_episodes": 2, "target_return": 2.0}
    learner = Scripted(listens=False)
    evaluate(learner, mazes, options, TASK, 0, {})
    assert [wanted.tolist() for wanted in learner.wanted] == [[2, 2], [1.75, 1.75], [1.5, 1.5]]


def _paying(maze, reward):
    maze.time += 1
    return np.zeros((2, 2), np.float32), np.full(2, reward, np.float32), np.full(2, maze.time == 3)


def test_a_decision_transformer_learns_to_remember_ten_steps(tmp_path):
    torch.manual_seed(0)
    options = defaults(CATALOGUE, TASK, "dt") | {"embedding_dim": 64, "layers": 2, "dropout": 0.0}
    learner = make_learner("dt", options)
    learner.prepare(episodes(tmp_path))
    learner.model.eval()
    before = {metric: value for metric, _, value in evaluate(learner, mazes, options, TASK, 0, {})}
    optimiser = torch.optim.AdamW(learner.model.parameters(), lr=1e-3)
    generator = np.random.default_rng(0)
    learner.model.train()
    for done in range(300):
        update(learner, done, optimiser, generator, clip=0.25)
    learner.model.eval()
    after = {metric: value for metric, _, value in evaluate(learner, mazes, options, TASK, 0, {})}
    assert before["solved"] < 1.0
    assert after == {"return": 1.0, "return_deviation": 0.0, "solved": 1.0}


def test_an_action_can_be_drawn_from_the_likeliest_alone():
    logits = torch.tensor([[0.0, 2.0, 1.0, 1.9]]).expand(4000, -1)
    chosen = decoding.choose_actions(logits, trial(4000, temperature=1.0, likeliest=2), True).mean(dim=0)
    share = 1 / (1 + math.exp(-0.1))
    torch.testing.assert_close(chosen, torch.tensor([0.0, share, 0.0, 1 - share]), atol=0.03, rtol=0)
