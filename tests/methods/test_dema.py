"""DeMa's models by their tensors: sizes as the authors' code has them, how they start, and what drops out."""

from __future__ import annotations

import math

import pytest
import torch
from suites import CATALOGUE
from torch import nn

from bench.measure.counting import parameters, parameters_by_fvcore
from bench.methods.base import make_learner
from bench.nn.linear import INITIAL_STD
from bench.work.cells import defaults

HOPPER, WALKER = ("hopper-medium", 11, 3), ("walker2d-medium", 17, 6)
LAYERS = 3


def make(task, method="dema", **changes):
    """A learner with the paper's settings but for those changed."""
    torch.manual_seed(0)
    return make_learner(method, defaults(CATALOGUE, task, method) | changes)


def shapes(learner):
    """Shape of each trained tensor by name."""
    return {name: tuple(parameter.shape) for name, parameter in learner.model.named_parameters()}


def embedding_shapes(width, states, actions):
    return {
        "embed.embed_return.weight": (width, 1), "embed.embed_return.bias": (width,),
        "embed.embed_state.weight": (width, states), "embed.embed_state.bias": (width,),
        "embed.embed_action.weight": (width, actions), "embed.embed_action.bias": (width,),
    }  # fmt: skip


def scan_shapes(channels, rank, states=64):
    return {
        "conv1d.weight": (channels, 1, 4), "conv1d.bias": (channels,),
        "x_proj.weight": (rank + 2 * states, channels), "dt_proj.weight": (channels, rank),
        "dt_proj.bias": (channels,), "A_log": (channels, states), "D": (channels,),
    }  # fmt: skip


def feed_forward_shapes(width):
    return {
        "mlp_norm.weight": (width,), "mlp_norm.bias": (width,), "mlp.0.weight": (4 * width, width),
        "mlp.0.bias": (4 * width,), "mlp.2.weight": (width, 4 * width), "mlp.2.bias": (width,),
    }  # fmt: skip


def in_blocks(tensors):
    return {f"backbone.blocks.{n}.{name}": shape for n in range(LAYERS) for name, shape in tensors.items()}


def pre_block_shapes(width, inner, states, actions, tokens=1):
    mixer = scan_shapes(2 * inner, math.ceil(inner / 16))
    mixer |= {"in_proj.weight": (4 * inner, inner), "out_proj.weight": (inner, 2 * inner)}
    block = {"norm.weight": (inner,)} | {f"mixer.{name}": shape for name, shape in mixer.items()}
    return embedding_shapes(width, states, actions) | in_blocks(block) | {
        "entry.project.weight": (inner, tokens * width), "entry.project.bias": (inner,),
        "backbone.norm.weight": (inner,),
        "predict_action.0.weight": (actions, inner), "predict_action.0.bias": (actions,),
    }  # fmt: skip


def transformer_shapes(width, states, actions, mixer):
    block = {"norm.weight": (width,), "norm.bias": (width,)} | feed_forward_shapes(width)
    block |= {f"mixer.{name}": shape for name, shape in mixer.items()}
    return embedding_shapes(width, states, actions) | in_blocks(block) | {
        "entry.norm.weight": (width,), "entry.norm.bias": (width,),
        "backbone.norm.weight": (width,), "backbone.norm.bias": (width,),
        "predict_action.0.weight": (actions, width), "predict_action.0.bias": (actions,),
    }  # fmt: skip


def attention_shapes(width):
    return {
        "qkv.weight": (3 * width, width), "qkv.bias": (3 * width,),
        "out_proj.weight": (width, width), "out_proj.bias": (width,),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("task", "width", "inner", "tokens", "official"),
    [
        (HOPPER, 128, 64, "b3ld", 165_007),
        (WALKER, 128, 64, "b3ld", 166_744),
        (HOPPER, 256, 64, "b3ld", 175_503),
        (WALKER, 256, 64, "b3ld", 178_392),
        (HOPPER, 128, 128, "b3ld", 481_295),
        (WALKER, 128, 128, "b3ld", 483_608),
        (HOPPER, 128, 64, "bl3d", 181_391),
        (HOPPER, 256, 64, "bl3d", 208_271),
        (HOPPER, 128, 128, "bl3d", 514_063),
        (WALKER, 128, 64, "bl3d", 183_128),
        (WALKER, 128, 128, "bl3d", 516_376),
    ],
)
def test_tensors_of_a_pre_block_model_and_the_authors_count(task, width, inner, tokens, official):
    name, states, actions = task
    learner = make(name, embedding_dim=width, d_model=inner, tokens=tokens)
    assert shapes(learner) == pre_block_shapes(width, inner, states, actions, 3 if tokens == "bl3d" else 1)
    assert learner.unused_parameters() == (states + 1) * (inner + 1)
    assert parameters(learner.model) + learner.unused_parameters() == official
    assert parameters(learner.model) == parameters_by_fvcore(learner.model)


@pytest.mark.parametrize(
    ("task", "width", "official"), [(HOPPER, 128, 293_007), (HOPPER, 256, 431_503), (WALKER, 128, 294_744)]
)
def test_a_timestep_embedding_adds_a_table_of_a_thousand_rows(task, width, official):
    name, states, actions = task
    learner = make(name, embedding_dim=width, d_model=64, position_embedding=True)
    table = {"embed.embed_timestep.weight": (1000, width)}
    assert shapes(learner) == pre_block_shapes(width, 64, states, actions) | table
    assert parameters(learner.model) + learner.unused_parameters() == official


@pytest.mark.parametrize(
    ("task", "width", "official"),
    [(HOPPER, 128, 481_039), (HOPPER, 256, 1_754_639), (WALKER, 128, 483_352), (WALKER, 256, 1_759_256)],
)
def test_a_post_block_model_is_dts_with_a_bare_scan_and_without_timesteps(task, width, official):
    name, states, actions = task
    learner = make(name, embedding_dim=width, block="post")
    mixer = scan_shapes(width, width // 32)
    assert shapes(learner) == transformer_shapes(width, states, actions, mixer)
    assert learner.unused_parameters() == (states + 1) * (width + 1) + width
    assert parameters(learner.model) + learner.unused_parameters() == official


@pytest.mark.parametrize(
    ("task", "width", "official"),
    [(HOPPER, 128, 727_695), (HOPPER, 256, 2_635_023), (WALKER, 128, 730_008), (WALKER, 256, 2_639_640)],
)
def test_tensors_of_dt_and_the_authors_count(task, width, official):
    name, states, actions = task
    learner = make(name, "dt", embedding_dim=width)
    table = {"embed.embed_timestep.weight": (1000, width)}
    assert shapes(learner) == transformer_shapes(width, states, actions, attention_shapes(width)) | table
    assert parameters(learner.model) + learner.unused_parameters() == official


def test_the_paper_sets_the_widths_by_task():
    sizes = {task: parameters(make(task).model) for task in ("hopper-medium", "hopper-medium-expert")}
    assert sizes == {"hopper-medium": 174_723, "hopper-medium-expert": 479_747}


def test_merged_tokens_are_return_previous_action_and_state_side_by_side():
    learner = make("hopper-medium", tokens="bl3d", embedding_dim=4, d_model=8)
    generator = torch.Generator().manual_seed(0)
    returns, states, previous = (torch.randn(1, 1, size, generator=generator) for size in (1, 11, 3))
    embed = learner.model.embed
    wanted = [embed.embed_return(returns), embed.embed_action(previous), embed.embed_state(states)]
    torch.testing.assert_close(
        learner.model.step_tokens(returns, states, torch.zeros(1, 1, 3), previous, torch.zeros(1, 1).long()),
        learner.model.entry.project(torch.cat(wanted, dim=-1)),
    )


@pytest.mark.parametrize("order", ["return-action-state", "action-return-state", "return-state-action"])
def test_tokens_of_a_step_stand_in_the_order_that_is_asked_for(order):
    learner = make("hopper-medium", token_order=order, embedding_dim=4, d_model=8)
    generator = torch.Generator().manual_seed(0)
    returns, states, own, previous = (torch.randn(1, 2, n, generator=generator) for n in (1, 11, 3, 3))
    embed, project = learner.model.embed, learner.model.entry.project
    shown = own if order == "return-state-action" else previous
    by_kind = {
        "return": embed.embed_return(returns), "state": embed.embed_state(states),
        "action": embed.embed_action(shown),
    }  # fmt: skip
    tokens = learner.model.step_tokens(returns, states, own, previous, torch.zeros(1, 2).long())
    for place, kind in enumerate(order.split("-")):
        torch.testing.assert_close(tokens[:, place::3], project(by_kind[kind]))
    assert learner.model.layout.read_at == order.split("-").index("state")


# How models start


def linear_biases(model):
    return {
        name: module.bias for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.bias is not None
    }  # fmt: skip


def test_the_authors_start_has_zero_biases_and_output_projections_over_the_root_of_the_layers():
    authors, plain = (
        make("hopper-medium", initialisation=kind, position_embedding=True).model
        for kind in ("authors", "torch")
    )
    for name, bias in linear_biases(authors).items():
        if name.endswith("dt_proj"):
            step = nn.functional.softplus(bias)
            assert step.min() >= 9.9e-4
            assert step.max() <= 0.1001
        else:
            assert (bias == 0).all(), name
    assert any((bias != 0).any() for name, bias in linear_biases(plain).items() if "embed" in name)
    for first, second in zip(authors.backbone.blocks, plain.backbone.blocks, strict=True):
        torch.testing.assert_close(
            first.mixer.out_proj.weight * math.sqrt(LAYERS), second.mixer.out_proj.weight
        )
        torch.testing.assert_close(first.mixer.in_proj.weight, second.mixer.in_proj.weight)
    assert authors.embed.embed_timestep.weight.std().item() == pytest.approx(INITIAL_STD, rel=0.02)
    assert plain.embed.embed_timestep.weight.std().item() == pytest.approx(1.0, rel=0.02)


def test_the_authors_start_of_a_post_block_overwrites_mambas_step_sizes():
    authors, plain = (
        make("hopper-medium", block="post", initialisation=kind).model for kind in ("authors", "torch")
    )
    for block in authors.backbone.blocks:
        assert (block.mixer.dt_proj.bias == 0).all()
        for layer in (block.mixer.x_proj, block.mixer.dt_proj, block.mlp[0]):
            assert layer.weight.std().item() == pytest.approx(INITIAL_STD, rel=0.1)
    for block in plain.backbone.blocks:
        assert nn.functional.softplus(block.mixer.dt_proj.bias).max() <= 0.1001
        assert block.mlp[0].weight.std().item() == pytest.approx(INITIAL_STD, rel=0.1)
    assert (authors.embed.embed_state.bias != 0).any(), "embeddings start as PyTorch's"


# What drops out


def dropouts(model):
    """Dropout probability by name, of those that drop anything."""
    found = {name: module for name, module in model.named_modules() if isinstance(module, nn.Dropout)}
    return {name: module.p for name, module in found.items() if module.p}


def test_dropout_acts_on_the_embedded_tokens_alone_and_is_off_in_mujoco():
    assert dropouts(make("hopper-medium").model) == {}
    assert dropouts(make("hopper-medium", dropout=0.2).model) == {"entry.dropout": 0.2}


def test_dropout_of_a_post_block_is_dts_but_for_the_mixers():
    found = dropouts(make("hopper-medium", block="post").model)
    assert found == {"entry.dropout": 0.1, **{f"backbone.blocks.{n}.dropout": 0.1 for n in range(LAYERS)}}


@pytest.mark.parametrize(("block", "kind"), [("pre", nn.RMSNorm), ("post", nn.LayerNorm)])
def test_norms_are_mambas_in_a_pre_block_and_the_transformers_in_a_post_block(block, kind):
    backbone = make("hopper-medium", block=block).model.backbone
    norms = [backbone.norm, *(each.norm for each in backbone.blocks)]
    assert all(isinstance(norm, kind) and norm.eps == 1e-5 for norm in norms)


def test_a_layer_norm_is_chosen_by_name():
    assert isinstance(make("hopper-medium", norm="layer").model.backbone.norm, nn.LayerNorm)
