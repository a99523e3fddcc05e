"""The harness that measures the sequence core: its ratios and its figure, on made-up times."""

import importlib.util

import pytest
import torch

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("mambapy", "transformers")),
    reason="mambapy or transformers, which the benchmarks compare with, is not installed",
)


@pytest.fixture
def measurement():
    from benchmarks.timing import Measurement

    return lambda benchmark, who, case, best: Measurement(benchmark, who, case, best, best, 3)


def test_ratios_are_judged_by_their_marks(measurement):
    from benchmarks.goals import report

    shown = []
    rows = [measurement("training", "dema", "step", 60.0), measurement("training", "dt", "step", 100.0)]
    found = report(rows, shown.append)
    assert [(goal.text, ratio, goal.reached(ratio)) for goal, ratio in found] == [
        ("DeMa training step, over DT's", 0.6, "must")
    ]
    goal = found[0][0]
    assert [goal.reached(ratio) for ratio in (0.66, 0.65, 0.5)] == ["missed", "must", "stretch"]
    assert "must" in shown[-1]


def test_a_goal_without_a_hope_is_reached_or_missed(measurement):
    from benchmarks.goals import report

    for best, reached in ((109.0, "missed"), (110.0, "must"), (9999.0, "must")):
        who = ("dema with transformers", "dema")
        rows = [
            measurement("training", name, "step", taken) for name, taken in zip(who, (best, 1.0), strict=True)
        ]
        [(goal, ratio)] = report(rows, lambda line: None)
        assert (goal.stretch, goal.reached(ratio)) == (None, reached)


def test_the_table_of_goals_has_what_was_measured_beside_the_marks(tmp_path, monkeypatch, measurement):
    from benchmarks import goals, timing

    monkeypatch.setattr(timing, "RESULTS", tmp_path)
    timing.write(
        "training", [measurement("training", who, "step", ms) for who, ms in (("dema", 60), ("dt", 100))]
    )
    table = goals.write_goals(tmp_path).read_text().splitlines()
    assert table[0] == "ratio,measured,must,stretch,reached,processor,torch"
    assert [line.split(",")[:5] for line in table[1:]] == [
        ['"DeMa training step', " over DT's\"", "0.6", "0.65", "0.5"]
    ]


def test_every_goal_names_what_is_measured():
    from benchmarks.contestants import JAX_NAMES, SCANS
    from benchmarks.goals import GOALS
    from benchmarks.sequence_core import BENCHMARKS

    for goal in GOALS:
        assert goal.benchmark in BENCHMARKS
        if goal.benchmark in ("scan", "scaling", "memory"):
            assert {goal.above[0], goal.below[0]} <= {*SCANS, *JAX_NAMES, "floor"}


def test_contestants_compute_the_same():
    from benchmarks.contestants import SCANS
    from benchmarks.passes import scan_inputs

    inputs = scan_inputs(2, 16, 12, 4)
    expected = SCANS["torch"](*inputs)
    for scan in SCANS.values():
        torch.testing.assert_close(scan(*inputs), expected, atol=1e-5, rtol=1e-4)


def test_foreign_mixers_in_our_model_compute_the_same():
    from benchmarks import models

    x = torch.randn(1, 8, models.WIDTH)
    ours = models.dema().eval()(x)
    for mixer in (models.mambapy_mixer, models.transformers_mixer):
        torch.testing.assert_close(models.dema(mixer).eval()(x), ours, atol=1e-4, rtol=1e-4)


def test_the_figure_is_drawn(tmp_path, measurement):
    from benchmarks.scaling_figure import LABELS, draw

    rows = [
        measurement("scaling", who, f"{way} {batch}x{length}x256x16", 1.0)
        for who in LABELS for way in ("forward", "forward+backward") for batch, length in ((2, 60), (1, 120))
    ]  # fmt: skip
    draw(rows, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size > 10_000


def test_the_floor_does_its_arithmetic():
    from benchmarks.floor import forward_backward_floor, forward_floor

    forward_floor(2, 16, 256, 16)()
    forward_backward_floor(2, 16, 256, 16)()
