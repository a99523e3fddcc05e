"""Every method, and the data and the test of every family of tasks, keeps the contract."""

import pytest
from suites import CATALOGUE

from bench.conformance.cases import make_case, tasks_of
from bench.conformance.methods import CHECKS
from bench.conformance.tasks import CHECKS as TASK_CHECKS

CASES = [(method, task) for method in CATALOGUE.methods for task in tasks_of(CATALOGUE, method)]
# A method that is built for a family stands for all that are.
ONE_A_TASK = list({task: (method, task) for method, task in reversed(CASES)}.values())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("method", "task"), CASES)
def test_a_method_keeps_its_promise(method, task, check):
    check(make_case(CATALOGUE, task, method))


@pytest.mark.parametrize("check", TASK_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("method", "task"), ONE_A_TASK)
def test_a_task_keeps_its_promise(method, task, check):
    check(make_case(CATALOGUE, task, method))


def test_every_method_that_is_built_is_there():
    played = {task.space for task in CATALOGUE.tasks.values() if task.built}
    built = {name for name, method in CATALOGUE.methods.items() if played.intersection(method.acts_in)}
    assert {method for method, _ in CASES} == built


def test_every_family_whose_data_can_be_made_here_is_there():
    assert {CATALOGUE.tasks[task].family for _, task in CASES} == {"gridworld", "maze", "mujoco", "tmaze"}
