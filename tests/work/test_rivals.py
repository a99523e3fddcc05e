"""Cells that are timed against another method: what is built beside them, what fingerprints then hold."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from suites import CATALOGUE, suite_with

from bench.catalogue.load import load_catalogue
from bench.errors import SpecError
from bench.files import ROOT
from bench.work.availability import why_missing
from bench.work.cells import make_cell, parse_slug
from bench.work.jobs import Job
from bench.work.rivals import rival_cell

TIER = """
title: pairs
budget: reduced
budgets:
  - label: pairs
    tasks: any
    methods: [dema, dmh, ad-mamba]
    settings: any
    stages: [train, probe]
    options: {dropout: 0.0, probe_batch_size: 3}
    core_seconds: {train: 1, probe: 1}
  - label: other sizes for DT alone
    tasks: [hopper-medium]
    methods: [dt]
    stages: [probe]
    options: {layers: 1}
    core_seconds: {probe: 1}
"""
PAIRS = suite_with(pairs=TIER)


def probe_of(task, method, suite=PAIRS, **settings):
    return Job(suite, "probe", "pairs", make_cell(suite.catalogue, task, method, settings), 0)


@pytest.mark.parametrize(
    ("task", "method", "settings", "rival"),
    [
        ("hopper-medium", "dema", {}, "hopper-medium/dt/default"),
        ("hopper-medium", "dema", {"context_length": 40}, "hopper-medium/dt/context_length=40"),
        # DT has neither a width inside its blocks nor states a channel.
        ("hopper-medium", "dema", {"d_model": 128, "d_state": 16}, "hopper-medium/dt/default"),
        ("hopper-medium", "dema", {"attention_kernel": "eager"}, "hopper-medium/dt/attention_kernel=eager"),
        ("hopper-medium", "dema", {"reading": "code"}, "hopper-medium/dt/reading=code"),
        ("tmaze-passive-30", "dmh", {"steps_per_subgoal": 20}, "tmaze-passive-30/dt/default"),
    ],
)
def test_a_rival_has_those_settings_of_the_cell_that_it_has_options_for(task, method, settings, rival):
    cell = make_cell(CATALOGUE, task, method, settings | {"timed_against": "dt"})
    assert rival_cell(CATALOGUE, cell).key == rival
    assert parse_slug(CATALOGUE, task, method, cell.slug) == cell


def test_a_rival_may_have_settings_of_its_own():
    settings = {"timed_against": "dema+mode=recurrent", "context_length": 40}
    rival = rival_cell(CATALOGUE, make_cell(CATALOGUE, "hopper-medium", "dema", settings))
    assert rival.key == "hopper-medium/dema/context_length=40,mode=recurrent"


def test_a_cell_without_a_rival_is_measured_alone():
    job = probe_of("hopper-medium", "dema")
    assert job.rival is None
    assert job.options["timed_against"] == "none"


def test_a_rival_is_built_under_the_budget_of_the_cell_and_not_under_its_own():
    rival = probe_of("hopper-medium", "dema", timed_against="dt").rival
    assert rival.options["dropout"] == 0.0
    assert rival.options["layers"] == CATALOGUE.methods["dt"].options["layers"].default
    assert "d_state" not in rival.options


def test_only_a_probe_has_a_rival():
    cell = probe_of("hopper-medium", "dema", timed_against="dt").cell
    assert Job(PAIRS, "train", "pairs", cell, 0).rival is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("timed_against=dtt", "timed_against: unknown method 'dtt'. Did you mean 'dt'"),
        ("timed_against=dema+mod=recurrent", "unknown option of dema 'mod'. Did you mean 'mode'"),
        ("timed_against=dema+mode=slow", "timed_against: option mode must be one of 'window', 'recurrent'"),
        ("timed_against=dema+layers=two", "timed_against: option layers: expected int, got 'two'"),
    ],
)
def test_a_rival_that_is_none_is_refused_on_the_command_line(settings, words):
    with pytest.raises(SpecError) as caught:
        parse_slug(CATALOGUE, "hopper-medium", "dema", settings)
    assert words in str(caught.value)
    assert "of dema on hopper-medium" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "{timed_against: ad-transformer}",
            "{timed_against: ad-transfomer}",
            "'ad-transfomer'. Did you mean",
        ),
        (
            "{timed_against: [ad-transformer, ad-mamba], trained_blocks: [1.0, 0.125]}",
            "{timed_against: ad-transformer, heads: [1, 4]}",
            "heads is 1 by default of dmh and 4 of ad-transformer, which it is timed against",
        ),
    ],
)
def test_an_artifact_whose_rival_does_not_fit_is_refused_when_it_is_read(copied_workflow, old, new, words):
    path = copied_workflow / "papers" / "extra" / "table06.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(SpecError) as caught:
        load_catalogue(copied_workflow)
    assert words in str(caught.value)
    assert "extra/table06.yaml: key cells." in str(caught.value)


def test_a_tier_names_no_rival():
    with pytest.raises(SpecError, match="option timed_against: a cell's name has to say"):
        suite_with(pairs=TIER.replace("dropout: 0.0,", "timed_against: dt,"))


def test_a_rival_that_cannot_play_the_task_is_no_number_with_its_reason():
    cell = make_cell(CATALOGUE, "darkroom", "dmh", {"timed_against": "dt"})
    assert why_missing(CATALOGUE, "cpu", cell, "probe").startswith("its rival dt: method dt is not built for")


def test_the_fingerprint_holds_the_options_and_the_code_of_the_rival():
    job, alone = (probe_of("hopper-medium", "dema", **more) for more in ({"timed_against": "dt"}, {}))
    assert job.parts["options"]["rival.heads"] == 1
    assert job.parts["options"]["rival.dropout"] == 0.0
    dt = "bench.methods.dt.Learner"
    assert dt in job.roots
    assert dt not in alone.roots
    longer = probe_of("hopper-medium", "dema", timed_against="dt", context_length=40)
    assert len({job.fingerprint, alone.fingerprint, longer.fingerprint}) == 3


def fingerprints(folder):
    """(method, settings) -> fingerprint of Hopper's probes in the quick tier."""
    said = subprocess.run(
        [sys.executable, "-m", "bench", "fingerprints", "--tier", "quick"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, check=True, text=True, capture_output=True,
    ).stdout  # fmt: skip
    lines = map(json.loads, said.splitlines())
    return {tuple(key[2:4]): found for key, found in lines if key[:2] == ["probe", "hopper-medium"]}


def test_an_edit_of_the_rival_alone_changes_the_cell_that_is_timed_against_it(tmp_path):
    for name in ("bench", "workflow"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    before = fingerprints(tmp_path)
    dt = tmp_path / "bench" / "methods" / "dt.py"
    dt.write_text(dt.read_text() + "\n    extra_of_dt = 1\n")
    after = fingerprints(tmp_path)
    changed = {key for key in before if before[key] != after[key]}
    assert ("dema", "timed_against=dt") in changed
    assert ("dt", "default") in changed
    assert ("dema", "default") not in changed
