"""The reported numbers are whole, checked, and speak the vocabulary of the catalogue."""

import shutil

import pandas as pd
import pytest
from suites import CATALOGUE, SUITE

from bench.analysis.code_defaults import load_code_defaults
from bench.analysis.reported import BESIDE, COLUMNS, IN_AN_ARTIFACT, find_curve, find_printed, load_reported
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

# Numbers read from each table and figure of the papers; a number that serves several cells counts once.
READ = {
    "dema_table01": 2, "dema_table04": 11, "dema_table05": 2, "dema_table06": 48, "dema_table08": 11,
    "dema_table09": 3, "dema_table10": 3, "dema_table15": 2, "dema_table18": 2, "dema_fig02": 1,
    "dmh_table01": 24, "dmh_table02": 70, "dmh_table03": 29, "dmh_table04": 73, "dmh_fig02": 570,
    "dmh_fig03": 30, "dmh_fig04": 33, "dmh_fig05": 15, "dmh_fig06": 18, "extra_table04": 4,
}  # fmt: skip
# Rows, a number that serves several cells counting for each.
ROWS = READ | {
    "dema_table08": 45, "dema_table09": 8, "dema_table10": 9, "dmh_table03": 32, "dmh_fig03": 40,
    "dmh_fig05": 20,
}  # fmt: skip
BELONGS_TO_NO_ARTIFACT = {"dema": 9, "dmh": 31, "reference": 269}
CONFIDENCE = {
    "digitised": 661, "printed": 539, "cited": 45, "code": 30, "quoted": 29, "calculated": 10,
    "user-report": 5, "companion": 4,
}  # fmt: skip
PRINTED = [
    "artifact", "index", "label", "value", "printed_environment", "printed_dataset", "printed_method",
    "printed_metric",
]  # fmt: skip


def test_no_number_is_lost_or_added():
    tables = REPORTED[REPORTED["artifact"] != ""]
    assert tables.groupby("artifact").size().to_dict() == ROWS
    assert tables.drop_duplicates(PRINTED).groupby("artifact").size().to_dict() == READ
    assert REPORTED[REPORTED["artifact"] == ""].groupby("paper").size().to_dict() == BELONGS_TO_NO_ARTIFACT
    assert REPORTED["confidence"].value_counts().to_dict() == CONFIDENCE


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
        name: {
            (e.cell.task, e.cell.method, e.cell.slug, e.metric, label)
            for e in entries(SUITE, name, "paper")
            for label in (e.label, "")
        }
        for name in ROWS
    }
    averaged = {name: {(m, s, q) for _, m, s, q, _ in found} for name, found in places.items()}
    for row in REPORTED[REPORTED["artifact"] != ""].itertuples():
        if row.metric in DERIVED or not row.task:
            continue
        if row.task == "average":
            assert (row.method, row.settings, row.metric) in averaged[row.artifact]
        else:
            assert (row.task, row.method, row.settings, row.metric, row.label) in places[row.artifact], row


def test_printed_hyper_parameters_are_our_defaults_but_for_the_known_conflicts():
    differing = set()
    tables = ["dema_table08", "dema_table09", "dema_table10", "dema_table15", "dmh_table03"]
    options = REPORTED[REPORTED["artifact"].isin(tables)]
    for row in options.itertuples():
        cell = parse_slug(CATALOGUE, row.task, row.method, row.settings)
        ours = (defaults(CATALOGUE, row.task, row.method) | dict(cell.settings))[row.metric]
        same = ours == row.value.lower() if isinstance(ours, str) else float(ours) == float(row.value)
        if not same:
            differing.add((row.artifact, row.metric))
    # Three heads do not divide a width of 128.
    assert differing == {("dmh_table03", "heads")}


def test_d4rls_references_are_our_defaults():
    constants = REPORTED[REPORTED["metric"].isin(["reference_low", "reference_high"])]
    d4rl = constants[constants["source"].str.startswith("D4RL")]
    assert len(d4rl) == 14
    for row in d4rl.itertuples():
        assert defaults(CATALOGUE, row.task, None)[row.metric] == float(row.value)


def test_what_no_paper_prints_stands_in_no_artifact():
    inside = REPORTED[REPORTED["artifact"] != ""]
    assert set(inside["confidence"]) <= set(IN_AN_ARTIFACT)
    assert not set(inside["paper"]) & {"reference"}
    assert set(REPORTED["confidence"]) == {*IN_AN_ARTIFACT, *BESIDE}


def test_the_codes_defaults_are_read_by_no_artifact():
    assert [path.name for path in CATALOGUE.reported] == ["dema.csv", "dmh.csv", "reference.csv"]
    code = load_code_defaults(CATALOGUE, CATALOGUE.code_defaults)
    assert len(code) == 271
    assert code["confidence"].value_counts().to_dict() == {"code": 236, "calculated": 35}
    # Where a table's body is lost, the defaults of the code do not stand in for it.
    bears_on = set(code["bears_on"]) & {"dema_table07", "dema_table19"}
    assert bears_on == {"dema_table07", "dema_table19"}
    assert not set(REPORTED["artifact"]) & bears_on


FIRST_OF_HOPPER = ("dmh_fig04", "hopper-medium", "dmh", "default", "normalised_score")
LARGE_HARD = ("dmh_fig04", "large-darkroom-hard", "dmh", "default", "last_return")


def test_one_cell_that_a_figure_draws_twice_has_the_number_of_its_label():
    assert find_printed(REPORTED, *LARGE_HARD, "c = 20").value == "0.98"
    assert find_printed(REPORTED, *LARGE_HARD, "with valuable sub-goals").value == "0.92"
    assert find_printed(REPORTED, *LARGE_HARD) is None
    # A number without a label is that of every entry of its cell.
    row = ("dmh_fig06", "hopper-medium", "dmh", "default", "normalised_score")
    assert find_printed(REPORTED, *row, "with valuable sub-goals").value == "83.1"


@pytest.mark.parametrize("method", ["ad-transformer", "ad-mamba", "dpt", "amago", "dmh"])
@pytest.mark.parametrize("task", CATALOGUE.sets["grid-worlds"])
def test_a_curve_has_every_episode_but_the_first_which_the_paper_draws_at_zero(task, method):
    cell = ("dmh_fig02", task, method, "default", "episode_return")
    curve = find_curve(REPORTED, *cell)
    assert list(curve) == [float(episode) for episode in range(2, 21)]
    assert all(point.reading_error > 0 and point.error == 0 for point in curve.values())
    assert find_printed(REPORTED, *cell) is None


def test_a_reading_error_is_no_standard_error():
    drawn = find_printed(REPORTED, *FIRST_OF_HOPPER, "c = 20")
    assert (drawn.value, drawn.reading_error, drawn.error, drawn.seeds) == ("83.5", 0.5, 0.0, 0)
    assert drawn.text == "83.5 ± 0.5 (reading error; digitised)"
    printed = find_printed(REPORTED, "dmh_table02", "hopper-medium", "dmh", "default", "normalised_score")
    assert (printed.reading_error, printed.error, printed.seeds) == (0.0, 0.63, 10)
    assert printed.text == "83.15 ± 0.63 (s.e., 10 seeds)"


def test_a_baselines_own_number_is_marked_as_cited():
    cited = find_printed(REPORTED, "dema_table06", "hopper-medium", "cql", "default", "normalised_score")
    assert cited.text == "58.5 (cited)"
    quoted = find_printed(
        REPORTED, "dema_table18", "hopper-medium-replay", "qt", "default", "normalised_score"
    )
    assert quoted.text == "102.0 ± 0.2 (kind not stated; quoted)"


def test_memory_that_ran_out_stays_the_word_that_is_printed():
    lost = find_printed(REPORTED, "dmh_fig03", "tmaze-passive-20000", "dt", "default", "return")
    assert (lost.value, lost.is_number) == ("OOM", False)


@pytest.fixture
def copy(tmp_path):
    for path in CATALOGUE.reported:
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
    lines[4] = lines[4].replace('"paper text and LaTeX, both read (arXiv 2406.00079)"', "")
    (copy / "dmh.csv").write_text("\n".join(lines) + "\n")
    refused(copy, "dmh.csv", "row 5", "column source")


def test_a_spread_without_its_kind(copy):
    replace(copy, "dmh.csv", "standard error over 10 seeds (as stated in text)", "")
    refused(copy, "dmh.csv", "row 2", "column spread_kind", "must be given with a spread")


def test_a_row_that_stands_twice(copy):
    lines = (copy / "dmh.csv").read_text().splitlines()
    (copy / "dmh.csv").write_text("\n".join([*lines, lines[7]]) + "\n")
    refused(copy, "dmh.csv", f"row {len(lines) + 1}", "already holds")


@pytest.mark.parametrize(
    ("change", "column", "problem"),
    [
        ({"confidence": "high"}, "confidence", "must be one of printed, cited, quoted, companion, digitised"),
        ({"confidence": "code"}, "artifact", "that is no printed cell"),
        (
            {"confidence": "calculated"},
            "artifact",
            "must be empty for what is user-report or calculated or code",
        ),
        ({"confidence": "user-report"}, "artifact", "that is no printed cell"),
        ({"confidence": "digitised"}, "spread_kind", "must begin with 'reading error'"),
        ({"spread_kind": "reading error"}, "spread_kind", "for what is digitised, and for nothing else"),
        ({"confidence": "digitised", "spread": "", "spread_kind": ""}, "spread", "must be the reading error"),
        ({"paper": "reference"}, "artifact", "must be empty where paper is reference"),
        (
            {"artifact": "", "index": "3"},
            "artifact",
            "must name the figure that an index or a label belongs to",
        ),
        ({"artifact": "", "label": "c = 5"}, "artifact", "must name the figure"),
        ({"index": "third"}, "index", "the place of a point on its curve"),
    ],
)
def test_a_row_that_breaks_a_rule_is_named_with_the_rule(copy, change, column, problem):
    frame = pd.read_csv(copy / "dmh.csv", dtype=str, keep_default_na=False)
    frame.loc[0, list(change)] = list(change.values())
    frame.to_csv(copy / "dmh.csv", index=False)
    refused(copy, "dmh.csv", "row 2", f"column {column}", problem, "Correct the file")


def test_a_second_value_of_one_place(copy):
    frame = pd.read_csv(copy / "dmh.csv", dtype=str, keep_default_na=False)
    again = frame.iloc[[0]].assign(value="94.30")
    pd.concat([frame, again]).to_csv(copy / "dmh.csv", index=False)
    refused(copy, "dmh.csv", f"row {len(frame) + 2}", "column value", "second value of a place", "'94.30'")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"confidence": "printed"}, ("column confidence", "what is printed has files of its own")),
        ({"bears_on": "dema_tabel09"}, ("column bears_on", "'dema_table09'")),
        ({"name": "learning_rat"}, ("column name", "'learning_rate'")),
        ({"paper": "demo"}, ("column paper", "'dema'")),
        ({"source": ""}, ("column source", "must name repository, commit and file")),
    ],
)
def test_a_default_of_code_that_is_not_one_names_file_row_and_column(tmp_path, change, parts):
    path = tmp_path / "code_defaults.csv"
    frame = pd.read_csv(CATALOGUE.code_defaults[0], dtype=str, keep_default_na=False)
    frame.loc[0, list(change)] = list(change.values())
    frame.to_csv(path, index=False)
    with pytest.raises(UserError) as caught:
        load_code_defaults(CATALOGUE, [path])
    for part in (str(path), "row 2", *parts):
        assert part in str(caught.value)


def test_a_column_that_is_missing(copy):
    replace(copy, "reference.csv", "spread_kind", "spreadkind")
    refused(copy, "reference.csv", "header", "'spread_kind'", ", ".join(COLUMNS))


def test_a_folder_without_files(tmp_path):
    refused(tmp_path, "results/reported", "no CSV files")


def test_a_file_that_is_no_table(copy):
    (copy / "dema.csv").write_text("")
    refused(copy, "dema.csv", "not a readable CSV file")
