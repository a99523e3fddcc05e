"""What a run has to make, and what Snakemake is told of it; none of this needs Snakemake."""

import subprocess
import sys
from pathlib import Path

import pytest
import records
from records import write_record
from suites import SUITE

from bench.errors import SpecError
from bench.work.graph import Graph, asked_to_retry
from bench.work.renderings import Rendering
from bench.work.suite import Suite

NAMES = {"tier": "quick", "task": "darkroom", "method": "ad-mamba", "settings": "default", "seed": "0"}


@pytest.fixture
def graph(tmp_path, monkeypatch):
    """The quick tier in a folder where nothing has been run."""
    monkeypatch.chdir(tmp_path)
    return Graph(SUITE, "quick")


def write(job, **fields):
    """A result of a job: a table and a sidecar, of its own fingerprint unless another is given."""
    job.folder.mkdir(parents=True, exist_ok=True)
    job.table.write_text("")
    write_record(job, **fields)


def write_sidecar(shown):
    shown.outputs[-1].parent.mkdir(parents=True)
    for path in shown.outputs[:-1]:
        path.write_text("")
    records.write_sidecar(shown)


def test_what_is_missing_has_to_run_and_needs_no_marker(graph):
    job = graph.job("train", NAMES)
    assert graph.waits(job)
    assert graph.markers_of_job(job) == []
    assert graph.upstream(job) == [(Path("results/quick/datasets/darkroom/default/dataset.json"), False)]


def test_what_is_current_stands(graph):
    training, evaluation = (graph.job(stage, NAMES) for stage in ("train", "evaluate"))
    write(training)
    assert not graph.waits(training)
    assert graph.markers_of_job(training) == []
    assert graph.upstream(evaluation) == [(training.record, True)]
    assert graph.records([training, evaluation]) == [training.record, evaluation.record]


def test_what_stands_by_other_code_gets_a_marker_that_is_another_each_time(graph):
    job = graph.job("train", NAMES)
    write(job, fingerprint="another")
    (marker,) = graph.markers_of_job(job)
    first = marker.read_text()
    assert graph.markers_of_job(job) == [marker]
    assert marker.read_text() != first


def test_a_result_that_is_not_ok_runs_again_where_that_is_asked_for(graph):
    job = graph.job("train", NAMES)
    write(job, status="diverged: loss is nan after 3 updates")
    assert not graph.waits(job)
    again = Graph(SUITE, "quick", retry=True)
    assert again.waits(job)
    assert len(again.markers_of_job(job)) == 1
    write(job)
    assert not again.waits(job)


def test_a_figure_that_stands_is_made_again_when_a_job_behind_it_has_to_run(graph):
    shown = Rendering(SUITE, "quick", "dmh_fig02")
    write_sidecar(shown)
    for job in shown.jobs:
        write(job)
    assert graph.markers_of_renderings([shown]) == []
    shown.jobs[0].record.unlink()
    assert len(graph.markers_of_renderings([shown])) == 1


@pytest.mark.parametrize("file", ["cells.csv", "health.txt", "claims.csv"])
def test_what_is_said_of_all_jobs_is_made_again_when_any_of_them_has_to_run(graph, file):
    assert graph.markers_of(file) == []
    Path("results/quick").mkdir(parents=True)
    Path("results/quick", file).write_text("")
    assert len(graph.markers_of(file)) == 1


def test_nothing_runs_where_the_store_is_the_source():
    graph = Graph(Suite.open(source="stored"), "quick")
    assert not any(graph.waits(job) for job in graph.jobs)
    assert {path.name for path in graph.records(graph.jobs)} == {
        "cells.csv",
        "records.jsonl",
        "closures.json",
    }
    assert graph.regressed() == []


def test_a_job_is_one_object_however_often_it_is_asked_for(graph):
    assert graph.job("train", NAMES) is graph.job("train", dict(NAMES))


def test_all_cells_of_a_task_share_the_job_of_its_data(graph):
    names = {name: NAMES[name] for name in ("tier", "task", "settings")}
    assert graph.job("train", NAMES).upstream == [graph.job("dataset", names)]


def test_a_name_that_nothing_declares_is_refused(graph):
    with pytest.raises(SpecError, match=r"unknown task 'darkrom'\. Did you mean 'darkroom'"):
        graph.job("train", NAMES | {"task": "darkrom"})


def test_time_and_memory_grow_with_each_attempt(graph):
    job = graph.job("train", NAMES)
    assert [graph.minutes(job, attempt) for attempt in (1, 2)] == [10, 20]
    dear = next(job for job in Graph(SUITE, "paper").jobs if job.core_seconds > 3600)
    assert graph.minutes(dear, 1) >= 3 * dear.core_seconds / 60
    assert graph.memory_mib(3) == 3 * graph.memory_mib(1)


def test_a_stages_job_is_expected_to_take_its_estimate_and_a_tables_only_its_start(graph):
    start = graph.expected_seconds("table", {"tier": "quick", "artifact": "dmh_fig02"})
    assert graph.expected_seconds("train", NAMES) == start + graph.job("train", NAMES).core_seconds


def test_one_artifact_is_made_by_name_and_all_of_a_kind_without(graph):
    one = {"tier": "cpu", "artifact": "dmh_fig02"}
    assert graph.rendering_command("figure", one).endswith("bench figure --tier cpu --artifact dmh_fig02")
    assert graph.renderings("figure", one) == [Rendering(SUITE, "cpu", "dmh_fig02")]
    assert graph.rendering_command("figure", {}).endswith("bench figure --tier quick")
    assert {shown.kind for shown in graph.renderings("figure")} == {"figure"}


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        ({}, False),
        ({"retry": "true"}, True),
        ({"retry": True}, True),
        ({"retry": "false"}, False),
        ({"retry": False}, False),
    ],
)
def test_retry_is_asked_for_by_a_value_of_the_configuration(config, asked):
    assert asked_to_retry(config) is asked


@pytest.mark.parametrize("value", ["maybe", 1, None])
def test_any_other_value_of_retry_is_refused_by_name(value):
    with pytest.raises(
        SpecError, match=f"config key retry: {value!r} is neither true nor false. Say retry=true"
    ):
        asked_to_retry({"retry": value})


def test_the_graph_needs_no_snakemake():
    code = "import sys, bench.work.graph; sys.exit('snakemake' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
