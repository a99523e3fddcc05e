"""DT and DeMa in Atari: their tensors and counts, what their tokens are, and windows of frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.measure.counting import macs, macs_as_published, macs_by_torch, parameters
from bench.methods.base import Observation, Trial, make_learner
from bench.methods.frames import WindowPlaces
from bench.methods.token_layout import STATE_BEFORE_ACTION

SIDE = 36  # the least that the encoder reads
# What the encoder of DT's Atari code costs for a stack of frames: three convolutions and a linear map.
ENCODER_MACS = 20 * 20 * 32 * 4 * 64 + 9 * 9 * 64 * 32 * 16 + 7 * 7 * 64 * 64 * 9 + 3136 * 128


def make(method, task="breakout", **changes):
    """A learner as the suite declares it; every position has a weight of its own."""
    torch.manual_seed(0)
    learner = make_learner(method, defaults(CATALOGUE, task, method) | changes)
    with torch.no_grad():
        for name, parameter in learner.model.named_parameters():
            if "places" in name:
                parameter.normal_()
    learner.model.eval()
    return learner


def small(method, **changes):
    """A small learner on small frames."""
    sizes = {"embedding_dim": 16, "d_model": 16, "d_state": 4, "layers": 2, "heads": 2, "context_length": 4,
             "frame_side": SIDE, "stacked_frames": 2, "action_dim": 3, "batch_size": 5}  # fmt: skip
    known = defaults(CATALOGUE, "breakout", method)
    return make(method, **{name: value for name, value in sizes.items() if name in known} | changes)


def shapes(model):
    """Name -> shape of every trainable tensor."""
    return {name: tuple(p.shape) for name, p in model.named_parameters() if p.requires_grad}


def embedding_shapes(actions=4):
    """The embeddings of both: a return, a stack of frames, an action."""
    return {
        "embed.embed_return.0.weight": (128, 1), "embed.embed_return.0.bias": (128,),
        "embed.embed_state.convolutions.0.weight": (32, 4, 8, 8),
        "embed.embed_state.convolutions.0.bias": (32,),
        "embed.embed_state.convolutions.2.weight": (64, 32, 4, 4),
        "embed.embed_state.convolutions.2.bias": (64,),
        "embed.embed_state.convolutions.4.weight": (64, 64, 3, 3),
        "embed.embed_state.convolutions.4.bias": (64,),
        "embed.embed_state.project.weight": (128, 3136), "embed.embed_state.project.bias": (128,),
        "embed.embed_action.table.weight": (actions, 128),
    }  # fmt: skip


def dema_shapes(states, layers, entry=128, actions=4):
    """DeMa's: entry, blocks of an RMSNorm and a Mamba mixer, a last RMSNorm, and a head without bias."""
    found = embedding_shapes(actions)
    found |= {"entry.project.weight": (128, entry), "entry.project.bias": (128,)}
    for layer in range(layers):
        block, mixer = f"backbone.blocks.{layer}", f"backbone.blocks.{layer}.mixer"
        found |= {
            f"{block}.norm.weight": (128,),
            f"{mixer}.in_proj.weight": (512, 128),
            f"{mixer}.conv1d.weight": (256, 1, 4), f"{mixer}.conv1d.bias": (256,),
            f"{mixer}.x_proj.weight": (8 + 2 * states, 256),
            f"{mixer}.dt_proj.weight": (256, 8), f"{mixer}.dt_proj.bias": (256,),
            f"{mixer}.A_log": (256, states), f"{mixer}.D": (256,),
            f"{mixer}.out_proj.weight": (128, 256),
        }  # fmt: skip
    return found | {"backbone.norm.weight": (128,), "predict_action.0.weight": (actions, 128)}


def dt_shapes(timesteps=2655, steps=30, layers=6, actions=4):
    """DT's: places of windows and tokens, GPT-2's blocks, a last LayerNorm, and a head without bias."""
    found = embedding_shapes(actions)
    found |= {"embed.places.in_episode": (timesteps, 128), "embed.places.in_window": (steps, 3, 128)}
    for layer in range(layers):
        block = f"backbone.blocks.{layer}"
        for norm in ("norm", "mlp_norm"):
            found |= {f"{block}.{norm}.weight": (128,), f"{block}.{norm}.bias": (128,)}
        for name, out, read in (
            ("mixer.qkv", 384, 128), ("mixer.out_proj", 128, 128), ("mlp.0", 512, 128), ("mlp.2", 128, 512),
        ):  # fmt: skip
            found |= {f"{block}.{name}.weight": (out, read), f"{block}.{name}.bias": (out,)}
    norm = {"backbone.norm.weight": (128,), "backbone.norm.bias": (128,)}
    return found | norm | {"predict_action.0.weight": (actions, 128)}


@pytest.mark.parametrize(
    ("changes", "expected", "count"),
    [
        ({}, dema_shapes(64, 6), 1_418_272),
        ({"d_state": 128}, dema_shapes(128, 6), 1_713_184),
        ({"d_state": 16}, dema_shapes(16, 6), 1_197_088),
        ({"tokens": "bl3d"}, dema_shapes(64, 6, entry=384), 1_451_040),
        ({"layers": 3}, dema_shapes(64, 3), 957_856),
        ({"layers": 3, "action_dim": 5}, dema_shapes(64, 3, actions=5), 958_112),
    ],
)
def test_demas_tensors_are_those_of_the_authors_and_all_of_them_are_used(changes, expected, count):
    learner = make("dema", **changes)
    assert shapes(learner.model) == expected
    assert parameters(learner.model) == count
    assert learner.unused_parameters() == 0


@pytest.mark.parametrize(
    ("task", "actions", "timesteps", "steps"), [("breakout", 4, 2655, 30), ("pong", 6, 10000, 50)]
)
def test_dts_tensors_are_those_of_its_code(task, actions, timesteps, steps):
    learner = make("dt", task)
    assert shapes(learner.model) == dt_shapes(timesteps, steps, actions=actions)


def test_dt_in_breakout_has_the_published_count_with_what_no_pass_uses():
    """Beside it, the code has an embedding of four words, and a place for a token that no window holds."""
    learner = make("dt")
    assert parameters(learner.model) == 2_022_048
    assert parameters(learner.model) + learner.unused_parameters() == 2_022_688


def test_thirty_per_cent_fewer_parameters_are_those_of_64_states_and_six_blocks():
    dt = make("dt")
    theirs = parameters(dt.model) + dt.unused_parameters()
    saved = {
        (states, layers): 100 * (1 - parameters(make("dema", d_state=states, layers=layers).model) / theirs)
        for states in (64, 128)
        for layers in (3, 6)
    }
    assert {key: round(value, 1) for key, value in saved.items()} == {
        (64, 6): 29.9, (128, 6): 15.3, (64, 3): 52.6, (128, 3): 45.4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "changes", "millions"),
    [("dt", {}, 363.6), ("dema", {}, 341.4), ("dema", {"d_state": 128}, 381.2)],
)
def test_operations_as_published(method, changes, millions):
    """The authors' head reads the tokens of returns and actions too; what it gives for them is dropped."""
    learner = make(method, **changes)
    batch = learner.sampler.synthetic(1, np.random.default_rng(0))
    dropped = 2 * 30 * 128 * 4
    assert (macs_as_published(learner.model, batch) + dropped) / 1e6 == pytest.approx(millions, abs=0.05)
    assert macs(learner.model, batch) == macs_by_torch(learner.model, batch)
    assert pytest.approx(244.2e6, abs=5e4) == 30 * ENCODER_MACS
    assert macs(learner.model, batch) > 30 * ENCODER_MACS


@pytest.mark.parametrize("mixer", ["scan", "mamba"])
def test_a_post_block_has_no_norm_at_its_entry_no_places_and_mambas_step_sizes(mixer):
    learner = make("dema", block="post", post_mixer=mixer)
    names = shapes(learner.model)
    assert not [name for name in names if name.startswith(("entry", "embed.places", "embed.embed_timestep"))]
    steps = torch.nn.functional.softplus(learner.model.backbone.blocks[0].mixer.dt_proj.bias)
    assert 0.0009 < steps.min() < steps.max() < 0.11
    assert learner.unused_parameters() == 4 * 128


def window(learner, sequences=2):
    """A batch of windows with random content."""
    return learner.sampler.synthetic(sequences, np.random.default_rng(0))


@torch.no_grad()
def test_an_action_of_dema_is_read_at_the_state_behind_the_previous_action_and_the_return():
    learner, batch = small("dema"), window(small("dema"))
    model = learner.model
    assert model.layout.kinds == ("action", "return", "state")
    before = model(**batch)
    for key, sees in (("previous_actions", True), ("returns", True), ("states", True), ("actions", False)):
        changed = dict(batch)
        values = batch[key].clone()
        if key.endswith("actions"):
            values[:, 2] = values[:, 2].roll(1, -1)
        else:
            values[:, 2] = 255 - values[:, 2] if key == "states" else values[:, 2] + 1.0
        changed[key] = values
        differs = (model(**changed) - before).abs().amax((0, 2)) > 1e-6
        assert differs.tolist() == [False, False, sees, sees]


@torch.no_grad()
def test_dt_is_told_where_its_window_lies_and_where_a_token_lies_in_it():
    learner = small("dt")
    batch = window(learner)
    later = batch | {"timesteps": batch["timesteps"] + 7}
    assert not torch.allclose(learner.model(**batch), learner.model(**later))
    # Only the first timestep of a window is read.
    same = batch | {"timesteps": torch.cat([batch["timesteps"][:, :1], later["timesteps"][:, 1:]], dim=1)}
    torch.testing.assert_close(learner.model(**batch), learner.model(**same), rtol=0, atol=0)
    with torch.no_grad():
        learner.model.embed.places.in_window.zero_()
    assert not torch.allclose(learner.model(**batch), small("dt").model(**batch))


def test_a_step_past_the_window_has_no_place():
    places = WindowPlaces(STATE_BEFORE_ACTION, 4, 100, 8)
    assert {kind: tuple(added.shape) for kind, added in places(torch.tensor([3])).items()} == {
        "return": (1, 8), "state": (1, 8), "action": (1, 8),
    }  # fmt: skip
    with pytest.raises(ValueError, match="timesteps: a window has 4 steps, got step 5"):
        places(torch.tensor([4]))


@pytest.mark.parametrize(
    ("method", "changes"),
    [("dt", {}), ("dema", {}), ("dema", {"tokens": "bl3d"}), ("dema", {"block": "post"})],
)
@torch.no_grad()
def test_step_by_step_is_the_whole_window(method, changes):
    learner = small(method, **changes)
    batch = window(learner)
    whole, memory = learner.model(**batch), learner.model.allocate_state(2, 4)
    for step in range(4):
        predicted, memory = learner.model.step(
            batch["returns"][:, step],
            batch["states"][:, step],
            batch["previous_actions"][:, step],
            step,
            memory,
        )
        torch.testing.assert_close(predicted, whole[:, step], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("method", "changes"), [("dt", {}), ("dema", {}), ("dema", {"block": "post"})])
def test_every_tensor_takes_part_in_the_loss(method, changes):
    learner = small(method, **changes)
    learner.loss(window(learner)).backward()
    for name, parameter in learner.model.named_parameters():
        assert parameter.grad.abs().max() > 0.0, name


@pytest.mark.parametrize("method", ["dt", "dema"])
def test_a_policy_plays_from_frames_by_its_window(method):
    learner = small(method)
    policy = learner.policy(Trial(2, torch.Generator().manual_seed(0)))
    generator = np.random.default_rng(0)
    for _ in range(6):
        frames = generator.integers(256, size=(2, 2, SIDE, SIDE), dtype=np.uint8)
        actions = policy.act(Observation(frames, np.full(2, 90.0, np.float32), np.ones(2, bool)))
        assert actions.shape == (2, 3)
        assert (actions.sum(1) == 1.0).all()
