"""Small episodes of frames whose right action can be seen, and small learners of them."""

from __future__ import annotations

import numpy as np
import torch
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.datasets.frame_trajectories import FrameTrajectories
from bench.methods.base import make_learner

SIDE, ACTIONS = 36, 3
SIZES = {
    "embedding_dim": 16, "d_model": 16, "d_state": 4, "layers": 2, "heads": 2, "context_length": 4,
    "hidden_dim": 16, "frame_side": SIDE, "stacked_frames": 2, "action_dim": ACTIONS, "batch_size": 16,
    "dropout": 0.0, "learning_rate": 0.003, "warmup_tokens": 0, "decay_tokens": 0, "warmup_updates": 0,
    "decay": "constant", "max_episode_steps": 40, "max_timestep": 40,
}  # fmt: skip


def options_of(method, **changes):
    """The options of a method in Breakout, in small."""
    known = defaults(CATALOGUE, "breakout", method)
    return known | {name: value for name, value in SIZES.items() if name in known} | changes


def learner_of(method, **changes):
    """A small learner, always with the same weights."""
    torch.manual_seed(0)
    return make_learner(method, options_of(method, **changes))


def episodes(lengths=(12, 3, 20, 9), seed=0):
    """Episodes in which a bright bar says which action is taken; each is paid 1 at its end."""
    generator, steps = np.random.default_rng(seed), sum(lengths)
    chosen = generator.integers(ACTIONS, size=steps)
    frames = generator.integers(40, size=(steps, SIDE, SIDE), dtype=np.uint8)
    width = SIDE // ACTIONS
    for frame, action in zip(frames, chosen, strict=True):
        frame[:, action * width : (action + 1) * width] += 150
    starts = np.cumsum([0, *lengths])
    ends = np.zeros(steps, np.float32)
    ends[starts[1:] - 1] = 1.0
    return FrameTrajectories(
        frames=frames,
        actions=np.eye(ACTIONS, dtype=np.float32)[chosen],
        rewards=ends.copy(),
        terminations=ends,
        truncations=np.zeros(steps, np.float32),
        final_frames=np.zeros((len(lengths), SIDE, SIDE), np.uint8),
        starts=starts.astype(np.int64),
        stacked_frames=2,
    )
