"""Which weights decay, and how the rate moves, as the authors' code for MuJoCo and for Atari has it."""

import pytest
import torch
from suites import CATALOGUE
from torch import nn

from bench.catalogue.values import defaults
from bench.errors import SpecError
from bench.methods.base import make_learner
from bench.methods.optimisation import in_tokens, learning_rate_factor, make_optimiser

BY_UPDATES = {
    "warmup_updates": 4, "updates": 12, "decay": "constant", "decay_floor": 0.0,
    "warmup_tokens": 0, "decay_tokens": 0,
}  # fmt: skip
BY_TOKENS = BY_UPDATES | {"decay": "cosine", "decay_floor": 0.1, "warmup_tokens": 100, "decay_tokens": 300}


def made(method, task):
    """The learner of a method as its options are by default."""
    return make_learner(method, defaults(CATALOGUE, task, method))


def rates(options, tokens=0):
    return [learning_rate_factor(step, tokens * (step + 1), options) for step in range(13)]


def test_the_rate_rises_and_then_stays_or_falls_to_zero():
    assert rates(BY_UPDATES)[:6] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    cosine = rates(BY_UPDATES | {"decay": "cosine"})
    assert cosine[4] == 1.0
    assert cosine[8] == pytest.approx(0.5)
    assert cosine[12] == pytest.approx(0.0)
    assert rates(BY_UPDATES | {"warmup_updates": 0})[0] == 1.0


def test_a_floor_is_where_the_cosine_stays():
    floored = rates(BY_UPDATES | {"decay": "cosine", "decay_floor": 0.2})
    assert floored[8] == pytest.approx(0.5), "the cosine is not stretched"
    assert floored[11:] == [0.2, 0.2]


def test_a_schedule_in_tokens_counts_what_batches_predict():
    found = rates(BY_TOKENS, tokens=25)
    assert found[:4] == [0.25, 0.5, 0.75, 1.0]
    assert found[7] == pytest.approx(0.5), "200 of 100 to 300 tokens"
    assert found[11] == 0.1
    assert learning_rate_factor(0, 10**9, BY_TOKENS) == 0.1, "it stays there"


def test_a_cosine_in_tokens_that_ends_before_it_begins_is_refused():
    assert in_tokens(BY_TOKENS)
    assert not in_tokens(BY_UPDATES)
    with pytest.raises(SpecError, match="decay_tokens: a cosine in tokens has to end after its warm-up"):
        in_tokens(BY_TOKENS | {"decay_tokens": 0})


@pytest.mark.parametrize(
    ("half", "said"),
    [
        (
            {"warmup_tokens": 0},
            "warmup_tokens: with decay_tokens = 300 .* warmup_updates = 4 would count for",
        ),
        (
            {"decay": "constant"},
            "decay_tokens: with decay = constant nothing decays, and 300 would count for",
        ),
    ],
)
def test_what_would_count_for_nothing_is_refused(half, said):
    with pytest.raises(SpecError, match=said):
        in_tokens(BY_TOKENS | half)
    assert in_tokens(BY_TOKENS | {"warmup_tokens": 0, "warmup_updates": 0})


@pytest.fixture(scope="module")
def dema():
    """DeMa on frames."""
    return made("dema", "breakout")


def decayed(learner, **options):
    """Names of the parameters that decay."""
    optimiser = make_optimiser(learner.model, learner.options | options)
    names = {id(parameter): name for name, parameter in learner.model.named_parameters()}
    found = [
        {names[id(parameter)] for parameter in group["params"]}
        for group in optimiser.param_groups
        if group["weight_decay"]
    ]
    held = sum(len(group["params"]) for group in optimiser.param_groups)
    assert held == len(names), "every parameter is moved"
    return found[0]


def test_in_mujocos_code_everything_decays():
    learner = made("dema", "hopper-medium")
    assert decayed(learner) == {name for name, _ in learner.model.named_parameters()}


def test_atari_has_the_settings_of_dts_code(dema):
    assert decayed(dema) == decayed(dema, decayed="weights")


def test_in_ataris_code_weights_decay_and_no_biases_norms_and_tables(dema):
    found = decayed(dema, decayed="weights")
    assert {"embed.embed_state.convolutions.0.weight", "embed.embed_return.0.weight", "entry.project.weight",
            "backbone.blocks.0.mixer.in_proj.weight", "backbone.blocks.0.mixer.conv1d.weight",
            "backbone.blocks.0.mixer.A_log", "backbone.blocks.0.mixer.D",
            "predict_action.0.weight"} <= found  # fmt: skip
    assert not {name for name in found if name.endswith("bias") or "norm" in name or "table" in name}


def test_dema_leaves_out_what_its_code_calls_embeddings(dema):
    left = decayed(dema, decayed="weights") - decayed(dema, decayed="inner-weights")
    assert left == {"embed.embed_return.0.weight", "entry.project.weight"}


def test_an_lstms_matrices_are_weights_and_its_biases_are_none():
    found = {name for name in decayed(made("lstm", "tmaze-passive-10"), decayed="weights") if "lstm" in name}
    assert found
    assert all("weight_" in name for name in found)


def test_places_in_a_window_never_decay_by_weights():
    dt = made("dt", "breakout")
    assert not {name for name in decayed(dt, decayed="weights") if "places" in name}


def test_one_update_is_that_of_adamw_with_these_betas(dema):
    options = dema.options | {"learning_rate": 0.1, "weight_decay": 0.5, "adam_beta2": 0.95}
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimiser = make_optimiser(model, options | {"decayed": "weights"})
    weight, bias = model.weight.detach().clone(), model.bias.detach().clone()
    (model(torch.ones(1, 3)).sum()).backward()
    optimiser.step()
    # The first step of Adam moves by the rate against the gradient's sign; decay is by the rate too.
    torch.testing.assert_close(model.weight.detach(), weight * (1 - 0.1 * 0.5) - 0.1)
    torch.testing.assert_close(model.bias.detach(), bias - 0.1)


def test_a_step_counts_as_a_change_in_place(dema):
    model = nn.Linear(3, 2)
    optimiser = make_optimiser(model, dema.options | {"learning_rate": 0.1})
    model(torch.ones(1, 3)).sum().backward()
    before = model.weight._version
    optimiser.step()
    assert model.weight._version > before


def test_a_method_without_windows_has_no_tokens_to_count():
    with pytest.raises(SpecError, match="this method's batches are none"):
        made("bc", "hopper-medium").tokens({})
