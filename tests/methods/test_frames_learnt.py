"""Learning from frames: what batches hold, what is learnt, and the encoder that was cloned first."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from frame_cases import ACTIONS, SIDE, episodes, learner_of

from bench.errors import SpecError
from bench.methods.base import Observation, Trial
from bench.methods.optimisation import make_optimiser

SEQUENCE = [("dt", {}), ("dema", {}), ("dema", {"tokens": "bl3d"}), ("dema", {"block": "post"}), ("dc", {}),
            ("dc-hybrid", {})]  # fmt: skip


def trained(learner, updates, seed=0):
    """The losses of so many updates by AdamW."""
    generator, optimiser = np.random.default_rng(seed), make_optimiser(learner.model, learner.options)
    learner.model.train()
    losses = []
    for done in range(updates):
        learner.begin_update(done, generator)
        loss = learner.loss(learner.draw(generator))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def drawn(learner, seed=0):
    return learner.draw(np.random.default_rng(seed))


def test_a_batch_holds_stacks_of_grey_levels_and_what_was_done_before():
    data, learner = episodes(), learner_of("dt")
    learner.prepare(data)
    batch = drawn(learner)
    assert batch["states"].dtype == torch.uint8
    assert batch["states"].shape == (16, 4, 2, SIDE, SIDE)
    for row in range(16):
        # The frame of a step says its action; the older one of its stack says the action before.
        shown = batch["states"][row].float().unflatten(-1, (ACTIONS, -1)).mean((2, 4)).argmax(-1)
        for step in np.flatnonzero(batch["mask"][row]):
            assert shown[step, 1] == batch["actions"][row, step].argmax()
            if batch["previous_actions"][row, step].any():
                assert shown[step, 0] == batch["previous_actions"][row, step].argmax()
            else:
                assert not batch["states"][row, step, 0].any()


def test_a_full_window_is_moved_back_from_the_end_of_its_episode_and_no_further_than_its_beginning():
    data, learner = episodes(), learner_of("dt")
    learner.prepare(data)
    lengths = {int(row.sum()) for seed in range(20) for row in drawn(learner, seed)["mask"]}
    # The second episode has three steps.
    assert lengths == {3, 4}
    anywhere = learner_of("dt", window_start="anywhere")
    anywhere.prepare(data)
    assert {int(row.sum()) for seed in range(20) for row in drawn(anywhere, seed)["mask"]} == {1, 2, 3, 4}


def test_the_places_of_a_padded_window_begin_behind_the_padding():
    learner = learner_of("dt")
    places = learner.model.embed.places
    with torch.no_grad():
        places.in_window.normal_()
        places.in_episode.normal_()
    padded = places(torch.tensor([[0, 0, 1, 2]]))["state"][0, 1:]
    torch.testing.assert_close(padded, places(torch.tensor([[0, 1, 2]]))["state"][0])


@pytest.mark.parametrize(("method", "changes"), [*SEQUENCE, ("bc", {}), ("dema", {"mode": "recurrent"})])
def test_an_action_that_can_be_seen_is_learnt(method, changes):
    learner = learner_of(method, frame_input="centred", **changes)
    learner.prepare(episodes())
    losses = trained(learner, 60)
    assert losses[0] > 0.8 * np.log(ACTIONS)
    assert np.mean(losses[-3:]) < 0.3 * np.log(ACTIONS)


@pytest.mark.parametrize(("method", "changes"), [*SEQUENCE, ("bc", {})])
def test_a_policy_acts_by_what_the_model_reads_of_the_frames(method, changes):
    learner, data = learner_of(method, frame_input="centred", **changes), episodes()
    learner.prepare(data)
    trained(learner, 60)
    policy = learner.policy(Trial(1, torch.Generator().manual_seed(0)))
    right = 0
    for step in range(12):
        seen = Observation(data.observations[np.array([step])], np.ones(1, np.float32), np.ones(1, bool))
        right += int(policy.act(seen).argmax() == data.actions[step].argmax())
    assert right >= 11


def test_a_centred_encoder_reads_the_datas_mean_and_deviation():
    data, learner = episodes(), learner_of("dema", frame_input="centred")
    learner.prepare(data)
    encoder = learner.model.embed.embed_state
    np.testing.assert_allclose(encoder.mean_frame.numpy(), data.frames.mean(0), rtol=1e-6)
    deviation = (data.frames - data.frames.mean(0, keepdims=True)).std()
    assert float(encoder.deviation) == pytest.approx(deviation, rel=1e-4)


@pytest.mark.parametrize("method", ["dt", "dema", "dc", "dc-hybrid"])
def test_a_frozen_encoder_is_that_of_the_clone_and_stays_so(method):
    data, clone = episodes(), learner_of("bc", frame_input="centred")
    clone.prepare(data)
    trained(clone, 40)
    learner = learner_of(method, encoder="frozen")
    learner.take_encoder(clone)
    learner.prepare(data)
    theirs = {name: value.clone() for name, value in clone.model.actor.encoder.state_dict().items()}
    batch = drawn(learner)
    assert batch["states"].shape == (16, 4, 16)
    trained(learner, 20)
    for name, value in learner.model.embed.embed_state.state_dict().items():
        assert torch.equal(value, theirs[name]), name
    # What is cached is what the encoder makes of the frames.
    shown = torch.from_numpy(data.observations[np.arange(3)])
    with torch.no_grad():
        expected = clone.model.actor.encoder(shown)
    torch.testing.assert_close(torch.from_numpy(learner.sampler.steps.states[:3]), expected)


def test_an_encoder_of_another_width_is_refused():
    clone = learner_of("bc", hidden_dim=8)
    with pytest.raises(SpecError, match=r"has 8 features \(hidden_dim of bc\), and this model reads 16"):
        learner_of("dt").take_encoder(clone)


def test_methods_without_an_encoder_to_replace_say_so():
    with pytest.raises(SpecError, match="option encoder: frozen is for sequence models over frames"):
        learner_of("bc").take_encoder(learner_of("bc"))
