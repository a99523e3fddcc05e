"""Graph Decision Transformer: what its options change, where an action is read, and sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_cases import tiny_learner

from bench.measure.counting import macs, macs_by_torch, parameters
from bench.methods.windows import random_windows

TINY = {"embedding_dim": 16, "layers": 2, "heads": 2, "context_length": 5, "dropout": 0.0}


def make(**changes):
    """A tiny learner on Hopper's shapes."""
    return tiny_learner("hopper-medium", "gdt", TINY, **changes)


def window(learner, steps=5):
    return random_windows(learner.options, 2, steps, np.random.default_rng(0))


@pytest.mark.parametrize("changes", [{"score_scaling": "twice"}, {"graph_edges": "none-visible"}])
@torch.no_grad()
def test_a_reading_of_the_code_changes_predictions_and_no_weight(changes):
    ours, other = make(), make(**changes)
    assert all(
        torch.equal(*pair) for pair in zip(ours.model.parameters(), other.model.parameters(), strict=True)
    )
    apart = (ours.model(**window(ours)) - other.model(**window(ours))).abs()
    assert apart.max() > 1e-3


@torch.no_grad()
def test_an_action_is_read_off_its_state_and_its_return():
    learner = make(layers=1)
    batch, head = window(learner), learner.model.predict_action
    hidden = learner.model.backbone(
        learner.model.step_tokens(
            *(batch[name] for name in ("returns", "states", "actions", "previous_actions", "timesteps"))
        )
    )[..., :16]
    both = torch.cat([hidden[:, 1::3], hidden[:, ::3]], dim=-1)
    torch.testing.assert_close(learner.model(**batch), head(both))


@pytest.mark.parametrize(("width", "layers", "heads"), [(16, 2, 2), (32, 3, 4)])
def test_parameters_are_those_of_the_hand_count(width, layers, heads):
    learner = make(embedding_dim=width, layers=layers, heads=heads)
    embeddings = (1 + 11 + 3 + 3) * width + 1000 * width + 2 * width
    blocks = layers * (10 * width**2 + 13 * width)
    head = 2 * (2 * width) + 2 * width * 3 + 3
    assert parameters(learner.model) == embeddings + blocks + head


def test_both_counters_agree_with_the_formula_of_the_work():
    learner, width, rows, steps = make(), 16, 2, 5
    tokens = 3 * steps
    embeddings, head = rows * steps * (1 + 11 + 3) * width, rows * steps * 2 * width * 3
    # Both rows of relations have scores of their own.
    attention = 3 * rows * tokens**2 * width
    block = rows * tokens * (4 + 4) * width**2 + attention + 2 * width * 2 * width
    batch = window(learner)
    assert macs(learner.model, batch) == macs_by_torch(learner.model, batch) == embeddings + 2 * block + head


def test_the_same_seed_gives_the_same_bytes_and_every_weight_is_moved():
    ends = []
    for _ in range(2):
        learner = make(dropout=0.1)
        learner.model.train()
        learner.loss(window(learner)).backward()
        ends.append([parameter.grad for parameter in learner.model.parameters()])
        for name, parameter in learner.model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name
    assert all(torch.equal(*pair) for pair in zip(*ends, strict=True))
