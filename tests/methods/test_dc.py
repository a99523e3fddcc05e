"""Decision ConvFormer: what a prediction depends on, its size and work, and decoding token by token."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_cases import begun, observation, trial
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.measure.counting import countable, macs, macs_by_torch, parameters, parameters_by_fvcore
from bench.methods.base import make_learner
from bench.methods.decoding import StepPolicy, WindowPolicy
from bench.methods.windows import random_windows

NEAR = {"rtol": 1e-4, "atol": 2e-5}
TINY = {"embedding_dim": 16, "layers": 2, "context_length": 5, "dropout": 0.0, "max_episode_steps": 12}


def make(**changes):
    """A tiny learner on Hopper's shapes, its weights far enough from zero for every input to matter."""
    torch.manual_seed(0)
    learner = make_learner("dc", defaults(CATALOGUE, "hopper-medium", "dc") | TINY | changes)
    with torch.no_grad():
        for parameter in learner.model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    learner.model.eval()
    return learner


def test_a_prediction_depends_on_its_receptive_field_and_on_nothing_later():
    learner = make(convolution_window=3)
    assert learner.receptive_field == 5
    batch = random_windows(learner.options, 1, 6, np.random.default_rng(0))
    with torch.no_grad():
        before = learner.model(**batch)
        # The state of step 4 is token 13; five tokens up to it are tokens 9 to 13.
        for name, kind in (("returns", 0), ("states", 1), ("actions", 2)):
            for step in range(6):
                changed = batch | {name: batch[name].clone()}
                changed[name][:, step] += 1.0
                moved = (learner.model(**changed) - before).abs().amax(dim=-1)[0]
                seen = 9 <= 3 * step + kind <= 13
                assert (moved[4].item() > 1e-5) == seen, f"{name} of step {step}"
                assert (moved[:step] == 0).all(), "a later step is seen"


@pytest.mark.parametrize("position_embedding", [False, True])
@pytest.mark.parametrize(("width", "layers", "window"), [(16, 2, 3), (32, 3, 6), (8, 1, 1)])
def test_parameters_are_those_of_the_formula(width, layers, window, position_embedding):
    learner = make(
        embedding_dim=width, layers=layers, convolution_window=window, position_embedding=position_embedding
    )
    embeddings = (1 + 11 + 3 + 3) * width + 2 * width + 1000 * width * position_embedding
    mixer = 3 * width * (window + 1)
    feed_forward = 8 * width**2 + 5 * width
    wanted = embeddings + layers * (4 * width + mixer + feed_forward) + 2 * width + 3 * width + 3
    assert parameters(learner.model) == parameters_by_fvcore(learner.model) == wanted


@pytest.mark.parametrize("window", [1, 6])
def test_both_counters_agree_with_the_formula_of_the_work(window):
    learner = make(convolution_window=window, layers=3)
    rows, steps, width = 2, 5, 16
    batch = random_windows(learner.options, rows, steps, np.random.default_rng(0))
    tokens = 3 * rows * steps
    embeddings, head = (1 + 11 + 3) * width * rows * steps, 3 * width * rows * steps
    blocks = 3 * tokens * (window * width + 8 * width**2)
    assert macs(learner.model, batch) == macs_by_torch(learner.model, batch) == embeddings + blocks + head


def test_what_is_traced_while_counting_is_what_runs():
    learner = make()
    batch = random_windows(learner.options, 2, 5, np.random.default_rng(0))
    with torch.no_grad():
        torch.testing.assert_close(countable(learner.model)(**batch), learner.model(**batch), **NEAR)


def played(policy, steps=12):
    generator = np.random.default_rng(3)
    seen = [
        observation(generator.normal(size=(2, 11)).astype(np.float32), generator.uniform(1000, 3000, 2))
        for _ in range(steps)
    ]
    begun(policy, seen[0].states)
    with torch.no_grad():
        return np.stack([policy.act(each) for each in seen])


@pytest.mark.parametrize("position_embedding", [False, True])
def test_reading_each_token_once_is_reading_the_window_that_holds_the_receptive_field(position_embedding):
    learner = make(position_embedding=position_embedding)
    assert learner.receptive_field == 11
    once, anew = learner.policy(trial(2)), learner.policy(trial(2, cached=False))
    assert isinstance(once, StepPolicy)
    assert isinstance(anew, WindowPolicy)
    actions = played(once)
    np.testing.assert_allclose(actions, played(anew), **NEAR)
    assert actions.std(axis=(0, 1)).min() > 0.01, "actions that are all alike would be equal by chance"


def test_a_window_that_is_shorter_than_the_receptive_field_is_read_anew():
    # Three steps are eight tokens up to the last state.
    assert isinstance(make(context_length=3).policy(trial(2)), WindowPolicy)
    assert isinstance(make(context_length=4).policy(trial(2)), StepPolicy)


def test_updates_move_every_filter_and_the_same_seed_gives_the_same_bytes():
    ends = []
    for _ in range(2):
        learner = make(dropout=0.1)
        learner.model.train()
        optimiser = torch.optim.AdamW(learner.model.parameters(), lr=1e-3)
        batch = random_windows(learner.options, 4, 5, np.random.default_rng(0))
        learner.loss(batch).backward()
        for block in learner.model.backbone.blocks:
            # The last layer's filters of returns and actions lead to no prediction.
            kinds = [1] if block is learner.model.backbone.blocks[-1] else [0, 1, 2]
            assert block.mixer.weight.grad[:, kinds].abs().amin() > 0
        optimiser.step()
        ends.append([parameter.detach().clone() for parameter in learner.model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))
