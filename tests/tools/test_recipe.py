"""The rule that chooses a replay ladder: by what snapshots score."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.datasets.policies import BehaviourPolicy, load_snapshots
from bench.errors import SpecError
from tools.behaviour.recipe import replay_ladder

EXPERT = 1000.0
# Returns of means and of samples. Around medium are samples of 250 to 360: the fifth gains more than a fifth.
RUN = [
    (5, 1),
    (90, 80),
    (190, 150),
    (240, 240),
    (400, 300),
    (300, 290),
    (360, 350),
    (260, 255),
    (700, 500),
    (900, 450),
]


def snapshots(scores: list[tuple[float, float]]) -> list[BehaviourPolicy]:
    policy = load_snapshots("hopper-medium")[0]
    return [
        replace(
            policy,
            record={
                "environment_steps": 100 * index,
                "deterministic": {"return_mean": float(means)},
                "stochastic": {"return_mean": float(samples)},
            },
        )
        for index, (means, samples) in enumerate(scores)
    ]


def steps(chosen: list[BehaviourPolicy]) -> list[int]:
    return [policy.record["environment_steps"] // 100 for policy in chosen]


def test_rungs_are_chosen_by_score() -> None:
    chosen, rungs = replay_ladder(snapshots(RUN), EXPERT)
    assert steps(chosen) == [0, 1, 2, 3, 5, 6, 7, 9], "4 gains too much, 8 is neither medium nor the best"
    assert [rung.snapshot for rung in rungs] == list(range(8))
    shares = [rung.share for rung in rungs]
    assert sum(shares) == pytest.approx(1.0)
    assert shares[0] == 0.04
    assert shares[1] > shares[2] > shares[3]
    assert shares[1] == pytest.approx(1.5 * shares[3], rel=1e-3)
    assert shares[4:7] == pytest.approx([0.38 / 3] * 3, abs=2e-4)
    assert (rungs[-1].share, rungs[-1].noise, rungs[-1].whole_episodes) == (0.02, 0.3, True)
    assert all(rung.noise == 1.0 and not rung.whole_episodes for rung in rungs[:-1])


def test_of_more_than_three_around_medium_those_that_gain_least() -> None:
    chosen, _ = replay_ladder(snapshots([*RUN, (256, 256)]), EXPERT)
    assert steps(chosen)[-4:] == [6, 7, 10, 9], "5 gains more than these; the tail stands last"


def test_a_snapshot_that_earns_more_than_the_first_around_medium_is_not_below_it() -> None:
    scores = [*RUN[:3], (500, 400), *RUN[3:]]
    chosen, _ = replay_ladder(snapshots(scores), EXPERT)
    assert 3 not in steps(chosen)


def test_the_tail_may_be_larger_and_louder() -> None:
    _, rungs = replay_ladder(snapshots(RUN), EXPERT, tail=0.1, tail_noise=1.0)
    assert (rungs[-1].share, rungs[-1].noise) == (0.1, 1.0)
    assert sum(rung.share for rung in rungs) == pytest.approx(1.0)
    assert rungs[0].share == 0.04


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (
            RUN[:4],
            "No snapshot is around medium: samples that earn 250 to 360.*smaller --every or another --seed",
        ),
        (
            [RUN[0], RUN[5]],
            "needs the untrained snapshot and one more before the first that is around medium",
        ),
    ],
)
def test_a_run_that_does_not_fit_is_refused(scores: list[tuple[float, float]], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        replay_ladder(snapshots(scores), EXPERT)
