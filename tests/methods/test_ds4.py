"""Decision S4: decoding is the training pass, what a prediction sees, sizes, and what decays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_cases import NEAR, begun, observation, tiny_learner, trial

from bench.datasets.trajectories import Trajectories, Trajectory
from bench.measure.counting import macs, parameters
from bench.methods.decoding import StepPolicy
from bench.methods.optimisation import make_optimiser
from bench.methods.windows import actions_before, random_windows
from bench.nn.s4_kernel import KERNELS, Kernel

TINY = {
    "embedding_dim": 8,
    "d_model": 12,
    "d_state": 8,
    "layers": 2,
    "max_episode_steps": 14,
    "batch_size": 3,
}


def make(**changes):
    """A tiny learner on Hopper's shapes."""
    return tiny_learner("hopper-medium", "ds4", TINY | {"dropout": 0.0}, **changes)


def episodes(learner):
    return random_windows(learner.options, 2, 14, np.random.default_rng(0))


@pytest.mark.parametrize("shown_return", ["previous", "current"])
@pytest.mark.parametrize("kernel", KERNELS)
@torch.no_grad()
def test_decoding_is_the_training_pass_clipped_to_the_space(kernel, shown_return):
    learner = make(kernel=kernel, shown_return=shown_return)
    policy = learner.policy(trial(2))
    assert isinstance(policy, StepPolicy)
    generator = np.random.default_rng(3)
    states = generator.normal(size=(2, 14, 11)).astype(np.float32)
    returns = generator.uniform(1000, 3000, size=(2, 14)).astype(np.float32)
    begun(policy, states[:, 0])
    played = np.stack([policy.act(observation(states[:, t], returns[:, t])) for t in range(14)], axis=1)
    actions = torch.from_numpy(played)
    steps = torch.arange(14).expand(2, -1)
    predicted = learner.model(
        returns=torch.from_numpy(returns)[..., None] / 1000.0, states=torch.from_numpy(states),
        actions=actions, previous_actions=actions_before(actions), timesteps=steps, mask=steps >= 0,
    )  # fmt: skip
    np.testing.assert_allclose(played, predicted.clamp(-1.0, 1.0).numpy(), **NEAR)
    assert played.std(axis=(0, 1)).min() > 0.01, "actions that are all alike would be equal by chance"


@pytest.mark.parametrize(("shown_return", "first_seen"), [("previous", 4), ("current", 3)])
@torch.no_grad()
def test_a_prediction_sees_its_state_and_the_action_and_return_before(shown_return, first_seen):
    learner = make(shown_return=shown_return)
    batch = episodes(learner)
    before = learner.model(**batch)
    for name, seen_from in [("actions", 4), ("states", 3), ("returns", first_seen)]:
        changed = batch | {name: batch[name].clone()}
        changed[name][:, 3] += 1.0
        changed["previous_actions"] = actions_before(changed["actions"])
        moved = (learner.model(**changed) - before).abs().amax(dim=(0, 2))
        assert (moved[:seen_from] < 1e-4).all(), name
        assert moved[seen_from] > 1e-3, name


def test_a_first_step_is_shown_its_own_return():
    learner = make()
    batch = episodes(learner)
    changed = batch | {"returns": batch["returns"].clone()}
    changed["returns"][:, 0] += 1.0
    with torch.no_grad():
        assert (learner.model(**changed) - learner.model(**batch))[:, 0].abs().max() > 1e-3


def test_batches_are_whole_trajectories_and_what_follows_a_last_step_counts_for_nothing():
    learner, generator = make(), np.random.default_rng(0)
    learner.prepare(Trajectories.from_episodes([
        Trajectory.whole(
            generator.normal(size=(length + 1, 11)), generator.uniform(-1, 1, (length, 3)),
            generator.normal(size=length), terminated=False,
        )
        for length in (3, 9, 14)
    ]))  # fmt: skip
    batch = learner.draw(np.random.default_rng(2))
    assert set(batch["mask"].sum(dim=1).tolist()) <= {3, 9, 14}
    assert not batch["mask"].all()
    with torch.no_grad():
        squares = ((learner.model(**batch) - batch["actions"]) ** 2)[batch["mask"]]
        torch.testing.assert_close(learner.loss(batch), squares.mean())


def test_parameters_are_those_of_the_hand_count():
    learner = make()
    embeddings = (1 + 11 + 3 + 3) * 8
    entry = 3 * 8 * 12 + 12 + 12 * 12 + 12
    block = 12 * (8 + 1 + 1) + 3 * 8 + 12 * 12 + 12
    assert parameters(learner.model) == embeddings + entry + 2 * block + 12 * 3


def test_products_of_a_pass_are_those_of_its_maps_and_of_the_convolution_written_out():
    learner, steps, width = make(kernel="diagonal-linear"), 14, 12
    batch = random_windows(learner.options, 1, steps, np.random.default_rng(0))
    linear = (1 + 11 + 3) * 8 + 3 * 8 * width + width * width + 2 * width * width + width * 3
    convolution, kernel = width * steps, width * 4
    assert macs(learner.model, batch) == steps * (linear + 2 * (convolution + kernel))


def test_nothing_of_a_kernel_decays_and_every_weight_does():
    learner = make()
    optimiser = make_optimiser(learner.model, learner.options)
    decayed = {id(p) for group in optimiser.param_groups if group["weight_decay"] for p in group["params"]}
    of_kernels = [p for m in learner.model.modules() if isinstance(m, Kernel) for p in m.parameters()]
    assert of_kernels
    assert not decayed & {id(parameter) for parameter in of_kernels}
    for name, parameter in learner.model.named_parameters():
        assert (id(parameter) in decayed) == (name.endswith("weight") or name.endswith(".D")), name


def test_a_memory_copied_for_candidates_goes_on_as_each_row_would():
    learner = make()
    batch = episodes(learner)
    with torch.no_grad():
        memory = learner.model.allocate_state(2, 14)
        for t in range(3):
            inputs = (batch[name][:, t] for name in ("returns", "states", "previous_actions"))
            _, memory = learner.model.step(*inputs, t, memory)
        inputs = [batch[name][:, 3] for name in ("returns", "states", "previous_actions")]
        alone, _ = learner.model.step(*inputs, 3, memory)
        copied, _ = learner.model.step(*(v.repeat_interleave(2, dim=0) for v in inputs), 3, memory.forked(2))
    torch.testing.assert_close(copied, alone.repeat_interleave(2, dim=0))
