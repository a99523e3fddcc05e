"""What training windows hold: consecutive steps, returns-to-go, the actions before them, and padding."""

from __future__ import annotations

import numpy as np
import pytest
from method_cases import next_batch, tiny_learner

from bench.datasets.trajectories import Trajectories, Trajectory

LENGTHS = (1, 9, 4, 13, 2)
TINY = {"embedding_dim": 8, "d_model": 8, "d_state": 4, "layers": 1, "context_length": 5, "batch_size": 400}
SCALE = 10.0
# As the authors' code trains: shifted returns, K - 1 tuples, padding that is read.
CODE = {"training_return": "previous", "first_step": "context", "padding": "attended"}


def labelled_dataset():
    """Trajectories of LENGTHS whose first two observations name trajectory and step, with random rewards."""
    generator = np.random.default_rng(0)
    episodes = []
    for number, length in enumerate(LENGTHS):
        observations = generator.normal(size=(length + 1, 11))
        observations[:, 0], observations[:, 1] = number, np.arange(length + 1)
        actions, rewards = generator.uniform(-1, 1, (length, 3)), generator.normal(size=length)
        episodes.append(Trajectory.whole(observations, actions, rewards, terminated=bool(number % 2)))
    return Trajectories.from_episodes(episodes)


def drawn_batch(**changes):
    """The dataset, and a batch of DeMa's whose states are as they were stored."""
    dataset = labelled_dataset()
    changes = {"normalise_states": False, "return_scale": SCALE} | changes
    learner = tiny_learner("hopper-medium", "dema", TINY, **changes)
    learner.prepare(dataset)
    return dataset, {k: v.numpy() for k, v in next_batch(learner, np.random.default_rng(1)).items()}


def named_steps(batch, row):
    """Trajectory and steps that the real states of a row name."""
    states = batch["states"][row, batch["mask"][row]]
    return int(states[0, 0]), states[:, 1].astype(int)


def returns_to_go(dataset, trajectory, steps):
    """Of those steps, over the scale."""
    rewards = dataset[trajectory].rewards
    return [rewards[step:].sum(dtype=np.float64) / SCALE for step in steps]


def near(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["window", "recurrent"])
def test_windows_hold_consecutive_steps_of_one_trajectory_and_their_returns_to_go(mode):
    dataset, batch = drawn_batch(mode=mode)
    met, whole = set(), mode == "recurrent"
    for row in range(400):
        mask, (trajectory, steps) = batch["mask"][row], named_steps(batch, row)
        real = int(mask.sum())
        assert (mask[:real] if whole else mask[-real:]).all(), "padding is behind an episode, before a window"
        assert (batch["states"][row, mask, 0] == trajectory).all(), "a window crosses into another trajectory"
        assert steps.tolist() == list(range(steps[0], steps[0] + real))
        assert batch["timesteps"][row, mask].tolist() == steps.tolist()
        episode = dataset[trajectory]
        assert real == (len(episode) if whole else min(5, len(episode) - steps[0]))
        np.testing.assert_array_equal(batch["actions"][row, mask], episode.actions[steps])
        near(batch["returns"][row, mask, 0], returns_to_go(dataset, trajectory, steps))
        for name in ("returns", "states", "actions", "previous_actions", "timesteps"):
            assert not batch[name][row, ~mask].any(), "padding is zero"
        met.add((trajectory, int(steps[0])))
    starts = [1] * len(LENGTHS) if whole else LENGTHS
    assert met == {(number, step) for number, count in enumerate(starts) for step in range(count)}


@pytest.mark.parametrize("mode", ["window", "recurrent"])
def test_a_step_knows_the_action_before_it_unless_it_is_an_episodes_first(mode):
    dataset, batch = drawn_batch(mode=mode)
    before_a_window = 0
    for row in range(400):
        trajectory, steps = named_steps(batch, row)
        previous = batch["previous_actions"][row, batch["mask"][row]]
        for step, shown in zip(steps, previous, strict=True):
            wanted = dataset[trajectory].actions[step - 1] if step else np.zeros(3)
            np.testing.assert_array_equal(shown, wanted)
        before_a_window += steps[0] > 0
    assert (before_a_window > 0) == (mode == "window")


def test_windows_start_at_every_step_alike():
    _, batch = drawn_batch()
    rows = np.arange(400), batch["mask"].argmax(axis=1)
    shares = np.bincount(batch["states"][rows][:, 0].astype(int)) / 400
    np.testing.assert_allclose(shares, np.array(LENGTHS) / sum(LENGTHS), atol=0.06)


@pytest.mark.parametrize(("draw", "weights"), [("by-length", LENGTHS), ("even", (1,) * len(LENGTHS))])
def test_whole_trajectories_are_drawn_by_their_length_or_evenly(draw, weights):
    _, batch = drawn_batch(mode="recurrent", trajectory_draw=draw)
    shares = np.bincount(batch["states"][:, 0, 0].astype(int), minlength=len(LENGTHS)) / 400
    np.testing.assert_allclose(shares, np.array(weights) / sum(weights), atol=0.06)


def test_a_return_of_the_step_before_is_that_before_the_reward_between():
    dataset, batch = drawn_batch(training_return="previous")
    own = drawn_batch()[1]
    for name in ("states", "actions", "previous_actions", "mask"):
        np.testing.assert_array_equal(batch[name], own[name])
    for row in range(400):
        trajectory, steps = named_steps(batch, row)
        mask, before = batch["mask"][row], np.maximum(steps - 1, 0)
        near(batch["returns"][row, mask, 0], returns_to_go(dataset, trajectory, before))
        assert batch["timesteps"][row, mask].tolist() == before.tolist()


@pytest.mark.parametrize("training_return", ["current", "previous"])
def test_a_first_step_that_is_context_leaves_one_tuple_less_of_the_same_window(training_return):
    _, whole = drawn_batch()
    _, batch = drawn_batch(first_step="context", training_return=training_return)
    assert batch["states"].shape == (400, 4, 11)
    for name in ("states", "actions", "mask"):
        np.testing.assert_array_equal(batch[name], whole[name][:, 1:])
    shifted = slice(None, -1) if training_return == "previous" else slice(1, None)
    for name in ("returns", "timesteps"):
        np.testing.assert_array_equal(batch[name], whole[name][:, shifted])
    np.testing.assert_array_equal(batch["previous_actions"], whole["actions"][:, :-1])


def test_the_authors_first_real_step_follows_padding_of_their_values():
    _, batch = drawn_batch(**CODE)
    _, whole = drawn_batch()
    padded_rows = 0
    for row in range(400):
        mask = batch["mask"][row]
        assert (batch["actions"][row, ~mask] == -10).all()
        assert not batch["states"][row, ~mask].any(), "zeros, which are not standardised here"
        first = int(mask.argmax())
        if whole["mask"][row, first]:
            continue  # The window's own first step is the context of this one.
        padded_rows += 1
        assert batch["returns"][row, first, 0] == 0
        assert (batch["previous_actions"][row, first] == -10).all()
    assert 0 < padded_rows < 400


def test_padding_that_is_read_holds_a_state_of_zeros_standardised():
    dataset, batch = drawn_batch(padding="attended", normalise_states=True)
    wanted = -dataset.observation_mean / dataset.observation_std
    padding = batch["states"][~batch["mask"]]
    assert len(padding)
    np.testing.assert_allclose(padding, np.tile(wanted, (len(padding), 1)), rtol=1e-5)


def test_a_post_block_has_the_windows_of_a_decision_transformer():
    for name, values in drawn_batch()[1].items():
        changed = drawn_batch(block="post", training_return="previous", first_step="context")[1]
        np.testing.assert_array_equal(changed[name], values)


def test_the_authors_whole_trajectories_begin_at_the_second_step():
    dataset, batch = drawn_batch(mode="recurrent", **CODE)
    for row in range(400):
        if not batch["mask"][row].any():
            continue  # A trajectory of one step has nothing to predict.
        trajectory, steps = named_steps(batch, row)
        assert steps.tolist() == list(range(1, len(dataset[trajectory])))
        near(batch["returns"][row, : len(steps), 0], returns_to_go(dataset, trajectory, steps - 1))
