"""DM-H in a T-maze: its context is the one episode, and it remembers."""

from __future__ import annotations

import numpy as np
import torch
from method_cases import update
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.evaluators.in_context import evaluate
from bench.methods.base import make_learner
from bench.methods.in_context import draw_contexts
from bench.worlds.tmaze import data as tmaze
from bench.worlds.tmaze import test as mazes

SMALL = {
    "embedding_dim": 32, "mamba_layers": 1, "transformer_layers": 1, "local_tokens": "merged", "dropout": 0.0,
    "subgoal_deviation": 0.1,
}  # fmt: skip


def test_a_batch_holds_both_optimal_episodes(tmp_path):
    options = defaults(CATALOGUE, "tmaze-passive-10", "dmh")
    tmaze.make(options, "tmaze-passive-10", tmp_path)
    drawn = draw_contexts(tmaze.load(tmp_path), options, options["batch_size"], np.random.default_rng(0))
    assert sorted(drawn.states[:, 0, 0, 1].tolist()) == [-1, 1]
    assert drawn.actions[:, 0, :-1].tolist() == [[0] * 10] * 2
    assert drawn.lengths.tolist() == [[11], [11]]


def test_dmh_learns_to_turn_to_the_side_it_was_told_ten_steps_before(tmp_path):
    torch.manual_seed(0)
    options = defaults(CATALOGUE, "tmaze-passive-10", "dmh") | SMALL
    tmaze.make(options, "tmaze-passive-10", tmp_path)
    learner, generator = make_learner("dmh", options), np.random.default_rng(0)
    learner.prepare(tmaze.load(tmp_path))
    rows = {name: value for name, _, value in evaluate(learner, mazes, options, "tmaze-passive-10", 0, {})}
    assert rows["solved"] < 1.0
    optimiser = torch.optim.AdamW(learner.model.parameters(), lr=2e-3)
    learner.model.train()
    for done in range(250):
        update(learner, done, optimiser, generator)
    rows = {name: value for name, _, value in evaluate(learner, mazes, options, "tmaze-passive-10", 0, {})}
    assert (rows["return"], rows["solved"]) == (1.0, 1.0)
