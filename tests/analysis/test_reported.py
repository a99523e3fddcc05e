"""The reported numbers are whole, checked, and speak the vocabulary of the catalogue."""

import shutil

import pytest
from suites import CATALOGUE, SUITE

from bench.analysis.reported import COLUMNS, load_reported
from bench.catalogue.values import defaults
from bench.errors import UserError
from bench.files import ROOT
from bench.work.cells import parse_slug
from bench.work.entries import entries

FOLDER = ROOT / "results" / "reported"
REPORTED = load_reported(CATALOGUE, CATALOGUE.reported)
# What the papers state of themselves, which no stage measures and no option sets.
FACTS = {"seeds"}
# Ratios and sizes that the analysis derives from the probes of two cells, beside the cells of a table.
DERIVED = {"online_speedup"}

# Numbers read from each table of the papers; a number that serves several cells counts once.
READ = {
    "dema_table01": 2, "dema_table04": 2, "dema_table05": 2, "dema_table06": 2, "dema_table08": 11,
    "dema_table09": 3, "dema_table10": 3, "dema_table15": 2, "dema_table19": 22, "dema_fig02": 1,
    "dmh_table01": 24, "dmh_table02": 70, "dmh_table03": 29, "dmh_table04": 73,
}  # fmt: skip
# Rows, a number that serves several cells counting for each.
ROWS = {
    "dema_table01": 2, "dema_table04": 2, "dema_table05": 2, "dema_table06": 2, "dema_table08": 45,
    "dema_table09": 8, "dema_table10": 9, "dema_table15": 2, "dema_table19": 22, "dema_fig02": 1,
    "dmh_table01": 24, "dmh_table02": 70, "dmh_table03": 32, "dmh_table04": 73,
}  # fmt: skip
IN_THE_TEXT = {"dema": 9, "dmh": 10, "reference": 69}
PRINTED = ["artifact", "value", "printed_environment", "printed_dataset", "printed_method", "printed_metric"]


def test_no_number_is_lost_or_added():
    tables = REPORTED[REPORTED["artifact"] != ""]
    assert tables.groupby("artifact").size().to_dict() == ROWS
    assert tables.drop_duplicates(PRINTED).groupby("artifact").size().to_dict() == READ
    assert REPORTED[REPORTED["artifact"] == ""].groupby("paper").size().to_dict() == IN_THE_TEXT


def test_numbers_keep_their_printed_digits():
    table = REPORTED[REPORTED["artifact"] == "dmh_table02"].set_index(["task", "method"])
    assert table.loc[("halfcheetah-medium-expert", "td3"), "value"] == "87.60"
    assert table.loc[("walker2d-medium-expert", "dmh"), "value"] == "118.21"
    assert table.loc[("walker2d-medium-expert", "dmh"), "spread"] == "0.56"
    assert table.loc[("average", "dt"), "value"] == "77.69"
    assert (table.loc["hopper-medium", "value"].str.len() == 5).all()


def test_every_name_is_declared():
    catalogue = CATALOGUE
    options = {
        name
        for method in catalogue.methods
        for task in catalogue.tasks
        for name in catalogue.options(task, method)
    }
    for row in REPORTED.itertuples():
        assert row.artifact in {*catalogue.artifacts, ""}
        assert row.task in {*catalogue.tasks, "average", ""}
        assert row.method in {*catalogue.methods, ""}
        assert row.metric in {*catalogue.metrics, *options, *FACTS}
        if row.settings != "default" and row.task:
            assert parse_slug(CATALOGUE, row.task, row.method, row.settings).slug == row.settings


def test_every_number_of_a_table_has_its_place_there():
    places = {
        name: {(e.cell.task, e.cell.method, e.cell.slug, e.metric) for e in entries(SUITE, name, "paper")}
        for name in ROWS
    }
    averaged = {name: {(m, s, q) for _, m, s, q in found} for name, found in places.items()}
    for row in REPORTED[REPORTED["artifact"] != ""].itertuples():
        if row.metric in DERIVED or not row.task:
            continue
        if row.task == "average":
            assert (row.method, row.settings, row.metric) in averaged[row.artifact]
        else:
            assert (row.task, row.method, row.settings, row.metric) in places[row.artifact], row


def test_printed_hyper_parameters_are_our_defaults_but_for_the_known_conflicts():
    differing = set()
    tables = ["dema_table08", "dema_table09", "dema_table10", "dema_table15", "dema_table19", "dmh_table03"]
    options = REPORTED[REPORTED["artifact"].isin(tables)]
    for row in options.itertuples():
        cell = parse_slug(CATALOGUE, row.task, row.method, row.settings)
        ours = (defaults(CATALOGUE, row.task, row.method) | dict(cell.settings))[row.metric]
        same = ours == row.value.lower() if isinstance(ours, str) else float(ours) == float(row.value)
        if not same:
            differing.add((row.artifact, row.metric))
    # Three heads do not divide a width of 128. DeMa's code rounds the constants of Atari.
    rounded = {("dema_table19", "reference_low"), ("dema_table19", "reference_high")}
    assert differing == {("dmh_table03", "heads"), *rounded}


@pytest.fixture
def copy(tmp_path):
    for path in FOLDER.glob("*.csv"):
        shutil.copy(path, tmp_path)
    return tmp_path


def refused(folder, *parts):
    with pytest.raises(UserError) as caught:
        load_reported(CATALOGUE, sorted(folder.glob("*.csv")))
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text, f"{part!r} not in: {text}"


def replace(folder, name, old, new):
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_value_that_is_no_number_names_file_row_and_column(copy):
    replace(copy, "dmh.csv", ",94.21,", ",94.21%,")
    refused(copy, "dmh.csv", "row 2", "column value", "'94.21%'", "Correct the file")


def test_an_artifact_that_is_misspelt(copy):
    replace(copy, "dema.csv", "dema_table05", "dema_tabel05")
    refused(copy, "dema.csv", "row 3", "column artifact", "'dema_tabel05'", "'dema_table05'")


def test_a_paper_that_has_no_folder(copy):
    replace(copy, "dmh.csv", "dmh,dmh_table01", "dmm,dmh_table01")
    refused(copy, "dmh.csv", "row 2", "column paper", "unknown paper 'dmm'", "'dmh'")


def test_a_number_without_a_source(copy):
    lines = (copy / "dmh.csv").read_text().splitlines()
    lines[4] = lines[4].replace("paper text (arXiv 2406.00079)", "")
    (copy / "dmh.csv").write_text("\n".join(lines) + "\n")
    refused(copy, "dmh.csv", "row 5", "column source")


def test_a_spread_without_its_kind(copy):
    replace(copy, "dmh.csv", "standard error over 10 seeds (as stated in text)", "")
    refused(copy, "dmh.csv", "row 2", "column spread_kind", "must be given with a spread")


def test_a_row_that_stands_twice(copy):
    lines = (copy / "dmh.csv").read_text().splitlines()
    (copy / "dmh.csv").write_text("\n".join([*lines, lines[7]]) + "\n")
    refused(copy, "dmh.csv", f"row {len(lines) + 1}", "already holds")


def test_a_column_that_is_missing(copy):
    replace(copy, "reference.csv", "spread_kind", "spreadkind")
    refused(copy, "reference.csv", "header", "'spread_kind'", ", ".join(COLUMNS))


def test_a_folder_without_files(tmp_path):
    refused(tmp_path, "results/reported", "no CSV files")


def test_a_file_that_is_no_table(copy):
    (copy / "dema.csv").write_text("")
    refused(copy, "dema.csv", "not a readable CSV file")
