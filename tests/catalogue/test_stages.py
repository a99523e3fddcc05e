"""The table of stages: a row for each module, and no row that names what is not there."""

import re
from pathlib import Path

import pytest
from suites import CATALOGUE

from bench.__main__ import named_modules
from bench.catalogue.stages import ROWS, STAGES


def test_every_stage_is_a_module_with_a_command_and_every_such_module_a_stage():
    modules = {name.removeprefix("stages.") for name in named_modules() if name.startswith("stages.")}
    assert modules == set(STAGES)
    assert len(ROWS) == len(STAGES)


@pytest.mark.parametrize("stage", ROWS, ids=lambda stage: stage.name)
def test_a_row_names_what_is_there(stage):
    names = [row.name for row in ROWS]
    assert set(stage.reads) <= set(names[: names.index(stage.name)])
    options = {name for protocol in CATALOGUE.protocols.values() for name in protocol.options}
    assert {stage.asked_by, *(stage.donor_if or ())[:1]} <= {"", *options}
    if stage.score not in ("", "protocol"):
        assert CATALOGUE.metrics[stage.score].stage == stage.name


def test_no_code_asks_for_a_stage_by_its_name():
    bench = Path(__file__).parents[2] / "bench"
    asked = re.compile(r"""stage (==|!=|in|not in) [("']""")
    files = [*bench.rglob("*.py"), *bench.rglob("*.j2")]
    assert [str(file) for file in files if asked.search(file.read_text())] == []
