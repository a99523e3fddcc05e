"""AMAGO's experience: what is collected and how it is drawn; and a run that is taken up again."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from amago_cases import TINY, batch_of, make
from method_cases import ROOMS, next_batch, some_histories, update

from bench.methods import amago_policy
from bench.methods.amago_replay import Replay
from bench.worlds.gridworld.world import GridWorld


def updates(learner, generator, optimiser, numbers):
    """Loss of each of some gradient updates, by how many are done before it."""
    return [update(learner, done, optimiser, generator) for done in numbers]


def test_own_experience_is_played_in_training_tasks_by_the_rules():
    learner = make(collect_rooms=16)
    learner.begin_update(0, np.random.default_rng(0))
    kept = learner.sampler.replay.episodes
    assert learner.sampler.replay.filled == 16
    goals = {tuple(goal) for goal in learner.sampler.dataset.train_goals.tolist()}
    for room in range(16):
        paid = {tuple(cell) for cell in kept.states[room, :, 1:][kept.rewards[room] > 0].tolist()}
        assert len(paid) <= 1, "one goal a meta-episode"
        assert paid <= goals
        goal = np.array([next(iter(paid))]) if paid else np.array([[4, 4]])
        world = GridWorld("darkroom", 5, 7, goal)
        for episode in range(3):
            assert kept.states[room, episode, 0].tolist() == world.reset()[0].tolist()
            for t in range(7):
                position, reward, _ = world.step(kept.actions[room, episode, t : t + 1])
                assert kept.states[room, episode, t + 1].tolist() == position[0].tolist()
                assert kept.rewards[room, episode, t] == reward[0] or not paid
    assert (kept.rewards > 0).any(), "or nothing was tested"


def test_what_is_collected_is_what_the_trained_pass_would_have_done(monkeypatch):
    learner = make(epsilon_first=0.0, epsilon_first_at_end=0.0, collect_rooms=ROOMS)
    seen = []

    def likeliest(logits, space, trial):
        seen.append(logits)
        return logits.argmax(dim=-1).numpy()

    monkeypatch.setattr(amago_policy, "choose_actions", likeliest)
    learner.begin_update(0, np.random.default_rng(0))
    kept = learner.sampler.replay.draw(1, np.random.default_rng(0))
    batch = batch_of(learner, kept)
    with torch.no_grad():
        logits, _, _ = learner.model(**batch)
    assert logits.argmax(dim=-1).tolist() == batch["actions"].flatten(1).tolist()
    assert len(seen) == 3 * 7


def test_exploration_falls_over_training_and_over_a_meta_episode():
    learner = make(
        epsilon_first=0.8,
        epsilon_last=0.2,
        epsilon_first_at_end=0.4,
        epsilon_last_at_end=0.0,
        epsilon_share=0.5,
    )
    # Updates done, of 20: at the beginning, in the middle and at the end of a meta-episode.
    expected = {0: (0.8, 0.6, 0.4), 5: (0.5, 0.35, 0.2), 10: (0.2, 0.1, 0.0), 20: (0.2, 0.1, 0.0)}
    for done, wanted in expected.items():
        assert [learner.epsilon(done, played) for played in (0.0, 0.5, 1.0)] == pytest.approx(wanted)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_room_explores_by_its_own_share_of_the_schedule(monkeypatch, scaled):
    changes = {"epsilon_first": 1.0, "epsilon_first_at_end": 0.0, "epsilon_scaled": scaled}
    learner = make(collect_rooms=400, replay_size=400, **changes)
    monkeypatch.setattr(amago_policy, "choose_actions", lambda logits, *_: np.full(len(logits), 4))
    learner.begin_update(0, np.random.default_rng(0))
    # Four of five random actions are seen to be random.
    moved = (learner.sampler.replay.episodes.actions != 4).reshape(400, 21) / 0.8
    begin, end = moved[:, :3].mean(), moved[:, -3:].mean()
    mean = 0.5 if scaled else 1.0
    assert begin == pytest.approx(mean * (1 - 1 / 21), abs=0.06)
    assert end == pytest.approx(mean * 2 / 21, abs=0.06)
    # A room that explores much in its first third does so in its second, where each has a share of its own.
    first, second = moved[:, :7].mean(axis=1), moved[:, 7:14].mean(axis=1)
    alike = np.corrcoef(first, second)[0, 1]
    assert alike > 0.3 if scaled else abs(alike) < 0.2


def test_the_oldest_meta_episodes_make_place_for_new_ones():
    replay = Replay(TINY | {"replay_size": 5})
    for number in range(1, 4):
        replay.add(np.full((2, 3, 8, 2), number), np.full((2, 3, 7), number), np.full((2, 3, 7), number))
    assert replay.filled == 5
    drawn = replay.draw(200, np.random.default_rng(0))
    assert np.bincount(drawn.actions[:, 0, 0], minlength=4)[1:].min() > 20
    assert sorted(replay.episodes.actions[:, 0, 0].tolist()) == [1, 2, 2, 3, 3]


def test_experience_of_the_histories_is_their_contexts_alone(monkeypatch):
    learner = make(experience="histories")
    monkeypatch.setattr(learner, "_collect", lambda done, generator: pytest.fail("nothing is collected"))
    batch = next_batch(learner, np.random.default_rng(0))
    known = {tuple(row) for row in some_histories().actions.reshape(-1, 7).tolist()}
    assert {tuple(row) for row in batch["actions"].reshape(-1, 7).tolist()} <= known


def test_experience_of_both_kinds_shares_a_batch():
    learner = make(experience="both", batch_size=6)
    batch = next_batch(learner, np.random.default_rng(0))
    known = {tuple(row) for row in some_histories().actions.reshape(-1, 7).tolist()}
    own = {tuple(row) for row in learner.sampler.replay.episodes.actions.reshape(-1, 7).tolist()}
    rows = [[tuple(episode) for episode in context] for context in batch["actions"].tolist()]
    assert all(set(context) <= own for context in rows[:3])
    assert all(set(context) <= known for context in rows[3:])
    assert not any(set(context) <= own for context in rows[3:])


@pytest.mark.parametrize("experience", ["own", "histories", "both"])
def test_taken_up_from_its_state_it_goes_on_to_the_same_bytes(experience):
    whole, generator = make(experience=experience), np.random.default_rng(5)
    optimiser = torch.optim.SGD(whole.model.parameters(), lr=1e-5)
    updates(whole, generator, optimiser, range(3))
    weights, state = copy.deepcopy(whole.model.state_dict()), copy.deepcopy(whole.state())
    position = copy.deepcopy(generator.bit_generator.state)
    wanted = updates(whole, generator, optimiser, range(3, 8))
    resumed = make(experience=experience)
    resumed.model.load_state_dict(weights)
    resumed.restore(state)
    generator.bit_generator.state = position
    optimiser = torch.optim.SGD(resumed.model.parameters(), lr=1e-5)
    assert updates(resumed, generator, optimiser, range(3, 8)) == wanted
    for name, weight in resumed.model.state_dict().items():
        assert torch.equal(weight, whole.model.state_dict()[name]), name
