"""Copies of an Atari game as a `World`: stacks of the last frames, zeros before an episode's first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.datasets.arrays import Actions
from bench.datasets.frame_trajectories import Frames
from bench.worlds.atari.game import Game


class AtariWorld:
    """Games stepped together, each of at most `max_episode_steps` decisions.

    `generator` draws up to `noop_steps` no-ops before each episode and, with the probability
    `sticky_actions`, in which raw frames an action is held on in place of the next one.
    """

    def __init__(
        self,
        games: Sequence[Game],
        generator: np.random.Generator,
        stacked_frames: int,
        max_episode_steps: int,
        noop_steps: int,
        sticky_actions: float,
    ) -> None:
        self.games, self.count, self.generator = games, len(games), generator
        self.stacked_frames, self.max_episode_steps = stacked_frames, max_episode_steps
        self.noop_steps, self.sticky_actions = noop_steps, sticky_actions

    def reset(self) -> Frames:
        """Begin an episode everywhere; stacks (count, stacked_frames, side, side)."""
        no_ops = self.generator.integers(self.noop_steps, size=self.count, endpoint=True)
        frames = np.stack([game.begin(int(number)) for game, number in zip(self.games, no_ops, strict=True)])
        self._stacks = np.zeros((self.count, self.stacked_frames, *frames.shape[1:]), np.uint8)
        self._stacks[:, -1] = frames
        self._alive = np.ones(self.count, bool)
        self._decisions = 0
        return self._stacks.copy()

    def step(self, actions: Actions) -> tuple[Frames, NDArray[np.float64], NDArray[np.bool_]]:
        """Act by numbers (count,): stacks (count, ...), rewards (count,), and which games are over (count,).

        A game that is over is not stepped: it keeps its stack and is paid nothing. Rewards are not clipped.
        """
        rewards, drawn = np.zeros(self.count), self._repeats()
        for index in np.flatnonzero(self._alive):
            game = self.games[int(index)]
            rewards[index], frame = game.act(int(actions[index]), None if drawn is None else drawn[index])
            self._stacks[index, :-1] = self._stacks[index, 1:]
            self._stacks[index, -1] = frame
            self._alive[index] = not game.over
        self._decisions += 1
        self._alive &= self._decisions < self.max_episode_steps
        return self._stacks.copy(), rewards, ~self._alive

    def close(self) -> None:
        """The emulators are freed with the world."""

    def _repeats(self) -> NDArray[np.bool_] | None:
        """Where an action is held on, (count, frame_skip): drawn for all games, whichever are over."""
        if not self.sticky_actions:
            return None
        drawn = self.generator.random((self.count, self.games[0].frame_skip))
        return drawn < self.sticky_actions
