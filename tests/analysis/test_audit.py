"""The audit finds what does not add up in a printed table, and leaves alone what rounding explains."""

import pandas as pd
import pytest
from suites import CATALOGUE

from bench.analysis import code_defaults
from bench.analysis.audit import audit
from bench.analysis.audit.figures import best_return
from bench.analysis.audit.finding import bounds, half_unit
from bench.analysis.audit.stated import COLUMNS as STATED_COLUMNS
from bench.analysis.audit.stated import load_stated
from bench.analysis.reported import COLUMNS
from bench.commands.audit import findings_of, page_of
from bench.errors import UserError

TASKS = ("hopper-medium", "walker2d-medium", "halfcheetah-medium")


def printed(task, value, **rest):
    """One reported number; what is not said is empty, or the most ordinary."""
    row = dict.fromkeys(COLUMNS, "") | {
        "paper": "dmh", "artifact": "dmh_table02", "task": task, "method": "dt", "settings": "default",
        "metric": "normalised_score", "value": value, "printed_environment": "D4RL", "printed_method": "DT",
        "printed_metric": "score", "source": "page 7", "confidence": "printed",
    }  # fmt: skip
    return row | rest


def found(check, *rows, code=()):
    """The findings of one check on a made-up table, and on made-up defaults of code."""
    reported = pd.DataFrame(rows, columns=COLUMNS)
    defaults = pd.DataFrame(code, columns=code_defaults.COLUMNS)
    findings = audit(CATALOGUE, reported, defaults, pd.DataFrame(columns=STATED_COLUMNS))
    return [finding for finding in findings if finding.check == check]


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
        printed(task, value, paper="reference", artifact="", source="README: best scores")
        for task, value in zip(TASKS, ("1.0", "2.00", "3.0"), strict=True)
    ]
    (finding,) = found("equal to another project's", *ours, *theirs)
    assert finding.found == "2 of 3 equal; but halfcheetah-medium 3.5, there 3.0"
    assert (finding.verdict, finding.source) == ("noted", "README: best scores")
    assert finding.place == "dmh_table02, DT: normalised_score of README"
    # A column of which few are equal is another one.
    assert not found(
        "equal to another project's", *ours, theirs[0], *(r | {"value": "9.9"} for r in theirs[1:])
    )


def test_printed_digits_say_how_exact_a_number_is():
    assert half_unit("94.21") == pytest.approx(0.005)
    assert bounds("26") == (25.5, 26.5)


REAL = findings_of(CATALOGUE)


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
    assert verdicts("factors in the text") == {
        "text, D4RL": "agrees", "text, Large Grid World": "conflicts", "text, Grid World": "conflicts",
    }  # fmt: skip
    assert verdicts("sizes") == {"dema, DeMa vs DT in Atari": "conflicts"}
    assert verdicts("heads") == {"dmh_table03, DM-H": "conflicts"}
    assert verdicts("printed twice")["dmh_table01 and dmh_table02"] == "agrees"
    assert verdicts("printed twice")["dmh_table01 and dmh_table04"] == "conflicts"
    quoted = {f.place: f.found for f in REAL if f.check == "equal to another project's"}
    corl = 'normalised_score of CORL README, "best scores"'
    assert quoted[f"dmh_table02, BC-10: {corl}"] == quoted[f"dmh_table02, TD3+BC: {corl}"] == "9 of 9 equal"
    assert quoted[f"dmh_table02, DT: {corl}"] == "8 of 9 equal; but walker2d-medium-replay 71.22, there 68.22"
    minutes = quoted["dmh_table04, AD (Transformer): online_testing_minutes of IDT paper"]
    assert minutes.startswith("11 of 11 equal; called 'testing time [minutes, 50 episodes on grid worlds]'")


def test_what_the_papers_contradict_of_themselves_and_of_their_companions():
    """Each item of what is known to be inconsistent, as far as numbers show it."""
    above = {f.place: f.found for f in REAL if f.check == "baselines above"}
    assert "GDT 79.09" in above["dema_table06, DeMa (Transformer-like)"]
    assert "DC 82.20" in above["dema_table06, DeMa (Transformer-like)"]
    (brackets,) = [f for f in REAL if f.check == "ratios of another project"]
    assert "8.6, 7.4, 7.6, 12.4, 27.5, 26.5, 26.4" in brackets.found
    assert "3 of 7" in brackets.found
    twice = {f.place: f.found for f in REAL if f.check == "printed twice"}
    sweep_and_ablation = twice["dmh_fig04, c = 20 and dmh_fig04, with valuable sub-goals"]
    assert "large-dark-key-to-door 1.55 and 1.65, large-darkroom-hard 0.98 and 0.92" in sweep_and_ablation
    assert verdicts("printed twice")["dmh_fig06 and dmh_table02"] == "agrees"
    said = {f.printed.partition(":")[0]: f.found for f in REAL if f.check == "said twice"}
    assert said["steps_per_subgoal 20"] == "the table has 5 (tmaze-passive-300)"
    assert said["context_episodes 4"] == "the table has 10 (darkroom)"
    assert verdicts("out of memory") == {
        "tmaze-passive-20000, DM": "conflicts", "tmaze-passive-20000, DT": "agrees",
    }  # fmt: skip
    assert verdicts("least cost") == {"dmh_fig03": "noted", "dmh_fig05": "noted"}
    (solved,) = [f for f in REAL if f.check == "solved everywhere"]
    assert (solved.verdict, solved.found) == ("conflicts", "it is 0.98 on tmaze-passive-10000")
    assert verdicts("best possible return") == {"dmh, Darkroom": "agrees", "dmh, Large Darkroom": "open"}
    code = {f.printed: f.verdict for f in REAL if f.check == "text and code"}
    assert [said for said, word in code.items() if word == "conflicts"] == [
        "batch_size 128", "heads 3", "warmup_updates 1e5",
    ]  # fmt: skip


def test_the_official_classes_have_the_size_that_the_text_says_or_not():
    counts = {(f.place, f.printed.partition(" ")[0]): f for f in REAL if f.check == "official counts"}
    atari = "dema, DeMa in Atari against DT K=30, max timestep 2654"
    assert counts[atari, "30"].verdict == "noted"
    assert counts[atari, "30"].found.startswith("fits d_state 64 on 4 actions 0.701")
    assert "d_state 128 on 4 actions 0.847" in counts[atari, "30"].found.partition("does not fit")[2]
    assert counts[atari, "5"].verdict == "conflicts"
    quarter = counts["dema, DeMa in MuJoCo against DT hidden 128", "0.25"]
    assert quarter.verdict == "noted"
    assert "emb 256 d_model 64 (B3LD) on hopper 0.241" in quarter.found.partition("does not fit")[0]
    assert "emb 128 d_model 128 (B3LD) on hopper 0.661" in quarter.found.partition("does not fit")[2]


def drawn(value, error="0.1", **rest):
    return {"value": value, "spread": error, "spread_kind": "reading error", "confidence": "digitised"} | rest


@pytest.mark.parametrize(
    ("value", "verdict"), [("5.4", "agrees"), ("5.6", "conflicts"), ("4.4", "conflicts")]
)
def test_a_number_that_is_drawn_too_may_be_off_by_the_error_of_reading(value, verdict):
    one = printed("hopper-medium", "5.0", artifact="dmh_table01")
    other = one | drawn(value, "0.5", artifact="dmh_fig06")
    (finding,) = found("printed twice", one, other)
    assert (finding.place, finding.verdict) == ("dmh_fig06 and dmh_table01", verdict)


@pytest.mark.parametrize(("value", "verdict"), [("0.95", "agrees"), ("0.80", "conflicts")])
def test_a_curve_ends_in_the_score(value, verdict):
    curve = {"artifact": "dmh_fig02", "metric": "episode_return", "method": "dmh"}
    points = [printed("darkroom-hard", "") | curve | drawn(v, "0.02", index=k) for k, v in
              (("19", "0.10"), ("20", "0.94"))]  # fmt: skip
    score = printed("darkroom-hard", "", artifact="dmh_fig04", metric="last_return", method="dmh")
    (finding,) = found("printed twice", *points, score | drawn(value, "0.01", label="c = 5"))
    assert (finding.place, finding.verdict) == ("dmh_fig02 and dmh_fig04, c = 5", verdict)


@pytest.mark.parametrize(("mean", "verdict"), [("29.0", "noted"), ("19.0", "agrees")])
def test_a_baseline_above_the_papers_own_method_is_noted(mean, verdict):
    own = column(["10.0", "20.0", "30.0"], "20.0", method="dmh", printed_method="DM-H")
    other = column([mean] * 3, mean)[:3]
    elsewhere = [
        row | {"paper": "reference", "artifact": "", "source": "Their paper: page 3"} for row in other
    ]
    for rows, origin in ((other, "dmh_table02"), (elsewhere, "Their paper")):
        (finding,) = found("baselines above", *own, *rows)
        assert finding.verdict == verdict
        assert (f"DT {mean}0 ({origin})" in finding.found) == (verdict == "noted")
    # A column that lacks a task is no mean of the same.
    (finding,) = found("baselines above", *own, *elsewhere[:2], *column(["1.0"] * 3, "1.0", method="td3"))
    assert finding.verdict == "agrees"


@pytest.mark.parametrize(("minutes", "findings"), [("5.0", 1), ("4.0", 0)])
def test_ratios_that_are_all_another_projects_are_found(minutes, findings):
    theirs = {
        "paper": "reference",
        "artifact": "",
        "metric": "online_testing_minutes",
        "source": "Theirs: p. 2",
    }
    rows = [
        *cost("large-darkroom", "42.5", "4.0", "8"), *cost("large-dark-key-to-door", "60.0", "6.5", "12"),
        printed("large-darkroom", "42.5", **theirs, method="ad-transformer"),
        printed("large-darkroom", "5.3", **theirs, method="", printed_method="X"),
        printed("large-dark-key-to-door", "60.0", **theirs, method="ad-transformer"),
        printed("large-dark-key-to-door", minutes, **theirs, method="", printed_method="X"),
    ]  # fmt: skip
    ratios = found("ratios of another project", *rows)
    assert len(ratios) == findings
    if ratios:
        assert "DT and X in Theirs: 8.0, 12.0" in ratios[0].found
        assert "0 of 2" in ratios[0].found


def default_of_code(name, value, **rest):
    return dict.fromkeys(code_defaults.COLUMNS, "") | {
        "paper": "dmh", "bears_on": "dmh_table03", "name": name, "quantity": name, "value": value,
        "source": "a file", "confidence": "code",
    } | rest  # fmt: skip


@pytest.mark.parametrize(
    ("printed_values", "code", "verdict"),
    [
        (["1e-4"], ["0.0001"], "agrees"),
        (["1e-4"], ["1e-3"], "conflicts"),
        (["1e-4", "1e-3"], ["1e-3"], "noted"),
    ],
)
def test_a_printed_setting_is_held_against_the_default_of_the_code(printed_values, code, verdict):
    setting = {"artifact": "dmh_table03", "metric": "learning_rate", "method": "dmh"}
    rows = [printed(task, value, **setting) for task, value in zip(TASKS, printed_values, strict=False)]
    (finding,) = found("text and code", *rows, code=[default_of_code("learning_rate", v) for v in code])
    assert finding.verdict == verdict


@pytest.mark.parametrize(("count", "verdict"), [("70", "agrees"), ("95", "conflicts")])
def test_a_claim_on_size_is_held_against_the_count_of_the_official_class(count, verdict):
    claim = printed(
        "", "30", artifact="", paper="dema", method="dema", metric="parameter_reduction",
        printed_environment="Atari", printed_method="DeMa vs DT",
    )  # fmt: skip
    sized = {"paper": "dema", "bears_on": "dema_table07", "environment": "Atari", "confidence": "calculated"}
    counts = [
        default_of_code("parameters", value, **sized, method=method)
        for method, value in (("DeMa small", count), ("DT K=30", "100"))
    ]
    (finding,) = found("official counts", claim, code=counts)
    assert finding.verdict == verdict


@pytest.mark.parametrize(("minutes", "verdict"), [("OOM", "agrees"), ("3.0", "conflicts")])
def test_memory_that_ran_out_for_one_number_ran_out_for_all(minutes, verdict):
    rows = [
        printed("tmaze-passive-20000", "OOM", artifact="dmh_fig03", metric="return"),
        printed("tmaze-passive-20000", minutes, artifact="dmh_fig03", metric="online_testing_minutes"),
    ]
    (finding,) = found("out of memory", *rows)
    assert finding.verdict == verdict


@pytest.mark.parametrize(("other", "verdict"), [("4.0", "agrees"), ("2.9", "noted"), ("2.5", "conflicts")])
def test_the_papers_own_method_costs_least_within_the_error_of_reading(other, verdict):
    minutes = {"artifact": "dmh_fig03", "metric": "online_testing_minutes"}
    rows = [
        printed("tmaze-passive-1000", "", **minutes, method="dmh") | drawn("3.0"),
        printed("tmaze-passive-1000", "", **minutes, method="dm") | drawn(other),
    ]
    (finding,) = found("least cost", *rows)
    assert finding.verdict == verdict


@pytest.mark.parametrize(("best", "verdict"), [("15.0", "agrees"), ("2.0", "open")])
def test_a_best_return_far_below_what_the_room_allows_is_left_open(best, verdict):
    sizes = {"artifact": "", "method": ""}
    rows = [
        printed("darkroom", "9", **sizes, metric="room_side"), printed("darkroom", "20", **sizes, metric="horizon"),
        printed("darkroom", best, artifact="dmh_fig02", metric="last_return"),
    ]  # fmt: skip
    (finding,) = found("best possible return", *rows)
    assert finding.verdict == verdict


def test_the_best_return_of_a_room_counts_each_step_from_the_arrival_on():
    # Side 3, from the centre: the centre itself, four goals one step away, four two steps away.
    assert best_return(3, 5) == pytest.approx((5 + 4 * 5 + 4 * 4) / 9)
    assert best_return(9, 20) == pytest.approx(16.5, abs=0.05)
    assert best_return(40, 200) == pytest.approx(181.0, abs=0.05)


def test_what_is_stated_of_a_paper_has_its_place_and_source():
    stated = load_stated(CATALOGUE, CATALOGUE.contradictions)
    places = {f"{paper}, {place}" for paper, place in zip(stated["paper"], stated["place"], strict=True)}
    assert places <= {finding.place for finding in REAL}


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"verdict": "wrong"}, ("column verdict", "must be one of agrees, conflicts, noted, open")),
        ({"paper": "demo"}, ("column paper", "'dema'")),
        ({"source": ""}, ("column source", "must say where it was read")),
    ],
)
def test_what_is_stated_wrongly_names_file_row_and_column(tmp_path, change, parts):
    frame = pd.read_csv(CATALOGUE.contradictions[0], dtype=str, keep_default_na=False)
    frame.loc[0, list(change)] = list(change.values())
    frame.to_csv(tmp_path / "contradictions.csv", index=False)
    with pytest.raises(UserError) as caught:
        load_stated(CATALOGUE, [tmp_path / "contradictions.csv"])
    for part in ("contradictions.csv", "row 2", *parts):
        assert part in str(caught.value)


def test_the_page_holds_every_finding_and_the_conflicts_first():
    page = page_of(REAL)
    conflicts, everything = page.split("## Everything that was checked")
    assert conflicts.count("| conflicts |") == sum(finding.verdict == "conflicts" for finding in REAL)
    assert everything.count("\n| dm") + everything.count("\n| text") + everything.count("\n| dema") >= len(
        REAL
    )
    assert all(finding.source for finding in REAL)
