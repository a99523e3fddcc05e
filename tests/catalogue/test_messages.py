"""A mistake in a file under workflow/ gives one paragraph that names the file, the key and the remedy."""

import pytest
from suites import CATALOGUE, SUITE, change

from bench.catalogue.load import load_catalogue
from bench.errors import SpecError
from bench.work.cells import make_cell, parse_slug
from bench.work.claims import load_claims
from bench.work.jobs import Job
from bench.work.suite import Suite


@pytest.fixture
def workflow(copied_workflow):
    """A copy of workflow/ that is read in its place."""
    return copied_workflow


def message(workflow):
    with pytest.raises(SpecError) as caught:
        load_catalogue(workflow)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 900
    return text


def expect(workflow, *parts):
    text = message(workflow)
    for part in parts:
        assert part in text, f"{part!r} not in: {text}"


def test_the_copy_itself_is_sound(workflow):
    written = [
        path for path in workflow.glob("papers/*/*.yaml") if path.name not in ("paper.yaml", "readings.yaml")
    ]
    assert len(load_catalogue(workflow).artifacts) == len(written)


def test_typo_in_a_key_of_an_artifact(workflow):
    change(workflow / "papers/dmh/fig02.yaml", "seeds: 10", "sedes: 10")
    expect(workflow, "dmh/fig02.yaml", "unknown key 'sedes'", "Did you mean 'seeds'?")


def test_typo_in_a_key_of_a_query(workflow):
    change(workflow / "papers/dmh/fig02.yaml", "    metrics:", "    metrix:")
    expect(workflow, "dmh/fig02.yaml", "cells.0", "metrix", "remove it or correct its spelling")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("ad-mamba", "ad-mambo", ("key cells.0: key methods", "unknown method 'ad-mambo'", "'ad-mamba'")),
        (
            "tasks: grid-worlds",
            "tasks: [darkroom-hrd]",
            ("cells.0: key tasks", "unknown task 'darkroom-hrd'", "'darkroom-hard'"),
        ),
        (
            "episode_return]",
            "episode_retrun]",
            ("key cells.0: key metrics", "unknown metric", "'episode_return'"),
        ),
        (
            "option: test_tasks",
            "option: test_task",
            ("key open_choices.0.option: unknown option 'test_task'", "'test_tasks'"),
        ),
        (
            "kind: curve",
            "kind: curv",
            (
                "key layout.kind: unknown kind 'curv'. Did you mean 'curve'?",
                "Known: attention, bar, curve, profile, scaling, table.",
            ),
        ),
        ("kind: curve", "kind: no.such", ("key layout.kind: unknown kind 'no.such'. Known: attention,",)),
        ("kind: curve, ", "", ("key layout: needs a kind", "Known: attention, bar, curve")),
        (
            "x: episode",
            "ex: episode",
            ("key layout (curve): unknown key 'ex'", "Did you mean 'x'? Correct the file"),
        ),
        ("x: episode, ", "", ("key layout.x: Field required",)),
        ("{kind", "{line: methd, kind", ("key layout: unknown field 'methd'", "'method'")),
    ],
)
def test_a_name_that_nothing_declares(workflow, old, new, parts):
    change(workflow / "papers/dmh/fig02.yaml", old, new)
    expect(workflow, "papers/dmh/fig02.yaml", *parts)


def test_an_option_value_that_is_not_one_of_the_choices(workflow):
    change(workflow / "papers/dema/table12.yaml", "mode: recurrent", "mode: recurent")
    expect(
        workflow,
        "papers/dema/table12.yaml",
        "option mode",
        "must be one of 'window', 'recurrent'",
        "Correct the value",
    )


def test_an_option_value_of_the_wrong_type(workflow):
    change(workflow / "papers/dmh/fig04.yaml", "steps_per_subgoal: 10", "steps_per_subgoal: ten")
    expect(workflow, "papers/dmh/fig04.yaml", "option steps_per_subgoal", "type int", "'ten'")


def test_an_option_value_out_of_range(workflow):
    change(workflow / "tiers/cpu.yaml", "dropout: 0.0", "dropout: 1.5")
    expect(workflow, "workflow/tiers/cpu.yaml", "option dropout", "at most 0.9")


def test_a_default_that_breaks_its_own_rule(workflow):
    change(workflow / "options/hidden-attention.yaml", "default: b3ld", "default: b4ld")
    expect(workflow, "options/hidden-attention.yaml", "tokens", "must be one of 'b3ld', 'bl3d'")


def test_a_printed_setting_for_a_task_that_is_not_there(workflow):
    change(workflow / "methods/dema.yaml", "tasks: [maze2d-medium]", "tasks: [maze2d-meduim]")
    expect(workflow, "methods/dema.yaml", "per_task", "unknown task 'maze2d-meduim'", "'maze2d-medium'")


def test_a_method_with_an_option_group_that_is_not_there(workflow):
    change(workflow / "methods/dt.yaml", "return-conditioned", "return-conditoned")
    expect(workflow, "methods/dt.yaml", "unknown option group", "'return-conditioned'")


def test_a_task_with_a_protocol_that_is_not_there(workflow):
    change(workflow / "tasks/tmaze.yaml", "protocol: tmaze", "protocol: t-maze")
    expect(workflow, "tasks/tmaze.yaml", "key protocol", "unknown protocol 't-maze'", "'tmaze'")


def test_a_task_declared_by_two_families(workflow):
    change(workflow / "tasks/maze.yaml", "  maze2d-umaze:", "  hopper-medium:")
    expect(workflow, "tasks/mujoco.yaml", "tasks.hopper-medium", "tasks/maze.yaml", "Rename one of them")


def test_a_key_written_twice(workflow):
    change(workflow / "tasks/maze.yaml", "  maze2d-medium:", "  maze2d-umaze:")
    expect(workflow, "tasks/maze.yaml", "'maze2d-umaze' is written twice", "line", "Mend the file")


def test_an_option_declared_by_a_method_and_a_task(workflow):
    with (workflow / "methods/bc.yaml").open("a") as file:
        file.write("options:\n  horizon: {default: 1, help: planted}\n")
    expect(workflow, "methods/bc.yaml", "tasks/gridworld.yaml", "option horizon is declared twice")


def test_a_file_that_is_not_yaml(workflow):
    (workflow / "protocols/tmaze.yaml").write_text("title: [unclosed\n")
    expect(workflow, "protocols/tmaze.yaml", "not valid YAML", "line")


@pytest.mark.parametrize(
    ("new", "parts"),
    [
        ("metrics: [normalised_score, parameters]", ("a profile is of one metric", "parameters")),
        (
            "metrics: [normalised_score]\n    settings: {batch_size: [8, 16]}",
            ("cells.0", "several cells of bc"),
        ),
    ],
)
def test_a_profile_in_which_a_line_would_stand_for_several_cells(workflow, new, parts):
    change(workflow / "papers/extra/fig02.yaml", "metrics: [normalised_score]", new)
    expect(workflow, "extra/fig02.yaml", *parts)


def test_a_budget_without_its_cost(workflow):
    change(
        workflow / "tiers/cpu.yaml", "core_seconds: {train: 435, evaluate: 45}", "core_seconds: {train: 435}"
    )
    expect(workflow, "tiers/cpu.yaml", "budgets.44", "core_seconds lacks evaluate")


def test_a_budget_with_a_ceiling_that_is_not_there(workflow):
    change(workflow / "tiers/cpu.yaml", "ceiling: dema-mujoco", "ceiling: dema-mujocco")
    expect(workflow, "workflow/tiers/cpu.yaml", "unknown ceiling 'dema-mujocco'", "'dema-mujoco'")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("{tokens: [bl3d]}", "{tokns: [bl3d]}", ("key settings: unknown option 'tokns'", "'tokens'")),
        ("{tokens: [bl3d]}", "{tokens: [bl4d]}", ("(dema on hopper-medium): option tokens", "'bl3d'")),
        ("valuable_subgoals: any", "valuable_subgoal: any", ("unknown option", "'valuable_subgoals'")),
    ],
)
def test_a_budget_with_settings_that_no_cell_can_have(workflow, old, new, parts):
    change(workflow / "tiers/cpu.yaml", old, new)
    expect(workflow, "workflow/tiers/cpu.yaml: budget", *parts)


def test_a_left_out_method_that_is_not_there(workflow):
    change(workflow / "tiers/cpu.yaml", "  - methods: [amago]", "  - methods: [amagoo]")
    expect(workflow, "workflow/tiers/cpu.yaml", "left_out.0", "unknown method 'amagoo'", "'amago'")


def test_a_derived_metric_of_a_method_that_is_not_there(workflow):
    change(
        workflow / "metrics.yaml",
        "metric: online_testing_minutes, baseline: dmh",
        "metric: online_testing_minutes, baseline: dhm",
    )
    expect(workflow, "workflow/metrics.yaml", "online_speedup.derived", "unknown method 'dhm'", "'dmh'")


def test_a_budget_for_a_stage_that_is_not_there(workflow):
    change(workflow / "tiers/paper.yaml", "stages: [train, evaluate, probe]", "stages: [train, evaluation]")
    expect(workflow, "tiers/paper.yaml", "budgets.0.stages.1", "evaluation")


def test_a_tier_that_is_not_there():
    with pytest.raises(SpecError, match=r"config key tier .*unknown tier 'qick'.*Did you mean 'quick'\?"):
        CATALOGUE.tier("qick")


def test_an_artifact_that_is_not_there():
    with pytest.raises(SpecError, match=r"unknown artifact 'dema_tabel02'.*'dema_table02'"):
        CATALOGUE.artifact("dema_tabel02")


def test_a_folder_name_that_is_not_a_cell():
    with pytest.raises(SpecError, match=r"unknown option 'tokns'.*'tokens'"):
        parse_slug(CATALOGUE, "hopper-medium", "dema", "tokns=bl3d")
    with pytest.raises(SpecError, match="expected key=value"):
        parse_slug(CATALOGUE, "hopper-medium", "dema", "bl3d")
    with pytest.raises(SpecError, match="option layers: expected int"):
        parse_slug(CATALOGUE, "hopper-medium", "dema", "layers=three")
    with pytest.raises(SpecError, match="unknown method 'demma'"):
        parse_slug(CATALOGUE, "hopper-medium", "demma", "default")


def test_a_cell_that_the_tier_does_not_run():
    job = Job(SUITE, "train", "cpu", make_cell(CATALOGUE, "large-darkroom-hard", "dmh", {}), 0)
    with pytest.raises(
        SpecError, match=r"no budget matches large-darkroom-hard/dmh/default at stage train\. Add"
    ):
        _ = job.resolved


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("says:", "sais:", ["key 'sais'", "Did you mean 'says'?"]),
        ("    smallest:", "    smalest:", ["comparisons.0", "smalest"]),
        ("expect: more", "expect: less", ["comparisons.0.expect", "'less'"]),
        (
            "parameters_as_published",
            "parameters_as_pubished",
            ["unknown metric", "'parameters_as_published'"],
        ),
        ("{method: dt}", "{method: dtt}", ["unknown method 'dtt'", "'dt'"]),
        ("[breakout]", "[brekout]", ["unknown task 'brekout'", "'breakout'"]),
        ("{method: dema}", "{method: dema, settings: {tokns: b3ld}}", ["unknown option 'tokns'", "'tokens'"]),
        ("smallest: 1.33", "smallest: -1.0", ["comparisons.0.smallest", "a ratio must be above 0"]),
        ("[breakout]", "[pong]", ["no artifact asks for parameters_as_published of pong/dt"]),
        ("{method: dt}", "{method: dt, tasks: [breakout, pong]}", ["one by one: 2 for 1"]),
        (
            "parameters_as_published",
            "forward_milliseconds",
            ["comparisons.0.metric", "timed for each cell alone", "`timed_against`"],
        ),
        ("smallest: 1.33", "smallest: 1.33\n    each: true\n    over: tasks", ["leave `each` or `over` out"]),
        ("smallest: 1.33", "smallest: 1.33\n    condition: six blocks", ["give both, or neither"]),
        (
            "smallest: 1.33",
            "smallest: 1.34",
            ["what decides the claim is not what was registered on 2026-11-28", "digest: "],
        ),
        (
            "smallest: 1.33",
            "smallest: 1.33\n    gates: [{says: it learnt, metric: parameters, above: 1.0}]",
            ["comparisons.0.gates.0", "a gate names either sides of the comparison"],
        ),
    ],
)
def test_mistakes_in_a_claim(workflow, old, new, said):
    change(workflow / "claims/dema_parameters_in_atari.yaml", old, new)
    with pytest.raises(SpecError) as caught:
        load_claims(Suite.open(workflow))
    text = str(caught.value)
    assert "\n" not in text
    for part in ["claims/dema_parameters_in_atari.yaml", *said]:
        assert part in text


def test_a_claim_belongs_to_a_paper(workflow):
    claims = workflow / "claims"
    (claims / "dema_macs.yaml").rename(claims / "dama_macs.yaml")
    with pytest.raises(SpecError, match=r"dama_macs\.yaml: name: must begin with .* and an underscore"):
        load_claims(Suite.open(workflow))
