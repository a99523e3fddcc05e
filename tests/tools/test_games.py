"""Training the policies of games: small enough to run, large enough to fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from bench.datasets.ram_policies import RamPolicy, load_ram_ladder
from bench.errors import SpecError
from tools.behaviour.command import app
from tools.behaviour.game_play import Game, GameCollector, scores, uniform
from tools.behaviour.game_ppo import SoftmaxActorCritic, train
from tools.behaviour.game_recipe import RECIPES, read_recipe, rising_shares, rising_snapshots
from tools.behaviour.ppo import Learner, PPOSettings, generalised_advantages
from tools.behaviour.rollout import Rollout

BREAKOUT = "ALE/Breakout-v5"
SMALL = PPOSettings(
    environments=2, rollout_steps=32, hidden=8, epochs=2, minibatch=32, entropy_coefficient=0.01
)


def run(*arguments: str | Path) -> None:
    """The command `python -m tools.behaviour`, its messages raised."""
    CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def network() -> SoftmaxActorCritic:
    return SoftmaxActorCritic(6, 3, 16, torch.Generator().manual_seed(0))


def test_a_game_begins_anew_as_after_a_reset_of_the_console() -> None:
    game, fresh = Game(BREAKOUT), Game(BREAKOUT)
    played = np.random.default_rng(1)
    game.reset(np.random.default_rng(0))
    while not game.over:
        game.decide(int(played.integers(game.actions)))
    for each in (game, fresh):
        each.reset(np.random.default_rng(7))
    assert game.lives == 5
    for action in [1, 2, 2, 3, 1] * 40:
        assert game.decide(action) == fresh.decide(action)
        np.testing.assert_array_equal(game.memory, fresh.memory)
        np.testing.assert_array_equal(game.memory_before, fresh.memory_before)


def test_the_learner_is_told_signs_of_rewards_and_of_lost_lives() -> None:
    """Breakout without a move after the ball is served: its five lives are lost, and nothing is earned."""
    collector = GameCollector(BREAKOUT, 1, np.random.SeedSequence(0))
    serve = np.ones(1, np.int64), np.zeros(1, np.float32), np.zeros(1, np.float32)
    rollout = collector.collect(400, lambda states: serve, lambda states: np.zeros(1, np.float32))
    assert set(np.unique(rollout.rewards)) <= {0.0, 1.0}
    assert rollout.ends.sum() >= 5 * len(collector.finished) > 0
    assert rollout.observations.shape == (400, 1, 256)


def test_probabilities_and_entropy_against_their_definition(network: SoftmaxActorCritic) -> None:
    states, actions = torch.randn(5, 6), torch.tensor([0, 1, 2, 1, 0])
    chances = torch.softmax(network.actor(states), -1)
    torch.testing.assert_close(
        network.log_probability(states, actions), torch.log(chances[torch.arange(5), actions])
    )
    torch.testing.assert_close(network.entropy(states), -(chances * torch.log(chances)).sum(-1))


def test_actions_are_sampled_with_their_probabilities(network: SoftmaxActorCritic) -> None:
    states = torch.randn(1, 6)
    with torch.no_grad():
        network.actor[-1].bias += torch.tensor([0.5, 0.0, -1.0])
        drawn = network.sample(states.expand(20_000, 6), np.random.default_rng(0))
        chances = torch.softmax(network.actor(states), -1)[0]
    np.testing.assert_allclose(np.bincount(drawn.numpy()) / 20_000, chances.numpy(), atol=0.015)


def test_advantages_of_an_episode_that_ends_in_the_middle() -> None:
    """Three decisions, the second of them the last of its life: by hand."""
    column = lambda *numbers: np.array(numbers, np.float32)[:, None]  # noqa: E731
    values, rewards, ends = column(1, 2, 3), column(0, 1, 0), column(0, 1, 0)
    rollout = Rollout(values, values, values, values, rewards, ends, np.array([4], np.float32))
    advantages, returns = generalised_advantages(rollout, 0.5, 0.5)
    second, third = 1 - 2, 0.5 * 4 - 3
    first = 0.5 * 2 - 1 + 0.25 * second
    np.testing.assert_allclose(advantages[:, 0], [first, second, third], rtol=1e-6)
    np.testing.assert_allclose(returns[:, 0], [first + 1, second + 2, third + 3], rtol=1e-6)


def test_the_learner_finds_the_action_that_pays(network: SoftmaxActorCritic) -> None:
    """Three states, in each of which one action of three pays 1: after a few updates it is chosen."""
    settings = PPOSettings(learning_rate=3e-3, minibatch=64, epochs=4, entropy_coefficient=0.01)
    learner = Learner(network, settings, np.random.default_rng(0))
    states = np.eye(3, 6, dtype=np.float32)
    for _ in range(40):
        shown = states[np.arange(64) % 3][None]
        actions, log_probabilities, values = (part[None] for part in learner.act(shown[0]))
        rewards = (actions == np.arange(64) % 3).astype(np.float32)
        every = np.ones((1, 64), np.float32)
        last = np.zeros(64, np.float32)
        learner.update(Rollout(shown, actions, log_probabilities, values, rewards, every, last))
    chances = torch.softmax(network.actor(torch.from_numpy(states)), -1)
    assert (chances.diagonal() > 0.9).all()


def test_at_no_share_of_the_learning_rate_nothing_is_learnt(network: SoftmaxActorCritic) -> None:
    before = [parameter.clone() for parameter in network.parameters()]
    learner = Learner(network, SMALL, np.random.default_rng(0))
    shown, one = np.ones((1, 64, 6), np.float32), np.ones((1, 64), np.float32)
    rollout = Rollout(shown, np.zeros((1, 64), np.int64), -one, one, one, one, one[0])
    learner.update(rollout, 0.0)
    assert all((left == right).all() for left, right in zip(before, network.parameters(), strict=True))
    learner.update(rollout, 0.5)
    assert any((left != right).any() for left, right in zip(before, network.parameters(), strict=True))


def test_two_trainings_of_one_seed_are_the_same_and_of_another_are_not() -> None:
    first, again, other = (
        [policy for _, policy in train(BREAKOUT, 256, [0.5, 1.0], seed, SMALL) if policy]
        for seed in (0, 0, 1)
    )
    assert len(first) == 2
    for left, right, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(left.observation_mean, right.observation_mean)
        for weights in zip(left.weights, right.weights, strict=True):
            np.testing.assert_array_equal(*weights)
        assert (left.weights[0] != different.weights[0]).any()
    assert (first[0].weights[0] != first[1].weights[0]).any()


def test_a_snapshot_plays_as_the_network_that_it_was_taken_from() -> None:
    *_, (_, policy) = train(BREAKOUT, 128, [1.0], 0, SMALL)
    now = np.random.default_rng(0).integers(0, 256, (4, 128), np.uint8)
    chances = RamPolicy(policy).probabilities(now, now)
    assert chances.shape == (4, 4)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert policy.log_std.size == 0


def test_random_actions_score_what_is_published_of_them_in_breakout() -> None:
    """1.7 is the score of random play in the tables of the Atari literature; a cap can only lower it."""
    earned, lengths = scores(uniform(4), BREAKOUT, 20, 0, 400)
    assert 0.5 < earned.mean() < 2.5
    assert lengths.max() <= 400
    np.testing.assert_array_equal(earned, scores(uniform(4), BREAKOUT, 20, 0, 400)[0])


def test_the_command_writes_a_ladder_that_can_be_played(tmp_path: Path) -> None:
    recipe = yaml.safe_load(RECIPES.read_text())
    recipe["settings"] |= {"environments": 2, "rollout_steps": 32, "hidden": 8, "minibatch": 32}
    recipe["evaluation"] |= {"episodes": 2, "most_decisions": 20}
    recipe["games"]["breakout"]["decisions"] = 320
    file = tmp_path / "games.yaml"
    file.write_text(yaml.safe_dump(recipe))
    run("game", "breakout", "--recipe", file, "--output", tmp_path)
    rungs = load_ram_ladder("breakout-ladder", tmp_path)
    assert rungs[-1].policy.record["training_decisions"] == 320
    assert json.loads((tmp_path / "breakout-ladder.json").read_text())["env_id"] == BREAKOUT
    now = np.zeros((3, 128), np.uint8)
    assert rungs[-1].policy.act(now, now, np.random.default_rng(0)).shape == (3,)


def test_rungs_are_those_nearest_to_even_levels_and_rise() -> None:
    assert rising_snapshots([1.0, 9.0, 52.0, 40.0, 100.0, 60.0], 0.0, 3) == [0, 2, 4]
    assert rising_snapshots([5.0, 3.0, 10.0], 0.0, 3) == [0, 2]
    assert rising_snapshots([5.0, 3.0, 2.0], 0.0, 3) == [0]


def test_shares_go_up_and_add_up() -> None:
    rungs = rising_shares(3, 0.3)
    assert [(rung.snapshot, rung.share, rung.noise) for rung in rungs] == [
        (0, 0.1667, 0.3),
        (1, 0.3333, 0.3),
        (2, 0.5, 0.3),
    ]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"settings": {"epoch": 1}}, "unexpected keyword argument 'epoch'.*Correct the file"),
        ({"evaluation": "none"}, "evaluation.*Correct the file"),
        ({"games": {}}, "unknown game 'breakout'"),
    ],
)
def test_a_recipe_that_does_not_hold_together_is_refused(tmp_path: Path, edit: dict, said: str) -> None:
    file = tmp_path / "games.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(RECIPES.read_text()) | edit))
    with pytest.raises(SpecError, match=rf"(?s)games\.yaml.*{said}"):
        read_recipe("breakout", file)


@pytest.mark.slow
def test_a_shipped_policy_scores_what_its_record_says() -> None:
    """Another processor may round otherwise: scores then agree within their errors."""
    policy = load_ram_ladder("breakout-ladder")[-1].policy
    evaluation = policy.record["evaluation"]
    earned, _ = scores(
        policy.act, BREAKOUT, evaluation["episodes"], evaluation["seed"], evaluation["most_decisions"]
    )
    assert abs(earned.mean() - policy.record["return_mean"]) <= 4 * policy.record["return_error"]
