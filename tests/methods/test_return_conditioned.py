"""DT, DM, DC, GDT, LSTM and DeMa: what a prediction sees, and that decoding equals training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_cases import NEAR, begun, next_batch, observation, tiny_learner, trial

from bench.datasets.trajectories import Trajectories, Trajectory
from bench.methods.decoding import StepPolicy, WindowPolicy
from bench.methods.windows import actions_before, random_windows

TINY = {"embedding_dim": 16, "d_model": 16, "layers": 2, "context_length": 5, "dropout": 0.0}
MODELS = [
    ("dt", {}),
    ("dt", {"position_embedding": False}),
    ("dm", {}),
    # A window too long for the context to hold what a prediction depends on: see tests/methods/test_dc.py.
    ("dc", {"convolution_window": 8}),
    ("dc", {"convolution_window": 8, "position_embedding": False}),
    ("gdt", {"heads": 2}),
    ("gdt", {"heads": 2, "position_embedding": False, "score_scaling": "twice"}),
    ("lstm", {}),
    ("lstm", {"position_embedding": True, "layers": 1}),
    *(
        ("dema", {"tokens": tokens, "block": block})
        for tokens in ("b3ld", "bl3d")
        for block in ("pre", "post")
    ),
    ("dema", {"position_embedding": True}),
    ("dema", {"tokens": "bl3d", "position_embedding": True}),
    ("dema", {"token_order": "action-return-state", "norm": "layer"}),
    ("dema", {"token_order": "return-state-action", "position_embedding": True}),
    ("dema", {"block": "post", "post_mixer": "mamba"}),
]


def make(method, **changes):
    """A tiny learner on Hopper's shapes."""
    return tiny_learner("hopper-medium", method, TINY, **changes)


def some_dataset():
    """A few trajectories with random content."""
    generator = np.random.default_rng(0)
    return Trajectories.from_episodes([
        Trajectory.whole(
            generator.normal(size=(length + 1, 11)), generator.uniform(-1, 1, (length, 3)),
            generator.normal(size=length), terminated=False,
        )
        for length in (1, 9, 4, 13, 2)
    ])  # fmt: skip


def test_states_are_standardised_by_the_dataset_and_a_checkpoint_keeps_it():
    dataset, learner, other = some_dataset(), make("dt"), make("dt")
    learner.prepare(dataset)
    normalised = learner.model.normaliser.of(dataset.observations)
    np.testing.assert_allclose(normalised.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(normalised.std(axis=0), 1.0, atol=1e-4)
    other.model.load_state_dict(learner.model.state_dict())
    other.restore(learner.state())
    np.testing.assert_array_equal(other.model.normaliser.of(dataset.observations), normalised)


def random_window(learner, length, rows=2):
    batch = random_windows(learner.options, rows, length, np.random.default_rng(2))
    return batch | {"timesteps": batch["timesteps"] + 3}


@pytest.mark.parametrize(("method", "changes"), MODELS)
def test_padding_on_the_left_does_not_change_predictions(method, changes):
    learner = make(method, **changes)
    bare = random_window(learner, 4)
    del bare["real"]
    padded = {name: torch.cat([torch.zeros_like(v[:, :3]), v], dim=1) for name, v in bare.items()}
    with torch.no_grad():
        torch.testing.assert_close(learner.model(**padded)[:, 3:], learner.model(**bare), **NEAR)


@pytest.mark.parametrize(("method", "changes"), MODELS)
def test_a_prediction_sees_its_state_and_the_past_and_never_its_own_action(method, changes):
    learner = make(method, **changes)
    batch = random_window(learner, 6)
    with torch.no_grad():
        before = learner.model(**batch)
        for name, first_seen in [("actions", 4), ("states", 3), ("returns", 3)]:
            changed = batch | {name: batch[name].clone()}
            changed[name][:, 3] += 1.0
            changed["previous_actions"] = actions_before(changed["actions"])
            after = learner.model(**changed)
            torch.testing.assert_close(after[:, :first_seen], before[:, :first_seen], rtol=0, atol=1e-6)
            assert (after[:, first_seen] - before[:, first_seen]).abs().max() > 1e-4, f"{name} are not seen"


def test_the_loss_is_the_mean_squared_error_over_real_steps():
    dataset, learner = some_dataset(), make("dt", batch_size=50)
    learner.prepare(dataset)
    batch = next_batch(learner, np.random.default_rng(0))
    assert not batch["mask"].all()
    with torch.no_grad():
        squares = (learner.model(**batch) - batch["actions"]) ** 2
        wanted = sum(squares[row, batch["mask"][row]].sum() for row in range(50)) / (3 * batch["mask"].sum())
        torch.testing.assert_close(learner.loss(batch), wanted)


def decoded(learner, policy, steps, alive):
    """Raw states (episodes, steps, S), returns (episodes, steps) and the policy's actions to them."""
    generator = np.random.default_rng(3)
    normaliser = learner.model.normaliser
    normaliser.mean.copy_(torch.from_numpy(generator.normal(size=11)))
    normaliser.std.copy_(torch.from_numpy(generator.uniform(0.5, 2.0, size=11)))
    states = generator.normal(size=(2, steps, 11)).astype(np.float32)
    returns = generator.uniform(1000, 3000, size=(2, steps)).astype(np.float32)
    begun(policy, states[:, 0])
    with torch.no_grad():
        actions = [policy.act(observation(states[:, t], returns[:, t], alive[t])) for t in range(steps)]
    return states, returns, np.stack(actions, axis=1)


def at_once(learner, states, returns, actions, first, last, rows):
    """What the training pass predicts for step `last` from the window that starts at `first`."""
    window, before = slice(first, last + 1), np.pad(actions, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    mean, std = learner.model.normaliser.mean.numpy(), learner.model.normaliser.std.numpy()
    steps = torch.arange(first, last + 1).clamp(max=learner.options["max_timestep"] - 1)
    with torch.no_grad():
        predicted = learner.model(
            returns=torch.from_numpy(returns[rows, window])[..., None] / learner.options["return_scale"],
            states=torch.from_numpy((states[rows, window] - mean) / std),
            actions=torch.from_numpy(actions[rows, window]),
            previous_actions=torch.from_numpy(before[rows, window]),
            timesteps=steps.expand(len(rows), -1),
            mask=torch.ones(len(rows), last + 1 - first, dtype=torch.bool),
        )
    return predicted[:, -1].numpy()


@pytest.mark.parametrize(("method", "changes"), MODELS)
def test_the_window_policy_predicts_from_the_last_steps(method, changes):
    learner = make(method, max_timestep=7, **changes)
    alive = np.array([[True, t < 6] for t in range(10)])
    policy = learner.policy(trial(2))
    assert isinstance(policy, WindowPolicy)
    states, returns, actions = decoded(learner, policy, 10, alive)
    for t in range(10):
        rows = np.flatnonzero(alive[t])
        wanted = at_once(learner, states, returns, actions, max(0, t - 4), t, rows)
        np.testing.assert_allclose(actions[rows, t], wanted, **NEAR)
    assert not actions[1, 6:].any(), "an episode that is over takes no action"


@pytest.mark.parametrize(("method", "changes"), MODELS)
def test_reading_each_token_once_predicts_what_reading_the_window_anew_does(method, changes):
    learner = make(method, context_length=10, max_episode_steps=10, max_timestep=7, **changes)
    cached, uncached = learner.policy(trial(2)), learner.policy(trial(2, cached=False))
    assert isinstance(cached, StepPolicy)
    assert isinstance(uncached, WindowPolicy)
    played = [decoded(learner, policy, 10, np.ones((10, 2), bool))[2] for policy in (cached, uncached)]
    np.testing.assert_allclose(played[0], played[1], **NEAR)
    assert played[0].std(axis=(0, 1)).min() > 0.01, "actions that are all alike would be equal by chance"


def test_an_episode_longer_than_the_context_is_read_by_windows():
    learner = make("dt", context_length=9, max_episode_steps=10)
    assert isinstance(learner.policy(trial(2)), WindowPolicy)


@pytest.mark.parametrize("changes", [changes for method, changes in MODELS if method == "dema"])
def test_the_recurrent_policy_predicts_from_the_whole_trajectory(changes):
    learner = make("dema", mode="recurrent", max_timestep=7, **changes)
    policy = learner.policy(trial(2))
    assert isinstance(policy, StepPolicy)
    states, returns, actions = decoded(learner, policy, 10, np.ones((10, 2), bool))
    for t in range(10):
        wanted = at_once(learner, states, returns, actions, 0, t, np.arange(2))
        np.testing.assert_allclose(actions[:, t], wanted, **NEAR)


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("dema", {}),
        ("dema", {"tokens": "bl3d"}),
        ("dema", {"block": "post"}),
        ("dt", {}),
        ("dc", {}),
        ("gdt", {"heads": 2}),
    ],
)
def test_a_model_that_attends_to_padding_reads_zeros_before_an_episode(method, changes):
    learner = make(method, padding="attended", **changes)
    policy, length = learner.policy(trial(2)), learner.options["context_length"]
    assert isinstance(policy, WindowPolicy)
    states, returns, actions = decoded(learner, policy, 7, np.ones((7, 2), bool))
    mean, std = learner.model.normaliser.mean.numpy(), learner.model.normaliser.std.numpy()

    def behind_zeros(values):
        return torch.from_numpy(np.pad(values, ((0, 0), (length, 0), (0, 0))))

    inputs = {
        "returns": behind_zeros(returns[..., None] / learner.options["return_scale"]),
        "states": behind_zeros((states - mean) / std),
        "actions": behind_zeros(actions),
        "previous_actions": actions_before(behind_zeros(actions)),
    }
    for t in range(7):
        window = {name: values[:, t + 1 : t + 1 + length] for name, values in inputs.items()}
        steps = torch.arange(t + 1 - length, t + 1).clamp(min=0).expand(2, -1)
        with torch.no_grad():
            read = learner.model(timesteps=steps, mask=steps >= 0, **window)[:, -1]
        np.testing.assert_allclose(actions[:, t], read.numpy(), **NEAR)
    masked = make(method, **changes)
    alone = decoded(masked, masked.policy(trial(2)), 7, np.ones((7, 2), bool))[2]
    assert np.abs(alone[:, 0] - actions[:, 0]).max() > 1e-4, "padding changes the first decision"
    np.testing.assert_allclose(learner.model.normaliser.mean, masked.model.normaliser.mean)


def test_padding_that_is_attended_to_is_not_what_a_memory_holds():
    learner = make("dema", padding="attended", context_length=10, max_episode_steps=10)
    assert isinstance(learner.policy(trial(2)), WindowPolicy)
    recurrent = make("dema", padding="attended", mode="recurrent")
    assert isinstance(recurrent.policy(trial(2)), StepPolicy)
