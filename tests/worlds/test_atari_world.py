"""The Atari world: frames as ale-py's environments have them, and episodes that follow from their seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ale_py.vector_env import AtariVectorEnv
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.errors import SpecError
from bench.worlds.atari.game import EMULATOR_SEED, Game, area_weights, make_games
from bench.worlds.atari.test import make_world, scores

GAMES = [name for name, task in CATALOGUE.tasks.items() if task.environment == "atari"]


def options(task: str = "breakout", **changes: Any) -> Any:
    return defaults(CATALOGUE, task, None) | {"evaluation_episodes": 3, "max_episode_steps": 60} | changes


def play(world, steps: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stacks, rewards and ends of an episode of random actions, (steps + 1, ...) and (steps, ...)."""
    random = np.random.default_rng(seed)
    seen, rewards, ends = [world.reset()], [], []
    for _ in range(steps):
        stacks, reward, over = world.step(random.integers(4, size=world.count))
        seen.append(stacks)
        rewards.append(reward)
        ends.append(over)
    return np.stack(seen), np.stack(rewards), np.stack(ends)


@pytest.mark.parametrize("task", GAMES)
def test_the_tasks_actions_are_those_of_the_games_minimal_set(task: str) -> None:
    [game] = make_games(options(task), 1)
    assert game.actions == options(task)["action_dim"]


@pytest.mark.parametrize("task", GAMES)
def test_frames_are_those_of_ale_pys_own_environments_within_a_grey_level(task: str) -> None:
    [game] = make_games(options(task), 1)
    theirs = AtariVectorEnv(
        task, 1, noop_max=0, reward_clipping=False, use_fire_reset=False, repeat_action_probability=0.0
    )
    stacks, _ = theirs.reset(seed=EMULATOR_SEED)
    frame = game.begin(0)
    assert not stacks[0, :-1].any(), "a stack begins with empty frames"
    random = np.random.default_rng(0)
    for _ in range(200):
        assert np.abs(stacks[0, -1].astype(int) - frame).max() <= 1
        action = int(random.integers(game.actions))
        stacks, reward, over, _, _ = theirs.step(np.array([action]))
        earned, frame = game.act(action)
        assert (reward[0], over[0]) == (earned, game.over)
        if game.over:
            break
    theirs.close()


@pytest.mark.parametrize(("pixels", "side"), [(210, 84), (160, 84), (210, 42), (160, 160), (160, 7), (7, 9)])
def test_a_pixels_weights_are_the_shares_of_what_it_covers(pixels: int, side: int) -> None:
    covered, weights = area_weights(pixels, side)
    assert (weights.sum(axis=1) == pixels).all()
    shares = np.zeros((side, pixels))
    for pixel in range(side):
        np.add.at(shares[pixel], covered[pixel], weights[pixel] / side)
    fine = np.kron(np.eye(pixels), np.ones((1, side))).reshape(pixels, side, pixels).sum(axis=2)
    np.testing.assert_allclose(shares, fine.T / side, atol=1e-12)


def test_a_stack_holds_the_last_frames_and_zeros_before_the_first() -> None:
    seen, _, _ = play(make_world(options(), "breakout", 0, {}), 6)
    assert (seen.shape, seen.dtype) == ((7, 3, 4, 84, 84), np.uint8)
    assert not seen[0, :, :-1].any()
    assert seen[0, :, -1].any(axis=(1, 2)).all()
    for step in range(6):
        np.testing.assert_array_equal(seen[step + 1, :, :-1], seen[step, :, 1:])


def test_the_same_seed_gives_the_same_episodes_and_another_seed_others() -> None:
    first, again, other = (play(make_world(options(), "breakout", seed, {}), 60) for seed in (0, 0, 1))
    for ours, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("task", GAMES)
def test_an_episode_does_not_depend_on_what_was_played_before(task: str) -> None:
    [used], [fresh] = make_games(options(task), 1), make_games(options(task), 1)
    used.begin(3)
    random = np.random.default_rng(0)
    for _ in range(400):
        used.act(int(random.integers(used.actions)))
        if used.over:
            used.begin(0)
    np.testing.assert_array_equal(used.begin(5), fresh.begin(5))
    for _ in range(100):
        action = int(random.integers(used.actions))
        (one, seen), (two, same) = used.act(action), fresh.act(action)
        assert one == two
        np.testing.assert_array_equal(seen, same)
        np.testing.assert_array_equal(used.ram, fresh.ram)


def test_a_game_that_is_over_keeps_its_stack_and_is_paid_nothing_until_reset() -> None:
    world = make_world(options(max_episode_steps=2000, noop_steps=30), "breakout", 0, {})
    seen, rewards, ends = play(world, 400)
    over = ends.argmax(axis=0)
    assert ends[-1].all(), "random games of Breakout are short"
    assert len(set(over.tolist())) > 1
    for game, last in enumerate(over):
        assert not ends[:last, game].any()
        assert ends[last:, game].all()
        assert not rewards[last + 1 :, game].any()
        assert (seen[last + 1 :, game] == seen[last + 1, game]).all()
    assert not world.reset()[:, :-1].any()
    assert not world.step(np.zeros(3, int))[2].any()


def test_an_episode_is_cut_at_the_cap() -> None:
    _, _, ends = play(make_world(options(max_episode_steps=7), "breakout", 0, {}), 9)
    assert ends.all(axis=1).tolist() == [False] * 6 + [True] * 3


def test_rewards_are_not_clipped() -> None:
    # A brick of Qbert's pyramid is worth 25.
    _, rewards, _ = play(make_world(options("qbert", max_episode_steps=500), "qbert", 0, {}), 300)
    assert rewards.max() >= 25


def test_nothing_is_fired_at_reset() -> None:
    world = make_world(options(noop_steps=0), "breakout", 0, {})
    waiting = [world.reset(), *(world.step(np.zeros(3, int))[0] for _ in range(8))]
    assert all(np.array_equal(one[:, -1], waiting[-1][:, -1]) for one in waiting[4:]), (
        "the ball is not in play"
    )


def test_no_ops_make_episodes_begin_differently() -> None:
    def ball(world) -> np.ndarray:
        world.reset()
        return np.stack([world.step(np.ones(8, int))[0][:, -1] for _ in range(20)], axis=1)

    many = options("pong", evaluation_episodes=8)
    still, moved = (ball(make_world(many | {"noop_steps": most}, "pong", 0, {})) for most in (0, 30))
    assert all(np.array_equal(one, still[0]) for one in still)
    assert len({one.tobytes() for one in moved}) > 1


def test_sticky_actions_hold_on_to_what_was_held() -> None:
    always = play(make_world(options(sticky_actions=1.0), "breakout", 0, {}), 30)
    assert not always[1].any(), "the first no-op is held for ever, and the ball never served"
    sometimes = [play(make_world(options(sticky_actions=0.5), "breakout", 0, {}), 30) for _ in range(2)]
    np.testing.assert_array_equal(sometimes[0][0], sometimes[1][0])
    assert not np.array_equal(sometimes[0][0], play(make_world(options(), "breakout", 0, {}), 30)[0])


def test_scores_are_between_a_random_agent_and_a_human() -> None:
    rows = scores(np.array([16.0, 30.0]), np.array([10.0, 20.0]), options())
    found = {metric: value for metric, _, value in rows}
    assert found["return"] == 23.0
    assert found["gamer_normalised_score"] == pytest.approx(100 * (23 - 2) / (30 - 2))
    assert found["episode_length"] == 15.0
    assert set(found) <= CATALOGUE.metrics.keys() | {"return_deviation", "episode_length"}


def test_a_game_that_is_not_there_and_a_wrong_number_of_actions_are_refused() -> None:
    with pytest.raises(SpecError, match=r"Unknown game 'ALE/Chess-v5' \(option environment_id\)"):
        Game("ALE/Chess-v5", 84, 4)
    with pytest.raises(SpecError, match=r"key action_dim: ALE/Breakout-v5 has 4 actions .*, got 6"):
        make_world(options(action_dim=6), "breakout", 0, {})
