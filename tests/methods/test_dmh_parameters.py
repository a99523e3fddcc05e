"""DM-H's parameters under the authors' settings, tensor by tensor."""

from __future__ import annotations

import pytest
import torch
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.measure.counting import parameters
from bench.methods.base import make_learner

# What the authors' repository sets: gym/experiment.py, decision_mamba.py and src/models/decoder_action.py.
CODE = {
    "block_target_return": True, "subgoal_head": "tanh", "subgoal_size": "state", "subgoal_draws": "position",
    "local_position": "timestep", "embedding_norm": "shared", "completion_embedding": "rows", "heads": 1,
    "norm": "rms",
}  # fmt: skip
D, C, N, R = 128, 256, 16, 8  # width, channels, states a channel, rank of the step sizes


def shapes(states, actions):
    """Shape of every tensor that a pass uses: S state entries, A action entries."""
    S, A = states, actions
    linear = lambda name, inputs, outputs: {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}  # noqa: E731
    found = {
        **linear("long_term.embed.maps.return", 1, D),
        **linear("long_term.embed.maps.state", S, D),
        **linear("long_term.embed.maps.reward_sum", 1, D),
        "long_term.embed.maps.completion.weight": (3, D),
        **linear("long_term.goals.head", D, 2 * S),
        "long_term.backbone.norm.weight": (D,),
        **linear("local.embed.maps.goal", S, D),
        **linear("local.embed.maps.state", S, D),
        **linear("local.embed.maps.action", A, D),
        **linear("local.embed.maps.reward", 1, D),
        "local.timestep_embedding.weight": (1000, D),
        **linear("local.head.0", D, A),
        "local.backbone.norm.weight": (D,), "local.backbone.norm.bias": (D,),
        **linear("valuable_map", S, S),
    }  # fmt: skip
    for module in ("long_term", "local"):
        found |= {f"{module}.embed.norm.weight": (D,), f"{module}.embed.norm.bias": (D,)}
    for layer in range(2):
        block = f"long_term.backbone.blocks.{layer}"
        found |= {
            f"{block}.norm.weight": (D,), f"{block}.mixer.in_proj.weight": (2 * C, D),
            f"{block}.mixer.conv1d.weight": (C, 1, 4), f"{block}.mixer.conv1d.bias": (C,),
            f"{block}.mixer.x_proj.weight": (R + 2 * N, C), **linear(f"{block}.mixer.dt_proj", R, C),
            f"{block}.mixer.A_log": (C, N), f"{block}.mixer.D": (C,),
            f"{block}.mixer.out_proj.weight": (D, C),
        }  # fmt: skip
    for layer in range(3):
        block = f"local.backbone.blocks.{layer}"
        for norm in ("norm", "mlp_norm"):
            found |= {f"{block}.{norm}.weight": (D,), f"{block}.{norm}.bias": (D,)}
        found |= linear(f"{block}.mixer.qkv", D, 3 * D) | linear(f"{block}.mixer.out_proj", D, D)
        found |= linear(f"{block}.mlp.0", D, 4 * D) | linear(f"{block}.mlp.2", 4 * D, D)
    return found


@pytest.mark.parametrize(
    ("task", "states", "actions", "official"),
    [
        ("hopper-medium", 11, 3, 971_306),
        ("halfcheetah-medium", 17, 6, 978_413),
        ("walker2d-medium", 17, 6, 978_413),
    ],
)
def test_the_authors_settings_give_the_authors_tensors(task, states, actions, official):
    options = defaults(CATALOGUE, task, "dmh") | CODE
    learner = make_learner("dmh", options)
    model = learner.model
    found = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    expected = shapes(states, actions)
    assert {name: shape for name, shape in found.items() if name in expected} == expected
    assert found.keys() == expected.keys()
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert frozen == ["valuable_map.weight", "valuable_map.bias"]
    # Mamba's embedding of z, its heads of states, rewards and returns, the embedding of a word; then f.
    never_used = (2 * states + 1) * D + (states + 2) * (D + 1) + D
    assert learner.unused_parameters() == never_used + states * (states + 1)
    assert parameters(model) + learner.unused_parameters() == official


def test_the_text_gives_every_modality_a_norm_of_its_own_and_positions_in_the_block():
    options = defaults(CATALOGUE, "hopper-medium", "dmh")
    model = make_learner("dmh", options).model
    norms = {
        name.rsplit(".", 1)[0]
        for name, _ in model.named_parameters()
        if ".norms." in name and name.endswith("weight")
    }
    assert norms == {
        *(f"long_term.embed.norms.{name}" for name in ("state", "reward_sum", "completion")),
        *(f"local.embed.norms.{name}" for name in ("goal", "state", "action", "reward")),
    }
    assert model.local.position.shape == (4 * options["steps_per_subgoal"], D)
    assert model.local.timestep_embedding is None
    assert isinstance(model.long_term.backbone.norm, torch.nn.RMSNorm)
