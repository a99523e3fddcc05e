"""A decision in one environment, made by a compiled program, is the decision of the written path."""

import numpy as np
import pytest
import torch
from method_cases import begun, observation, tiny_learner, trial

from bench.methods.in_context import random_past
from bench.methods.optimisation import make_optimiser
from bench.nn.kept_program import written_path
from bench.nn.state import States

SMALL = {
    "embedding_dim": 24, "d_model": 24, "d_state": 4, "layers": 2, "heads": 2, "max_episode_steps": 40,
    "max_timestep": 30, "transformer_layers": 2, "mamba_layers": 2, "steps_per_subgoal": 3,
    "context_episodes": 3, "horizon": 8,
}  # fmt: skip
STEPS = 35
ROBOT = [
    ("dt", {}), ("dt", {"position_embedding": False}), ("dm", {}), ("lstm", {}), ("dc", {}),
    ("dema", {"mode": "recurrent"}), ("dema", {"mode": "recurrent", "position_embedding": True}),
    ("dema", {"mode": "recurrent", "tokens": "bl3d", "embedding_dim": 24, "position_embedding": True}),
    ("dema", {"mode": "recurrent", "token_order": "return-state-action"}),
    ("dema", {"mode": "recurrent", "block": "post"}),
]  # fmt: skip
ROOM = [
    ("ad-transformer", {}), ("ad-mamba", {}), ("ad-transformer", {"step_tokens": "merged"}),
    ("dmh", {}), ("dmh", {"local_tokens": "merged"}), ("dmh", {"local_position": "timestep"}),
    ("dmh", {"embedding_norm": "shared", "local_position": "none"}), ("dmh", {"local_window": "sliding"}),
]  # fmt: skip


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    monkeypatch.setenv("BENCH_SCAN_BACKEND", "numba")


def robot_actions(learner):
    """What a policy of one episode does in states that do not follow from its actions."""
    generator = np.random.default_rng(0)
    states = generator.standard_normal((STEPS, 1, learner.options["observation_dim"])).astype(np.float32)
    policy = begun(learner.policy(trial(1)), states[0])
    actions = [policy.act(observation(seen, wanted=1000.0 - t)) for t, seen in enumerate(states)]
    return np.stack(actions), policy.memory


@torch.no_grad()
@pytest.mark.parametrize(("method", "changes"), ROBOT)
def test_robots_move_alike(method, changes):
    learner = tiny_learner("hopper-medium", method, SMALL | {"context_length": 40}, **changes)
    found, memory = robot_actions(learner)
    with written_path():
        expected, plain = robot_actions(learner)
    assert isinstance(plain, States)
    assert isinstance(memory, States) == (method in ("lstm", "dc"))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def room_logits(learner, monkeypatch, module):
    """What a policy predicts in its third episode, whatever it does being the same."""
    options, found = learner.options, []

    def forced(predicted, space, how):
        found.append(predicted)
        return np.array([len(found) % 5])

    monkeypatch.setattr(module, "choose_actions", forced)
    policy = learner.policy(trial(1))
    policy.begin(random_past(options, 2 * options["horizon"], np.random.default_rng(0)))
    generator = np.random.default_rng(1)
    for _ in range(options["horizon"]):
        policy.act(observation(generator.integers(options["room_side"], size=(1, 2))))
        policy.observe(generator.random(1).astype(np.float32))
    return torch.cat(found)


@torch.no_grad()
@pytest.mark.parametrize(("method", "changes"), ROOM)
def test_agents_in_rooms_predict_alike(monkeypatch, method, changes):
    from bench.methods import ad, dmh_policy

    learner = tiny_learner("darkroom", method, SMALL, **changes)
    module = dmh_policy if method == "dmh" else ad
    found = room_logits(learner, monkeypatch, module)
    with written_path():
        expected = room_logits(learner, monkeypatch, module)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_an_agent_that_learns_between_decisions_decides_by_what_it_has_learnt():
    learner = tiny_learner("hopper-medium", "dema", SMALL, mode="recurrent")
    optimiser = make_optimiser(learner.model, learner.options | {"learning_rate": 0.1})
    states = np.ones((1, learner.options["observation_dim"]), np.float32)

    @torch.no_grad()
    def decided():
        learner.model.eval()
        return begun(learner.policy(trial(1)), states).act(observation(states))

    first = decided()
    learner.model.train()
    sum(parameter.square().sum() for parameter in learner.model.parameters()).backward()
    optimiser.step()
    with written_path():
        expected = decided()
    np.testing.assert_allclose(decided(), expected, rtol=1e-4, atol=1e-4)
    assert not np.allclose(first, expected)


@torch.no_grad()
@pytest.mark.parametrize("backend", ["triton", "mamba_ssm", "torch"])
def test_attention_decides_whatever_backend_the_scan_is_asked_of(monkeypatch, backend):
    monkeypatch.setenv("BENCH_SCAN_BACKEND", backend)
    learner = tiny_learner("hopper-medium", "dt", SMALL)
    states = np.zeros((1, learner.options["observation_dim"]), np.float32)
    assert np.isfinite(begun(learner.policy(trial(1)), states).act(observation(states))).all()


@torch.no_grad()
def test_one_environment_is_compiled_and_several_are_not():
    learner = tiny_learner("hopper-medium", "dema", SMALL, mode="recurrent")
    for count, plain in ((1, False), (2, True)):
        states = np.zeros((count, learner.options["observation_dim"]), np.float32)
        policy = begun(learner.policy(trial(count)), states)
        for _ in range(2):
            policy.act(observation(states))
        assert isinstance(policy.memory, States) == plain


@torch.no_grad()
def test_the_benchmark_times_each_model_by_both_paths_and_windows_by_one():
    from benchmarks.decision import contestants

    works, decisions = contestants()
    ways = {}
    for name, work in works.items():
        who, way = name.split("; ")
        ways.setdefault(who, set()).add(way)
        work()
    windows = {who for who in ways if who.endswith("window")}
    assert windows == {"dema, window", "dt, window"}
    assert all(
        found == ({"written"} if who in windows else {"compiled", "written"}) for who, found in ways.items()
    )
    assert set(decisions) <= set(ways)
