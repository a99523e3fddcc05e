"""The page of the papers' readings is in step with their files and with the options."""

import re
import subprocess
import sys

import pytest
from reading_cases import choices, lab
from suites import CATALOGUE

from bench.catalogue.load import load_catalogue
from bench.catalogue.values import choices_on
from bench.commands.readings import PAGE, page
from bench.files import ROOT
from bench.methods.base import make_learner
from bench.work.availability import why_not_built
from bench.work.cells import make_cell, values_of

OPTIONS = {
    name
    for task in CATALOGUE.tasks
    for method in CATALOGUE.methods
    for name in CATALOGUE.options(task, method)
}
CONCERNED = sorted(
    {
        (method, CATALOGUE.tasks[task].family, choice)
        for task in CATALOGUE.tasks
        for method in CATALOGUE.methods
        for choice in choices_on(CATALOGUE, task, method)
        if not why_not_built(CATALOGUE, "probe", make_cell(CATALOGUE, task, method, {}))
    }
)


def test_the_page_is_in_step_with_the_files():
    assert PAGE.read_text() == page(CATALOGUE), "run `python -m bench readings --write`"


def test_every_choice_has_a_row_and_every_option_its_values(tmp_path):
    text = page(load_catalogue(papers=str(lab(tmp_path, choices(CATALOGUE)))))
    assert "## Mine" in text
    row = next(line for line in text.splitlines() if line.startswith("| `length`"))
    assert "(`updates=100000`)" in row
    assert "(`updates=77`)" in row
    assert "**option**, scale, of dt on hopper-medium" in row


@pytest.mark.parametrize("paper", CATALOGUE.readings)
def test_what_a_reason_calls_an_option_is_one(paper):
    known = OPTIONS | CATALOGUE.metrics.keys()
    for name, choice in CATALOGUE.readings[paper].choices.items():
        for word in re.findall(r"`(\w+)`", choice.default + choice.refused):
            assert word in known, f"{paper}, {name}: {word}"


@pytest.mark.parametrize(("method", "family", "choice"), CONCERNED)
@pytest.mark.parametrize("base", ["text", "code"])
def test_a_model_can_be_made_under_each_single_choice(method, family, choice, base):
    task = next(
        name
        for name, one in CATALOGUE.tasks.items()
        if one.family == family and choice in choices_on(CATALOGUE, name, method)
    )
    cell = make_cell(CATALOGUE, task, method, {"reading": f"{base}+{choice}"})
    learner = make_learner(method, values_of(CATALOGUE, cell))
    assert sum(parameter.numel() for parameter in learner.model.parameters()) > 0


def test_the_command_prints_the_page_and_does_not_write_a_labs_into_the_suite(tmp_path):
    folder = lab(tmp_path, {"noise": choices(CATALOGUE)["noise"]})
    command = [sys.executable, "-m", "bench", "readings"]
    settings = {"cwd": ROOT, "text": True, "capture_output": True, "check": False}
    printed = subprocess.run(command, **settings)
    assert printed.stdout == PAGE.read_text()
    refused = subprocess.run(
        [*command, "--write"], env={"BENCH_PAPERS": str(folder), "PATH": "/usr/bin:/bin"}, **settings
    )
    assert refused.returncode == 2
    assert "holds the suite's own papers" in refused.stderr
