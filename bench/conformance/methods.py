"""What every method promises, as checks that a newcomer's method is put to as well.

Each check takes a case and raises `Breach` with what is wrong. `CHECKS` names them all.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.conformance.cases import COUNT, STEPS, Case, act, trial
from bench.conformance.other_device import OtherDevice, Remote, move
from bench.methods.base import Batch, Learner

UPDATES = 3
RTOL, ATOL = 1e-3, 1e-4


class Breach(AssertionError):  # noqa: N818 - it is what it is called
    """A promise of the contract that a method does not keep."""


def require(holds: bool, problem: str) -> None:
    """Raise Breach with the problem if something does not hold."""
    if not holds:
        raise Breach(problem)


def rng(seed: int = 0) -> np.random.Generator:
    """A generator of its own for each use."""
    return np.random.default_rng(seed)


def snapshot(learner: Learner) -> dict[str, Any]:
    """What a draw must not change: weights, buffers, the learner's own state, global generators."""
    return copy.deepcopy({
        "weights": learner.model.state_dict(), "state": learner.state(), "torch": torch.get_rng_state(),
        "numpy": np.random.get_state(legacy=False), "python": random.getstate(),  # noqa: NPY002 - nobody may
    })  # fmt: skip


def same(first: Any, second: Any) -> bool:
    """Whether two nested values hold the same bytes."""
    if isinstance(first, Tensor):
        return first.dtype == second.dtype and torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and first.tobytes() == second.tobytes()
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if hasattr(first, "__dict__") and not callable(first):
        return type(first) is type(second) and same(vars(first), vars(second))
    return bool(first == second)


def update(learner: Learner, done: int, generator: np.random.Generator, rate: float = 0.01) -> Tensor:
    """One update by plain gradient descent; its loss."""
    learner.begin_update(done, generator)
    loss = learner.loss(learner.draw(generator))
    require(loss.dim() == 0, f"the loss has shape {tuple(loss.shape)}, and should be one number")
    learner.model.zero_grad(set_to_none=True)
    loss.backward()
    with torch.no_grad():
        for parameter in learner.model.parameters():
            if parameter.grad is not None:
                parameter.sub_(rate * parameter.grad.clamp(-1.0, 1.0))
    return loss.detach()


def trained(case: Case) -> Learner:
    """A learner after a few updates."""
    learner, generator = case.learner(), rng()
    for done in range(UPDATES):
        update(learner, done, generator)
    return learner


def draws_are_pure(case: Case) -> None:
    """A draw changes nothing but the generator, and depends on nothing else."""
    learner = trained(case)
    learner.begin_update(UPDATES, rng())
    before = snapshot(learner)
    first = learner.draw(rng(1))
    require(
        same(before, snapshot(learner)), "draw() changes the learner, or a generator that it was not given"
    )
    learner.draw(rng(2))
    require(same(first, learner.draw(rng(1))), "draw() gives another batch from an equal generator")


def synthetic_batches_look_like_real_ones(case: Case) -> None:
    """A synthetic batch has the names, types and numbers of axes of a real one."""
    learner = trained(case)
    learner.begin_update(UPDATES, rng())
    real, made = learner.draw(rng()), learner.sampler.synthetic(3, rng())
    require(real.keys() == made.keys(), f"names differ: {sorted(real.keys() ^ made.keys())}")
    for name in real:
        require(real[name].dtype == made[name].dtype, f"{name}: {real[name].dtype} and {made[name].dtype}")
        require(
            real[name].dim() == made[name].dim(), f"{name}: {real[name].dim()} axes and {made[name].dim()}"
        )


def losses_train(case: Case) -> None:
    """A loss is one finite number, and an update moves weights."""
    learner, generator = case.learner(), rng()
    before = copy.deepcopy(list(learner.model.parameters()))
    for done in range(UPDATES):
        loss = update(learner, done, generator)
        require(bool(torch.isfinite(loss)), f"the loss is {float(loss)} at update {done + 1}")
    moved = (not torch.equal(a, b) for a, b in zip(before, learner.model.parameters(), strict=True))
    require(any(moved), "no weight moved")


def checkpoints_go_round(case: Case) -> None:
    """A learner that takes up a checkpoint goes on as the one that wrote it."""
    first = trained(case)
    weights, state = copy.deepcopy(first.model.state_dict()), copy.deepcopy(first.state())
    second = case.learner()
    second.model.load_state_dict(weights)
    second.restore(state)
    losses = [update(learner, UPDATES, rng(5)) for learner in (first, second)]
    require(same(*losses), f"after a checkpoint the loss is {float(losses[1])} and not {float(losses[0])}")
    require(
        same(first.model.state_dict(), second.model.state_dict()), "after a checkpoint other weights follow"
    )


def updates_repeat(case: Case) -> None:
    """The same seeds give the same bytes, whatever else ran in the process before."""
    first = trained(case)
    np.random.seed(3), random.seed(3)  # noqa: NPY002 - what a method must not read
    second = trained(case)
    require(same(first.model.state_dict(), second.model.state_dict()), "the same seeds give other weights")


def actions_fit_the_space(case: Case) -> None:
    """Actions are those of the task's space, and there is one for each environment."""
    actions, space = _acted(trained(case), case), case.space
    require(bool(np.isfinite(actions).all()), "actions are not finite")
    if actions.ndim == 2:
        require(space.discrete, f"actions {actions.shape[1:]} without numbers in a continuous space")
        require(
            bool(((actions >= 0) & (actions < space.action_dim)).all()), f"actions beyond {space.action_dim}"
        )
    else:
        wanted = STEPS, COUNT, space.action_dim
        require(actions.shape == wanted, f"actions have shape {actions.shape[1:]}, not {wanted[1:]}")
        bounded = (actions >= -1.0) & (actions <= 1.0)
        require(bool(bounded.all()), "actions lie beyond -1 ... 1")


def acting_repeats(case: Case) -> None:
    """Acting changes no weight, and the same trial gives the same actions."""
    learner = trained(case)
    before = copy.deepcopy(learner.model.state_dict())
    first, second = _acted(learner, case), _acted(learner, case)
    require(same(first, second), "the same trial gives other actions")
    require(same(before, learner.model.state_dict()), "acting changes the model")


def episodes_begin_afresh(case: Case) -> None:
    """A policy that begins an episode remembers nothing of the one before but what it is told."""
    learner, asked = trained(case), trial()
    policy, past, states = learner.policy(asked), case.past(rng(1)), case.states(rng(2))
    act(policy, case.states(rng(3)), past)
    asked.generator.manual_seed(0)
    require(
        same(act(policy, states, past), _acted(learner, case)), "begin() leaves something of the last episode"
    )


def environments_do_not_mix(case: Case) -> None:
    """What is done in one environment does not depend on what is seen in another."""
    learner = trained(case)
    states, others = case.states(rng(2)), case.states(rng(2))
    others[:, 1] = case.states(rng(4))[:, 1]
    past = case.past(rng(1))
    first, second = (act(learner.policy(trial()), seen, past)[:, 0] for seen in (states, others))
    require(
        np.allclose(first, second, RTOL, ATOL),
        "actions in one environment depend on another one's states",
    )


def memory_predicts_what_the_context_does(case: Case) -> None:
    """Acting step by step from a memory equals reading the whole context again."""
    learner = trained(case)
    actions = [_acted(learner, case, cached) for cached in (True, False)]
    require(
        np.allclose(actions[0], actions[1], RTOL, ATOL),
        "actions from a cache differ from those of the whole context",
    )


def acting_is_in_evaluation_mode(case: Case) -> None:
    """A policy acts without dropout, although the model was in training."""
    learner = case.learner(dropout=0.5) if "dropout" in case.options else case.learner()
    first, second = _acted(learner, case), _acted(learner, case)
    require(not learner.model.training, "policy() leaves the model in training mode")
    require(same(first, second), "dropout thins what a policy acts by")


def policies_hold_no_learner(case: Case) -> None:
    """A policy holds a model, and no learner with its data."""
    policy = case.learner().policy(trial())
    holders = [name for name, value in _reachable(policy) if isinstance(value, Learner)]
    require(not holders, f"{type(policy).__name__}.{', '.join(holders)} is a learner")


def models_work_elsewhere(case: Case) -> None:
    """The loss, its gradient and the actions are the same on another device, and no tensor is left behind."""
    here, there = trained(case), trained(case)
    for learner in (here, there):
        learner.begin_update(UPDATES, rng())
    batch = here.draw(rng(1))
    expected, actions = _loss_and_gradients(here, batch), _acted(here, case)
    move(there.model)
    with OtherDevice():
        found = _loss_and_gradients(there, batch)
        other_actions = _acted(there, case)
    for name, value in expected.items():
        require(name in found, f"{name} has no gradient on another device")
        require(torch.allclose(found[name], value, RTOL, ATOL), f"{name} differs on another device")
    require(np.allclose(other_actions, actions, RTOL, ATOL), "actions differ on another device")


def _loss_and_gradients(learner: Learner, batch: Batch) -> dict[str, Tensor]:
    torch.manual_seed(0)
    loss = learner.loss(learner.on_device(batch))
    require(loss.device == learner.device, "the loss is not where the model is")
    learner.model.zero_grad(set_to_none=True)
    loss.backward()
    found = {name: held(p.grad) for name, p in learner.model.named_parameters() if p.grad is not None}
    return {"the loss": held(loss.detach()), **found}


def held(tensor: Tensor) -> Tensor:
    """What a tensor holds, wherever it claims to be."""
    return tensor.held if isinstance(tensor, Remote) else tensor


def _acted(learner: Learner, case: Case, cached: bool = True) -> Any:
    return act(learner.policy(trial(cached)), case.states(rng(2)), case.past(rng(1)))


def _reachable(holder: object) -> Iterator[tuple[str, object]]:
    for name, value in vars(holder).items():
        yield name, value
        function = getattr(value, "__self__", None)
        if function is not None:
            yield name, function


CHECKS: tuple[Callable[[Case], None], ...] = (
    draws_are_pure,
    synthetic_batches_look_like_real_ones,
    losses_train,
    checkpoints_go_round,
    updates_repeat,
    actions_fit_the_space,
    acting_repeats,
    episodes_begin_afresh,
    environments_do_not_mix,
    memory_predicts_what_the_context_does,
    acting_is_in_evaluation_mode,
    policies_hold_no_learner,
    models_work_elsewhere,
)
