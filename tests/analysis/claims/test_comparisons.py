"""A comparison is tested unit by unit, on what a run has of it, and says what it found and on what."""

import numpy as np
import pytest

from bench.commands.claims import read_cells
from bench.errors import UserError

from .made_cells import DEMA, DT, TASKS, answered, claim_of, comparison, found, rows, turns


def test_seeds_are_paired_so_that_what_both_sides_share_is_no_noise():
    shared = np.random.default_rng(0).normal(0.0, 30.0, size=(2, 3))
    gains = np.array([[4.0, 5.0, 6.0], [4.5, 5.0, 5.5]])
    finding = found(
        comparison(),
        *(rows(task, "dt", 50 + noise) for task, noise in zip(TASKS, shared, strict=True)),
        *(rows(task, "dema", 50 + noise + g) for task, noise, g in zip(TASKS, shared, gains, strict=True)),
    )
    assert finding.word == "supported"
    assert finding.effect == pytest.approx(5.0)
    assert (finding.question.units, finding.question.tasks) == (6, list(TASKS))
    assert 3.9 < finding.low < 5.0 < finding.high < 6.1


def test_tasks_that_differ_are_no_noise_where_these_tasks_are_meant_and_are_where_their_kind_is():
    frames = [
        *(rows(task, "dt", [50.0, 50.1, 49.9]) for task in (*TASKS, "halfcheetah-medium")),
        rows(TASKS[0], "dema", [70.0, 70.1, 69.9]),
        rows(TASKS[1], "dema", [53.0, 53.1, 52.9]),
        rows("halfcheetah-medium", "dema", [52.0, 52.1, 51.9]),
    ]
    three = (*TASKS, "halfcheetah-medium")
    these = found(comparison(tasks=three), *frames)
    kind = found(comparison(tasks=three, over="tasks"), *frames)
    assert these.effect == kind.effect == pytest.approx(25.0 / 3)
    assert these.word == "supported"
    assert (kind.word, kind.question.units, kind.question.unit) == ("inconclusive", 3, "task")
    assert kind.low < 0.0 < kind.high


@pytest.mark.parametrize(
    ("difference", "expect", "smallest", "wanted"),
    [
        (5.0, "more", 1.0, "supported"),
        (5.0, "more", 8.0, "contradicted"),
        (5.0, "more", 5.0, "inconclusive"),
        (-5.0, "more", 1.0, "contradicted"),
        (-0.5, "more", -1.0, "supported"),
        (0.5, "equal", 2.0, "supported"),
        (5.0, "equal", 2.0, "contradicted"),
        (-5.0, "equal", 2.0, "contradicted"),
        (2.0, "equal", 2.0, "inconclusive"),
    ],
)
def test_the_whole_interval_has_to_lie_on_one_side_of_what_counts(difference, expect, smallest, wanted):
    steps = difference + np.array([-0.2, 0.0, 0.2])
    finding = found(
        comparison(expect=expect, smallest=smallest, tasks=TASKS[:1]),
        rows(TASKS[0], "dt", [10.0, 40.0, 80.0]),
        rows(TASKS[0], "dema", np.array([10.0, 40.0, 80.0]) + steps),
    )
    assert finding.word == wanted


def test_only_seeds_that_both_sides_have_are_compared():
    finding = found(
        comparison(tasks=TASKS[:1]),
        rows(TASKS[0], "dt", {0: 1.0, 1: 2.0, 2: 3.0, 3: 900.0}),
        rows(TASKS[0], "dema", {0: 6.0, 1: 7.0, 2: 8.1, 4: -900.0}),
    )
    assert (finding.question.units, finding.word) == (3, "supported")
    assert finding.effect == pytest.approx(5.0 + 0.1 / 3)


def test_two_seeds_are_too_few_for_a_verdict():
    finding = found(
        comparison(tasks=TASKS[:1]), rows(TASKS[0], "dt", [1.0, 2.0]), rows(TASKS[0], "dema", [51.0, 52.0])
    )
    assert (finding.word, finding.effect) == ("inconclusive", 50.0)
    assert np.isnan(finding.low)
    assert finding.why == "2 seeds; an interval needs 3"


def test_a_task_with_too_few_seeds_is_left_out_by_name_where_others_have_enough():
    finding = found(
        comparison(),
        *(
            rows(TASKS[0], method, [value, value + 0.1, value])
            for method, value in (("dt", 1.0), ("dema", 9.0))
        ),
        *(rows(TASKS[1], method, [value]) for method, value in (("dt", 500.0), ("dema", 1.0))),
    )
    assert (finding.word, finding.question.tasks) == ("supported", [TASKS[0]])
    assert finding.question.left_out == {TASKS[1]: "1 seed; an interval needs 3"}


def test_a_score_is_read_at_the_checkpoint_of_its_protocol():
    finding = found(
        comparison(tasks=TASKS[:1]),
        rows(TASKS[0], "dt", [1.0, 2.0, 3.0]),
        rows(TASKS[0], "dema", [90.0, 91.0, 92.0], step=5),
        rows(TASKS[0], "dema", [3.0, 4.0, 5.0], step=10),
    )
    assert finding.effect == pytest.approx(2.0)


def test_after_equal_training_time_the_slower_one_is_read_at_an_earlier_checkpoint():
    """DeMa takes twice as long for ten updates; DT's time is over when DeMa has made five of them."""
    frames = [
        rows(TASKS[0], "dt", [1.0, 2.0, 3.0]),
        rows(TASKS[0], "dt", [0.5] * 3, "training_loss", seconds=50.0),
        *(
            rows(TASKS[0], "dema", [s, s + 1, s + 2], step=step)
            for step, s in ((5, 3.0), (8, 60.0), (10, 90.0))
        ),
        rows(TASKS[0], "dema", [0.5] * 3, "training_loss", seconds=100.0),
    ]
    assert found(comparison(tasks=TASKS[:1]), *frames).effect == pytest.approx(89.0)
    timed = found(comparison(tasks=TASKS[:1], matched="training-time"), *frames)
    assert timed.effect == pytest.approx(2.0)
    busy = [frame.assign(wall_over_processor=2.0) if "training_loss" in set(frame["metric"]) and "dema" in
            set(frame["method"]) else frame for frame in frames]  # fmt: skip
    assert found(comparison(tasks=TASKS[:1], matched="training-time"), *busy).effect == pytest.approx(89.0), (
        "processor time counts, and not how long it took"
    )


def test_seconds_of_training_on_two_devices_do_not_compare_and_those_of_one_gpu_are_the_walls():
    def frames(dt, dema):
        return [
            rows(TASKS[0], "dt", [1.0, 2.0, 3.0]),
            rows(TASKS[0], "dt", [0.5] * 3, "training_loss", seconds=50.0, device=dt),
            rows(TASKS[0], "dema", [3.0, 4.0, 5.0], step=5),
            rows(TASKS[0], "dema", [90.0, 91.0, 92.0], step=10),
            rows(TASKS[0], "dema", [0.5] * 3, "training_loss", seconds=100.0, device=dema,
                 wall_over_processor=2.0),
        ]  # fmt: skip

    timed = comparison(tasks=TASKS[:1], matched="training-time")
    mixed = found(timed, *frames("cpu", "some GPU"))
    assert mixed.word == "not-run"
    assert "trained on cpu and some GPU, whose seconds do not compare" in mixed.why
    assert found(timed, *frames("some GPU", "some GPU")).effect == pytest.approx(2.0)
    assert found(timed, *frames("cpu", "cpu")).effect == pytest.approx(89.0)


def test_equal_time_counts_every_process_of_a_training_and_not_only_the_last():
    """DeMa was taken up again for a second; its updates took twice as long as DT's."""
    frames = [
        rows(TASKS[0], "dt", [1.0, 2.0, 3.0]),
        rows(TASKS[0], "dt", [0.5] * 3, "training_loss", seconds=50.0, training_seconds=50.0),
        rows(TASKS[0], "dema", [3.0, 4.0, 5.0], step=5),
        rows(TASKS[0], "dema", [90.0, 91.0, 92.0], step=10),
        rows(TASKS[0], "dema", [0.5] * 3, "training_loss", seconds=1.0, training_seconds=100.0),
    ]
    timed = comparison(tasks=TASKS[:1], matched="training-time")
    assert found(timed, *frames).effect == pytest.approx(2.0)
    busy = [frame.assign(wall_over_processor=2.0) for frame in frames]
    assert found(timed, *busy).effect == pytest.approx(2.0), "they are the processor's already"
    older = [frame.assign(training_seconds=float("nan")) for frame in frames]
    assert found(timed, *older).word == "not-run", "of older numbers only the last process is known"


def test_trainings_that_changed_their_device_alike_do_not_compare():
    frames = [
        rows(TASKS[0], method, values, metric, seconds=50.0, device="cpu and some GPU")
        for method, values in (("dt", [1.0, 2.0, 3.0]), ("dema", [3.0, 4.0, 5.0]))
        for metric in ("normalised_score", "training_loss")
    ]
    timed = found(comparison(tasks=TASKS[:1], matched="training-time"), *frames)
    assert timed.word == "not-run"
    assert "trained on cpu and some GPU, whose seconds do not compare" in timed.why


def test_counts_are_exact_and_memory_is_trusted_within_its_tolerance():
    asked = {"first": DT, "second": DEMA, "tasks": TASKS[:1]}
    counts = [rows(TASKS[0], m, [v], "parameters") for m, v in (("dt", 400.0), ("dema", 100.0))]
    exact = found(comparison(metric="parameters", smallest=3.9, **asked), *counts)
    assert (exact.word, exact.effect, exact.low, exact.high) == ("supported", 4.0, 4.0, 4.0)
    memory = [rows(TASKS[0], m, [v], "peak_memory_mib") for m, v in (("dt", 1.04), ("dema", 1.0))]
    near = found(comparison(metric="peak_memory_mib", smallest=1.0, **asked), *memory)
    assert (near.word, near.effect, near.low) == (
        "inconclusive", pytest.approx(1.04), pytest.approx(1.04 / 1.1),
    )  # fmt: skip


def test_times_are_decided_by_the_spread_of_their_turns():
    asked = comparison(
        metric="rival_training_ratio", first=DEMA | {"settings": {"timed_against": "dt"}}, second=1.0,
        smallest=1.0, tasks=TASKS[:1],
    )  # fmt: skip
    slug = "timed_against=dt"
    steady = turns(TASKS[0], "dema", [1.10, 1.11, 1.09, 1.10, 1.12], "rival_training_ratio", slug)
    finding = found(asked, steady)
    assert (finding.word, finding.question.unit, finding.question.units) == ("supported", "turn", 5)
    assert finding.effect == pytest.approx(1.104, abs=0.001)
    wild = found(asked, turns(TASKS[0], "dema", [0.7, 1.9, 0.8, 1.4, 1.0], "rival_training_ratio", slug))
    assert wild.word == "inconclusive"
    busy = found(asked, steady.assign(wall_over_processor=1.9))
    assert (busy.word, busy.why) == ("inconclusive", "times spread by 1.9")


def test_growth_is_an_exponent_fitted_over_the_lengths():
    asked = comparison(
        metric="rival_forward_ratio", first=DEMA | {"settings": {"timed_against": "dt"}}, second=1.0,
        smallest=0.3, tasks=TASKS[:1], along={"option": "context_length", "values": [10, 40, 160, 640]},
    )  # fmt: skip
    frames = [
        turns(TASKS[0], "dema", 0.5 * steps**0.7 * np.array([0.99, 1.0, 1.01]), "rival_forward_ratio",
              f"context_length={steps},timed_against=dt")
        for steps in (10, 40, 160)
    ]  # fmt: skip
    finding = found(asked, *frames)
    assert finding.effect == pytest.approx(0.7, abs=1e-6)
    assert finding.word == "supported"
    assert answered(claim_of(asked), *frames).scope == "at a context length of 10 to 160"
    assert found(asked, *frames[:2]).word == "not-run", "a line through two points fits anything"


def test_a_loss_is_compared_with_a_loss_on_tasks_of_its_own():
    delayed = "hopper-medium-delayed"
    finding = found(
        comparison(
            first=DEMA | {"against": DEMA | {"tasks": TASKS[:1]}},
            second=DT | {"against": DT | {"tasks": TASKS[:1]}},
            tasks=[delayed],
        ),
        rows(TASKS[0], "dema", [50.0, 51.0, 52.0]), rows(delayed, "dema", [48.0, 49.5, 49.9]),
        rows(TASKS[0], "dt", [50.0, 51.0, 52.0]), rows(delayed, "dt", [30.0, 31.0, 32.0]),
    )  # fmt: skip
    assert finding.effect == pytest.approx((18.0 + 18.5 + 17.9) / 3)
    assert finding.word == "supported"


def test_a_side_can_be_a_number_a_multiple_or_another_metric():
    solved = found(comparison(second=45.0, tasks=TASKS[:1]), rows(TASKS[0], "dema", [50.0, 50.1, 49.9]))
    assert (solved.word, solved.effect) == ("supported", pytest.approx(5.0))
    double = found(
        comparison(second=DT | {"times": 2}, smallest=0.0, tasks=TASKS[:1]),
        rows(TASKS[0], "dema", [50.0, 50.1, 49.9]),
        rows(TASKS[0], "dt", [30.0, 30.1, 29.9]),
    )
    assert (double.word, double.effect) == ("contradicted", pytest.approx(-10.0))
    trained = found(
        comparison(second=DEMA | {"metric": "return"}, tasks=TASKS[:1]),
        rows(TASKS[0], "dema", [50.0, 50.1, 49.9]),
        rows(TASKS[0], "dema", [1.0, 1.0, 1.0], "return"),
    )
    assert trained.effect == pytest.approx(49.0)


def test_what_was_not_run_says_why():
    one_task = found(comparison(), *(rows(TASKS[0], m, [1.0, 2.0, 3.0]) for m in ("dema", "dt")))
    assert one_task.question.tasks == [TASKS[0]]
    none = found(comparison(), rows("darkroom", "dmh", [1.0]))
    assert (none.word, none.question.tasks) == ("not-run", [])
    assert found(comparison(tasks=TASKS[:1]), rows("darkroom", "dmh", [1.0])).why == "no record yet"
    gone = rows(TASKS[0], "dema", [np.nan], metric="").assign(status="unavailable: no policy")
    assert found(comparison(tasks=TASKS[:1]), gone).why == "unavailable: no policy"
    later = found(comparison(tasks=["breakout"], metric="gamer_normalised_score"), gone)
    assert later.why == "task breakout is not built yet"


def test_cells_that_are_not_there_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"results/quick/cells.csv: missing, .* tier=quick.*source=stored"):
        read_cells("quick")
