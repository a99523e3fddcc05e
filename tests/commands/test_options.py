"""`bench options`: every option of a cell, its value, and what set it."""

import pytest
from suites import CATALOGUE, SUITE

from bench.commands.options import lines, main
from bench.work.cells import cells_of, resolve
from bench.work.origins import origins
from bench.work.plan import all_jobs


def row(said, name):
    (line,) = [line for line in said.splitlines() if line.split()[0] == name]
    return " ".join(line.split())


def test_each_layer_is_named(capsys):
    main("hopper-medium", "dema", "quick", "train", "tokens=bl3d")
    said = capsys.readouterr().out
    assert row(said, "d_conv") == "d_conv 4 workflow/options/mamba.yaml default"
    assert row(said, "observation_dim") == "observation_dim 11 workflow/tasks/mujoco.yaml task hopper-medium"
    budget = "budget 'hopper, DT and DeMa'"
    assert row(said, "learning_rate") == f"learning_rate 0.001 workflow/tiers/quick.yaml {budget}"
    assert row(said, "tokens") == "tokens bl3d - setting of the cell"
    assert row(said, "delayed_reward") == "delayed_reward false workflow/tasks/mujoco.yaml default"
    assert (
        row(said, "embedding_dim")
        == "embedding_dim 128 workflow/tiers/quick.yaml budget 'hopper, DT and DeMa'"
    )
    main("hopper-medium", "dema", "paper", "train", "tokens=bl3d")
    said = capsys.readouterr().out
    assert (
        row(said, "embedding_dim") == "embedding_dim 256 workflow/methods/dema.yaml per_task, hopper-medium"
    )


def test_the_lines_are_sorted_and_aligned():
    job = next(job for job in all_jobs(SUITE, "quick") if job.stage == "train")
    said = lines(SUITE, job)
    assert [line.split()[0] for line in said] == sorted(job.resolved.options)
    assert len({line.index("workflow/") for line in said if "workflow/" in line}) == 1


def test_every_value_is_the_one_that_the_cell_is_run_with():
    for name in ("dema_table04", "dmh_fig04", "dmh_fig03"):
        for query in CATALOGUE.artifacts[name].queries:
            for cell in cells_of(CATALOGUE, query):
                resolved = resolve(CATALOGUE, "paper", cell, "train")
                found = origins(CATALOGUE, resolved)
                assert {option: one.value for option, one in found.items()} == resolved.options
                assert set(dict(cell.settings)) == {o for o, one in found.items() if one.file == "-"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "hoper-medium"}, "unknown task 'hoper-medium'"),
        ({"method": "demma"}, "unknown method 'demma'"),
        ({"tier": "qick"}, "unknown tier 'qick'"),
        ({"stage": "trian"}, "--stage: unknown stage 'trian'. Did you mean 'train'?"),
        ({"stage": "dataset"}, "unknown stage 'dataset'"),
        ({"settings": "tokns=bl3d"}, "unknown option 'tokns'"),
        ({"task": "walker2d-medium-replay"}, "no budget matches walker2d-medium-replay/dema/default"),
    ],
)
def test_a_name_that_nothing_declares(changes, said, capsys):
    known = {
        "task": "hopper-medium",
        "method": "dema",
        "tier": "quick",
        "stage": "train",
        "settings": "default",
    }
    with pytest.raises(SystemExit):
        main(**(known | changes))
    assert said in capsys.readouterr().err


def test_a_stage_has_the_budget_of_its_own():
    job = next(job for job in all_jobs(SUITE, "quick") if job.stage == "probe")
    assert any("probe_repeats" in line and "tiers/quick.yaml" in line for line in lines(SUITE, job))
