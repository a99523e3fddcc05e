"""A copy of an Atari game in ale-py's emulator: decisions of several frames, and the frame that each leaves.

Copies are stepped here one by one, and not by ale-py's own batch of environments: that one goes on with games
that are over, hides the memory that the behaviour policies see, and seeds itself. Data and test see the same
frames. Whatever is random is drawn by the caller, and the emulator's own seed is always the same, so that an
episode follows from its no-ops, its actions and its repeats alone.

A frame is grey: the larger of the last two raw frames in each pixel, since some games draw in turns, reduced
to `side` x `side` pixels by area (DQN; Mnih et al. 2015). Weights and sums are whole numbers, so a frame is
the same on every machine.
"""

from __future__ import annotations

import re

import numpy as np
from ale_py import ALEInterface, LoggerMode, roms
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.frame_trajectories import Frames
from bench.errors import SpecError

EMULATOR_SEED = 0
POOLED = 2  # raw frames behind a frame

# Left alone, the emulator writes what it loads to the terminal.
ALEInterface.setLoggerMode(LoggerMode.Error)


class Game:
    """A game by its name in gymnasium, `ALE/Breakout-v5`; an action lasts `frame_skip` raw frames.

    `actions` are those of its minimal set; an action is a number of that set. Raises SpecError for a game
    that ale-py does not have.
    """

    def __init__(self, environment_id: str, side: int, frame_skip: int) -> None:
        self.frame_skip = frame_skip
        self._emulator = ALEInterface()
        self._emulator.setInt("random_seed", EMULATOR_SEED)
        # Repeats are the caller's; the emulator repeats a quarter of all actions by default.
        self._emulator.setFloat("repeat_action_probability", 0.0)
        self._emulator.loadROM(_rom(environment_id))
        self._actions = self._emulator.getMinimalActionSet()
        self.actions = len(self._actions)
        height, width = self._emulator.getScreenDims()
        self._rows, self._row_weights = area_weights(height, side)
        self._columns = _matrix(*area_weights(width, side), width)
        self._area = np.float32(height * width)
        self._held = 0
        # The emulator's reset alone does not forget all that was played: Assault then goes on differently.
        self._start = self._emulator.cloneState()

    @property
    def over(self) -> bool:
        """Whether the game has ended."""
        return bool(self._emulator.game_over())

    @property
    def ram(self) -> NDArray[np.uint8]:
        """(128,) the bytes of the console's memory."""
        return np.array(self._emulator.getRAM(), np.uint8)

    def begin(self, no_ops: int) -> Frames:
        """Begin a game and wait for so many raw frames; the frame (side, side) that is seen then."""
        self._emulator.restoreState(self._start)
        self._emulator.reset_game()
        self._held = 0
        for _ in range(no_ops):
            self._emulator.act(self._actions[0])
        return self._reduced(self._screen())

    def act(self, action: int, repeats: NDArray[np.bool_] | None = None) -> tuple[float, Frames]:
        """Hold an action for `frame_skip` raw frames, or until the game is over: its reward, and the frame.

        In a raw frame that `repeats` (frame_skip,) names, what was held before is held on.
        """
        reward, screens = 0.0, []
        for number in range(self.frame_skip):
            if repeats is None or not repeats[number]:
                self._held = int(action)
            reward += self._emulator.act(self._actions[self._held])
            if number >= self.frame_skip - POOLED or self.over:
                screens.append(self._screen())
            if self.over:
                break
        return reward, self._reduced(np.maximum(screens[0], screens[-1]))

    def _screen(self) -> Frames:
        """The raw frame in grey (height, width)."""
        screen: Frames = self._emulator.getScreenGrayscale()
        return screen

    def _reduced(self, screen: Frames) -> Frames:
        """(side, side) the mean of each pixel's area in a screen (height, width), rounded half up."""
        # Sums of rows stay below 2 ** 16, and sums of both below 2 ** 24: float32 holds them exactly.
        sums = screen[self._rows[:, 0]] * self._row_weights[:, 0, None]
        for taken, weight in zip(self._rows.T[1:], self._row_weights.T[1:], strict=True):
            sums += screen[taken] * weight[:, None]
        areas = sums.astype(np.float32) @ self._columns
        reduced: Frames = ((areas + np.floor(self._area / 2)) / self._area).astype(np.uint8)
        return reduced


def area_weights(pixels: int, side: int) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """For each of `side` pixels the source pixels that it covers (side, n), and how much of each (side, n).

    In units of 1 / side of a source pixel, so that weights are whole and those of a pixel add up to `pixels`.
    """
    edges = np.arange(side + 1) * pixels
    most = -(-pixels // side) + 1
    covered = edges[:-1, None] // side + np.arange(most)
    overlap = np.minimum((covered + 1) * side, edges[1:, None]) - np.maximum(covered * side, edges[:-1, None])
    return np.minimum(covered, pixels - 1), np.maximum(overlap, 0).astype(np.uint16)


def _matrix(covered: NDArray[np.int64], weights: NDArray[np.uint16], pixels: int) -> NDArray[np.float32]:
    """(pixels, side) the weights as a matrix."""
    matrix = np.zeros((pixels, len(covered)), np.float32)
    for pixel, (taken, weight) in enumerate(zip(covered, weights, strict=True)):
        np.add.at(matrix[:, pixel], taken, weight)
    return matrix


def _rom(environment_id: str) -> str:
    """Where ale-py keeps a game's program."""
    camel = environment_id.removeprefix("ALE/").rpartition("-")[0]
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", camel).lower()
    if name not in roms.get_all_rom_ids():
        raise SpecError(
            f"Unknown game {environment_id!r} (option environment_id). Name one that ale-py has, such as "
            "'ALE/Breakout-v5'."
        )
    return str(roms.get_rom_path(name))


def make_games(options: Options, count: int) -> list[Game]:
    """`count` copies of a task's game; SpecError where its actions are not as many as the task says."""
    games = [
        Game(options["environment_id"], options["frame_side"], options["frame_skip"]) for _ in range(count)
    ]
    if games[0].actions != options["action_dim"]:
        raise SpecError(
            f"workflow/tasks/atari.yaml: key action_dim: {options['environment_id']} has {games[0].actions} "
            f"actions in its minimal set, got {options['action_dim']}. Correct the task."
        )
    return games
