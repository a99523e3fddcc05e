"""What the documents say that a tier costs is what its plan says."""

import re
from collections import defaultdict
from pathlib import Path

import pytest
from suites import CATALOGUE, SUITE

from bench.work.plan import all_jobs, must_jobs

TIERS, README = Path("docs/tiers.md").read_text(), Path("README.md").read_text()


def row(text, tier):
    """The cells of the row of a table that names a tier."""
    (found,) = re.findall(rf"^\| `{tier}`.*$", text, re.M)
    return [cell.strip() for cell in found.strip("|").split("|")]


def figures(text):
    """Every number in a text."""
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\.?\d*", text)]


@pytest.mark.parametrize("tier", CATALOGUE.tiers)
def test_jobs_and_hours_of_a_tier_are_its_plans(tier):
    jobs = all_jobs(SUITE, tier)
    hours = sum(job.core_seconds for job in jobs) / 3600
    _, _, count, cost, _ = row(TIERS, tier)
    assert figures(count) == [len(jobs)]
    said = figures(cost)
    assert said[0] == pytest.approx(hours, rel=0.02)
    if must := must_jobs(SUITE, tier):
        assert said[1] == pytest.approx(sum(job.core_seconds for job in must) / 3600, rel=0.03)
    assert figures(row(README, tier)[1])[: len(said)] == said


def test_each_part_of_the_quick_tier_is_planned_at_what_is_said():
    spent = defaultdict(float)
    for job in all_jobs(SUITE, "quick"):
        spent[job.resolved.budget.ceiling] += job.core_seconds
    section = TIERS.split("## What the quick tier spends")[1].split("##")[0]
    said = [figures(line)[-2:] for line in section.splitlines() if re.match(r"\| (DM-H|DeMa|probes)", line)]
    ceilings = CATALOGUE.tiers["quick"].ceilings
    assert {(ceiling, planned) for ceiling, planned in said} == {
        (ceilings[name], round(seconds)) for name, seconds in spent.items()
    }


def test_each_part_of_the_must_list_is_planned_at_what_is_said():
    section = TIERS.split("## What the cpu tier spends")[1].split("###")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")][1:]
    said = sum(float(hours) for *_, hours in rows)
    planned = sum(job.core_seconds for job in must_jobs(SUITE, "cpu")) / 3600
    assert said == pytest.approx(planned, abs=0.2)
