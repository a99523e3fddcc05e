"""Every kind draws what it is told, says why where it has nothing, and leaves its data beside it."""

from dataclasses import replace
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer
from suites import CATALOGUE, SUITE

from bench.analysis.figures import draw, figure_data, save
from bench.analysis.kinds.bar import UNCHANGED
from bench.analysis.labels import axis_value, metric_label, reason
from bench.analysis.readings import Reading
from bench.analysis.reported import COLUMNS, load_reported
from bench.analysis.statistics import summarise
from bench.work.renderings import Rendering

# No paper prints anything.
NOTHING = pd.DataFrame(columns=COLUMNS)
FIGURES = [name for name, one in CATALOGUE.artifacts.items() if one.layout.kind != "table"]
KINDS = {name: CATALOGUE.artifacts[name].layout.kind for name in FIGURES}
# The others have tests of their own.
DRAWN = [name for name in FIGURES if KINDS[name] not in ("attention", "profile")]


def made_up(name, filled=lambda number: True):
    """A reading for every entry of a figure: seeds around a value of its own, or a reason."""
    readings = []
    for number, entry in enumerate(Rendering(SUITE, "quick", name).entries):
        if not filled(number):
            readings.append(Reading(entry, f"not-run: reason {number % 2}"))
            continue
        summary = summarise([number + 1.0, number + 2.0, number + 3.0])
        curve = pd.DataFrame(
            [
                {"index": float(index), **summarise([number + index, number + index + 1.0]).as_row()}
                for index in range(1, 4 if KINDS[name] == "curve" else 2)
            ]
        )
        readings.append(Reading(entry, "ok", summary, curve, fingerprints=("a", "b")))
    return readings


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def panels_of(name, readings):
    """Readings by panel title, in the order of the panels."""
    fields = getattr(CATALOGUE.artifacts[name].layout, "panel_fields", ())
    panels = {}
    for reading in readings:
        panels.setdefault(", ".join(axis_value(reading.entry, field) for field in fields), []).append(reading)
    return panels


def drawn_panels(name, readings, titles=True):
    """(axes, readings) of each panel that is shown; as many panels as there should be."""
    figure = draw(CATALOGUE.artifacts[name], readings, f"heading of {name}")
    said = f"heading of {name} {CATALOGUE.artifacts[name].note}"
    assert figure.get_suptitle().split() == said.split(), "the heading, and the note under it"
    shown = [ax for ax in figure.axes if ax.get_visible()]
    panels = panels_of(name, readings)
    if titles:
        assert [" ".join(ax.get_title().split()) for ax in shown] == list(panels)
    return list(zip(shown, panels.values(), strict=True))


@pytest.mark.parametrize("name", [name for name in DRAWN if KINDS[name] == "curve"])
def test_curves_show_every_mean(name):
    for ax, readings in drawn_panels(name, made_up(name)):
        # Those without a name are for orientation, as the diagonal.
        lines = [line for line in ax.lines if not line.get_label().startswith("_")]
        assert len(lines) == len(readings)
        for line, reading in zip(lines, readings, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), reading.curve[["index", "mean"]])
        assert len(ax.collections) == len(readings), "one band a line"
        assert ax.get_ylabel() == metric_label(CATALOGUE, CATALOGUE.artifacts[name].layout.y)


@pytest.mark.parametrize("name", [name for name in DRAWN if KINDS[name] == "scaling"])
def test_scaling_shows_every_mean_over_the_setting(name):
    layout = CATALOGUE.artifacts[name].layout
    for ax, readings in drawn_panels(name, made_up(name)):
        wanted = sorted((float(axis_value(r.entry, layout.x)), r.summary.mean) for r in readings)
        shown = sorted(tuple(point) for line in ax.lines for point in line.get_xydata().tolist())
        assert shown == wanted
        for line in ax.lines:
            assert (np.diff(line.get_xdata()) > 0).all(), "a line doubles back: two entries share a point"
        assert ax.get_xscale() == ("log" if layout.log_x else "linear")
        assert ax.get_yscale() == ("log" if layout.log_y else "linear")


def bars_of(name, readings):
    """The readings that are shown as bars: all but the unchanged model's."""
    layout = CATALOGUE.artifacts[name].layout
    return [reading for reading in readings if layout.line_name(reading.entry) != UNCHANGED]


@pytest.mark.parametrize("name", [name for name in DRAWN if KINDS[name] == "bar"])
def test_bars_stand_side_by_side_and_show_every_mean(name):
    for ax, every in drawn_panels(name, made_up(name)):
        readings = bars_of(name, every)
        assert [bar.get_height() for bar in ax.patches] == [r.summary.mean for r in readings]
        places = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
        for (_, end), (start, _) in pairwise(places):
            assert start >= end - 1e-9, "bars cover each other"
        layout = CATALOGUE.artifacts[name].layout
        groups = list(dict.fromkeys(axis_value(r.entry, layout.group) for r in readings))
        assert [label.get_text() for label in ax.get_xticklabels()] == groups
        for bar, reading in zip(ax.patches, readings, strict=True):
            group = groups.index(axis_value(reading.entry, layout.group))
            assert abs(bar.get_x() + bar.get_width() / 2 - group) < 0.5, "a bar stands in its group"


@pytest.mark.parametrize("name", DRAWN)
def test_a_line_looks_the_same_in_every_panel_and_is_in_the_legend(name):
    figure = draw(CATALOGUE.artifacts[name], made_up(name), "heading")
    looks, labels = {}, set()
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            first = handle[0] if isinstance(handle, tuple) else handle
            colour = first.get_facecolor() if hasattr(first, "get_facecolor") else first.get_color()
            looks.setdefault(label, set()).add(str(colour))
            labels.add(label)
    assert all(len(colours) == 1 for colours in looks.values())
    assert {text.get_text() for text in figure.legends[0].get_texts()} == labels


@pytest.mark.parametrize("name", [name for name in FIGURES if KINDS[name] != "profile"])
def test_a_panel_without_numbers_says_why(name):
    for ax, readings in drawn_panels(name, made_up(name, filled=lambda number: False)):
        assert [text.get_text() for text in ax.texts] == [
            "\n".join(sorted({reason(r.status) for r in readings}))
        ]
        assert not ax.lines
        assert not ax.patches


@pytest.mark.parametrize("kind", ["curve", "scaling", "bar"])
def test_an_entry_without_a_number_is_left_out_of_its_panel(kind):
    name = next(name for name in DRAWN if KINDS[name] == kind)
    for ax, readings in drawn_panels(name, made_up(name, filled=lambda number: number % 3 != 1)):
        filled = [r for r in bars_of(name, readings) if r.summary]
        shown = {"curve": len(ax.lines), "bar": len(ax.patches)}
        shown["scaling"] = sum(len(line.get_xdata()) for line in ax.lines)
        assert shown[kind] == len(filled)


def scored(reading, *seeds, episodes=()):
    """A reading of scores: of several seeds, or of the episodes of one."""
    curve = pd.DataFrame([{"index": float(n), **summarise([s]).as_row()} for n, s in enumerate(episodes)])
    return replace(reading, summary=summarise(seeds or [np.mean(episodes)]), curve=curve)


def unchanged_panels(unchanged):
    """Panels of Figure 5 in which the unchanged model's reading is what `unchanged` makes of it."""
    readings = made_up("dema_fig05")
    bars = bars_of("dema_fig05", readings)
    return drawn_panels("dema_fig05", [r if r in bars else unchanged(r) for r in readings], titles=False)


def test_the_unchanged_model_is_a_line_across_the_bars_and_a_random_policy_another():
    for ax, readings in unchanged_panels(lambda reading: scored(reading, 20.0, 22.0, 24.0)):
        lines = {line.get_label(): set(line.get_ydata()) for line in ax.lines if "_" not in line.get_label()}
        assert lines == {UNCHANGED: {22.0}, "random policy": {0.0}}
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2", "3", "all"]
        assert len(ax.patches) == len(readings) - 1 == 12
        assert "inconclusive" not in ax.get_title()


@pytest.mark.parametrize(
    ("unchanged", "conclusive"),
    [
        # Three seeds around 10 whose mean has an error of 4.9, then of 5.1; then episodes of one seed.
        (lambda reading: scored(reading, 10.0 - 8.49, 10.0, 10.0 + 8.49), True),
        (lambda reading: scored(reading, 10.0 - 8.84, 10.0, 10.0 + 8.84), False),
        (lambda reading: scored(reading, episodes=[9.0, 10.0, 11.0]), True),
        (lambda reading: scored(reading, episodes=[-9.0, 10.0, 11.0]), False),
        (lambda reading: scored(reading, episodes=[50.0]), False),
    ],
)
def test_a_panel_whose_model_is_not_above_random_by_two_standard_errors_says_inconclusive(
    unchanged, conclusive
):
    for ax, _ in unchanged_panels(unchanged):
        assert ("inconclusive" not in ax.get_title()) == conclusive


def test_with_one_seed_the_intervals_of_interventions_are_over_its_episodes():
    readings = [scored(reading, episodes=[8.0, 10.0, 12.0]) for reading in made_up("dema_fig05")]
    for ax, shown in drawn_panels("dema_fig05", readings):
        low, high = summarise([8.0, 10.0, 12.0]).low, summarise([8.0, 10.0, 12.0]).high
        whiskers = [
            container.lines[2][0].get_segments()[0]
            for container in ax.containers
            if isinstance(container, ErrorbarContainer)
        ]
        assert len(whiskers) == len(shown) - 1
        for whisker in whiskers:
            np.testing.assert_allclose(whisker[:, 1], [low, high])
        assert "over the episodes of one seed" in ax.get_xlabel()


@pytest.mark.parametrize("seeds", [(2.0,), (2.0, 5.0)])
def test_too_few_seeds_for_an_interval_are_points_in_the_place_of_a_bar(seeds):
    name = next(
        name for name in DRAWN if KINDS[name] == "bar" and not CATALOGUE.artifacts[name].layout.baseline
    )
    readings = [replace(r, summary=summarise(seeds), scores=seeds) for r in made_up(name)]
    for ax, shown in drawn_panels(name, readings):
        assert len(ax.patches) == 0
        assert [tuple(line.get_ydata()) for line in ax.lines] == [seeds] * len(shown)


def test_two_seeds_stand_beside_their_mean_on_a_line():
    name = next(name for name in DRAWN if KINDS[name] == "scaling")
    readings = [replace(r, summary=summarise([2.0, 5.0]), scores=(2.0, 5.0)) for r in made_up(name)]
    for ax, shown in drawn_panels(name, readings):
        seeds = [line for line in ax.lines if tuple(line.get_ydata()) == (2.0, 5.0)]
        assert len(seeds) == len(shown)
        assert all(len(set(line.get_xdata())) == 1 for line in seeds)


@pytest.mark.parametrize("name", FIGURES)
def test_the_data_beside_a_figure_hold_every_entry(name):
    readings = made_up(name, filled=lambda number: number % 3 != 1)
    data = figure_data(readings, "quick", NOTHING)
    assert len(data) == sum(len(r.curve) if r.summary else 1 for r in readings)
    for reading in readings:
        cell = reading.entry.cell
        own = data[
            (data["task"] == cell.task)
            & (data["method"] == cell.method)
            & (data["settings"] == cell.slug)
            & (data["metric"] == reading.entry.metric)
            & (data["label"] == reading.entry.label)
        ]
        assert (own["status"] == reading.status).all()
        if reading.summary:
            np.testing.assert_array_equal(own[["index", "mean"]], reading.curve[["index", "mean"]])
            assert (own["fingerprints"] == "a b").all()
        else:
            assert own["mean"].isna().all()


def test_equal_figures_have_equal_bytes(tmp_path):
    written, artifact = [], CATALOGUE.artifacts["dmh_fig02"]
    readings = made_up("dmh_fig02")[:3]
    for turn in ("first", "second"):
        (tmp_path / turn).mkdir()
        save(draw(artifact, readings, "heading"), tmp_path / turn, "one")
        written.append([(tmp_path / turn / f"one.{kind}").read_bytes() for kind in ("png", "pdf")])
    assert written[0] == written[1]
    assert not plt.get_fignums(), "a figure that was saved is closed"


REPORTED = load_reported(CATALOGUE, CATALOGUE.reported)


def test_a_point_that_the_paper_draws_has_a_row_and_a_verdict_of_its_own():
    readings = made_up("dmh_fig02", filled=lambda number: number == 0)
    data = figure_data(readings, "quick", REPORTED)
    ours, other = (data[data["method"] == r.entry.cell.method] for r in readings[:2])
    one = ours[ours["task"] == readings[0].entry.cell.task].set_index("index")
    # Ours has episodes 1 to 3, the paper's curve 2 to 20.
    assert list(one.index) == [float(episode) for episode in range(1, 21)]
    assert list(one["verdict"].iloc[:4]) == ["unreported", "reduced", "reduced", "not-run"]
    assert (one.loc[2.0, "reported"], one.loc[2.0, "reported_as"]) == ("1.801", "digitised")
    assert one.loc[2.0, "reported_spread"] == "0.28 (reading error)"
    assert one["mean"].notna().sum() == 3
    # A line that was not run has the paper's points all the same.
    empty = other[other["task"] == readings[1].entry.cell.task]
    assert len(empty) == 19
    assert set(empty["verdict"]) == {"not-run"}
    assert (empty["reported"] != "").all()


def test_a_bar_that_the_paper_draws_has_its_number_beside_ours():
    readings = made_up("dmh_fig06")
    data = figure_data(readings, "quick", REPORTED)
    assert len(data) == len(readings) == 18
    assert set(data["reported_as"]) == {"digitised"}
    assert set(data["verdict"]) == {"stand-in"}
