"""The options beside a number on a report's page are those that made it."""

import html
import re

import pytest
from report_cases import printed, report_of, suite_of
from suites import SUITE

from bench.stages.probe import probe
from bench.work.cells import make_cell
from bench.work.jobs import make_job
from bench.work.plan import all_jobs

TASK = "hopper-medium"
CELLS = [
    {"tasks": [TASK], "methods": ["dema"], "metrics": ["normalised_score"]},
    {"tasks": [TASK], "methods": ["dema", "dt"], "metrics": ["parameters"]},
    {"tasks": [TASK], "methods": ["dema"], "metrics": ["intervened_score"],
     "settings": {"intervention": "none"}},
]  # fmt: skip
ROWS = {
    "train": [("training_loss", 3, 0.0, 0.5), ("training_loss", 7, 0.0, 0.25)],
    "evaluate": [("normalised_score", 7, 0.0, 12.0)],
    "intervene": [("intervened_score", 7, 0.0, 11.0)],
    "probe": [("parameters", 0, 0.0, 1234.0)],
}


@pytest.fixture
def page(tmp_path, write_record):
    """The page of a run whose training had seven updates, whatever later stages were given."""
    suite = suite_of(tmp_path, CELLS)
    for job in all_jobs(suite, "quick"):
        updates = 7 if job.stage == "train" else 100_000
        options = job.options | ({"updates": updates} if "updates" in job.options else {})
        write_record(job, ROWS.get(job.stage, []), options=options)
    return report_of(suite, printed()).page("mine")


def options_of(page, stage, method="dema"):
    """Part -> its options, as the block of a stage's run says them."""
    block = re.search(rf'<div id="run-{stage}-{TASK}-{method}-.*?</details>', page, re.DOTALL)[0]
    found = re.findall(r"<b>Options of its (.*?):</b> (.*?)</p>", block)
    return {
        part: dict(pair.split("=", 1) for pair in html.unescape(text).split(", ")) for part, text in found
    }


@pytest.mark.parametrize(("stage", "noun"), [("evaluate", "evaluation"), ("intervene", "intervention")])
def test_a_tested_model_has_the_options_of_the_training_that_made_it(page, stage, noun):
    found = options_of(page, stage)
    assert list(found) == ["training", noun]
    assert found["training"]["updates"] == "7"
    assert "updates" not in found[noun]
    assert found[noun].keys() >= {"evaluation_episodes", "target_multiples"}
    assert "evaluation_episodes" not in found["training"]


def test_a_probe_has_no_options_of_a_training_that_there_was_not(page):
    (found,) = options_of(page, "probe").values()
    assert (
        found.keys() & {"updates", "learning_rate", "warmup_updates", "checkpoints", "transitions"} == set()
    )
    assert found.keys() >= {"embedding_dim", "d_state", "probe_repeats", "batch_size"}


class Recording(dict):
    """Options that remember which of them were asked for."""

    def __init__(self, options):
        super().__init__(options)
        self.read = set()

    def __getitem__(self, name):
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name, default=None):
        self.read.add(name)
        return super().get(name, default)


@pytest.mark.parametrize("method", ["dema", "dt"])
def test_no_option_that_a_probe_reads_is_left_out(method, page):
    job = make_job(SUITE, "probe", "quick", make_cell(SUITE.catalogue, TASK, method, {}), 0)
    options = Recording(job.options | {"probe_repeats": 3})
    job.__dict__["options"] = options
    probe(job)
    assert "embedding_dim" in options.read
    # The optimiser of a timed step needs these, and its time depends on none of their values.
    unmeasured = {
        "learning_rate", "gradient_clip", "weight_decay", "decayed", "adam_beta2", "adam_epsilon"
    }  # fmt: skip
    assert options.read & options.keys() - unmeasured <= options_of(page, "probe", method)["probe"].keys()
