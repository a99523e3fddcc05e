"""The audit finds what does not add up in a printed table, and leaves alone what rounding explains."""

import pandas as pd
import pytest
from suites import CATALOGUE

from bench.analysis.audit import audit, bounds, half_unit
from bench.analysis.reported import COLUMNS, load_reported
from bench.commands.audit import page_of

TASKS = ("hopper-medium", "walker2d-medium", "halfcheetah-medium")


def printed(task, value, **rest):
    """One reported number; what is not said is empty, or the most ordinary."""
    row = dict.fromkeys(COLUMNS, "") | {
        "paper": "dmh", "artifact": "dmh_table02", "task": task, "method": "dt", "settings": "default",
        "metric": "normalised_score", "value": value, "printed_environment": "D4RL", "printed_method": "DT",
        "printed_metric": "score", "source": "page 7", "confidence": "high",
    }  # fmt: skip
    return row | rest


def found(check, *rows):
    """The findings of one check on a made-up table."""
    return [
        finding for finding in audit(CATALOGUE, pd.DataFrame(rows, columns=COLUMNS)) if finding.check == check
    ]


def column(values, average, **rest):
    cells = [printed(task, value, **rest) for task, value in zip(TASKS, values, strict=True)]
    return [*cells, printed("average", average, **rest)]


@pytest.mark.parametrize(
    ("average", "verdict"),
    [("20.0", "agrees"), ("20.1", "agrees"), ("20.2", "conflicts"), ("19.8", "conflicts"), ("20", "agrees")],
)
def test_an_average_has_to_be_the_mean_of_its_column_up_to_rounding(average, verdict):
    # The mean of what may have been rounded to these lies between 20.0 and 20.1.
    (finding,) = found("averages", *column(["10.1", "20.0", "30.0"], average))
    assert (finding.verdict, finding.printed, finding.source) == (verdict, average, "page 7")
    assert finding.place == "dmh_table02, DT"
    assert finding.found == "20.03, the mean of 3 cells"


def test_an_average_whose_cells_are_not_known_stays_open():
    (finding,) = found("averages", printed("average", "62.2"))
    assert (finding.verdict, finding.found) == ("open", "the cells of this column are not known")


@pytest.mark.parametrize(("spread", "verdict"), [("1.7", "agrees"), ("3.0", "noted")])
def test_the_error_of_an_average_is_less_than_its_cells_errors(spread, verdict):
    rows = column(["10.0", "20.0", "30.0"], "20.0", spread="3.0", spread_kind="standard error")
    rows[-1]["spread"] = spread
    (finding,) = found("errors of averages", *rows)
    assert finding.verdict == verdict
    assert finding.found.startswith("1.73 if the cells are independent")
    assert ("the mean of the cells' errors is 3.00" in finding.found) == (verdict == "noted")


def test_methods_keep_their_order_or_not():
    first = column(["10.0", "20.0", "30.0"], "20.0")
    for average, verdict in (("19.0", "agrees"), ("21.0", "conflicts")):
        second = column(["9.0", "19.0", "29.0"], average, method="dmh", printed_method="DM-H")
        (finding,) = found("order of averages", *first, *second)
        assert (finding.verdict, finding.found) == (verdict, "DT > DM-H")


def cost(task, transformer, dmh, ratio):
    rest = {"artifact": "dmh_table04", "metric": "online_testing_minutes"}
    own = {"method": "ad-transformer"}
    return [
        printed(task, transformer, **rest, **own), printed(task, dmh, **rest, method="dmh"),
        printed(task, ratio, **rest | own | {"metric": "online_speedup"}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "verdict"), [("8", "agrees"), ("9", "agrees"), ("10", "conflicts"), ("7", "conflicts")]
)
def test_a_ratio_has_to_be_that_of_the_printed_numbers(ratio, verdict):
    # 42.5 / 5.0 is 8.50, from 8.40 to 8.60 by the digits printed.
    (finding,) = found("ratios", *cost("large-darkroom", "42.5", "5.0", ratio))
    assert (finding.verdict, finding.found) == (verdict, "8.50 from the printed numbers")


@pytest.mark.parametrize(("factor", "verdict"), [("8", "agrees"), ("12", "conflicts")])
def test_a_factor_of_the_text_has_to_hold_everywhere(factor, verdict):
    text = printed(
        "", factor, artifact="", method="dmh", metric="online_speedup", printed_environment="Large Grid World"
    )
    rows = [*cost("large-darkroom", "40.0", "5.0", "8"), *cost("large-dark-key-to-door", "60.0", "5.0", "12")]
    (finding,) = found("factors in the text", *rows, text)
    assert finding.verdict == verdict
    assert finding.found.startswith("8.0, 12.0 from the printed numbers: reached in ")


def test_a_number_printed_twice_is_the_same_of_the_same():
    one = printed("hopper-medium", "5.0", artifact="dmh_table01")
    for other, verdict in (
        ({"value": "5.00"}, "agrees"),
        ({"value": "5.1"}, "conflicts"),
        ({"value": "5.0", "printed_metric": "another thing"}, "conflicts"),
    ):
        (finding,) = found("printed twice", one, one | {"artifact": "dmh_table02"} | other)
        assert (finding.verdict, finding.place) == (verdict, "dmh_table01 and dmh_table02")
    assert not found(
        "printed twice", one, one | {"artifact": "dema_table06", "paper": "dema", "value": "9.0"}
    )


@pytest.mark.parametrize(("times", "verdict"), [("5", "conflicts"), ("1.4", "agrees")])
def test_what_is_said_of_a_size_is_one_size(times, verdict):
    text = {"artifact": "", "paper": "dema", "method": "dema", "printed_environment": "Atari"}
    (finding,) = found(
        "sizes",
        printed("", "30", **text, metric="parameter_reduction"),
        printed("", times, **text, metric="times_fewer_parameters"),
    )
    assert finding.verdict == verdict
    assert finding.found.startswith("shares of 0.70 and ")


def test_heads_divide_their_width():
    rows = [printed("darkroom", "128", metric="embedding_dim", artifact="dmh_table03", method="dmh")]
    for count, verdict in (("3", "conflicts"), ("4", "agrees")):
        (finding,) = found("heads", *rows, rows[0] | {"metric": "heads", "value": count})
        assert finding.verdict == verdict


@pytest.mark.parametrize(("environment", "verdict"), [("MuJoCo", "conflicts"), ("Atari", "open")])
def test_a_setting_lies_within_the_range_that_was_searched(environment, verdict):
    ends = [
        printed("", value, artifact="", metric="context_length", printed_environment="MuJoCo",
                printed_metric=f"{which} K in the range searched")
        for which, value in (("lowest", "8"), ("highest", "20"))
    ]  # fmt: skip
    inside = printed("hopper-medium", "8", metric="context_length", printed_environment=environment)
    assert not found("ranges", *ends, inside)
    (finding,) = found("ranges", *ends, inside | {"value": "30"})
    assert finding.verdict == verdict


def test_columns_quoted_from_another_project_are_counted():
    ours = [printed(task, value) for task, value in zip(TASKS, ("1.0", "2.0", "3.5"), strict=True)]
    theirs = [
        printed(task, value, paper="reference", artifact="", source="README, best scores")
        for task, value in zip(TASKS, ("1.0", "2.00", "3.0"), strict=True)
    ]
    (finding,) = found("equal to another project's", *ours, *theirs)
    assert finding.found == "2 of 3 equal; but halfcheetah-medium 3.5, there 3.0"
    assert (finding.verdict, finding.source) == ("noted", "README, best scores")


def test_printed_digits_say_how_exact_a_number_is():
    assert half_unit("94.21") == pytest.approx(0.005)
    assert bounds("26") == (25.5, 26.5)


REAL = audit(CATALOGUE, load_reported(CATALOGUE, CATALOGUE.reported))


def verdicts(check):
    return {finding.place: finding.verdict for finding in REAL if finding.check == check}


def test_four_of_seven_averages_of_dmh_table_2_are_not_the_means_of_their_columns():
    columns = {place: word for place, word in verdicts("averages").items() if place.startswith("dmh_table02")}
    wrong = {place.removeprefix("dmh_table02, ") for place, word in columns.items() if word == "conflicts"}
    assert len(columns) == 7
    assert wrong == {"TD3", "DT", "AD (Mamba)", "AD (Transformer)"}


def test_what_else_the_papers_print_that_cannot_be_or_has_to_be_known():
    ratios = [place for place, word in verdicts("ratios").items() if word == "conflicts"]
    assert [place.removeprefix("dmh_table04, ") for place in ratios] == [
        "Large Darkroom Hard", "Large Dark Key-to-Door", "Walker2d", "Hopper",
    ]  # fmt: skip
    assert verdicts("factors in the text") == {"text, D4RL": "agrees", "text, Large Grid World": "conflicts"}
    assert verdicts("sizes") == {"dema, DeMa vs DT in Atari": "conflicts"}
    assert verdicts("heads") == {"dmh_table03, DM-H": "conflicts"}
    assert verdicts("printed twice")["dmh_table01 and dmh_table02"] == "agrees"
    assert verdicts("printed twice")["dmh_table01 and dmh_table04"] == "conflicts"
    quoted = {f.place: f.found for f in REAL if f.check == "equal to another project's"}
    assert quoted["dmh_table02, BC-10"] == quoted["dmh_table02, TD3+BC"] == "9 of 9 equal"
    assert quoted["dmh_table02, DT"].startswith("8 of 9 equal; but walker2d-medium-replay 71.22, there 68.22")


def test_the_page_holds_every_finding_and_the_conflicts_first():
    page = page_of(REAL)
    conflicts, everything = page.split("## Everything that was checked")
    assert conflicts.count("| conflicts |") == sum(finding.verdict == "conflicts" for finding in REAL)
    assert everything.count("\n| dm") + everything.count("\n| text") + everything.count("\n| dema") >= len(
        REAL
    )
    assert all(finding.source for finding in REAL)
