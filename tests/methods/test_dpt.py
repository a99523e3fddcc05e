"""DPT answers a query from a set of transitions: what it is asked, taught and shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_cases import NEAR, ROOMS, next_batch, observation, part, some_episodes, tiny_learner, trial

from bench.datasets.episodes import Episodes
from bench.datasets.histories import Histories
from bench.methods import dpt
from bench.methods.dpt import transition_tensors
from bench.worlds.gridworld.oracle import action_labels, optimal_actions
from bench.worlds.gridworld.world import ACTIONS

TINY = {
    "room_side": 5,
    "horizon": 7,
    "context_episodes": 3,
    "embedding_dim": 16,
    "layers": 2,
    "batch_size": 40,
    "history_share": 1.0,
    "position_embedding": False,
}
MEMORY = {"world": "dark-key-to-door", "reward_memory": True}


def make(**changes):
    """A tiny learner in a dark room."""
    return tiny_learner("darkroom", "dpt", TINY, **changes)


def drawn_from(histories, **changes):
    """A first batch of the histories."""
    learner = make(**changes)
    learner.prepare(histories)
    return next_batch(learner, np.random.default_rng(0))


def batch_of(learner, episodes, query, rewarded=None):
    rooms = len(query)
    return transition_tensors(episodes) | {
        "query": torch.as_tensor(query),
        "query_rewarded": torch.zeros(rooms, dtype=torch.bool) if rewarded is None else rewarded,
        "label": torch.full((rooms, ACTIONS), 1 / ACTIONS),
    }


def answers(learner, batch):
    with torch.no_grad():
        return learner.model(**batch)


@pytest.mark.parametrize("changes", [{}, MEMORY, {"position_embedding": True}])
@pytest.mark.parametrize("past", [[], [2], [3, 0, 1], [2, 3, 0, 1]])
def test_it_acts_by_the_answer_after_the_whole_context_for_the_state_it_is_in(monkeypatch, past, changes):
    learner = make(**changes)
    episodes = some_episodes(learner, 5)
    earlier, current = part(episodes, past), part(episodes, [4])
    asked = []
    monkeypatch.setattr(dpt, "choose_actions", lambda logits, *_: asked.append(logits))
    policy, before = learner.policy(trial()), torch.zeros(ROOMS, dtype=torch.bool)
    with torch.no_grad():
        policy.begin(earlier)
        for t in range(learner.options["horizon"]):
            cell = current.states[:, 0, t]
            policy.act(observation(cell))
            expected = answers(learner, batch_of(learner, part(earlier, range(len(past))[-3:]), cell, before))
            torch.testing.assert_close(asked[-1], expected[:, -1], **NEAR)
            policy.observe(current.rewards[:, 0, t])
            before = before | torch.from_numpy(current.rewards[:, 0, t] > 0)
    assert torch.stack(asked).std(dim=(0, 1)).min() > 0.01, "what is asked matters"


def test_many_rooms_are_answered_in_parts_and_each_state_once_an_episode(monkeypatch):
    learner = make()
    episodes = some_episodes(learner, 3, rooms=10)
    cells = np.random.default_rng(1).integers(5, size=(10, 2))
    asked, sizes = [], []
    whole = learner.model.hidden

    def counted(query, transitions):
        sizes.append(len(query))
        return whole(query, transitions)

    monkeypatch.setattr(dpt, "choose_actions", lambda logits, *_: asked.append(logits))
    monkeypatch.setattr(learner.model, "hidden", counted)
    for at_once in (10**9, 3 * learner.model.max_tokens):
        monkeypatch.setattr(dpt, "TOKENS_AT_ONCE", at_once)
        policy = learner.policy(trial(10))
        with torch.no_grad():
            policy.begin(episodes)
            for _ in range(3):
                policy.act(observation(cells))
    assert sizes == [10, 3, 3, 2, 2]
    for each in asked[1:]:
        torch.testing.assert_close(each, asked[0], **NEAR)


def test_an_answer_depends_on_the_transitions_before_it_and_on_all_of_them():
    learner = make()
    batch = batch_of(learner, some_episodes(learner, 3), np.array([[0, 1], [2, 2], [4, 3]]))
    logits = answers(learner, batch)
    assert logits.shape == (ROOMS, 3 * 7 + 1, ACTIONS)
    for name in ("positions", "actions", "next_positions", "rewards"):
        changed = batch | {name: batch[name].clone()}
        changed[name][:, 9] = (batch[name][:, 9] + 1) % 5
        other = answers(learner, changed)
        torch.testing.assert_close(other[:, :10], logits[:, :10], rtol=0, atol=1e-6)
        assert (other[:, 10:] - logits[:, 10:]).abs().amax(dim=-1).min() > 1e-5
    shorter = {name: values[:, :9] if values.dim() > 1 and values.shape[1] == 21 else values
               for name, values in batch.items()}  # fmt: skip
    torch.testing.assert_close(answers(learner, shorter), logits[:, :10], **NEAR)
    elsewhere = answers(learner, batch | {"query": 4 - batch["query"]})
    assert (elsewhere - logits).abs().amax(dim=-1)[[0, 2]].min() > 1e-4


def reordered(batch, order):
    names = ("positions", "actions", "next_positions", "rewards", "rewarded")
    return batch | {name: batch[name][:, order] for name in names}


def test_one_block_sees_a_set_of_all_that_precedes_the_last_transition():
    """More blocks do not: under the causal mask a transition's own features depend on those before it."""
    order = [*np.random.default_rng(2).permutation(20).tolist(), 20]
    for changes, is_a_set in (
        ({"layers": 1}, True),
        ({"layers": 2}, False),
        ({"layers": 1, "position_embedding": True}, False),
    ):
        learner = make(**changes)
        batch = batch_of(learner, some_episodes(learner, 3), np.array([[0, 1], [2, 2], [4, 3]]))
        first, second = answers(learner, batch)[:, -1], answers(learner, reordered(batch, order))[:, -1]
        assert ((first - second).abs().max() < 1e-4) == is_a_set


def walked_histories(world="darkroom", tasks=6, episodes=20):
    """Histories with random content, in which the actions name the task."""
    generator = np.random.default_rng(1)
    positions = generator.integers(5, size=(tasks, episodes, 8, 2)).astype(np.int16)
    actions = np.tile((np.arange(tasks) % 5)[:, None, None], (1, episodes, 7)).astype(np.int8)
    rewards = (generator.random((tasks, episodes, 7)) < 0.1).astype(np.float32)
    columns = 4 if world == "dark-key-to-door" else 2
    goals = generator.integers(5, size=(tasks, columns))
    return Histories(positions, actions, rewards, goals, goals)


@pytest.mark.parametrize("order", ["shuffled", "time", "return"])
@pytest.mark.parametrize("states", ["room", "context"])
@pytest.mark.parametrize("rule", ["x-first", "even"])
def test_a_context_is_of_one_task_and_the_label_is_what_its_oracle_does(order, states, rule):
    histories = walked_histories(tasks=5)
    batch = drawn_from(histories, context_order=order, query_states=states, optimal_action=rule)
    task = batch["actions"][:, 0]
    assert (batch["actions"] == task[:, None]).all()
    assert set(task.tolist()) == set(range(5))
    goals = histories.train_goals[task.numpy()]
    optimal = optimal_actions("darkroom", batch["query"].numpy(), goals, np.zeros(40, bool))
    np.testing.assert_array_equal(batch["label"].numpy(), action_labels(optimal, rule))
    met = (batch["positions"] == batch["query"][:, None]).all(dim=-1).any(dim=1)
    assert met.all() == (states == "context")


def transitions_of(histories, task):
    flat = zip(
        histories.positions[task, :, :-1].reshape(-1, 2).tolist(),
        histories.positions[task, :, 1:].reshape(-1, 2).tolist(),
        histories.rewards[task].ravel().tolist(),
        strict=True,
    )
    return {(*before, *after, reward) for before, after, reward in flat}


@pytest.mark.parametrize("wanted", [0, 5])
def test_transitions_are_those_of_the_history_shuffled_or_in_time(wanted):
    histories = walked_histories(tasks=5)
    histories.positions[..., 0] = np.arange(20)[:, None] % 5
    histories.positions[..., 1] = np.minimum(np.arange(8), 4)
    for order in ("shuffled", "time"):
        learner = make(context_order=order, context_selection="contiguous", context_transitions=wanted)
        learner.prepare(histories)
        batch = next_batch(learner, np.random.default_rng(0))
        assert batch["actions"].shape == (40, wanted or 21)
        assert answers(learner, batch).shape == (40, (wanted or 21) + 1, ACTIONS)
        for row in range(40):
            known = transitions_of(histories, int(batch["actions"][row, 0]))
            seen = zip(batch["positions"][row].tolist(), batch["next_positions"][row].tolist(),
                       batch["rewards"][row].tolist(), strict=True)  # fmt: skip
            assert {(*before, *after, reward) for before, after, reward in seen} <= known
        # A step to a smaller y begins an episode: thrice in time, more often in disorder.
        begins = (batch["positions"][:, 1:, 1] < batch["positions"][:, :-1, 1]).sum(dim=1)
        assert (begins <= 2).all() == (order == "time")


def test_contexts_come_from_the_beginning_of_the_history_if_so_asked():
    histories = walked_histories(tasks=5)
    histories.rewards[:, 5:] = 0.5
    early = drawn_from(histories, history_share=0.25)
    late = drawn_from(histories, history_share=1.0)
    assert not (early["rewards"] == 0.5).any()
    assert (late["rewards"] == 0.5).any()


def test_a_state_remembers_a_reward_of_its_episode_only_where_it_was_asked_to():
    episodes = Episodes.whole(
        np.zeros((1, 2, 4, 2), np.int64), np.zeros((1, 2, 3), np.int64),
        np.array([[[0, 1, 0], [0, 0, 1]]], np.float32),
    )  # fmt: skip
    assert transition_tensors(episodes)["rewarded"].tolist() == [[False, False, True, False, False, False]]
    query = np.array([[0, 1], [2, 2], [4, 3]])
    for memory in (False, True):
        learner = make(**(MEMORY | {"reward_memory": memory}))
        batch = batch_of(learner, some_episodes(learner, 3), query)
        told = answers(learner, batch | {"query_rewarded": ~batch["query_rewarded"]})
        assert (
            (told - answers(learner, batch)).abs().max() > 1e-3
            if memory
            else torch.equal(told, answers(learner, batch))
        )


def test_queries_of_the_key_room_are_labelled_with_the_key_and_without():
    histories = walked_histories("dark-key-to-door", tasks=5)
    for memory in (False, True):
        batch = drawn_from(histories, **(MEMORY | {"reward_memory": memory}))
        task, held = batch["actions"][:, 0].numpy(), batch["query_rewarded"].numpy()
        assert 5 < held.sum() < 35
        optimal = optimal_actions(
            "dark-key-to-door", batch["query"].numpy(), histories.train_goals[task], held
        )
        np.testing.assert_array_equal(batch["label"].numpy(), action_labels(optimal, "x-first"))


@pytest.mark.parametrize("empty", [False, True])
def test_the_loss_is_the_cross_entropy_of_every_prefix_the_empty_one_if_so_asked(empty):
    learner = make(empty_context_trained=empty)
    learner.prepare(walked_histories(tasks=5))
    batch = next_batch(learner, np.random.default_rng(0))
    logs = torch.log_softmax(answers(learner, batch), dim=-1)
    prefixes = range(22) if empty else range(1, 22)
    by_hand = [-(batch["label"] * logs[:, prefix]).sum(dim=-1).mean() for prefix in prefixes]
    torch.testing.assert_close(learner.loss(batch), torch.stack(by_hand).mean())
