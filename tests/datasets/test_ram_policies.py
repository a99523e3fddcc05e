"""Policies over the console's memory: what they compute, their files, and the ladders that ship."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from bench.datasets.policies import SHIPPED, BehaviourPolicy, save_snapshots, shipped_policies
from bench.datasets.ram_policies import (
    RamPolicy,
    ScriptedPong,
    load_ram_ladder,
    ram_features,
)
from bench.errors import DatasetError, UnavailableError

ROOT = Path(__file__).resolve().parents[2]
ACTIONS = 4
LADDER = [{"snapshot": 0, "share": 0.25, "noise": 0.5}, {"snapshot": 1, "share": 0.75, "noise": 0.3}]
TASKS = yaml.safe_load((ROOT / "workflow" / "tasks" / "atari.yaml").read_text())["tasks"]
LADDERS = [name for name in shipped_policies() if name.startswith(tuple(TASKS))]


def network(seed: int, **record: object) -> BehaviourPolicy:
    """A random network of two hidden layers of 8 units."""
    random = np.random.default_rng(seed)
    sizes = (256, 8, 8, ACTIONS)
    return BehaviourPolicy(
        env_id="ALE/Breakout-v5",
        observation_mean=random.normal(size=256).astype(np.float32),
        observation_std=random.uniform(0.1, 1.0, 256).astype(np.float32),
        weights=tuple(random.normal(size=pair).astype(np.float16) for pair in pairwise(sizes)),
        biases=tuple(random.normal(size=size).astype(np.float16) for size in sizes[1:]),
        log_std=np.empty(0, np.float16),
        record={"env_id": "ALE/Breakout-v5", **record},
    )


def memories(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random memories (count, 128) now and one decision ago."""
    random = np.random.default_rng(5)
    now = random.integers(0, 256, (count, 128), np.uint8)
    return now, (now.astype(int) + random.integers(-30, 31, now.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def written(tmp_path: Path):
    """Writes a ladder of two random networks, or of what is given, and returns its folder."""

    def write(ladder: object = LADDER, snapshots: list[BehaviourPolicy] | None = None) -> Path:
        save_snapshots(snapshots or [network(0), network(1)], "game", tmp_path, "the command", None)
        file = tmp_path / "game.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"ladder": ladder}))
        return tmp_path

    return write


def test_features_are_bytes_and_clipped_changes() -> None:
    now, before = np.zeros((2, 1, 128), np.uint8)
    now[0, :4], before[0, :4] = (255, 0, 10, 7), (0, 255, 2, 7)
    features = ram_features(now, before)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features[0, :4], [1, 0, 10 / 255, 7 / 255], rtol=1e-6)
    np.testing.assert_array_equal(features[0, 128:132], [1, -1, 0.5, 0])


def test_probabilities_are_a_softmax_at_a_temperature_of_a_relu_network() -> None:
    policy = RamPolicy(network(0), temperature=0.3)
    now, before = memories(5)
    stored = policy.network
    hidden = (ram_features(now, before).astype(float) - stored.observation_mean) / stored.observation_std
    hidden = hidden.clip(-10, 10)
    for weight, bias in zip(stored.weights[:2], stored.biases[:2], strict=True):
        hidden = np.maximum(hidden @ weight.astype(float) + bias, 0)
    logits = (hidden @ stored.weights[2].astype(float) + stored.biases[2]) / 0.3
    logits -= logits.max(1, keepdims=True)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(policy.probabilities(now, before), expected, atol=1e-3)
    assert policy.actions == ACTIONS


def test_actions_are_drawn_with_these_probabilities() -> None:
    policy = RamPolicy(network(0), temperature=20.0)
    now, before = (np.repeat(part[:1], 20_000, 0) for part in memories(1))
    drawn = policy.act(now, before, np.random.default_rng(0))
    assert drawn.dtype == np.int64
    frequencies = np.bincount(drawn, minlength=ACTIONS) / len(drawn)
    np.testing.assert_allclose(frequencies, policy.probabilities(now[:1], before[:1])[0], atol=0.015)
    np.testing.assert_array_equal(drawn, policy.act(now, before, np.random.default_rng(0)))


def test_pong_is_followed_but_for_a_share_of_random_actions() -> None:
    now = np.zeros((4, 128), np.uint8)
    now[:, 51] = 100
    now[:, 54] = (50, 107, 150, 104)
    follow = ScriptedPong(0.0, {}).act(now, now, np.random.default_rng(0))
    np.testing.assert_array_equal(follow, [ScriptedPong.UP, 0, ScriptedPong.DOWN, 0])
    many = np.repeat(now[:1], 20_000, 0)
    noisy = ScriptedPong(0.3, {}).act(many, many, np.random.default_rng(0))
    assert (noisy != ScriptedPong.UP).mean() == pytest.approx(0.3 * 5 / 6, abs=0.01)
    assert set(noisy) == set(range(6))


def test_a_ladder_has_the_temperatures_and_shares_of_its_file(written) -> None:
    first, last = load_ram_ladder("game", written())
    assert (first.share, last.share) == (0.25, 0.75)
    assert (first.policy.temperature, last.policy.temperature) == (0.5, 0.3)
    now, before = memories(6)
    np.testing.assert_array_equal(
        last.policy.probabilities(now, before), RamPolicy(network(1), 0.3).probabilities(now, before)
    )


def scripted(**record: object) -> BehaviourPolicy:
    """A snapshot without a network."""
    nothing = np.empty(0, np.float32)
    about = {"env_id": "ALE/Pong-v5", "kind": "scripted-pong", **record}
    return BehaviourPolicy("ALE/Pong-v5", nothing, nothing, (), (), np.empty(0, np.float16), about)


def test_a_scripted_policy_is_named_by_its_record(written) -> None:
    folder = written([{"snapshot": 0, "share": 1.0}], [scripted(random_share=0.2)])
    (rung,) = load_ram_ladder("game", folder)
    assert isinstance(rung.policy, ScriptedPong)
    assert rung.policy.random_share == 0.2
    assert rung.policy.record["env_id"] == "ALE/Pong-v5"


@pytest.mark.parametrize(
    ("ladder", "snapshots", "said"),
    [
        ([LADDER[0]], None, "key ladder: its shares add up to 0.25"),
        (None, None, "key ladder: Input should be a valid list"),
        ([LADDER[0], LADDER[1] | {"whole_episodes": True}], None, "key ladder: whole_episodes is for robots"),
        (
            [{"snapshot": 0, "share": 1.0}],
            [scripted(random_share=1.2)],
            r"key snapshots\.0\.random_share: it has to be a number from 0 to 1, got 1\.2",
        ),
        (
            [{"snapshot": 0, "share": 1.0}],
            [scripted()],
            r"key snapshots\.0\.random_share: it has to be a number from 0 to 1, got None",
        ),
    ],
)  # fmt: skip
def test_a_malformed_ladder_is_refused(written, ladder: object, snapshots: object, said: str) -> None:
    with pytest.raises(DatasetError, match=rf"game\.json: {said}.*Correct the file, or restore it from git"):
        load_ram_ladder("game", written(ladder, snapshots))


def test_the_policy_of_a_robot_is_refused() -> None:
    said = r"hopper-medium-replay\.json: key ladder: whole_episodes is for robots"
    with pytest.raises(DatasetError, match=said):
        load_ram_ladder("hopper-medium-replay")


def test_a_network_of_other_inputs_is_refused(written) -> None:
    robot = network(0)
    robot = BehaviourPolicy(
        "Hopper-v5", robot.observation_mean[:11], robot.observation_std[:11],
        robot.weights, robot.biases, robot.log_std, {"env_id": "Hopper-v5"},
    )  # fmt: skip
    folder = written([{"snapshot": 0, "share": 1.0}], [robot])
    with pytest.raises(DatasetError, match=r"key snapshots\.0: its network has 11 inputs and not the 256"):
        load_ram_ladder("game", folder)


def test_damaged_weights_are_refused(written) -> None:
    folder = written()
    file = folder / "game.npz"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(
        DatasetError, match=r"game\.npz does not hold.*sha256.*train.*again with: the command"
    ):
        load_ram_ladder("game", folder)


def test_an_unknown_name_lists_what_ships() -> None:
    with pytest.raises(UnavailableError, match=r"no behaviour policy 'tetris-ladder'.*breakout-ladder"):
        load_ram_ladder("tetris-ladder")


def test_ladders_are_of_the_tasks_and_that_of_pong_is_scripted() -> None:
    assert {"breakout-ladder", "pong-ladder"} <= set(LADDERS)
    assert set(LADDERS) <= {task["values"]["behaviour_policy"] for task in TASKS.values()}
    scripted = [name for name in LADDERS if isinstance(load_ram_ladder(name)[0].policy, ScriptedPong)]
    assert scripted == ["pong-ladder"]


@pytest.mark.parametrize("name", LADDERS)
def test_the_scores_of_what_ships_rise_with_the_rung(name: str) -> None:
    rungs = load_ram_ladder(name)
    assert sum(rung.share for rung in rungs) == pytest.approx(1.0, abs=1e-9)
    assert [rung.share for rung in rungs] == sorted(rung.share for rung in rungs)
    earned = [rung.policy.record["return_mean"] for rung in rungs]
    assert earned == sorted(set(earned))


@pytest.mark.parametrize("name", LADDERS)
def test_the_best_of_what_ships_is_better_than_random_actions(name: str) -> None:
    record = load_ram_ladder(name)[-1].policy.record
    spread = np.hypot(record["return_error"], record["random"]["return_error"])
    assert record["return_mean"] > record["random"]["return_mean"] + 3 * spread


@pytest.mark.parametrize("name", LADDERS)
def test_shipped_records_say_how_they_were_made_and_scored(name: str) -> None:
    for rung in load_ram_ladder(name):
        record = rung.policy.record
        assert record["evaluation"] == record["random"]["evaluation"]
        assert record["evaluation"]["episodes"] >= 20
        assert record["command"].startswith("python -m tools.behaviour ")
        if isinstance(rung.policy, RamPolicy):
            assert rung.policy.temperature == record["evaluation"]["temperature"]
            assert {"decisions", "training_decisions", "training_seed", "training_seconds"} <= set(record)


def documented_row(game: str, task: dict) -> str:
    """The row of docs/data.md for a game, from what the records of its ladder and the task's file say."""
    records = [rung.policy.record for rung in load_ram_ladder(f"{game}-ladder")]
    rungs = [f"{record['return_mean']:.1f} ± {record['return_error']:.1f}" for record in records]
    cells = [
        task["title"],
        f"{records[0]['random']['return_mean']:.1f} ± {records[0]['random']['return_error']:.1f}",
        *(rungs + [""] * (4 - len(rungs))),
        f"{task['values']['reference_high']:g}",
        f"{records[0]['training_decisions']:,}" if "training_decisions" in records[0] else "script",
        f"{records[-1]['training_seconds']:.0f}" if "training_seconds" in records[-1] else "-",
        str(records[0].get("training_seed", "-")),
    ]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("game", [name.removesuffix("-ladder") for name in LADDERS])
def test_the_documentation_shows_the_recorded_scores(game: str) -> None:
    assert documented_row(game, TASKS[game]) in (ROOT / "docs" / "data.md").read_text()


def test_what_ships_for_the_games_is_small() -> None:
    sizes = [(SHIPPED / f"{name}.npz").stat().st_size for name in LADDERS]
    assert sum(sizes) < 8e6
