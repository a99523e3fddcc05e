"""QT and Q-DeMa: what critics learn, whom each loss reaches, and which of many returns a decision takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feed_forward_cases import Said
from hypothesis import given
from hypothesis import strategies as st
from method_cases import next_batch, update
from q_guided_learners import METHODS, TINY, Acting, make, some_trajectories
from suites import CATALOGUE
from torch import nn

from bench.catalogue.values import defaults
from bench.errors import SpecError
from bench.measure.counting import macs, macs_by_torch, parameters
from bench.methods.base import make_learner
from bench.methods.q_guided import backed_up, with_target
from bench.methods.windows import random_windows
from bench.work.cells import parse_slug


def copy_of(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def same(first, second):
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


# What critics learn


def test_targets_of_a_hand_made_window():
    rewards = torch.tensor([[1.0, 2.0, 3.0]]).expand(2, 3)
    values = torch.tensor([[100.0, 10.0, 20.0]]).expand(2, 3)
    ends = torch.tensor([0.0, 1.0])
    whole = backed_up(rewards, values, ends, 0.5, to_the_end=True)
    # The first window goes on: its last state is worth 20. The second ends: it is worth the last reward.
    torch.testing.assert_close(
        whole, torch.tensor([[1 + 0.5 * (2 + 0.5 * 20), 2 + 0.5 * 20, 3], [1 + 0.5 * (2 + 0.5 * 3), 3.5, 3]])
    )
    single = backed_up(rewards, values, ends, 0.5, to_the_end=False)
    torch.testing.assert_close(single, torch.tensor([[1 + 0.5 * 10, 2 + 0.5 * 20, 3]]).expand(2, 3))


@given(
    st.integers(1, 6), st.integers(0, 2**31), st.floats(0.0, 1.0), st.booleans()
)  # fmt: skip
def test_targets_are_the_discounted_sums_they_stand_for(length, seed, discount, terminated):
    generator = np.random.default_rng(seed)
    rewards, values = generator.normal(size=(2, length))
    given_ = [torch.from_numpy(each)[None] for each in (rewards, values)]
    got = backed_up(*given_, torch.tensor([float(terminated)]), discount, to_the_end=True)[0]
    for step in range(length - 1):
        ahead = length - 1 - step
        summed = sum(discount**i * rewards[step + i] for i in range(ahead))
        end = rewards[-1] if terminated else values[-1]
        assert got[step].item() == pytest.approx(summed + discount**ahead * end)
    assert got[-1].item() == rewards[-1]


def test_critics_learn_from_the_target_policys_actions_and_the_smaller_target_critic():
    learner = make(value_discount=0.5)
    learner.model.target_policy = Acting(lambda returns, states: returns)
    # Critics see (state, state, action); the target policy does the return it is asked for.
    learner.model.target_critics = nn.ModuleList(
        [Said(lambda pairs: 10 * pairs[..., 2:]), Said(lambda pairs: pairs[..., 1:2])]
    )
    batch = {
        "returns": torch.tensor([[[9.0], [3.0]], [[9.0], [3.0]]]),
        "states": torch.tensor([[[0.0, 0.0], [0.0, 100.0]], [[0.0, 0.0], [0.0, 4.0]]]),
        "actions": torch.tensor([[[1.0], [2.0]], [[1.0], [2.0]]]),
        "previous_actions": torch.zeros(2, 2, 1),
        "timesteps": torch.tensor([[0, 1], [0, 1]]),
        "mask": torch.ones(2, 2, dtype=torch.bool),
        "learnt": torch.tensor([0, 2, 3]),
        "rewards": torch.tensor([[1.0, 7.0], [1.0, 7.0]]),
        "terminations": torch.tensor([0.0, 1.0]),
    }
    wanted = [1 + 0.5 * 30, 1 + 0.5 * 7, 7.0]  # two first steps, and the step that terminated
    got = learner.targets(batch)
    torch.testing.assert_close(got, torch.tensor([[16.0, 7.0], [4.5, 7.0]]))
    learner.model.critics = nn.ModuleList(
        [Said(lambda pairs: 0 * pairs[..., :1]), Said(lambda pairs: pairs[..., 2:])]
    )
    errors = np.square(wanted).mean() + np.square(np.array(wanted) - [1, 1, 2]).mean()
    assert learner.critic_loss(batch).item() == pytest.approx(errors, rel=1e-5)
    # One step at a time, the second window too has its last state's value after the first reward.
    learner.options["value_backup"] = "one-step"
    torch.testing.assert_close(learner.targets(batch), torch.tensor([[16.0, 7.0], [1 + 0.5 * 4, 7.0]]))


def test_real_steps_but_a_last_one_that_does_not_terminate_have_a_target():
    mask = np.array([[False, True, True], [True, True, True]])
    assert with_target(mask, np.array([1.0, 0.0])).tolist() == [1, 2, 3, 4]


def test_windows_without_any_target_teach_the_critics_nothing():
    learner = make()
    batch = next_batch(learner, np.random.default_rng(0))
    batch["learnt"] = with_target(np.zeros_like(batch["mask"].numpy()), np.zeros(len(batch["mask"])))
    assert learner.critic_loss(batch).item() == 0.0


@pytest.mark.parametrize("method", METHODS)
def test_windows_hold_their_steps_rewards_and_whether_they_end_in_a_termination(method):
    learner = make(method, normalise_states=False, batch_size=300, reward_scale=10.0)
    data = some_trajectories()
    batch = next_batch(learner, np.random.default_rng(0))
    rewards = dict(zip(data.observations[:, 0].tolist(), data.rewards.tolist(), strict=True))
    over = {6.0, 10.0, 22.0}  # the episode that was cut at 34 did not terminate
    met = set()
    for row in range(300):
        mask = batch["mask"][row]
        states = batch["states"][row, mask, 0].tolist()
        np.testing.assert_allclose(batch["rewards"][row, mask], [rewards[s] / 10 for s in states], rtol=1e-6)
        assert not batch["rewards"][row, ~mask].any(), "padding is zero"
        assert bool(batch["terminations"][row]) == (states[-1] in over)
        met.add(states[-1])
    assert met >= over | {34.0}


# The policy's loss


def test_the_policys_loss_of_a_hand_made_window():
    learner = make(value_weight=2.0)
    learner.model.policy = Acting(lambda returns, states: states[..., :1])
    learner.model.critics = nn.ModuleList(
        [Said(lambda pairs: 3 * pairs[..., 2:]), Said(lambda pairs: pairs[..., 2:] - 4)]
    )
    batch = {
        "returns": torch.zeros(1, 3, 1),
        "states": torch.tensor([[[9.0, 9.0], [0.5, 0.0], [-0.5, 0.0]]]),  # the first step is padding
        "actions": torch.tensor([[[0.0], [0.0], [1.0]]]),
        "previous_actions": torch.zeros(1, 3, 1),
        "timesteps": torch.zeros(1, 3, dtype=torch.long),
        "mask": torch.tensor([[False, True, True]]),
        "real": torch.tensor([1, 2]),
    }
    # Values: 1.5 and -1.5 by the first critic, -3.5 and -4.5 by the second.
    imitation = (0.5**2 + 1.5**2) / 2
    for judge, wanted in [(0, imitation - 2 * 0.0 / 4), (1, imitation - 2 * -4 / 1.5)]:
        given_ = batch | {"judge": torch.tensor(judge)}
        assert learner.policy_loss(given_).item() == pytest.approx(wanted, rel=1e-5, abs=1e-5), judge


def test_no_gradient_passes_through_the_scale_of_the_values():
    learner = make(value_weight=2.0)
    acted = torch.tensor([[[0.5], [-0.5]]], requires_grad=True)
    learner.model.policy = Acting(lambda returns, states: acted)
    learner.model.critics = nn.ModuleList(
        [Said(lambda pairs: 3 * pairs[..., 2:]), Said(lambda pairs: pairs[..., 2:] - 4)]
    )
    batch = learner.sampler.synthetic(1, np.random.default_rng(0))
    batch = {name: values[:, :2] if values.dim() > 1 else values for name, values in batch.items()}
    batch |= {"actions": torch.tensor([[[0.0], [1.0]]]), "judge": torch.tensor(1), "real": torch.arange(2)}
    learner.policy_loss(batch).backward()
    # d/da of mean((a - b)^2) - 2 / 1.5 mean(a - 4), the scale 2 / mean |Q_1| = 2 / 1.5 being a constant.
    torch.testing.assert_close(acted.grad, torch.tensor([[[0.5], [-1.5]]]) - 2 / 1.5 / 2)


def test_either_critic_is_climbed_about_half_of_the_time():
    learner, generator = make(batch_size=1), np.random.default_rng(0)
    drawn = [int(learner.draw(generator)["judge"]) for _ in range(400)]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("method", METHODS)
def test_each_loss_reaches_its_own_networks_alone_and_the_joint_gradient_is_both(method):
    learner = make(method, gradient_clip=1e6)
    batch = next_batch(learner, np.random.default_rng(0))
    model, found = learner.model, {}
    for name, loss in (("policy", learner.policy_loss), ("critics", learner.critic_loss)):
        model.zero_grad(set_to_none=True)
        loss(batch).backward()
        found |= {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
        reached = {key.split(".")[0] for key, p in model.named_parameters() if p.grad is not None}
        assert reached == {name}
    model.zero_grad(set_to_none=True)
    learner.loss(batch).backward()
    for key, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, found.pop(key), rtol=0, atol=0)
    assert not found


@pytest.mark.parametrize("clip", [0.5, 1e6])
def test_critics_far_off_are_clipped_before_they_shorten_the_policys_gradient(clip):
    learner = make(gradient_clip=clip, reward_scale=0.001)
    batch = next_batch(learner, np.random.default_rng(0))
    model, lengths = learner.model, {}

    def length(module):
        return torch.nn.utils.get_total_norm([p.grad for p in module.parameters()]).item()

    for name, loss in (("policy", learner.policy_loss), ("critics", learner.critic_loss)):
        model.zero_grad(set_to_none=True)
        loss(batch).backward()
        lengths[name] = length(getattr(model, name))
    assert 100 < lengths["critics"] < 1e6
    model.zero_grad(set_to_none=True)
    loss = learner.loss(batch)
    loss.backward()
    assert length(model.critics) == pytest.approx(min(clip, lengths["critics"]), rel=1e-4)
    assert length(model.policy) == pytest.approx(lengths["policy"], rel=1e-4)
    assert loss.item() == pytest.approx(
        (learner.policy_loss(batch) + learner.critic_loss(batch)).item(), rel=1e-5
    )


# Target networks


@pytest.mark.parametrize("method", METHODS)
def test_target_critics_move_after_every_update_and_the_target_policy_after_some(method):
    learner = make(method, slow_policy_every=2, slow_policy_from=3, target_update=0.25)
    model, generator = learner.model, np.random.default_rng(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    moved = []
    for done in range(8):
        before = [copy_of(part) for part in (model.target_critics, model.target_policy)]
        online = copy_of(model.critics)
        learner.begin_update(done, generator)
        after = [copy_of(part) for part in (model.target_critics, model.target_policy)]
        moved.append(tuple(not same(*pair) for pair in zip(before, after, strict=True)))
        for new, old, ahead in zip(after[0], before[0], online, strict=True):
            wanted = old + (0.25 * (ahead - old) if moved[-1][0] else 0.0)
            torch.testing.assert_close(new, wanted, rtol=1e-5, atol=1e-6)
        optimiser.zero_grad(set_to_none=True)
        learner.loss(learner.draw(generator)).backward()
        optimiser.step()
        assert same(after[0], copy_of(model.target_critics)), "the optimiser leaves target networks alone"
    # What has moved where update n + 1 begins was moved by update n.
    assert [critics for critics, _ in moved] == [False] + [True] * 7
    assert [policy for _, policy in moved] == [False] * 4 + [True, False, True, False]


def test_target_networks_begin_as_the_originals_and_no_dropout_thins_them_or_the_critics():
    torch.manual_seed(0)
    learner = make_learner("qt", defaults(CATALOGUE, "hopper-medium", "qt") | TINY | {"dropout": 0.5})
    model = learner.model.train()
    assert same(copy_of(model.policy), copy_of(model.target_policy))
    assert same(copy_of(model.critics), copy_of(model.target_critics))
    window = random_windows(learner.options, 3, 4, np.random.default_rng(0))
    assert not torch.equal(model.policy(**window), model.policy(**window))
    assert torch.equal(model.target_policy(**window), model.target_policy(**window))
    pairs = torch.randn(5, 3)
    assert torch.equal(model.critics[0](pairs), model.critics[0](pairs))


def test_a_learner_taken_up_again_moves_its_target_networks_when_the_first_would_have():
    learner, other = (make(slow_policy_from=0, slow_policy_every=3) for _ in range(2))
    generator = np.random.default_rng(0)
    optimiser = torch.optim.SGD(learner.model.parameters(), lr=1e-2)
    for done in range(3):
        update(learner, done, optimiser, generator, clip=1.0)
    other.model.load_state_dict(learner.model.state_dict())
    other.restore(learner.state())
    before = copy_of(other.model.target_policy)
    for each in (learner, other):
        each.begin_update(3, generator)
    assert not same(before, copy_of(other.model.target_policy))
    assert same(copy_of(learner.model), copy_of(other.model))


# What is counted


def counted(learner):
    return learner.timed(np.random.default_rng(0)).counted


@pytest.mark.parametrize("method", METHODS)
def test_critics_are_counted_where_asked_for_and_target_networks_never(method):
    learner = make(method)
    policy = sum(p.numel() for p in learner.model.policy.parameters())
    critics = 2 * (3 * 8 + 8 + 2 * (8 * 8 + 8) + 8 + 1)
    assert parameters(counted(learner)) == policy + critics
    assert parameters(counted(make(method, count_critics=False))) == policy
    batch = learner.sampler.synthetic(3, np.random.default_rng(0))
    assert learner.loss(batch).isfinite()
    names = ("returns", "states", "actions", "previous_actions", "timesteps", "mask")
    alone = macs(learner.model.policy, {name: batch[name] for name in names})
    assert macs(learner.model, batch) == macs_by_torch(learner.model, batch) == alone > 0


def test_q_dema_has_less_than_a_seventh_of_qts_parameters_on_the_medium_datasets():
    for task in ("hopper-medium", "halfcheetah-medium", "walker2d-medium-replay"):
        counts = {m: parameters(counted(make_learner(m, defaults(CATALOGUE, task, m)))) for m in METHODS}
        assert 1 / 9 < counts["q-dema"] / counts["qt"] < 1 / 7, task


def test_q_dema_refuses_to_run_by_its_state():
    with pytest.raises(SpecError) as caught:
        parse_slug(CATALOGUE, "hopper-medium", "q-dema", "mode=recurrent")
    text = str(caught.value)
    assert "\n" not in text
    for part in ("mode", "'window'", "'recurrent'"):
        assert part in text, text
