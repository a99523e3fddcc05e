"""Training, acting and timing on a device that is not the environments': the same numbers, and no mixing."""

from __future__ import annotations

import importlib
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from method_cases import next_batch, some_histories, tiny_learner
from suites import CATALOGUE

from bench.conformance.other_device import OtherDevice, Remote, move
from bench.datasets.trajectories import Trajectories, Trajectory
from bench.work.availability import evaluator_module, world_test
from bench.work.cells import Cell
from bench.worlds.tmaze import data as tmaze

SMALL = {
    "embedding_dim": 16, "d_model": 16, "hidden_dim": 16, "head_dim": 8, "layers": 1, "mamba_layers": 1,
    "transformer_layers": 1, "heads": 2, "dropout": 0.0, "batch_size": 4, "context_length": 5,
    "context_episodes": 3, "steps_per_subgoal": 3, "room_side": 5, "horizon": 7, "collect_rooms": 4,
    "replay_size": 8, "evaluation_environments": 4, "episodes": 2, "evaluation_episodes": 2,
    "candidates_per_target": 3,
}  # fmt: skip
SHORT = {"context_episodes": 2, "max_episode_steps": 200}  # an untrained agent falls before that
CASES = [
    *(("hopper-medium", method, {}) for method in ("bc", "td3", "td3-bc", "iql", "cql", "rvs", "dt", "dema")),
    *(("hopper-medium", method, {}) for method in ("dc", "qt", "q-dema")),
    ("hopper-medium", "dema", {"mode": "recurrent", "max_episode_steps": 200}),
    *(("hopper-medium", method, SHORT) for method in ("ad-transformer", "dmh")),
    *(("tmaze-passive-10", method, {"context_length": 11}) for method in ("dt", "dm", "lstm")),
    ("tmaze-passive-10", "dmh", {}),
    ("darkroom", "ad-transformer", {"step_tokens": "separate"}),
    ("darkroom", "ad-transformer", {"step_tokens": "merged"}),
    ("darkroom", "ad-mamba", {"step_tokens": "merged"}),
    ("darkroom", "dmh", {"long_tokens": "rich", "local_tokens": "separate"}),
    ("darkroom", "dmh", {"long_tokens": "separate", "local_tokens": "merged"}),
    ("darkroom", "dpt", {"position_embedding": True}),
    ("darkroom", "amago", {"position_embedding": True}),
]
# A whole episode of many candidates is long; tests/conformance has QT and Q-DeMa act for a few steps.
PLAYED = [case for case in CASES if case[1] not in ("qt", "q-dema")]
FACTS = {"test_tasks": [[2, 2], [1, 2]], "train_tasks": [[0, 0]]}
NEAR = {"rtol": 1e-3, "atol": 1e-4}
# A gradient is a sum of float32 terms, in another order on another device. What that changes is a share of
# the terms, and so of a tensor's largest gradient, whatever its smallest: on an H200 terms in the thousands
# that cancel to 0.02 (AMAGO's attention) differed by 2e-4 and were right, and where no gradient is above 1e-4
# such a difference is all wrong. By that measure float32 is within 4e-6 of float64 in all cases here; a
# gradient that is 1.01 times too large is at 1e-2.
SHARE_OF_LARGEST = 1e-4
PLACES = [
    "elsewhere",
    pytest.param("cuda", marks=[
        pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    ]),
]  # fmt: skip


def moved(learner, place):
    """Take the learner's model to the place; the context in which to work with it."""
    if place == "elsewhere":
        move(learner.model)
        return OtherDevice()
    learner.model.to(place)
    return nullcontext()


def dataset_of(task, options, folder):
    """A few episodes of the task."""
    generator = np.random.default_rng(1)
    if task == "darkroom":
        return some_histories()
    if task.startswith("tmaze"):
        tmaze.make(options, task, folder)
        return tmaze.load(folder)
    return Trajectories.from_episodes([
        Trajectory.whole(
            generator.normal(size=(length + 1, 11)), generator.uniform(-1, 1, (length, 3)),
            generator.normal(size=length), terminated=True,
        )
        for length in (6, 9, 4, 13, 7)
    ])  # fmt: skip


def values_of(tensor):
    """What a tensor holds, here."""
    return tensor.held if isinstance(tensor, Remote) else tensor.cpu()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("task", "method", "changes"), CASES)
def test_an_update_is_the_same_on_another_device(tmp_path, monkeypatch, task, method, changes, place):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # as training has it
    found = []
    for there in (False, True):
        learner = tiny_learner(task, method, SMALL, **changes)
        learner.model.train()  # cuDNN has no backward of an LSTM that is evaluated
        dataset = dataset_of(task, learner.options, tmp_path)
        with moved(learner, place) if there else nullcontext():
            learner.prepare(dataset)
            loss = learner.loss(learner.on_device(next_batch(learner, np.random.default_rng(0))))
            assert loss.device == learner.device
            loss.backward()
            gradients = {
                name: values_of(parameter.grad)
                for name, parameter in learner.model.named_parameters()
                if parameter.grad is not None
            }
            found.append((values_of(loss.detach()), gradients))
    (loss, gradients), (other_loss, other_gradients) = found
    torch.testing.assert_close(other_loss, loss, **NEAR)
    assert gradients.keys() == other_gradients.keys()
    for name, gradient in gradients.items():
        allowed = SHARE_OF_LARGEST * float(gradient.abs().max())
        torch.testing.assert_close(other_gradients[name], gradient, rtol=0, atol=allowed)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("task", "method", "changes"), PLAYED)
def test_a_test_scores_the_same_on_another_device(task, method, changes, place):
    evaluator = importlib.import_module(evaluator_module(CATALOGUE, Cell(task, method, ())))
    test = importlib.import_module(world_test(CATALOGUE, task))
    scores = []
    for there in (False, True):
        learner = tiny_learner(task, method, SMALL, **changes)
        with moved(learner, place) if there else nullcontext(), torch.no_grad():
            rows = evaluator.evaluate(learner, test, learner.options, task, 0, FACTS)
        scores.append({(metric, index): value for metric, index, value in rows})
    assert scores[1] == pytest.approx(scores[0], rel=1e-2)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("task", "method", "changes"), CASES)
def test_what_is_timed_runs_on_another_device(task, method, changes, place):
    learner = tiny_learner(task, method, SMALL, **changes)
    with moved(learner, place), torch.no_grad():
        timed = learner.timed(np.random.default_rng(0))
        timed.decision()
        for fill, cached in ((0, True), (8, True), (8, False)):
            if timed.online is not None:
                work = timed.online(fill, cached, np.random.default_rng(0))
                work.begin()
                work.decide()


def test_a_tensor_left_behind_is_found_out():
    model = torch.nn.Linear(3, 2)
    move(model)
    with OtherDevice(), pytest.raises(AssertionError, match="are not where the others are"):
        model(torch.ones(4, 3))
