"""Each promise is broken once, by a method that is otherwise BC or DT: the check of it says so."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from suites import CATALOGUE

from bench.conformance import methods, tasks
from bench.conformance.cases import make_case
from bench.conformance.methods import Breach

TASK = "hopper-medium"


class Broken:
    """A case whose learners have one fault."""

    def __init__(self, method, fault):
        self.case, self.fault = make_case(CATALOGUE, TASK, method), fault

    def __getattr__(self, name):
        return getattr(self.case, name)

    def learner(self, **changes):
        learner = self.case.learner(**changes)
        self.fault(learner)
        return learner


def counts_its_draws(learner):
    draw = learner.sampler.draw

    def impure(generator):
        with torch.no_grad():
            next(learner.model.parameters()).add_(1.0)
        return draw(generator)

    learner.sampler.draw = impure


def reads_the_global_generator(learner):
    draw = learner.sampler.draw
    learner.sampler.draw = lambda generator: draw(np.random.default_rng(np.random.randint(2**31)))  # noqa: NPY002


def names_a_column_otherwise(learner):
    made = learner.sampler.synthetic
    learner.sampler.synthetic = lambda count, generator: made(count, generator) | {"extra": torch.zeros(1)}


def gives_a_loss_for_each_row(learner):
    loss = learner.loss
    learner.loss = lambda batch: loss(batch).expand(3).clone().requires_grad_()


def keeps_something_a_checkpoint_lacks(learner):
    loss = learner.loss
    learner.scale = 1.0

    def growing(batch):
        learner.scale += 1.0
        return learner.scale * loss(batch)

    learner.loss = growing


def acts_beyond_its_bounds(learner):
    change_actions(learner, lambda actions, seen: 3.0 + actions)


def acts_at_random(learner):
    change_actions(learner, lambda actions, seen: np.random.default_rng().uniform(-1, 1, actions.shape))


def acts_by_what_the_others_see(learner):
    change_actions(learner, lambda actions, seen: np.tanh(actions + seen.states.sum()))


def acts_otherwise_from_a_cache(learner):
    policy = learner.policy

    def by_cache(trial):
        made = policy(trial)
        if trial.cached:
            act = made.act
            made.act = lambda seen: 0.5 * act(seen)
        return made

    learner.policy = by_cache


def forgets_nothing(learner):
    policy = learner.policy

    def remembering(trial):
        made = policy(trial)
        act, made.steps = made.act, 0

        def later(seen):
            made.steps += 1
            return act(seen) / made.steps

        made.act = later
        return made

    learner.policy = remembering


def hands_itself_to_its_policy(learner):
    policy = learner.policy

    def holding(trial):
        made = policy(trial)
        made.learner = learner
        return made

    learner.policy = holding


def acts_in_training_mode(learner):
    policy = learner.policy

    def training(trial):
        made = policy(trial)
        made.model.train()
        return made

    learner.policy = training


def leaves_a_tensor_behind(learner):
    mean = torch.zeros(1, 3)
    loss = learner.loss
    learner.loss = lambda batch: loss(batch) + (learner.model(**batch) - mean).mean()


def change_actions(learner, change):
    policy = learner.policy

    def changed(trial):
        made = policy(trial)
        act = made.act
        made.act = lambda seen: change(act(seen), seen)
        return made

    learner.policy = changed


BREACHES = [
    (methods.draws_are_pure, counts_its_draws, "changes the learner"),
    (methods.draws_are_pure, reads_the_global_generator, "a generator that it was not given"),
    (methods.synthetic_batches_look_like_real_ones, names_a_column_otherwise, "extra"),
    (methods.losses_train, gives_a_loss_for_each_row, "should be one number"),
    (methods.checkpoints_go_round, keeps_something_a_checkpoint_lacks, "after a checkpoint the loss is"),
    (methods.updates_repeat, reads_the_global_generator, "other weights"),
    (methods.actions_fit_the_space, acts_beyond_its_bounds, "beyond -1 ... 1"),
    (methods.acting_repeats, acts_at_random, "gives other actions"),
    (methods.episodes_begin_afresh, forgets_nothing, "leaves something of the last episode"),
    (methods.environments_do_not_mix, acts_by_what_the_others_see, "depend on another one's states"),
    (methods.memory_predicts_what_the_context_does, acts_otherwise_from_a_cache, "differ from those"),
    (methods.acting_is_in_evaluation_mode, acts_in_training_mode, "in training mode"),
    (methods.policies_hold_no_learner, hands_itself_to_its_policy, "FeedForwardPolicy.learner is a learner"),
]


@pytest.mark.parametrize(
    ("check", "fault", "said"),
    BREACHES,
    ids=[f"{check.__name__}-{fault.__name__}" for check, fault, _ in BREACHES],
)
def test_a_breach_is_found_by_the_check_of_its_promise(check, fault, said):
    with pytest.raises(Breach, match=said):
        check(Broken("bc", fault))


def test_a_tensor_that_stays_behind_is_found():
    with pytest.raises(AssertionError, match="are not where the others are"):
        methods.models_work_elsewhere(Broken("bc", leaves_a_tensor_behind))


def dataset_case(monkeypatch, **changes):
    """BC's case, whose collector has other functions."""
    import bench.worlds.mujoco.data as collector

    for name, function in changes.items():
        monkeypatch.setattr(collector, name, function)
    return make_case(CATALOGUE, TASK, "bc")


def test_a_dataset_that_differs_the_second_time_is_found(monkeypatch):
    def make(options, task, folder):
        (folder / "data").write_bytes(np.random.default_rng().bytes(8))
        return {}

    with pytest.raises(Breach, match="other bytes the second time"):
        tasks.datasets_repeat(dataset_case(monkeypatch, make=make))


def test_facts_that_are_not_plain_are_found(monkeypatch):
    with pytest.raises(Breach, match="facts that JSON does not hold"):
        tasks.facts_are_plain(dataset_case(monkeypatch, make=lambda *_: {"shape": (1, 2)}))


def test_a_dataset_of_another_space_is_found():
    case = make_case(CATALOGUE, TASK, "bc")
    with pytest.raises(Breach, match="states of 11 numbers, not 12"):
        tasks.datasets_fit_the_space(replace(case, options=copy.copy(case.options) | {"observation_dim": 12}))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (lambda: [("return", 0.0, float("nan"))], "gives nan for return"),
        (
            lambda: [("return", 0.0, float(np.random.default_rng().normal()))],
            "other numbers for the same seed",
        ),
        (lambda: [], "gives no rows"),
    ],
)
def test_a_test_without_a_number_to_trust_is_found(monkeypatch, rows, said):
    import bench.evaluators.return_conditioned as evaluator

    monkeypatch.setattr(evaluator, "evaluate", lambda *_: rows())
    with pytest.raises(Breach, match=said):
        tasks.tests_repeat(make_case(CATALOGUE, TASK, "bc"))
