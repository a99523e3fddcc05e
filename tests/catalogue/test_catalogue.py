"""What is declared under workflow/ holds together and covers its papers."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from suites import CATALOGUE, SUITE

import bench.work.availability as built
from bench.analysis.labels import axis_label
from bench.catalogue.catalogue import paper_name
from bench.catalogue.load import WORKFLOW
from bench.catalogue.rivals import TIMED_AGAINST
from bench.catalogue.values import defaults
from bench.work.cells import cells_of, make_cell, parse_slug, resolve
from bench.work.entries import entries as entries_of
from bench.work.plan import jobs_of
from bench.work.suite import Suite

# Those that a paper prints, and those that the suite asks beyond the papers.
ARTIFACTS = {name for name in CATALOGUE.artifacts if not CATALOGUE.paper_of(name).own}
OWN = CATALOGUE.artifacts.keys() - ARTIFACTS
# The seeds behind a number of a paper, as it states them.
SEEDS = {"dema": 3, "dmh": 10}


def all_cells(artifact):
    return [cell for query in CATALOGUE.artifacts[artifact].queries for cell in cells_of(CATALOGUE, query)]


@pytest.mark.parametrize("paper", [name for name, paper in CATALOGUE.papers.items() if not paper.own])
def test_an_artifact_is_what_its_paper_prints(paper):
    own = {CATALOGUE.artifacts[name].printed for name in ARTIFACTS if paper_name(name) == paper}
    assert own == set(CATALOGUE.papers[paper].prints.places())
    assert own, "a paper without results"


def test_what_no_paper_asked_says_so():
    assert OWN
    assert all(CATALOGUE.artifacts[name].section.startswith("none: our own") for name in OWN)


def test_the_first_papers_print_what_their_pages_show():
    assert CATALOGUE.papers["dema"].prints.model_dump() == {"tables": "1-19", "figures": "2-11"}
    assert CATALOGUE.papers["dmh"].prints.model_dump() == {"tables": "1-4", "figures": "2-6"}


def test_what_a_tier_leaves_out_says_why_in_every_artifact_that_asks_for_it():
    reasons = {e.missing for e in entries_of(SUITE, "dmh_fig02", "cpu") if e.cell.method == "amago"}
    left = CATALOGUE.tiers["cpu"].left_out
    assert reasons == {one.reason for one in left if "amago" in one.methods}
    assert {e.missing for e in entries_of(SUITE, "dmh_fig02", "paper") if e.cell.method == "amago"} == {""}


def test_a_derived_number_needs_the_probes_of_both_cells():
    entries = [e for e in entries_of(SUITE, "dmh_table04", "cpu") if e.metric == "online_speedup"]
    assert entries
    for entry in entries:
        asked = {(job.stage, job.cell.task, job.cell.method) for job in jobs_of(entry, "cpu")}
        task = entry.cell.task
        assert asked == {("probe", task, "ad-transformer"), ("probe", task, "dmh")}


@pytest.mark.parametrize("name", sorted(ARTIFACTS))
def test_an_artifact_says_where_it_is_printed_and_what_is_left_open(name):
    artifact = CATALOGUE.artifacts[name]
    kind, number = re.fullmatch(r"\w+_(table|fig)(\d+)", name).groups()
    assert artifact.printed == f"{'Table' if kind == 'table' else 'Figure'} {int(number)}"
    assert artifact.seeds == SEEDS[paper_name(name)]
    assert len(artifact.open_choices) >= 2
    assert "\n" not in artifact.title


@pytest.mark.parametrize("name", sorted(n for n in ARTIFACTS if "table" in n))
def test_no_two_numbers_of_a_table_share_a_place(name):
    layout = CATALOGUE.artifacts[name].layout
    places = [
        (axis_label(entry, layout.rows), axis_label(entry, layout.columns))
        for entry in entries_of(SUITE, name, "paper")
    ]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("tier", ["quick", "cpu", "paper"])
def test_no_tier_sets_what_an_artifact_varies(tier, monkeypatch):
    # As if everything were built: a budget is only compared with the sweeps of cells that can run.
    monkeypatch.setattr(built, "why_not_built", lambda *_: "")
    suite = Suite.open()
    for name in CATALOGUE.artifacts:
        entries_of(suite, name, tier)


def test_the_paper_tier_runs_everything_and_reduces_nothing():
    assert all(budget.options == {} for budget in CATALOGUE.tiers["paper"].budgets)
    for name, artifact in CATALOGUE.artifacts.items():
        for query in artifact.queries:
            for metric in query.metrics:
                stage = CATALOGUE.metrics[metric].stage
                assert all(resolve(CATALOGUE, "paper", cell, stage) for cell in cells_of(CATALOGUE, query)), (
                    name,
                    metric,
                )


def test_a_cell_that_many_artifacts_need_is_one_cell():
    cell = make_cell(CATALOGUE, "hopper-medium", "dema", {})
    for name in (
        "table02",
        "table04",
        "table06",
        "table07",
        "table12",
        "table17",
        "table18",
        "fig02",
        "fig03",
        "fig05",
        "fig06",
    ):
        assert cell in all_cells(f"dema_{name}"), name
    assert make_cell(CATALOGUE, "darkroom", "dmh", {}) in all_cells("dmh_fig02")
    assert make_cell(CATALOGUE, "darkroom", "dmh", {}) in all_cells("dmh_fig04")
    recurrent = make_cell(CATALOGUE, "pong", "dema", {"mode": "recurrent", "batch_size": 8})
    assert all(recurrent in all_cells(f"dema_table{n}") for n in ("01", "10", "11"))


def test_printed_settings_of_dema_reach_its_cells():
    printed = {
        "hopper-medium": (0.0001, 256, 64),
        "hopper-medium-replay": (0.0001, 256, 64),
        "hopper-medium-expert": (0.001, 128, 128),
        "halfcheetah-medium": (0.001, 128, 64),
        "halfcheetah-medium-expert": (0.001, 128, 128),
        "walker2d-medium": (0.0001, 128, 64),
        "walker2d-medium-delayed": (0.0001, 128, 64),
        "walker2d-medium-replay": (0.001, 128, 64),
    }
    for task, expected in printed.items():
        values = defaults(CATALOGUE, task, "dema")
        assert tuple(values[k] for k in ("learning_rate", "embedding_dim", "d_model")) == expected, task
        assert (values["d_state"], values["expand"]) == (64, 2)
    assert [defaults(CATALOGUE, g, "dema")["context_length"] for g in ("qbert", "frostbite", "pong")] == [
        8,
        8,
        30,
    ]


def test_dt_and_dc_train_in_locomotion_at_demas_rates_and_widths_of_tokens():
    locomotion = [name for name, task in CATALOGUE.tasks.items() if task.problem == "locomotion"]
    assert {"hopper-medium", "walker2d-medium-delayed"} < set(locomotion)
    for name in locomotion:
        found = [
            tuple(defaults(CATALOGUE, name, method)[k] for k in ("learning_rate", "embedding_dim"))
            for method in ("dema", "dt", "dc")
        ]
        assert found[0] == found[1] == found[2], name
    assert defaults(CATALOGUE, "hopper-medium", "dt")["activation"] == "gelu"
    in_the_maze = defaults(CATALOGUE, "tmaze-passive-10", "dt")
    assert (in_the_maze["learning_rate"], in_the_maze["activation"]) == (0.0001, "relu")


def test_printed_settings_of_dmh_reach_its_cells():
    lengths = {"darkroom": 5, "tmaze-passive-300": 5, "large-darkroom": 20, "hopper-medium": 20}
    assert {task: defaults(CATALOGUE, task, "dmh")["steps_per_subgoal"] for task in lengths} == lengths
    episodes = {"darkroom": 10, "dark-key-to-door": 4, "large-dark-key-to-door": 4, "walker2d-medium": 4}
    for method in ("dmh", "ad-transformer", "ad-mamba"):
        assert {task: defaults(CATALOGUE, task, method)["context_episodes"] for task in episodes} == episodes


def test_contexts_have_the_lengths_of_the_cost_table():
    large = {"large-darkroom-hard": 2000, "large-dark-key-to-door": 2000}
    for task, steps in ({"darkroom": 200, "dark-key-to-door": 200} | large).items():
        values = defaults(CATALOGUE, task, "dmh")
        assert values["horizon"] * values["context_episodes"] == steps
    values = defaults(CATALOGUE, "hopper-medium", "dmh")
    assert values["max_episode_steps"] * values["context_episodes"] == 4000


def test_every_dark_room_of_the_cost_table_can_be_run():
    rooms = [entry for entry in entries_of(SUITE, "dmh_table04", "paper") if "dark" in entry.cell.task]
    assert {entry.cell.task for entry in rooms} == {
        f"{size}{room}"
        for size in ("", "large-")
        for room in ("darkroom", "darkroom-hard", "darkroom-dynamic", "dark-key-to-door")
    }
    assert not [entry for entry in rooms if entry.missing]


@pytest.mark.parametrize("method", ["dt", "dm", "lstm"])
def test_the_context_is_the_whole_t_maze(method):
    for name, task in CATALOGUE.tasks.items():
        if task.family == "tmaze":
            values = defaults(CATALOGUE, name, method)
            assert (values["window_start"], values["batch_size"]) == ("beginning", values["trajectories"])
            episode = values["corridor_length"] + 2 * values["oracle_length"] + 1
            assert values["context_length"] == episode <= values["max_timestep"]


def test_every_dataset_of_a_task_has_a_source():
    rows = CATALOGUE.datasets
    for row in rows.values():
        assert row.source
        assert "checksum" in row.note, "known or not, its note says so"
        assert row.mean_return is None or row.lowest_return < row.mean_return < row.highest_return
    for path in (WORKFLOW / "tasks").glob("*.yaml"):
        for name, task in yaml.safe_load(path.read_text())["tasks"].items():
            assert {task.get("dataset", ""), *task.get("minari", [])} <= rows.keys() | {""}, name


def test_settings_equal_to_the_default_are_dropped():
    assert (
        make_cell(CATALOGUE, "hopper-medium", "dema", {"tokens": "b3ld", "embedding_dim": 256}).slug
        == "default"
    )
    wide = make_cell(CATALOGUE, "walker2d-medium", "dema", {"tokens": "b3ld", "embedding_dim": 256})
    assert wide.slug == "embedding_dim=256"
    assert make_cell(
        CATALOGUE, "darkroom", "dmh", {"trained_blocks": 1, "valuable_subgoals": False}
    ).slug == ("valuable_subgoals=false")


def test_one_value_has_one_name():
    assert make_cell(CATALOGUE, "hopper-medium", "dt", {"target_return": 1000}).slug == "target_return=1000.0"
    assert parse_slug(CATALOGUE, "hopper-medium", "dt", "target_return=1000").slug == "target_return=1000.0"


def values_of(option):
    if option.choices:
        return st.sampled_from(option.choices)
    low, high = option.minimum, option.maximum
    if isinstance(option.default, bool):
        return st.booleans()
    if isinstance(option.default, int):
        low = -1000 if low is None else int(low)
        return st.integers(low, low + 10_000 if high is None else int(high))
    if isinstance(option.default, float):
        return st.floats(-1e6 if low is None else low, 1e6 if high is None else high)
    return st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True)


@st.composite
def settings_of_a_cell(draw):
    task = draw(st.sampled_from(sorted(CATALOGUE.tasks)))
    method = draw(st.sampled_from(sorted(CATALOGUE.methods)))
    options = CATALOGUE.options(task, method)
    names = draw(st.lists(st.sampled_from(sorted(options)), unique=True, max_size=5))
    settings = {name: draw(values_of(options[name])) for name in names}
    if TIMED_AGAINST in settings:
        settings[TIMED_AGAINST] = draw(st.sampled_from(("none", *sorted(CATALOGUE.methods))))
    return task, method, settings


@given(settings_of_a_cell())
def test_a_folder_name_gives_its_cell_back(drawn):
    task, method, settings = drawn
    cell = make_cell(CATALOGUE, task, method, settings)
    again = parse_slug(CATALOGUE, task, method, cell.slug)
    assert again == cell
    assert again.slug == cell.slug
    base = defaults(CATALOGUE, task, method)
    assert all(base[key] != value for key, value in cell.settings)
    assert list(dict(cell.settings)) == sorted(dict(cell.settings))
