"""The word of a claim follows from its comparisons, and cannot be one that its sentence does not bear out."""

import numpy as np
import pandas as pd
import pytest
from suites import SUITE

from bench.work.claims import load_claims

from .made_cells import DEMA, TASKS, answered, claim_of, comparison, rows, rows_with_effect, turns

CLAIMS = load_claims(SUITE)
SOLVED, GUESSED = [1.0] * 5, [0.5] * 5
ROOMS = ("darkroom", "darkroom-hard", "dark-key-to-door")
SIMPLE = "local_tokens=merged,long_tokens=rich"


def length(steps):
    return f"tmaze-passive-{steps}"


def tmaze(steps, returns):
    """DM-H's returns at this length under either c: 5 is the default."""
    slugs = ("default", "steps_per_subgoal=20")
    return [rows(length(steps), "dmh", returns, "return", slug) for slug in slugs]


def test_one_unsolved_length_is_no_maze_solved_at_every_length():
    solved = [frame for steps in (10, 30, 100, 300, 1000, 2000, 3000) for frame in tmaze(steps, SOLVED)]
    unsolved = tmaze(20000, GUESSED)
    assert answered(CLAIMS["dmh_tmaze_solved"], *solved).text == "supported at 10 to 3,000 steps"
    answer = answered(CLAIMS["dmh_tmaze_solved"], *solved, *unsolved)
    assert answer.word == "contradicted"
    fallen = [finding for finding in answer.findings if finding.word == "contradicted"]
    assert {finding.question.tasks[0] for finding in fallen} == {length(20000)}


def test_a_length_that_failed_is_no_length_solved():
    claim = CLAIMS["dmh_tmaze_solved"]
    solved = [frame for steps in (10, 30, 3000) for frame in tmaze(steps, SOLVED)]
    assert answered(claim, *solved).text == "supported at 10, 30 and 3,000 steps", "and not from 10 to 3,000"
    failed = [frame.assign(status="failed: out of memory", value=np.nan) for frame in tmaze(300, SOLVED)]
    answer = answered(claim, *solved, *failed)
    assert answer.word == "inconclusive"
    assert {f.why for f in answer.findings if f.word == "not-run"} == {
        "tmaze-passive-300: failed: out of memory"
    }


def grid(task, method, shares, gain=0.5, slug="default"):
    return [
        rows(task, method, shares, "optimum_share", slug),
        rows(task, method, [gain] * len(shares), "in_context_gain", slug),
    ]


def test_worlds_of_different_scale_have_a_verdict_each():
    """DM-H loses one world and wins two: none of the three is drowned in another's noise."""
    level = 0.5 + np.array([-0.01, 0.0, 0.01, 0.0, 0.0])
    frames = [
        frame
        for task, better in zip(ROOMS, (-0.1, 0.2, 0.2), strict=True)
        for frame in (
            *grid(task, "dmh", level + better, slug=SIMPLE),
            *(made for rival in ("ad-transformer", "ad-mamba") for made in grid(task, rival, level)),
        )
    ]
    answer = answered(CLAIMS["dmh_best_in_grid_worlds"], *frames)
    words = {
        finding.question.tasks[0]: finding.word
        for finding in answer.findings
        if finding.question.groups and finding.comparison.matched == "updates"
    }
    assert words == dict(zip(ROOMS, ("contradicted", "supported", "supported"), strict=True))


def test_a_slower_method_that_reached_nothing_in_equal_time_leaves_a_hole():
    """DM-H is better everywhere, and a hundred times slower in two of three rooms."""
    level = 0.4 + np.array([-0.01, 0.0, 0.01, 0.0, 0.0])
    frames = []
    for task, slower in zip(ROOMS, (1.0, 100.0, 100.0), strict=True):
        for method, slug, shares, seconds in (
            ("dmh", SIMPLE, level + 0.3, slower),
            *((rival, "default", level, 1.0) for rival in ("ad-transformer", "ad-mamba", "dpt", "amago")),
        ):
            frames += [
                *grid(task, method, shares, slug=slug),
                rows(task, method, [0.1] * 5, "training_loss", slug, seconds=seconds),
            ]
    answer = answered(CLAIMS["dmh_best_in_grid_worlds"], *frames)
    assert answer.word == "inconclusive"
    holes = {f.why for f in answer.findings if "in time" in f.why or "training time" in f.why}
    assert holes == {f"{task}: no checkpoint within the other's training time" for task in ROOMS[1:]}


def test_a_claim_stands_only_on_tasks_that_all_its_comparisons_have():
    claim = CLAIMS["dmh_best_on_d4rl"]
    frames = [rows_with_effect(one, 10.0, spread=0.5) for one in claim.comparisons]
    assert answered(claim, *frames).text == "supported"
    few = claim.comparisons[2].tasks[:3]
    td3 = pd.concat(frames)
    td3 = td3[(td3["method"] != "td3") | td3["task"].isin(few)]
    answer = answered(claim, td3)
    assert answer.word == "inconclusive"
    assert next(f.why for f in answer.findings if f.word == "not-run").endswith(
        "not run, though others were there"
    )


def test_a_method_that_learnt_nothing_is_not_robust_to_delayed_reward():
    claim = CLAIMS["dema_delayed_reward"]
    scores = {"dema": (2.0, 2.0), "dt": (40.0, 30.0), "cql": (40.0, 10.0)}
    frames = [
        rows(task, method, value + np.array([-0.1, 0.0, 0.1]))
        for method, (dense, delayed) in scores.items()
        for tasks, value in ((claim.comparisons[0].first.against.tasks, dense),
                             (claim.comparisons[0].tasks, delayed))
        for task in tasks
    ]  # fmt: skip
    answer = answered(claim, *frames)
    assert answer.word == "inconclusive"
    assert [f.word for f in answer.findings] == ["inconclusive", "supported"], "DT and CQL did learn"
    assert "DeMa learnt something" in answer.findings[0].why


def test_models_that_learnt_nothing_contradict_no_claim():
    level = 0.05 + np.array([-0.001, 0.0, 0.001, 0.0, 0.0])
    both = [
        frame
        for method, slug in (("dmh", SIMPLE), ("ad-transformer", "default"), ("ad-mamba", "default"))
        for frame in grid("large-darkroom", method, level, gain=0.0, slug=slug)
    ]
    answer = answered(CLAIMS["dmh_double_in_large_worlds"], *both)
    assert answer.word == "inconclusive"
    ran = [finding for finding in answer.findings if finding.word != "not-run"]
    assert {finding.why for finding in ran} == {
        "large-darkroom: not shown that one side improves in context by a twentieth of the optimum"
    }
    learnt = [
        frame.assign(value=0.5) if set(frame["metric"]) == {"in_context_gain"} else frame for frame in both
    ]
    assert answered(CLAIMS["dmh_double_in_large_worlds"], *learnt).word == "contradicted"


def timed(task, ratio, settings, metric, method="dmh"):
    return turns(task, method, ratio * np.array([0.99, 1.0, 1.01, 1.0]), metric, settings)


def cheaper(task, ratios):
    """AD's time over DM-H's, with every block in the loss and with an eighth."""
    return [
        timed(task, ratio, f"timed_against={rival}{blocks}", "rival_training_ratio")
        for ratio, blocks in zip(ratios, ("", ",trained_blocks=0.125"), strict=True)
        for rival in ("ad-transformer", "ad-mamba")
    ]


def test_a_mean_hides_no_task_on_which_the_sign_is_another():
    tasks = {"darkroom": 0.62, "large-darkroom": 2.0, "hopper-medium": 2.8}
    frames = [frame for task, ratio in tasks.items() for frame in cheaper(task, (ratio, ratio))]
    answer = answered(CLAIMS["dmh_cheaper_training"], *frames)
    assert answer.word == "contradicted"
    fallen = {f.question.tasks[0] for f in answer.findings if f.word == "contradicted"}
    assert fallen == {"darkroom"}


def test_a_claim_that_turns_on_one_choice_says_so():
    frames = [frame for task in ("darkroom", "large-darkroom") for frame in cheaper(task, (0.22, 1.23))]
    answer = answered(CLAIMS["dmh_cheaper_training"], *frames)
    assert answer.word == "depends on how many blocks of a context an update trains"
    assert answer.why == (
        "contradicted with every block in the loss; supported with an eighth of the blocks in the loss"
    )


def test_a_factor_that_a_cache_decides_depends_on_the_cache():
    frames = [
        timed("hopper-medium", ratio, "timed_against=ad-transformer", metric)
        for ratio, metric in ((1022.0, "rival_online_ratio"), (5.1, "rival_cached_online_ratio"))
    ]
    answer = answered(CLAIMS["dmh_online_testing_d4rl"], *frames)
    assert answer.text == "depends on whether the Transformer keeps keys and values on hopper-medium"


def test_a_claim_of_no_difference_can_be_decided_with_ten_seeds():
    """Seeds that spread by a twentieth of the optimum."""
    draw = np.random.default_rng(3)
    claim, words = CLAIMS["dmh_stable_over_c_in_grid_worlds"], []
    slugs = (SIMPLE, f"{SIMPLE},steps_per_subgoal=10", f"{SIMPLE},steps_per_subgoal=20")
    for _ in range(20):
        frames = [f for slug in slugs for f in grid("darkroom", "dmh", draw.normal(0.6, 0.05, 10), slug=slug)]
        words.append(answered(claim, *frames).word)
    assert words.count("supported") >= 15
    assert "contradicted" not in words


def test_a_set_on_which_a_method_that_must_win_does_not_decides_nothing():
    claim = CLAIMS["dema_over_dt_in_mujoco"]
    first = claim.comparisons[0]
    better = rows_with_effect(first, 10.0, spread=0.5)
    assert answered(claim_of(first), better).word == "supported"
    level = better.assign(value=better["value"].where(better["method"] != "rvs", 0.0))
    answer = answered(claim_of(first), level)
    assert answer.word == "inconclusive"
    assert "not shown that RvS beats cloning the best tenth there" in answer.findings[0].why


@pytest.mark.parametrize(
    ("effects", "wanted"),
    [
        ((5.0, 5.0), "supported"),
        ((5.0, -5.0), "contradicted"),
        ((None, -5.0), "contradicted"),
        ((5.0, None), "inconclusive"),
        ((5.0, 1.0), "inconclusive"),
        ((None, None), "not-run"),
    ],
)
def test_a_claim_holds_only_if_all_its_comparisons_do_and_falls_with_one(effects, wanted):
    asked = [comparison(tasks=[task]) for task in TASKS]
    frames = [
        rows_with_effect(one, effect, spread=0.1)
        for one, effect in zip(asked, effects, strict=True)
        if effect is not None
    ]
    answer = answered(claim_of(*asked), *frames, rows("darkroom", "dmh", [1.0]))
    assert answer.word == wanted
    assert bool(answer.why) == (wanted != "supported")


def test_the_more_comparisons_a_claim_has_the_wider_is_the_interval_that_contradicts_it():
    one = comparison(tasks=TASKS[:1])
    frame = rows_with_effect(one, 0.0, spread=1.0)
    alone = answered(claim_of(one), frame).findings[0]
    among = answered(claim_of(*[one] * 10), frame).findings[0]
    assert (alone.low, alone.high) == (among.low, among.high)
    assert (alone.far_low, alone.far_high) == (alone.low, alone.high)
    assert among.far_low < alone.far_low < alone.far_high < among.far_high


def test_a_claim_is_asked_again_under_each_specification():
    asked = comparison(
        metric="parameters", first={"method": "dt"}, second=DEMA, tasks=TASKS[:1], smallest=2.0
    )
    frames = [
        *(rows(TASKS[0], m, [v], "parameters") for m, v in (("dt", 400.0), ("dema", 100.0))),
        rows(TASKS[0], "dema", [390.0], "parameters", "d_state=16"),
    ]
    claim = claim_of(asked)
    assert answered(claim, *frames).word == "supported"
    assert answered(claim, *frames, more={"d_state": 16}).word == "contradicted", "DT has no such option"
