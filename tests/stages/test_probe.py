"""Probes: what they count on tasks without a world, and how attention is computed in them."""

from __future__ import annotations

import pytest
from suites import CATALOGUE, SUITE

from bench.errors import UserError
from bench.stages.probe import counts, probe
from bench.work.cells import make_cell
from bench.work.entries import entries
from bench.work.jobs import Job

SMALL = {"embedding_dim": 16, "layers": 1, "context_length": 3, "batch_size": 2, "probe_repeats": 3}
COUNTED = {"parameters", "parameters_as_published", "macs", "macs_as_published"}
MEASURED = {"forward_milliseconds", "training_step_milliseconds", "peak_memory_mib", "training_hours"}


def job_of(task, method, **settings):
    """A probe of a small model."""
    known = CATALOGUE.options(task, method)
    small = {name: value for name, value in (SMALL | {"d_model": 16}).items() if name in known}
    return Job(SUITE, "probe", "paper", make_cell(CATALOGUE, task, method, small | settings), 0)


def values(rows):
    """Metric -> value."""
    return {metric: value for metric, _, _, value in rows}


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("dt", {"attention_kernel": "eager"}),
        ("dema", {}),
        ("dema", {"mode": "recurrent", "max_episode_steps": 5}),
    ],
)
def test_a_game_without_a_world_is_counted_timed_and_weighed(method, settings):
    job = job_of("breakout", method, **settings)
    rows, facts = probe(job)
    found = values(rows)
    assert found.keys() == COUNTED | MEASURED
    assert all(found[metric] > 0 for metric in found.keys() - {"peak_memory_mib"})
    assert found["macs"] == facts["macs_by_torch"]
    assert {metric: found[metric] for metric in COUNTED} == values(counts(job))


def test_a_probe_without_repeats_counts_and_times_nothing():
    job = job_of("hopper-medium", "dema", probe_repeats=0)
    rows, _ = probe(job)
    assert values(rows).keys() == COUNTED
    assert rows == counts(job)
    assert not job.alone, "others may run meanwhile"
    assert job_of("hopper-medium", "dema").alone


def test_what_such_a_probe_does_not_measure_is_said_to_be_missing():
    shown = entries(SUITE, "extra_table04", "quick")
    missing = {
        one.metric: one.missing
        for one in shown
        if (one.cell.task, one.cell.method) == ("hopper-medium-expert", "dema")
    }
    assert missing.pop("training_step_milliseconds") == "counted and not timed in the quick tier"
    assert set(missing) == {"parameters_as_published", "parameter_ratio", "macs", "macs_as_published"}
    assert not any(missing.values())


def test_eager_attention_changes_no_count():
    fused, eager = (
        values(counts(job_of("hopper-medium", "dt", attention_kernel=kernel)))
        for kernel in ("fused", "eager")
    )
    assert fused == eager


def test_a_method_without_attention_has_no_eager_one():
    with pytest.raises(
        UserError, match=r"hopper-medium/dema/.*: attention_kernel: the model has no attention layers"
    ):
        probe(job_of("hopper-medium", "dema", attention_kernel="eager"))


def test_what_no_pass_uses_is_counted_beside():
    """Heads of 11 states and a return over 16 features, and an embedding of one word."""
    found = values(counts(job_of("hopper-medium", "dt")))
    assert found["parameters_as_published"] - found["parameters"] == 12 * 17 + 16


TURNS = {"rival_training_ratio", "rival_forward_ratio"}
ONCE = {"rival_memory_ratio", "rival_parameter_ratio", "rival_macs_ratio"}


def test_a_cell_that_is_timed_against_another_has_a_ratio_a_turn_and_exact_ones_of_its_sizes():
    job = job_of("hopper-medium", "dema", timed_against="dt", probe_turns=4, max_episode_steps=5)
    rows, facts = probe(job)
    turns = {metric: [index for name, _, index, _ in rows if name == metric] for metric, *_ in rows}
    assert turns == {metric: [0, 1, 2, 3] for metric in TURNS} | {metric: [0] for metric in ONCE}
    assert all(ratio > 0 for *_, ratio in rows)
    assert facts["rival"] == job.rival.cell.key
    alone = [values(counts(job_of("hopper-medium", method))) for method in ("dema", "dt")]
    exact = values(counts(job))
    for metric, counted in (("rival_parameter_ratio", "parameters"), ("rival_macs_ratio", "macs")):
        assert values(rows)[metric] == exact[metric] == alone[1][counted] / alone[0][counted]


def test_online_tests_are_timed_in_turns_where_both_have_one():
    small = {"room_side": 5, "horizon": 4, "context_episodes": 2, "heads": 1, "probe_turns": 3}
    rows, _ = probe(job_of("darkroom", "dmh", timed_against="ad-transformer", **small))
    online = [metric for metric, *_ in rows if "online" in metric]
    assert online == ["rival_online_ratio"] * 3 + ["rival_cached_online_ratio"] * 3


def test_the_record_says_the_spread_of_each_time_and_the_load_of_the_machine():
    rows, facts = probe(job_of("hopper-medium", "dema"))
    found = values(rows)
    assert facts["quartiles"].keys() == MEASURED - {"peak_memory_mib"}
    assert all(low <= found[metric] <= high for metric, (low, high) in facts["quartiles"].items())
    assert facts["timed_processor_seconds"] > 0
    assert facts["timed_wall_seconds"] > 0


def test_eager_attention_of_a_pair_is_that_of_the_side_that_has_attention():
    rows, _ = probe(job_of("hopper-medium", "dema", timed_against="dt", attention_kernel="eager"))
    assert "rival_forward_ratio" in values(rows)
    with pytest.raises(UserError, match="the model has no attention layers"):
        probe(job_of("hopper-medium", "dema", timed_against="dema", attention_kernel="eager"))
