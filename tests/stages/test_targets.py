"""Which return an agent is asked for: the printed one, or the largest of the data it learnt from."""

import pandas as pd
import pytest
from suites import suite_with

from bench.stages.dataset import dataset
from bench.stages.evaluate import evaluate
from bench.stages.runner import run
from bench.stages.train import train
from bench.work.cells import parse_slug
from bench.work.jobs import Job, dataset_job

TIER = """
title: A cell in two tiers
budget: reduced
budgets:
  - label: almost nothing
    tasks: [hopper-medium]
    methods: [rvs]
    stages: [train, evaluate]
    options: {transitions: 500, batch_size: 4, hidden_dim: 8, updates: 2, checkpoints: 1,
              evaluation_episodes: 2, target_return: 1234.0, target_multiples: MULTIPLES,
              target_source: SOURCE}
    core_seconds: {train: 1, evaluate: 1}
"""

# Tier -> source of the target, and the multiples of it.
TIERS = {"printed": ("printed", "1-0.5"), "largest": ("largest", "1-0.5"), "beyond": ("largest", "1-2-10-20")}
SUITE = suite_with(
    **{
        name: TIER.replace("SOURCE", source).replace("MULTIPLES", multiples)
        for name, (source, multiples) in TIERS.items()
    }
)


@pytest.fixture
def asked_for(tmp_path, monkeypatch):
    """Train and evaluate a cell in that tier: the targets, and the dataset's facts."""
    monkeypatch.chdir(tmp_path)

    def targets(tier):
        cell = parse_slug(SUITE.catalogue, "hopper-medium", "rvs", "default")
        run(dataset_job(SUITE, tier, cell), dataset)
        run(Job(SUITE, "train", tier, cell, 0), train)
        tested = Job(SUITE, "evaluate", tier, cell, 0)
        run(tested, evaluate)
        assert str(tested.recorded().status) == "ok", str(tested.recorded().status)
        rows = pd.read_csv(tested.table)
        asked = rows[rows["metric"] == "return_at_target"]["index"].tolist()
        return asked, dataset_job(SUITE, tier, cell).recorded().facts

    return targets


def test_the_printed_targets_are_asked_for_where_nothing_else_is_said(asked_for):
    assert asked_for("printed")[0] == [1234.0, 617.0]


def test_the_largest_return_of_the_data_takes_their_place_where_the_tier_says_so(asked_for):
    asked, facts = asked_for("largest")
    assert asked == pytest.approx([facts["largest_return"], facts["largest_return"] / 2])
    assert facts["largest_return"] > facts["mean_return"]


def test_more_than_the_largest_return_is_not_asked_for(asked_for):
    asked, facts = asked_for("beyond")
    assert asked == [pytest.approx(facts["largest_return"])]
