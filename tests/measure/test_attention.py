"""Attention along an episode: what it is read from, and what its shapes mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.datasets.episodes import Episodes
from bench.measure.hidden_attention import Recorder, attention_maps, windows
from bench.methods.base import Observation, Trial, make_learner
from bench.nn.hidden_attention import hidden_attention
from bench.nn.intervene import mamba_mixers

LENGTH = 5


def assert_alike(found, wanted, rtol=1e-5):
    """Equal for float32: sums over channels are taken in an order that depends on the processor.

    The smallest weights lie far below the largest, so that they are compared on the scale of these.
    """
    scale = np.nanmax(np.abs(np.asarray(wanted)))
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * scale)


def make(method="dema", **changes):
    """A tiny learner on Hopper's shapes whose every weight matters."""
    torch.manual_seed(0)
    options = defaults(CATALOGUE, "hopper-medium", method)
    tiny = {
        "embedding_dim": 16,
        "d_model": 8,
        "d_state": 4,
        "layers": 2,
        "context_length": LENGTH,
        "dropout": 0.0,
    }
    options |= {key: value for key, value in tiny.items() if key in options} | changes
    learner = make_learner(method, options)
    with torch.no_grad():
        for parameter in learner.model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    learner.model.eval()
    learner.model.normaliser.mean.fill_(0.3)
    return learner


@torch.no_grad()
def played(learner, steps=12, episodes=3):
    """A record of episodes with random states; the second one lasts longest."""
    generator = np.random.default_rng(0)
    recorder = Recorder(learner)
    policy = recorder.policy(Trial(episodes, torch.Generator().manual_seed(0)))
    policy.begin(Episodes.none(np.zeros((episodes, 11), np.float32)))
    for step in range(steps):
        states = generator.normal(size=(episodes, 11)).astype(np.float32)
        wanted = np.full(episodes, 3000.0 - 10 * step, np.float32)
        policy.act(Observation(states, wanted, np.array([step < 4, True, step < 7])))
    return recorder.longest()


def test_the_longest_episode_is_kept_with_what_was_wanted_and_done():
    learner = make()
    episode = played(learner)
    assert [len(values) for values in episode] == [12, 12, 12]
    np.testing.assert_array_equal(episode.returns, 3000.0 - 10 * np.arange(12, dtype=np.float32))


@pytest.mark.parametrize("tokens", ["b3ld", "bl3d"])
@pytest.mark.parametrize("position", [False, True])
@torch.no_grad()
def test_windows_are_what_the_policy_saw(tokens, position):
    learner = make(tokens=tokens, position_embedding=position)
    episode = played(learner)
    seen = windows(learner, episode, np.arange(12), LENGTH)
    np.testing.assert_allclose(learner.model(**seen)[:, -1].numpy(), episode.actions, atol=1e-5)


@torch.no_grad()
def test_weights_are_the_mean_magnitudes_of_the_state_tokens_row():
    learner = make()
    episode = played(learner)
    maps = attention_maps(learner, episode, np.arange(8, 12), "mean", 2)
    assert maps.weights.shape == (3, 4, 3 * LENGTH)
    model = learner.model
    seen = windows(learner, episode, np.arange(8, 12), LENGTH)
    del seen["mask"]
    entered = model.backbone.blocks[0].norm(model.step_tokens(**seen))
    whole = hidden_attention(model.backbone.blocks[0].mixer, entered).abs()
    assert_alike(maps.weights[1], whole.mean(1)[:, -1].flip(1))
    assert_alike(maps.matrices[1], whole.mean(1)[-1])
    assert_alike(maps.channels[0], whole[-1, 1])
    assert_alike(maps.weights[0], maps.weights[1:].mean(0))


def test_fusing_by_sum_sums_over_channels_and_layers():
    learner = make()
    episode, steps = played(learner), np.arange(6, 9)
    mean, total = (attention_maps(learner, episode, steps, how, 1) for how in ("mean", "sum"))
    assert_alike(total.weights[1:], 16 * mean.weights[1:])
    assert_alike(total.matrices[0], 32 * mean.matrices[0])


def test_before_the_episode_there_is_no_weight():
    learner = make()
    maps = attention_maps(learner, played(learner), np.arange(1, 7), "mean", 1)
    unseen = np.isnan(maps.weights[0]).sum(axis=1)
    assert unseen.tolist() == [9, 6, 3, 0, 0, 0]
    assert np.isfinite(maps.matrices).all()


@torch.no_grad()
def test_padding_that_the_model_attends_to_has_weights():
    learner = make(padding="attended")
    episode = played(learner)
    maps = attention_maps(learner, episode, np.arange(1, 3), "mean", 1)
    assert maps.weights.shape == (3, 2, 3 * LENGTH)
    assert (maps.weights > 0).all()
    seen = windows(learner, episode, np.arange(1, 3), LENGTH)
    np.testing.assert_allclose(learner.model(**seen)[:, -1].numpy(), episode.actions[1:3], atol=1e-5)


def test_one_token_a_step_gives_one_weight_a_step():
    learner = make(tokens="bl3d")
    maps = attention_maps(learner, played(learner), np.arange(6, 9), "mean", 1)
    assert maps.token_kinds == ("step",)
    assert maps.present == 1
    assert maps.weights.shape == (3, 3, LENGTH)


@pytest.mark.parametrize(
    ("order", "kinds", "present"),
    [
        ("return-action-state", ("state", "action", "return"), 3),
        ("action-return-state", ("state", "return", "action"), 3),
        # The action behind the state is read at the next decision: the nearest one is of the step before.
        ("return-state-action", ("state", "return", "action"), 2),
    ],
)
def test_kinds_are_those_of_the_tokens_behind_a_decision(order, kinds, present):
    learner = make(token_order=order)
    maps = attention_maps(learner, played(learner), np.arange(8, 9), "mean", 1)
    assert (maps.token_kinds, maps.present) == (kinds, present)
    assert maps.weights.shape == (3, 1, 3 * (LENGTH - 1) + present)


@pytest.mark.parametrize("tokens", ["b3ld", "bl3d"])
def test_a_recurrent_models_attention_is_that_of_the_whole_episode(tokens):
    """A window as long as the episode sees the same as a state; a state's last K steps are cut from that."""
    recurrent = make(tokens=tokens, mode="recurrent")
    episode, steps = played(recurrent), np.array([3, 11])
    cut = attention_maps(recurrent, episode, steps, "mean", 1)
    whole = attention_maps(make(tokens=tokens, context_length=12), episode, steps, "mean", 1)
    shown = cut.weights.shape[2]
    assert shown == (15 if tokens == "b3ld" else 5)
    assert_alike(cut.weights, whole.weights[:, :, :shown], rtol=2e-4)
    assert_alike(cut.matrices, whole.matrices[:, -shown:, -shown:], rtol=2e-4)


@torch.no_grad()
def test_q_demas_attention_is_that_of_the_policy_that_acts_and_not_of_its_target_network():
    learner, plain = make("q-dema"), make()
    acting, target = mamba_mixers(learner.model.policy), learner.model.target_policy
    assert mamba_mixers(learner.model) == acting
    assert len(acting) == 2
    assert mamba_mixers(target) == []
    episode, steps = played(learner), np.arange(8, 12)
    maps = attention_maps(learner, episode, steps, "mean", 1)
    normaliser = {f"normaliser.{key}": kept for key, kept in learner.model.normaliser.state_dict().items()}
    plain.model.load_state_dict(learner.model.policy.state_dict() | normaliser)
    wanted = attention_maps(plain, episode, steps, "mean", 1)
    for found, alike in zip(maps[:3], wanted[:3], strict=True):
        np.testing.assert_array_equal(found, alike)
    plain.model.load_state_dict(target.state_dict() | normaliser)
    other = attention_maps(plain, episode, steps, "mean", 1)
    assert np.abs(other.weights - maps.weights).max() > 1e-3, "weights that are all alike would be equal"


def test_a_model_without_mamba_and_a_channel_that_is_none_are_named():
    learner = make("dt")
    with pytest.raises(ValueError, match="the model has no Mamba layers"):
        attention_maps(learner, played(learner), np.arange(3), "mean", 1)
    learner = make()
    with pytest.raises(ValueError, match="channel: expected 1 to 16, the channels of a layer, got 17"):
        attention_maps(learner, played(learner), np.arange(3), "mean", 17)
