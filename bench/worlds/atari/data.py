"""Local Atari datasets: games played by a shipped ladder of policies over the console's memory.

The policies see no picture; the frames of what they do are recorded. Random streams are derived from (seed,
episode number) as for the robots: each episode has one for its no-ops, each round of sixteen, which run side
by side, one for the policy's choices. Episodes of one policy are stored in the order of their numbers, so a
longer collection begins with the shorter one's. Actions are never sticky here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.catalogue.option_types import Options
from bench.datasets.frame_store import FrameWriter, facts_of
from bench.datasets.frame_store import load_frames as load
from bench.datasets.frame_trajectories import Frames
from bench.datasets.ram_policies import GamePolicy, RamRung, load_ram_ladder
from bench.errors import DatasetError
from bench.seeds import stream_seed
from bench.work.record import Facts
from bench.worlds.atari.game import Game, make_games

ENVIRONMENTS = 16
NO_OPS, CHOICES = 0, 1  # the purposes of the random streams


@dataclass
class Played:
    """An episode as far as it was played: one frame more than actions and rewards."""

    frames: list[Frames]
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    terminated: bool = False

    def __len__(self) -> int:
        return len(self.rewards)


def make(options: Options, task: str, folder: Path) -> Facts:
    """Play the task's ladder of policies into a dataset of frames below `folder`; facts for the sidecar.

    Raises UnavailableError for a ladder that does not ship, DatasetError for one that is damaged or has more
    parts than there are transitions.
    """
    name = options["behaviour_policy"]
    writer = FrameWriter(folder, options["frame_side"], options["stacked_frames"], options["action_dim"])
    collect(load_ram_ladder(name), writer, options, stream_seed("data", "behaviour", name))
    writer.close()
    return facts_of(load(folder))


def collect(ladder: Sequence[RamRung], writer: FrameWriter, options: Options, seed: int) -> None:
    """Write exactly `transitions` transitions, each rung's share in the order of the ladder.

    Episodes end with the game, or are cut at `max_episode_steps` as those of a test are. The last of each
    rung is cut where its share is reached.
    """
    shares = np.cumsum([0.0, *(rung.share for rung in ladder)])
    counts = np.diff(np.rint(shares / shares[-1] * options["transitions"]).astype(int)).tolist()
    if min(counts) < 1:
        raise DatasetError(
            f"{options['behaviour_policy']}: {options['transitions']} transitions are too few for the "
            f"{len(ladder)} parts of its ladder, and each needs one. Raise the option transitions."
        )
    longest, noop_steps = options["max_episode_steps"], options["noop_steps"]
    games = make_games(options, ENVIRONMENTS)
    first = 0  # number of the next episode
    for rung, missing in zip(ladder, counts, strict=True):
        while missing > 0:
            for episode in roll_out(rung.policy, games, seed, first, missing, longest, noop_steps):
                taken = min(len(episode), missing)
                _write(episode, taken, writer)
                missing -= taken
            first += len(games)


def roll_out(
    policy: GamePolicy,
    games: Sequence[Game],
    seed: int,
    first: int,
    wanted: int,
    longest: int,
    noop_steps: int,
) -> list[Played]:
    """An episode of each game, numbered `first` and following, of at most `longest` decisions.

    An episode is played no further than the first `wanted` decisions of all reach, in the order of their
    numbers; later ones are then empty or cut.
    """
    numbers = range(first, first + len(games))
    no_ops = [_stream(seed, number, NO_OPS).integers(noop_steps, endpoint=True) for number in numbers]
    played = [Played([game.begin(int(wait))]) for game, wait in zip(games, no_ops, strict=True)]
    choices = _stream(seed, first, CHOICES)
    now = np.stack([game.ram for game in games])
    before, alive = now, np.ones(len(games), bool)
    while alive.any():
        actions = policy.act(now, before, choices)
        before, now = now, now.copy()
        for index in np.flatnonzero(alive):
            game, episode = games[int(index)], played[int(index)]
            reward, frame = game.act(int(actions[index]))
            episode.frames.append(frame)
            episode.actions.append(int(actions[index]))
            episode.rewards.append(reward)
            episode.terminated = game.over
            now[index] = game.ram
        lengths = np.array([len(episode) for episode in played])
        alive &= (lengths < longest) & (np.cumsum(lengths) < wanted)
        alive &= ~np.array([episode.terminated for episode in played])
    return played


def _stream(seed: int, number: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng((seed, number, purpose))


def _write(episode: Played, steps: int, writer: FrameWriter) -> None:
    """Write the first `steps` transitions of an episode; nothing of one that has none."""
    if not steps:
        return
    writer.frames(np.stack(episode.frames[:steps]))
    terminated = episode.terminated and steps == len(episode)
    writer.end(
        np.array(episode.actions[:steps]),
        np.array(episode.rewards[:steps]),
        terminated,
        episode.frames[steps],
    )
