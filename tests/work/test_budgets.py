"""Which budget of a tier a cell gets: it does not depend on their order, and a tie is an error."""

import random
import re

import pytest
import yaml
from suites import CATALOGUE, suite_with

from bench.catalogue.catalogue import WORKFLOW
from bench.catalogue.stages import STAGES
from bench.catalogue.tiers import Budget
from bench.errors import SpecError
from bench.work.cells import cells_of, find_budget, make_cell

CELLS = {
    cell
    for artifact in CATALOGUE.artifacts.values()
    for query in artifact.queries
    for cell in cells_of(CATALOGUE, query)
}


def budget(**changes):
    known = {
        "label": "one",
        "tasks": "any",
        "methods": "any",
        "stages": ["train"],
        "core_seconds": {"train": 1},
    }
    return Budget.model_validate(known | changes)


def labels(catalogue, tier):
    found = {
        (cell.key, stage): find_budget(catalogue, tier, cell, stage)
        for cell in CELLS
        for stage, row in STAGES.items()
        if row.subject == "cell"
    }
    return {key: one and one.label for key, one in found.items()}


@pytest.mark.parametrize("tier", ["quick", "cpu", "paper"])
def test_the_order_of_budgets_carries_no_meaning(tier):
    content = yaml.safe_load((WORKFLOW / "tiers" / f"{tier}.yaml").read_text())
    random.Random(7).shuffle(content["budgets"])
    shuffled = suite_with(**{tier: yaml.safe_dump(content, sort_keys=False)}).catalogue
    assert [one.label for one in shuffled.tiers[tier].budgets] != [
        b.label for b in CATALOGUE.tiers[tier].budgets
    ]
    assert labels(shuffled, tier) == labels(CATALOGUE, tier)


@pytest.mark.parametrize(
    ("changes", "settings", "matches"),
    [
        ({}, {}, True),
        ({}, {"tokens": "bl3d"}, False),
        ({"settings": "any"}, {"tokens": "bl3d"}, True),
        ({"settings": {"tokens": ["bl3d"]}}, {"tokens": "bl3d"}, True),
        ({"settings": {"tokens": ["bl3d"]}}, {}, False),
        ({"settings": {"tokens": ["b3ld", "bl3d"]}}, {}, True),
        ({"settings": {"tokens": "any"}}, {}, True),
        ({"settings": {"tokens": "any"}}, {"tokens": "bl3d", "block": "post"}, False),
        ({"settings": [{"tokens": ["bl3d"]}, {"block": ["post"]}]}, {"block": "post"}, True),
        ({"settings": [{"tokens": ["bl3d"]}, {"block": ["post"]}]}, {}, False),
        (
            {"settings": [{"tokens": ["bl3d"]}, {"block": ["post"]}]},
            {"tokens": "bl3d", "block": "post"},
            False,
        ),
        ({"settings": {"steps_per_subgoal": [5]}}, {}, True),
    ],
)
def test_the_settings_that_a_budget_allows(changes, settings, matches):
    # DeMa has no steps_per_subgoal: what a method cannot set is no condition.
    assert budget(**changes).allows(settings, {"tokens": "b3ld", "block": "pre"}) is matches


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"tasks": ["a"]}, {"tasks": ["a", "b"]}),
        ({"tasks": ["a"]}, {}),
        ({"methods": ["m"]}, {"methods": ["m", "n"]}),
        ({}, {"settings": "any"}),
        ({"settings": {"c": [1]}}, {"settings": {"c": [1, 2]}}),
        ({"settings": {"c": [1]}}, {"settings": {"c": "any"}}),
        ({"settings": {"c": "any"}}, {"settings": {"c": "any", "d": "any"}}),
        ({"tasks": ["a"], "settings": {"c": "any"}}, {"settings": {"d": "any"}}),
    ],
)
def test_what_names_less_and_nothing_more_is_more_specific(one, other):
    assert budget(**one).is_more_specific(budget(**other))
    assert not budget(**other).is_more_specific(budget(**one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {}),
        ({"tasks": ["a", "b"]}, {"tasks": ["b", "c"]}),
        ({"tasks": ["a"]}, {"methods": ["m"]}),
        ({"tasks": ["a"], "settings": {"c": "any"}}, {}),
    ],
)
def test_budgets_that_do_not_decide(one, other):
    assert not budget(**one).is_more_specific(budget(**other))
    assert not budget(**other).is_more_specific(budget(**one))


TWO = """
title: two
budget: reduced
budgets:
  - {label: all robots, tasks: d4rl-nine, methods: [dt], stages: [train], core_seconds: {train: 1}}
  - {label: second, tasks: TASKS, methods: [dt], stages: [train], core_seconds: {train: 1}}
"""


def test_two_budgets_that_match_alike_are_an_error_that_names_both():
    catalogue = suite_with(two=TWO.replace("TASKS", "[hopper-medium, darkroom]")).catalogue
    said = "hopper-medium/dt/default at stage train: budgets 'all robots' and 'second' both match"
    with pytest.raises(SpecError, match=re.escape(said)):
        find_budget(catalogue, "two", make_cell(catalogue, "hopper-medium", "dt", {}), "train")
    assert find_budget(catalogue, "two", make_cell(catalogue, "walker2d-medium", "dt", {}), "train")


def test_the_more_specific_of_two_is_taken():
    catalogue = suite_with(two=TWO.replace("TASKS", "[hopper-medium]")).catalogue
    found = {
        task: find_budget(catalogue, "two", make_cell(catalogue, task, "dt", {}), "train").label
        for task in ("hopper-medium", "walker2d-medium")
    }
    assert found == {"hopper-medium": "second", "walker2d-medium": "all robots"}
