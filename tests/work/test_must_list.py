"""The must list of a tier: what it holds, what it needs, and that a tier runs nothing that nothing reads."""

from __future__ import annotations

import pytest
from suites import CATALOGUE, SUITE, suite_with

from bench.commands.plan import parts_of
from bench.stages.checkpoints import checkpoint_steps
from bench.work.graph import Graph
from bench.work.plan import all_jobs, must_jobs

TWO = """
title: two
budget: reduced
budgets:
  - {label: first, must: true, tasks: [hopper-medium], methods: [dema], settings: {intervention: any},
     stages: [intervene], core_seconds: {intervene: 1}}
  - {label: second, tasks: [hopper-medium, walker2d-medium], methods: [dema, dt], stages: [train, evaluate],
     core_seconds: {train: 10, evaluate: 3}}
"""


def names(jobs):
    return {(job.stage, job.cell.task, job.cell.method) for job in jobs}


def test_the_must_list_is_its_budgets_and_what_they_read():
    suite = suite_with(two=TWO)
    must = must_jobs(suite, "two")
    hopper = {("train", "hopper-medium", "dema"), ("dataset", "hopper-medium", ""),
              ("intervene", "hopper-medium", "dema")}  # fmt: skip
    # A swap reads the model of the other environment.
    donor = {("train", "walker2d-medium", "dema"), ("dataset", "walker2d-medium", "")}
    assert hopper <= names(must) <= hopper | donor
    assert ("evaluate", "hopper-medium", "dema") in names(all_jobs(suite, "two"))
    for job in must:
        assert set(job.upstream) <= set(must[: must.index(job)]), "upstream first"


def test_a_plan_sums_the_must_list_and_the_rest_apart():
    parts = parts_of(suite_with(two=TWO), "two")
    assert list(parts) == ["must list", "the rest", "total"]
    assert len(parts["must list"]) + len(parts["the rest"]) == len(parts["total"])
    assert list(parts_of(SUITE, "quick")) == ["total"], "no such list in this tier"


def test_a_tier_without_a_must_list_needs_all():
    assert Graph(SUITE, "quick").must == all_jobs(SUITE, "quick")
    assert Graph(SUITE, "cpu").must == must_jobs(SUITE, "cpu")


@pytest.mark.parametrize("tier", ["quick", "cpu"])
def test_nothing_is_planned_that_no_artifact_reads(tier):
    run = {(job.resolved.budget.label, job.stage) for job in all_jobs(SUITE, tier)}
    declared = {(one.label, stage) for one in CATALOGUE.tiers[tier].budgets for stage in one.stages}
    assert declared - run == set()


@pytest.mark.parametrize("tier", ["quick", "cpu"])
def test_every_value_of_a_setting_that_a_budget_lists_is_some_cells(tier):
    used = {}
    for job in all_jobs(SUITE, tier):
        if job.row.in_cells:
            used.setdefault(job.resolved.budget.label, []).append(job.resolved.options)
    for one in CATALOGUE.tiers[tier].budgets:
        for ranges in () if isinstance(one.variants, str) else one.variants:
            for name, values in ranges.items():
                for value in () if isinstance(values, str) else values:
                    assert any(options.get(name) == value for options in used[one.label]), (one.label, name)


def test_the_cpu_tiers_ceilings_hold_and_its_must_list_is_21_core_hours():
    tier, jobs = CATALOGUE.tier("cpu"), all_jobs(SUITE, "cpu")
    spent = dict.fromkeys(tier.ceilings, 0.0)
    for job in jobs:
        spent[job.resolved.budget.ceiling] += job.core_seconds
    assert {name: seconds for name, seconds in spent.items() if seconds > tier.ceilings[name]} == {}
    assert sum(spent.values()) <= 35 * 3600
    assert sum(job.core_seconds for job in must_jobs(SUITE, "cpu")) <= 22 * 3600


def test_five_checkpoints_wherever_a_test_is_cheap_beside_its_training():
    """A test of one checkpoint that takes less than a twelfth of the training is cheap."""
    for job in all_jobs(SUITE, "cpu"):
        if job.stage != "evaluate":
            continue
        count = len(checkpoint_steps(job.upstream[0].options))
        if job.core_seconds / count < job.upstream[0].core_seconds / 12 and job.upstream[0].core_seconds > 1:
            assert count >= 5, job.cell.key
