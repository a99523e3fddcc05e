"""CQL on frames: its quantile loss, its targets, and that it prefers what the data did and were paid for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from frame_cases import ACTIONS, episodes, learner_of

from bench.methods.base import Observation, Trial
from bench.methods.discrete_cql import QUANTILES, quantile_huber_loss
from bench.methods.optimisation import make_optimiser


def test_the_quantile_loss_is_its_definition():
    generator = np.random.default_rng(0)
    predicted, targets = generator.normal(size=(3, 4)), generator.normal(size=(3, 5)) * 2
    total = 0.0
    for row in range(3):
        for i in range(4):
            share = (i + 0.5) / 4
            for target in targets[row]:
                error = target - predicted[row, i]
                huber = 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5
                total += abs(share - (error < 0)) * huber / 5
    found = quantile_huber_loss(torch.from_numpy(predicted), torch.from_numpy(targets))
    assert float(found) == pytest.approx(total / 3, rel=1e-6)


@torch.no_grad()
def test_targets_are_the_clipped_reward_and_what_the_target_network_gives_its_own_best_action():
    learner = learner_of("cql")
    learner.prepare(episodes())
    batch = learner.draw(np.random.default_rng(0)) | {"rewards": torch.full((16,), 0.5)}
    batch["terminations"] = (torch.arange(16) % 2).float()
    targets = learner.targets(batch)
    ahead = learner.model.target.quantiles(batch["next_states"])
    assert targets.shape == (16, QUANTILES)
    for row in range(16):
        best = ahead[row].mean(-1).argmax()
        expected = 0.5 + (row % 2 == 0) * 0.99 * ahead[row, best]
        torch.testing.assert_close(targets[row], expected.expand(QUANTILES))


def test_rewards_are_clipped_and_next_states_follow():
    data = episodes()
    data.rewards[data.starts[1:] - 1] = 7.0
    learner = learner_of("cql")
    learner.prepare(data)
    columns = learner.sampler.columns
    assert columns["rewards"].max() == 1.0
    assert (columns["next_states"][np.array([4])][0, -1] == data.frames[5]).all()


def test_values_are_highest_where_the_data_acted():
    learner, data = learner_of("cql", frame_input="centred", learning_rate=0.003), episodes()
    learner.prepare(data)
    generator, optimiser = np.random.default_rng(0), make_optimiser(learner.model, learner.options)
    for done in range(60):
        learner.begin_update(done, generator)
        loss = learner.loss(learner.draw(generator))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    steps = np.arange(data.transitions)
    policy = learner.policy(Trial(len(steps), torch.Generator(), temperature=1.0))
    seen = Observation(data.observations[steps], np.ones(len(steps), np.float32), np.ones(len(steps), bool))
    chosen = policy.act(seen)
    assert chosen.shape == (len(steps), ACTIONS)
    assert (chosen.argmax(1) == data.actions.argmax(1)).mean() > 0.9
    # Nothing is drawn: values that are near each other are no probabilities.
    assert (policy.act(seen) == chosen).all()


def test_the_target_network_follows():
    learner = learner_of("cql", target_update=0.25)
    learner.prepare(episodes())
    learner.begin_update(0, np.random.default_rng(0))
    before = learner.model.target.head.weight.clone()
    assert torch.equal(before, learner.model.actor.head.weight)
    with torch.no_grad():
        learner.model.actor.head.weight.add_(1.0)
    learner.begin_update(1, np.random.default_rng(0))
    torch.testing.assert_close(learner.model.target.head.weight, before + 0.25)


def test_the_target_network_reads_frames_as_the_other_does():
    learner = learner_of("cql", frame_input="centred")
    learner.prepare(episodes())
    learner.begin_update(0, np.random.default_rng(0))
    own, other = learner.model.actor.encoder, learner.model.target.encoder
    assert own.mean_frame.any()
    assert torch.equal(other.mean_frame, own.mean_frame)
    assert torch.equal(other.deviation, own.deviation)
