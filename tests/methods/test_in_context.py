"""The in-context methods decode what they were trained on: contexts, tokens and sub-goals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from in_context_cases import batch_of, history, make, of_lengths
from method_cases import NEAR, ROOMS, decode, part, trial

from bench.datasets.episodes import Episodes
from bench.datasets.histories import Histories
from bench.methods import ad, dmh_policy
from bench.methods.in_context import RewardEmbedding, choose_actions, draw_contexts, kept_episodes
from bench.methods.spaces import space_of
from bench.worlds.gridworld.world import ACTIONS


def trained_logits(learner, episodes):
    """Logits (ROOMS, horizon, ACTIONS) of the training pass for the actions of the last episode."""
    options = learner.options
    with torch.no_grad():
        logits = learner.model(**batch_of(learner, episodes))
    first_branch = logits[: ROOMS * episodes.actions.shape[1] * options["horizon"]]
    return first_branch.reshape(ROOMS, -1, ACTIONS)[:, -options["horizon"] :]


def check_decoding(module, monkeypatch, learner):
    """No past; a past that fills the context; and longer ones, of which the oldest is forgotten."""
    width = learner.options["context_episodes"]
    for past in ([], [1], [2, 1], [3, 2, 1], [1, 3, 2]):
        episodes = history(learner.options, 5)
        decoded = decode(module, monkeypatch, learner, part(episodes, past), part(episodes, [4]))
        kept = past[max(0, len(past) - (width - 1)) :]
        torch.testing.assert_close(decoded, trained_logits(learner, part(episodes, [*kept, 4])), **NEAR)
    spread = decoded.std(dim=(0, 1)).min()
    assert spread > 0.01, "logits that hardly depend on what was seen would be equal whatever the policy does"


# Episode e of `history` has return e.
KEPT = [
    ("last", "time", [4, 1, 3, 2], [3, 2]),
    ("last", "return", [4, 1, 3, 2], [2, 3]),
    ("best", "time", [4, 1, 3, 2], [4, 3]),
    ("best", "return", [4, 1, 3, 2], [3, 4]),
    ("best", "time", [2], [2]),
    ("all", "time", [4, 1, 3, 2], [4, 1, 3, 2]),
    ("all", "return", [4, 1, 3, 2], [1, 2, 3, 4]),
]


@pytest.mark.parametrize(("rule", "order", "past", "read"), KEPT)
def test_a_test_reads_the_episodes_that_the_options_keep_in_the_order_they_say(rule, order, past, read):
    options = {"horizon": 7, "room_side": 5, "kept_episodes": rule, "test_context_order": order}
    episodes = history(options | {"state_code": "coordinates"}, 5)
    kept = kept_episodes(part(episodes, past), options, 2)
    np.testing.assert_array_equal(kept.states, part(episodes, read).states)
    np.testing.assert_array_equal(kept.returns, np.tile(read, (ROOMS, 1)))


def test_of_equal_episodes_the_later_are_kept():
    options = {"horizon": 7, "room_side": 5, "kept_episodes": "best", "test_context_order": "time"}
    episodes = history(options | {"state_code": "coordinates"}, 5)
    episodes.rewards[:] = 0
    kept = kept_episodes(episodes, options, 2)
    np.testing.assert_array_equal(kept.states, part(episodes, [3, 4]).states)


@pytest.mark.parametrize("method", ["ad-mamba", "dmh"])
def test_a_method_that_holds_a_state_can_read_more_episodes_than_it_was_trained_on(monkeypatch, method):
    learner = make(method, kept_episodes="all")
    episodes = history(learner.options, 5)
    module = dmh_policy if method == "dmh" else ad
    decoded = decode(module, monkeypatch, learner, part(episodes, [3, 0, 2, 1]), part(episodes, [4]))
    torch.testing.assert_close(decoded, trained_logits(learner, part(episodes, [3, 0, 2, 1, 4])), **NEAR)


@pytest.mark.parametrize("method", ["ad-transformer", "ad-mamba", "dmh", "dpt", "amago"])
def test_cells_are_read_as_two_numbers_or_one_hot(method):
    """The first layer that reads a state has a column for each number it reads."""
    features = {}
    for code in ("coordinates", "one-hot"):
        learner = make(method, state_code=code)
        features[code] = sum(parameter.numel() for parameter in learner.model.parameters())
    assert features["one-hot"] > features["coordinates"]
    space = space_of(learner.options)
    assert space.encode_states(torch.tensor([[1, 4]])).tolist() == [[0, 1, 0, 0, 0, 0, 0, 0, 0, 1]]
    raw = space_of(learner.options | {"state_code": "coordinates"})
    assert raw.encode_states(torch.tensor([[1, 4]])).tolist() == [[1.0, 4.0]]


def test_a_reward_scale_keeps_large_rewards_apart():
    """Sums of twenty rewards of a robot are about 60: LayerNorm leaves little of such a number's size."""
    apart = {}
    for scale in (1.0, 20.0):
        torch.manual_seed(0)
        embedding = RewardEmbedding({"embedding_dim": 64, "reward_scale": scale})
        with torch.no_grad():
            fifty, sixty = embedding(torch.tensor([50.0, 60.0]))
        apart[scale] = (fifty - sixty).norm() / fifty.norm()
    assert apart[1.0] < 0.02
    assert apart[20.0] > 5 * apart[1.0]


@pytest.mark.parametrize("method", ["ad-transformer", "ad-mamba", "dmh"])
def test_rewards_are_divided_by_their_scale_wherever_they_are_read(method):
    one, four = (make(method, reward_scale=scale) for scale in (1.0, 4.0))
    episodes = history(one.options, 3)
    larger = Episodes(episodes.states, episodes.actions, 4.0 * episodes.rewards, episodes.lengths)
    torch.testing.assert_close(trained_logits(four, larger), trained_logits(one, episodes), **NEAR)


@pytest.mark.parametrize("step_tokens", ["merged", "separate"])
@pytest.mark.parametrize("method", ["ad-transformer", "ad-mamba"])
def test_ad_decodes_token_by_token_what_it_computes_at_once(monkeypatch, method, step_tokens):
    check_decoding(ad, monkeypatch, make(method, step_tokens=step_tokens))


@pytest.mark.parametrize("horizon", [6, 7])
@pytest.mark.parametrize("local_tokens", ["separate", "merged"])
@pytest.mark.parametrize("long_tokens", ["separate", "rich"])
def test_dmh_decodes_step_by_step_what_it_computes_at_once(monkeypatch, long_tokens, local_tokens, horizon):
    learner = make("dmh", long_tokens=long_tokens, local_tokens=local_tokens, horizon=horizon)
    check_decoding(dmh_policy, monkeypatch, learner)


@pytest.mark.parametrize(
    ("module", "method", "changes"),
    [
        (ad, "ad-transformer", {"step_tokens": "separate"}),
        (ad, "ad-transformer", {"step_tokens": "merged"}),
        (ad, "ad-mamba", {"step_tokens": "merged"}),
        (dmh_policy, "dmh", {}),
    ],
)
def test_a_context_of_one_episode_holds_the_current_one_alone(monkeypatch, module, method, changes):
    learner = make(method, context_episodes=1, **changes)
    episodes = history(learner.options, 3)
    decoded = decode(module, monkeypatch, learner, part(episodes, [0, 1]), part(episodes, [2]))
    torch.testing.assert_close(decoded, trained_logits(learner, part(episodes, [2])), **NEAR)


@pytest.mark.parametrize("method", ["ad-transformer", "ad-mamba"])
@pytest.mark.parametrize("step_tokens", ["merged", "separate"])
def test_ad_never_sees_the_action_it_predicts(method, step_tokens):
    learner = make(method, step_tokens=step_tokens)
    batch = batch_of(learner, history(learner.options, 3))
    changed = {name: values.clone() for name, values in batch.items()}
    step = learner.options["horizon"] + 4
    changed["actions"][:, step] = (batch["actions"][:, step] + 1) % ACTIONS
    with torch.no_grad():
        before, after = (learner.model(**given).reshape(ROOMS, -1, ACTIONS) for given in (batch, changed))
    torch.testing.assert_close(before[:, : step + 1], after[:, : step + 1], rtol=0, atol=1e-6)
    assert (before[:, step + 1] - after[:, step + 1]).abs().max() > 1e-3


@pytest.mark.parametrize("method", ["ad-transformer", "ad-mamba", "dmh"])
def test_padding_behind_an_episode_changes_nothing(method):
    learner = make(method, dropout=0.0, **({"subgoal": "mean"} if method == "dmh" else {}))
    lengths = [[2, 5, 7], [7, 1, 3], [3, 6, 4]]
    episodes = of_lengths(learner.options, lengths)
    other = Episodes(
        episodes.states.copy(), episodes.actions.copy(), episodes.rewards.copy(), episodes.lengths
    )
    behind = ~episodes.inside
    other.states[:, :, 1:][behind], other.actions[behind], other.rewards[behind] = 4, 3, 9.0
    losses = [learner.loss(batch_of(learner, e)) for e in (episodes, other)]
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=0)
    other.actions[0, 0, 1] = (episodes.actions[0, 0, 1] + 1) % ACTIONS
    assert learner.loss(batch_of(learner, other)) != losses[0]


@pytest.mark.parametrize("changes", [{"step_tokens": "merged"}, {"step_tokens": "separate"}, {}])
@pytest.mark.parametrize("method", ["ad-transformer", "ad-mamba", "dmh"])
def test_environments_whose_past_differs_in_length_decode_as_each_alone(monkeypatch, method, changes):
    if bool(changes) == (method == "dmh"):
        pytest.skip("an option of Algorithm Distillation alone")
    learner = make(method, **changes)
    past = of_lengths(learner.options, [[2, 5], [7, 1], [3, 6]])
    current = history(learner.options, 1)
    module = dmh_policy if method == "dmh" else ad
    together = decode(module, monkeypatch, learner, past, current)
    for room in range(ROOMS):
        rows = slice(room, room + 1)
        one, now = (
            Episodes(e.states[rows], e.actions[rows], e.rewards[rows], e.lengths[rows])
            for e in (past, current)
        )
        with monkeypatch.context() as patch:
            alone = decode(module, patch, learner, one, now, rooms=1)
        torch.testing.assert_close(alone[0], together[room], **NEAR)


def numbered_histories(tasks=5, episodes=30):
    """Histories whose states name their task and episode, with returns in no order."""
    generator = np.random.default_rng(1)
    positions = np.empty((tasks, episodes, 3, 2), np.int16)
    positions[..., 0], positions[..., 1] = np.arange(tasks)[:, None, None], np.arange(episodes)[None, :, None]
    rewards = generator.integers(3, size=(tasks, episodes, 2)).astype(np.float32)
    goals = np.zeros((tasks, 2), np.int64)
    return Histories(positions, np.zeros((tasks, episodes, 2), np.int8), rewards, goals, goals)


@pytest.mark.parametrize("selection", ["random", "contiguous"])
@pytest.mark.parametrize("order", ["return", "time"])
def test_contexts_are_whole_episodes_of_one_task_in_the_order_asked_for(selection, order):
    histories = numbered_histories()
    options = {
        "context_episodes": 4, "context_selection": selection, "context_order": order, "history_share": 1.0,
    }  # fmt: skip
    drawn = draw_contexts(histories, options, 200, np.random.default_rng(0))
    task, episode = drawn.states[:, :, 0, 0], drawn.states[:, :, 0, 1]
    assert (task == task[:, :1]).all()
    assert set(task[:, 0]) == set(range(5))
    np.testing.assert_array_equal(drawn.rewards, histories.rewards[task, episode])
    returns = drawn.rewards.sum(axis=2)
    if order == "return":
        assert (np.diff(returns, axis=1) >= 0).all()
        assert (np.diff(episode, axis=1)[np.diff(returns, axis=1) == 0] >= 0).all(), "ties in time order"
    else:
        assert (np.diff(episode, axis=1) >= 0).all()
    apart = np.sort(episode, axis=1)
    assert (np.diff(apart, axis=1) == 1).all() == (selection == "contiguous")
    assert {0, 29} <= set(episode.ravel().tolist()), "both ends of a history are drawn"


@pytest.mark.parametrize(("share", "last"), [(0.5, 14), (0.2, 5), (0.0, 3)])
def test_contexts_can_be_drawn_from_the_beginning_of_a_history(share, last):
    options = {
        "context_episodes": 4, "context_selection": "random", "context_order": "time", "history_share": share,
    }  # fmt: skip
    drawn = draw_contexts(numbered_histories(), options, 300, np.random.default_rng(0))
    assert drawn.states[..., 1].min() == 0
    assert drawn.states[..., 1].max() == last


def test_actions_are_sampled_by_their_probability_or_the_likeliest_is_taken():
    logits = torch.tensor([[0.0, 2.0, 1.0, -1.0, 0.5]]).repeat(20_000, 1)
    space = space_of({"room_side": 5, "horizon": 7, "state_code": "coordinates"})
    drawn = choose_actions(logits, space, trial(20_000, temperature=2.0))
    frequencies = np.bincount(drawn, minlength=ACTIONS) / len(drawn)
    np.testing.assert_allclose(frequencies, torch.softmax(logits[0] / 2.0, dim=0).numpy(), atol=0.015)
    assert (choose_actions(logits, space, trial(20_000)) == 1).all()


def test_episodes_in_time_order_are_left_alone():
    episodes = history({"horizon": 7, "room_side": 5, "state_code": "coordinates"}, 4)
    assert episodes.ordered("time") is episodes
    reversed_ = part(episodes, [3, 2, 1, 0])
    assert isinstance(reversed_, Episodes)
    np.testing.assert_array_equal(reversed_.ordered("return").states, episodes.states)
