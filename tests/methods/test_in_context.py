"""The in-context methods decode what they were trained on: contexts, tokens and sub-goals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.histories import Histories
from bench.envs.gridworld import ACTIONS
from bench.methods import ad, dmh
from bench.methods.base import make_learner
from bench.methods.dmh_blocks import Blocks, valuable_states
from bench.methods.in_context import Episodes, choose_actions, draw_contexts, random_episodes
from bench.methods.spaces import space_of
from bench.spec.cells import defaults

ROOMS = 3
TINY = {
    "room_side": 5, "horizon": 7, "context_episodes": 3, "embedding_dim": 16, "layers": 2, "mamba_layers": 2,
    "transformer_layers": 2, "heads": 4, "steps_per_subgoal": 3, "subgoal": "mean",
}  # fmt: skip
NEAR = {"rtol": 1e-4, "atol": 2e-5}


def make(method, **changes):
    """A tiny learner whose weights are far enough from their start for every input to matter."""
    torch.manual_seed(0)
    options = defaults("darkroom", method)
    options |= {key: value for key, value in TINY.items() if key in options} | changes
    learner = make_learner(method, options)
    with torch.no_grad():
        for parameter in learner.model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    learner.model.eval()
    return learner


def history(options, episodes):
    """Episodes (ROOMS, episodes, ...) with random content, episode e of return e."""
    generator = np.random.default_rng(0)
    made = random_episodes(options, ROOMS, episodes, generator)
    order = generator.permuted(np.tile(np.arange(options["horizon"]), (ROOMS, episodes, 1)), axis=2)
    made.rewards = (order < np.arange(episodes)[None, :, None]).astype(np.float32)
    return made


def decode(module, monkeypatch, learner, past, current, rooms=ROOMS):
    """Logits (ROOMS, horizon, ACTIONS) of the policy while it is made to take the actions of `current`."""
    seen = []

    def forced(logits, space, temperature, generator):
        seen.append(logits)
        return current.actions[:, 0, len(seen) - 1]

    monkeypatch.setattr(module, "choose_actions", forced)
    policy, noise = learner.policy(rooms), torch.Generator().manual_seed(0)
    with torch.no_grad():
        policy.begin(past)
        for t in range(learner.options["horizon"]):
            policy.act(current.states[:, 0, t], 1.0, noise)
            policy.observe(current.rewards[:, 0, t])
    return torch.stack(seen, dim=1)


def part(episodes, which):
    return episodes.take(np.tile(np.array(which, dtype=np.int64), (ROOMS, 1)))


def trained_logits(learner, episodes):
    """Logits (ROOMS, horizon, ACTIONS) of the training pass for the actions of the last episode."""
    options = learner.options
    with torch.no_grad():
        if isinstance(learner, ad.ADLearner):
            logits = learner.model(**learner.batch_of(episodes, np.random.default_rng(0)))
        else:
            logits = learner.model(**learner.batch_of(episodes, np.random.default_rng(0)))
    first_branch = logits[: ROOMS * episodes.actions.shape[1] * options["horizon"]]
    return first_branch.reshape(ROOMS, -1, ACTIONS)[:, -options["horizon"] :]


def check_decoding(module, monkeypatch, learner):
    """No past; a past that fills the context; and one too long, of which the oldest is forgotten."""
    width = learner.options["context_episodes"]
    for past, read in [
        ([], []),
        ([1], [1]),
        ([2, 1], [1, 2]),
        ([3, 2, 1], [1, 2]),
    ]:
        episodes = history(learner.options, 5)
        decoded = decode(module, monkeypatch, learner, part(episodes, past), part(episodes, [4]))
        kept = read[max(0, len(read) - (width - 1)) :]
        torch.testing.assert_close(decoded, trained_logits(learner, part(episodes, [*kept, 4])), **NEAR)
    spread = decoded.std(dim=(0, 1)).min()
    assert spread > 0.01, "logits that hardly depend on what was seen would be equal whatever the policy does"


@pytest.mark.parametrize("step_tokens", ["merged", "separate"])
@pytest.mark.parametrize("method", ["ad-transformer", "ad-mamba"])
def test_ad_decodes_token_by_token_what_it_computes_at_once(monkeypatch, method, step_tokens):
    check_decoding(ad, monkeypatch, make(method, step_tokens=step_tokens))


@pytest.mark.parametrize("horizon", [6, 7])
@pytest.mark.parametrize("local_tokens", ["literal", "merged"])
@pytest.mark.parametrize("long_token", ["literal", "rich"])
def test_dmh_decodes_step_by_step_what_it_computes_at_once(monkeypatch, long_token, local_tokens, horizon):
    learner = make("dmh", long_token=long_token, local_tokens=local_tokens, horizon=horizon)
    check_decoding(dmh, monkeypatch, learner)


@pytest.mark.parametrize(
    ("module", "method", "changes"),
    [
        (ad, "ad-transformer", {"step_tokens": "separate"}),
        (ad, "ad-transformer", {"step_tokens": "merged"}),
        (ad, "ad-mamba", {"step_tokens": "merged"}),
        (dmh, "dmh", {}),
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
    batch = learner.batch_of(history(learner.options, 3), np.random.default_rng(0))
    changed = {name: values.clone() for name, values in batch.items()}
    step = learner.options["horizon"] + 4
    changed["actions"][:, step] = (batch["actions"][:, step] + 1) % ACTIONS
    with torch.no_grad():
        before, after = (learner.model(**given).reshape(ROOMS, -1, ACTIONS) for given in (batch, changed))
    torch.testing.assert_close(before[:, : step + 1], after[:, : step + 1], rtol=0, atol=1e-6)
    assert (before[:, step + 1] - after[:, step + 1]).abs().max() > 1e-3


@pytest.mark.parametrize("local_tokens", ["literal", "merged"])
def test_dmh_never_sees_the_action_it_predicts(local_tokens):
    learner = make("dmh", local_tokens=local_tokens, long_token="rich", valuable_subgoals=False)
    episodes = history(learner.options, 3)
    batch = learner.batch_of(episodes, np.random.default_rng(0))
    changed = batch | {"actions": batch["actions"].clone()}
    changed["actions"][:, 1] = (batch["actions"][:, 1] + 1) % ACTIONS
    whole = batch["inside"].all(dim=1)
    with torch.no_grad():
        before, after = (
            steps_of(learner.model(**given), batch["inside"])[whole] for given in (batch, changed)
        )
    torch.testing.assert_close(before[:, :2], after[:, :2], rtol=0, atol=1e-6)
    assert (before[:, 2] - after[:, 2]).abs().max() > 1e-3


def steps_of(predicted, inside):
    """Predictions (real steps, A) back in their blocks (S, c, A), zero at padding."""
    laid = predicted.new_zeros(*inside.shape, predicted.shape[-1])
    laid[inside] = predicted[: int(inside.sum())]
    return laid


def of_lengths(options, lengths):
    """Random episodes of the given lengths (ROOMS, E); padding holds what no test may depend on."""
    made = random_episodes(options, ROOMS, len(lengths[0]), np.random.default_rng(5))
    return Episodes(made.states, made.actions, made.rewards, np.array(lengths))


@pytest.mark.parametrize("lengths", [[[6, 6]] * ROOMS, [[7, 7]] * ROOMS, [[2, 5], [7, 1], [3, 6]]])
def test_triples_tell_what_happened_in_each_block(lengths):
    steps, side = 3, 5
    episodes = of_lengths({"horizon": 7, "room_side": side}, lengths)
    triples, valid, place = Blocks(episodes, steps).triples()
    for room in range(ROOMS):
        expected = sum(-(-length // steps) + 1 for length in lengths[room])
        assert valid[room].tolist() == [number < expected for number in range(valid.shape[1])]
        for episode, length in enumerate(lengths[room]):
            blocks = -(-length // steps)
            for number in range(blocks + 1):
                at = place[room, episode, number]
                first, last = max(number - 1, 0) * steps, min(number * steps, length)
                assert (
                    triples["triple_states"][room, at].tolist()
                    == episodes.states[room, episode, last].tolist()
                )
                earned = episodes.rewards[room, episode, first:last]
                assert triples["triple_sums"][room, at] == earned.sum()
                assert triples["triple_completed"][room, at] == (number == blocks)
                if number == 0:
                    assert triples["passed_rewards"][room, at].isnan().all(), "no block lies before the first"
                    continue
                assert triples["passed_rewards"][room, at, : len(earned)].tolist() == earned.tolist()
                assert not triples["passed_rewards"][room, at, len(earned) :].any(), "padding earns nothing"
                reached = episodes.states[room, episode, first + 1 : last + 1]
                assert triples["passed_states"][room, at, : len(earned)].tolist() == reached.tolist()


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
    losses = [learner.loss(learner.batch_of(e, np.random.default_rng(0))) for e in (episodes, other)]
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=0)
    other.actions[0, 0, 1] = (episodes.actions[0, 0, 1] + 1) % ACTIONS
    assert learner.loss(learner.batch_of(other, np.random.default_rng(0))) != losses[0]


@pytest.mark.parametrize("changes", [{"step_tokens": "merged"}, {"step_tokens": "separate"}, {}])
@pytest.mark.parametrize("method", ["ad-transformer", "ad-mamba", "dmh"])
def test_environments_whose_past_differs_in_length_decode_as_each_alone(monkeypatch, method, changes):
    if bool(changes) == (method == "dmh"):
        pytest.skip("an option of Algorithm Distillation alone")
    learner = make(method, **changes)
    past = of_lengths(learner.options, [[2, 5], [7, 1], [3, 6]])
    current = history(learner.options, 1)
    module = dmh if method == "dmh" else ad
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


def test_valuable_subgoals_add_a_branch_through_a_frozen_map():
    learner = make("dmh", dropout=0.0)
    plain = make("dmh", dropout=0.0, valuable_subgoals=False)
    episodes = history(learner.options, 3)
    batch = learner.batch_of(episodes, np.random.default_rng(0))
    with torch.no_grad():
        both = learner.model(**batch)
        alone = plain.model(**plain.batch_of(episodes, np.random.default_rng(0)))
    assert len(both) == 2 * len(alone)
    torch.testing.assert_close(both[: len(alone)], alone)
    batch["valuable_states"] = 4 - batch["valuable_states"]
    with torch.no_grad():
        moved = learner.model(**batch)
    torch.testing.assert_close(moved[: len(alone)], alone)
    assert (moved[len(alone) :] - both[len(alone) :]).abs().max() > 1e-3
    learner.loss(batch).backward()
    frozen = {name for name, parameter in learner.model.named_parameters() if parameter.grad is None}
    assert frozen == {"valuable_map.weight", "valuable_map.bias"}


def test_a_share_of_the_blocks_is_trained_and_stays_what_it_is():
    whole = make("dmh", valuable_subgoals=False)
    half = make("dmh", valuable_subgoals=False, trained_blocks=0.5)
    episodes = history(whole.options, 3)
    all_blocks = whole.batch_of(episodes, np.random.default_rng(0))
    some = half.batch_of(episodes, np.random.default_rng(0))
    places = torch.searchsorted(all_blocks["trained"], some["trained"])
    assert len(some["trained"]) == round(0.5 * ROOMS * 3 * 3)
    with torch.no_grad():
        expected = steps_of(whole.model(**all_blocks), all_blocks["inside"])[places]
        torch.testing.assert_close(steps_of(half.model(**some), some["inside"]), expected)


@given(st.data())
def test_valuable_states_are_those_a_search_finds(data):
    count, horizon = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 9))
    steps, reach = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12))
    row = st.lists(st.integers(0, 1), min_size=horizon, max_size=horizon)
    rewards = np.array(data.draw(st.lists(row, min_size=count, max_size=count)), dtype=np.float32)
    positions = np.arange(count * (horizon + 1) * 2).reshape(count, horizon + 1, 2)
    starts = np.arange(0, horizon, steps)
    lengths = np.array(data.draw(st.lists(st.integers(1, horizon), min_size=count, max_size=count)))
    found = valuable_states(positions, rewards, lengths, starts, reach)
    for episode in range(count):
        for number, start in enumerate(starts[starts < lengths[episode]]):
            best, chosen = Fraction(-1), None
            for later in range(start + 1, min(start + reach, lengths[episode]) + 1):
                value = Fraction(int(rewards[episode, start:later].sum()), int(later - start))
                if value >= best:
                    best, chosen = value, later
            np.testing.assert_array_equal(found[episode, number], positions[episode, chosen])


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
    space = space_of({"room_side": 5, "horizon": 7})
    drawn = choose_actions(logits, space, 2.0, torch.Generator().manual_seed(0))
    frequencies = np.bincount(drawn, minlength=ACTIONS) / len(drawn)
    np.testing.assert_allclose(frequencies, torch.softmax(logits[0] / 2.0, dim=0).numpy(), atol=0.015)
    assert (choose_actions(logits, space, 0.0, torch.Generator()) == 1).all()


def test_episodes_in_time_order_are_left_alone():
    episodes = history({"horizon": 7, "room_side": 5}, 4)
    assert episodes.ordered("time") is episodes
    reversed_ = part(episodes, [3, 2, 1, 0])
    assert isinstance(reversed_, Episodes)
    np.testing.assert_array_equal(reversed_.ordered("return").states, episodes.states)
