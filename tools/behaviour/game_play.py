"""Games of the Atari console: copies stepped together, rollouts for training, and scores of a policy.

A decision lasts four frames and pays what these pay, without sticky actions. Each game begins with up to
thirty frames without an action, drawn uniformly: without them games would begin alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ale_py import ALEInterface, LoggerMode, roms
from numpy.typing import NDArray

from bench.datasets.ram_policies import FEATURES, RAM_BYTES, Ram, ram_features, standardised
from bench.errors import SpecError
from tools.behaviour.rollout import ActAndValue, Float32, Rollout, RunningMoments, Value

FRAMES_PER_DECISION = 4
MOST_NO_OPS = 30  # frames
Choose = Callable[[Ram, Ram, np.random.Generator], NDArray[np.int64]]

ALEInterface.setLoggerMode(LoggerMode.Error)


class Game:
    """One console. `memory` and `memory_before` (128,) uint8 are those after the last two decisions."""

    def __init__(self, env_id: str) -> None:
        self._console = ALEInterface()
        self._console.setInt("random_seed", 0)
        self._console.setFloat("repeat_action_probability", 0.0)
        self._console.loadROM(_rom(env_id))
        self._console.reset_game()
        self._start = self._console.cloneState()  # going back to it is faster than a reset, and the same
        self._actions = self._console.getMinimalActionSet()
        self.actions = len(self._actions)
        self.memory = self.memory_before = np.zeros(RAM_BYTES, np.uint8)

    def reset(self, generator: np.random.Generator) -> None:
        """Begin a game, after 0 to 30 frames without an action."""
        self._console.restoreState(self._start)
        for _ in range(generator.integers(MOST_NO_OPS + 1)):
            self._console.act(0)
        self.memory = self.memory_before = self._console.getRAM()

    def decide(self, action: int) -> float:
        """Hold an action of the minimal set for four frames, or until the game is over; their reward."""
        reward = 0
        for _ in range(FRAMES_PER_DECISION):
            reward += self._console.act(self._actions[action])
            if self.over:
                break
        self.memory_before, self.memory = self.memory, self._console.getRAM()
        return float(reward)

    @property
    def over(self) -> bool:
        """Whether the game is over."""
        return self._console.game_over()

    @property
    def lives(self) -> int:
        """Lives left; 0 throughout in a game that has none."""
        return self._console.lives()


class GameCollector:
    """Plays a batch of games without end.

    For the learner a lost life ends an episode, and rewards are signs. `finished` are the scores of all games
    that are over.
    """

    def __init__(self, env_id: str, games: int, seeds: np.random.SeedSequence) -> None:
        self._random = np.random.default_rng(seeds)
        self._games = [Game(env_id) for _ in range(games)]
        self.actions = self._games[0].actions
        self.moments = RunningMoments((FEATURES,))
        self.finished: list[float] = []
        self._scores = np.zeros(games)
        for game in self._games:
            game.reset(self._random)

    def collect(self, decisions: int, act: ActAndValue, value: Value) -> Rollout:
        """Play `decisions` decisions of each game; the moments of the features take them in afterwards."""
        shape = (decisions, len(self._games))
        features = np.empty((*shape, FEATURES), np.float32)
        actions = np.empty(shape, np.int64)
        log_probabilities, values, rewards, ends = (np.empty(shape, np.float32) for _ in range(4))
        for step in range(decisions):
            features[step] = self._features()
            actions[step], log_probabilities[step], values[step] = act(self._standardised(features[step]))
            rewards[step], ends[step] = self._advance(actions[step])
        last_values = value(self._standardised(self._features()))
        flat = features.reshape(-1, FEATURES)
        seen = self._standardised(flat).reshape(features.shape)
        self.moments.update(flat)
        return Rollout(seen, actions, log_probabilities, values, rewards, ends, last_values)

    def _advance(self, actions: NDArray[np.int64]) -> tuple[Float32, Float32]:
        rewards, ends = np.zeros((2, len(self._games)), np.float32)
        for index, (game, action) in enumerate(zip(self._games, actions, strict=True)):
            lives = game.lives
            reward = game.decide(action)
            rewards[index] = np.sign(reward)
            ends[index] = game.over or game.lives < lives
            self._scores[index] += reward
            if game.over:
                self.finished.append(float(self._scores[index]))
                self._scores[index] = 0.0
                game.reset(self._random)
        return rewards, ends

    def _features(self) -> Float32:
        return ram_features(*_memories(self._games))

    def _standardised(self, features: Float32) -> Float32:
        return standardised(features, self.moments.mean, self.moments.std)


def scores(
    choose: Choose, env_id: str, episodes: int, seed: int, most_decisions: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores and lengths in decisions (episodes,) of games that `choose` plays side by side.

    A game that is not over after `most_decisions` counts with what it has earned by then. The same arguments
    give the same scores on one machine.
    """
    starts, generator = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(2))
    games = [Game(env_id) for _ in range(episodes)]
    for game in games:
        game.reset(starts)
    earned, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    alive = np.arange(episodes)
    for _ in range(most_decisions):
        for index, action in zip(
            alive, choose(*_memories([games[i] for i in alive]), generator), strict=True
        ):
            earned[index] += games[index].decide(action)
            lengths[index] += 1
        alive = np.array([index for index in alive if not games[index].over], np.int64)
        if not len(alive):
            break
    return earned, lengths


def uniform(actions: int) -> Choose:
    """The policy that draws one of so many actions, whatever it sees."""
    return lambda now, before, generator: generator.integers(actions, size=len(now))


def _rom(env_id: str) -> Path:
    """The cartridge of an identifier such as `ALE/Breakout-v5`."""
    if (path := roms.get_rom_path(env_id.removeprefix("ALE/").removesuffix("-v5").lower())) is None:
        raise SpecError(f"ale-py has no game {env_id!r}: correct environment_id in the recipe.")
    return path


def _memories(games: Sequence[Game]) -> tuple[Ram, Ram]:
    return np.stack([game.memory for game in games]), np.stack([game.memory_before for game in games])
