"""A cell under a reading: what it runs, how it is called, and what it shares with other cells."""

import pytest
from reading_cases import TASK, suite_with_readings

from bench.catalogue.values import defaults
from bench.work.cells import (
    dataset_cell,
    donor_cell,
    find_budget,
    make_cell,
    parse_slug,
    resolve,
    trained_cell,
    values_of,
)

CODE = {"dropout": 0.375, "learning_rate": 0.0625, "weight_decay": 0.5, "updates": 77,
        "evaluation_episodes": 7, "transitions": 1234}  # fmt: skip


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return suite_with_readings(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def catalogue(suite):
    return suite.catalogue


def cell(catalogue, reading, method="dt", task=TASK, **settings):
    return make_cell(catalogue, task, method, {"reading": reading, **settings})


def changed(catalogue, one):
    """The options of a cell that are not at their defaults."""
    usual = defaults(catalogue, one.task, one.method)
    return {key: value for key, value in values_of(catalogue, one).items() if usual[key] != value}


def test_text_is_the_default(catalogue):
    assert cell(catalogue, "text") == make_cell(catalogue, TASK, "dt", {})
    assert cell(catalogue, "text").slug == "default"


def test_code_sets_every_choice_that_concerns_the_method_and_the_task(catalogue):
    assert changed(catalogue, cell(catalogue, "code")) == CODE
    assert cell(catalogue, "code").slug == "reading=code"
    assert changed(catalogue, cell(catalogue, "code", "dema")) == {
        "evaluation_episodes": 7,
        "transitions": 1234,
    }


def test_a_reading_that_changes_nothing_is_the_same_cell(catalogue):
    assert cell(catalogue, "code", task="walker2d-medium") == cell(catalogue, "text", task="walker2d-medium")
    assert cell(catalogue, "text+bc-noise") == cell(catalogue, "text")
    assert cell(catalogue, "code+bc-noise") == cell(catalogue, "code")


def test_a_single_choice_is_the_setting_written_out(catalogue):
    assert cell(catalogue, "text+noise") == make_cell(catalogue, TASK, "dt", {"dropout": 0.375})
    assert cell(catalogue, "text+noise").slug == "dropout=0.375"
    assert cell(catalogue, "code+noise").slug.endswith(",reading=code")
    assert changed(catalogue, cell(catalogue, "code+noise")) == {
        key: value for key, value in CODE.items() if key != "dropout"
    }


def test_a_single_choice_of_scale_keeps_its_name_where_the_others_are_the_codes(catalogue):
    assert cell(catalogue, "text+length") == make_cell(catalogue, TASK, "dt", {"updates": 77})
    assert cell(catalogue, "code+length").slug == "reading=code+length"
    assert "updates" not in changed(catalogue, cell(catalogue, "code+length"))


def test_all_settings_of_a_reading_written_out_are_that_reading(catalogue):
    held = {key: value for key, value in CODE.items() if key != "updates"}
    assert cell(catalogue, "text", **held) == cell(catalogue, "code+length")
    assert cell(catalogue, "code", dropout=0.125, **{"learning_rate": 0.0625}).slug == (
        "dropout=0.125,reading=code"
    )


@pytest.mark.parametrize(
    "reading", ["text", "code", "text+noise", "code+noise", "text+length", "code+length", "code+data+test"]
)
@pytest.mark.parametrize("method", ["dt", "bc", "dema"])
@pytest.mark.parametrize("settings", [{}, {"batch_size": 3}])
def test_a_slug_names_its_cell_whatever_the_run(catalogue, tmp_path, reading, method, settings):
    one = cell(catalogue, reading, method, **settings)
    assert parse_slug(catalogue, TASK, method, one.slug) == one
    assert catalogue.reading.text == "text"


def test_a_slug_is_read_the_same_under_every_reading_of_the_run(tmp_path):
    catalogue = suite_with_readings(tmp_path, "code").catalogue
    for slug in ("default", "reading=code", "dropout=0.375", "reading=code+length"):
        assert parse_slug(catalogue, TASK, "dt", slug).slug == slug
    assert make_cell(catalogue, TASK, "dt", {}).slug == "reading=code"


def test_settings_of_the_cell_win_over_its_reading(catalogue):
    assert changed(catalogue, cell(catalogue, "code", dropout=0.125))["dropout"] == 0.125
    usual = defaults(catalogue, TASK, "dt")["dropout"]
    assert cell(catalogue, "code", dropout=usual) == cell(catalogue, "code+noise")


def test_a_budget_wins_over_scale_and_nothing_else_of_a_reading(tmp_path):
    catalogue = suite_with_readings(tmp_path, "code").catalogue
    one = make_cell(catalogue, TASK, "dt", {})
    found = resolve(catalogue, "quick", one, "train")
    assert {"updates", "learning_rate", "dropout"} - found.budget.options.keys() == {"dropout"}
    assert found.options["updates"] == found.budget.options["updates"] != 77
    assert found.options["learning_rate"] == 0.0625
    assert resolve(catalogue, "paper", one, "train").options["updates"] == 77
    named = make_cell(catalogue, TASK, "dt", {"reading": "text+length"})
    assert resolve(catalogue, "paper", named, "train").options["updates"] == 77


def test_a_budget_is_for_text_and_the_runs_reading_unless_it_names_others(catalogue, tmp_path):
    code = cell(catalogue, "code")
    assert find_budget(catalogue, "quick", code, "train") is None
    assert find_budget(catalogue, "paper", code, "train") is not None
    run = suite_with_readings(tmp_path, "code").catalogue
    assert find_budget(run, "quick", code, "train").label == "hopper, DT and DeMa"
    assert find_budget(run, "quick", cell(run, "text"), "train").label == "hopper, DT and DeMa"


def test_readings_that_differ_in_the_test_alone_share_a_training(catalogue):
    assert trained_cell(catalogue, cell(catalogue, "text+test")) == cell(catalogue, "text")
    assert trained_cell(catalogue, cell(catalogue, "code+test")) == cell(catalogue, "code")
    assert trained_cell(catalogue, cell(catalogue, "code", evaluation_episodes=3)) == cell(catalogue, "code")


def test_readings_that_differ_in_the_method_alone_share_a_dataset(catalogue):
    assert dataset_cell(catalogue, cell(catalogue, "text+noise")).slug == "default"
    assert dataset_cell(catalogue, cell(catalogue, "code")).slug == "transitions=1234"
    assert dataset_cell(catalogue, cell(catalogue, "code", "bc")) == dataset_cell(
        catalogue, cell(catalogue, "code")
    )


def test_a_donor_is_of_the_same_reading(catalogue):
    away = cell(catalogue, "text", task="walker2d-medium")
    assert donor_cell(catalogue, away, TASK) == cell(catalogue, "text")
    assert donor_cell(catalogue, cell(catalogue, "code"), TASK).slug == "reading=code"
