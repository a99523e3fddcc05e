"""The stages attend and intervene, for real on almost nothing: what they record, read, refuse and repeat."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from suites import suite_with

from bench.errors import SpecError
from bench.nn.intervene import mamba_mixers
from bench.stages.attend import attend, untrained_like
from bench.stages.checkpoints import load_last
from bench.stages.dataset import dataset
from bench.stages.evaluate import evaluate
from bench.stages.intervene import change, intervene
from bench.stages.runner import run
from bench.stages.train import Run, train
from bench.work.cells import parse_slug
from bench.work.entries import entries
from bench.work.jobs import Job, dataset_job
from bench.work.plan import all_jobs

TINY = """transitions: 2000, embedding_dim: 16, d_state: 4, batch_size: 4, updates: 2,
      warmup_updates: 0, checkpoints: 1, evaluation_episodes: 3, target_multiples: "1", attend_from: 1,
      attend_to: 6, donor: hopper-medium-delayed, behaviour_policy: hopper-medium, second_policy: none"""
TINY_TIER = f"""
title: Every stage for real on almost nothing
budget: reduced
budgets:
  - label: donors of equal shapes
    tasks: [hopper-medium, hopper-medium-delayed]
    methods: [dema]
    stages: [train, evaluate]
    options: {{{TINY}, d_model: 8}}
    core_seconds: {{train: 1, evaluate: 1}}
  - label: a wider donor
    tasks: [hopper-medium-expert]
    methods: [dema]
    stages: [train, evaluate]
    options: {{{TINY}, d_model: 16}}
    core_seconds: {{train: 1, evaluate: 1}}
  - label: without Mamba
    tasks: [hopper-medium, hopper-medium-delayed]
    methods: [dt, dc]
    settings: {{intervention: any, donor: any}}
    stages: [train, attend, intervene]
    options: {{{TINY.replace("embedding_dim: 16, d_state: 4, ", "")}}}
    core_seconds: {{train: 1, attend: 1, intervene: 1}}
  - label: attention
    tasks: [hopper-medium, hopper-medium-delayed]
    methods: [dema]
    settings: any
    stages: [attend, intervene]
    options: {{{TINY}, d_model: 8}}
    core_seconds: {{attend: 1, intervene: 1}}
"""
LONE_TIER = """
title: One task, whose donor no budget trains
budget: reduced
budgets:
  - label: all of it
    tasks: [hopper-medium]
    methods: [dema]
    settings: {intervention: any, intervened_layer: any}
    stages: [train, intervene]
    core_seconds: {train: 1, intervene: 1}
"""
SUITE = suite_with(tiny=TINY_TIER, lone=LONE_TIER)
WORK = {"attend": attend, "evaluate": evaluate, "intervene": intervene, "train": train}


def job_of(stage, settings="default", task="hopper-medium", method="dema", seed=0):
    return Job(SUITE, stage, "tiny", parse_slug(SUITE.catalogue, task, method, settings), seed)


def done(stage, *named, **more):
    """Run a job that has to end well; its rows."""
    job = job_of(stage, *named, **more)
    run(job, WORK[stage])
    assert str(job.recorded().status) == "ok", str(job.recorded().status)
    return pd.read_csv(job.table)


def scores(settings, **more):
    rows = done("intervene", settings, **more)
    assert set(rows["metric"]) == {"intervened_score"}
    return rows["value"].to_numpy()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which the cells of the tier are trained."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for task in ("hopper-medium", "hopper-medium-delayed", "hopper-medium-expert"):
            run(dataset_job(SUITE, "tiny", parse_slug(SUITE.catalogue, task, "dema", "default")), dataset)
            done("train", task=task)
        for task in ("hopper-medium", "hopper-medium-delayed"):
            done("train", task=task, method="dt")
        done("train", method="dc")
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch, trained):
    """Go to a copy of that folder."""
    shutil.copytree(trained, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_attention_is_recorded_by_distance_and_its_decay_by_layer(place):
    rows = done("attend")
    by_metric = {name: group["index"].tolist() for name, group in rows.groupby("metric")}
    assert by_metric["hidden_attention"] == list(range(21)), "seven steps of three tokens"
    assert by_metric["attention_half_life"] == by_metric["attention_fit"] == [0, 1, 2, 3]
    assert set(rows["step"]) == {2}
    maps = np.load(job_of("attend").arrays)
    assert maps["steps"].tolist() == [1, 2, 3, 4, 5, 6]
    assert maps["weights"].shape == (4, 6, 21)
    assert maps["matrices"].shape == (4, 21, 21)
    assert maps["channels"].shape == (3, 21, 21)
    fused = rows[rows["metric"] == "hidden_attention"]["value"]
    np.testing.assert_allclose(fused, np.nanmean(maps["weights"][0], axis=0), rtol=1e-6)
    lives = rows[rows["metric"] == "attention_half_life"]["value"]
    np.testing.assert_allclose(lives, maps["half_lives"])
    assert job_of("attend").recorded().facts["looked_at"] == [1, 6]


def test_attention_is_shared_out_over_kinds_of_tokens_and_steps(place):
    rows = done("attend")
    value = rows.set_index("metric")["value"]
    kinds = ("states", "actions", "returns")
    assert sum(value[f"attention_to_{kind}"] for kind in kinds) == pytest.approx(1.0)
    earlier = sum(value[f"earlier_attention_to_{kind}"] for kind in kinds)
    assert 0 < earlier < 1
    assert value["attention_to_earlier_steps"] == pytest.approx(earlier)
    weights = np.load(job_of("attend").arrays)["weights"][0]
    assert value["attention_to_states"] == pytest.approx(np.nansum(weights[:, ::3]) / np.nansum(weights))


def test_the_control_is_the_model_before_its_first_update_on_the_same_tokens(place):
    rows = done("attend")
    trained = job_of("attend").upstream[0]
    learner, _ = load_last(trained)
    control = untrained_like(learner, trained)
    drawn = Run(trained).learner.model.state_dict()
    for name, value in control.model.state_dict().items():
        before = learner.model.state_dict()[name] if name.startswith("normaliser") else drawn[name]
        assert torch.equal(value, before), name
    profile = rows[rows["metric"] == "untrained_hidden_attention"]["value"].to_numpy()
    looked_at = rows[rows["metric"] == "hidden_attention"]["value"].to_numpy()
    assert profile.shape == looked_at.shape
    assert not np.allclose(profile, looked_at, rtol=1e-4)
    lives = rows[rows["metric"] == "untrained_attention_half_life"]
    assert lives["index"].tolist() == [0, 1, 2, 3]


def test_the_same_attention_twice_has_the_same_bytes(place):
    def once():
        done("attend")
        return job_of("attend").table.read_bytes(), job_of("attend").arrays.read_bytes()

    assert once() == once()


def test_attention_ends_with_the_episode_and_is_skipped_after_it(place):
    done("attend", "attend_to=1000")
    facts = job_of("attend", "attend_to=1000").recorded().facts
    assert facts["looked_at"] == [1, facts["episode_steps"] - 1]
    late = job_of("attend", "attend_from=990,attend_to=1000")
    run(late, attend)
    said = (
        f"skipped: the longest of 3 episodes ended after {facts['episode_steps']} steps; attend_from is 990"
    )
    assert str(late.recorded().status).startswith(said)


def test_delayed_rewards_and_whole_trajectories_are_looked_at_as_well(place):
    done("attend", task="hopper-medium-delayed")
    done("attend", "attention_fusion=sum,attention_channel=5")
    assert np.load(job_of("attend", "attention_fusion=sum,attention_channel=5").arrays)["channel"] == 5


def test_without_an_intervention_the_score_is_the_evaluations(place):
    evaluated = done("evaluate")
    score = evaluated[evaluated["metric"] == "normalised_score"]["value"].item()
    found = scores("default")
    assert len(found) == 3
    assert found.mean() == pytest.approx(score)


@pytest.mark.parametrize("operation", ["swap", "random", "zero"])
def test_each_intervention_changes_the_episodes_and_repeats(place, operation):
    base, changed = scores("default"), scores(f"intervention={operation}")
    assert not np.array_equal(base, changed)
    one = scores(f"intervened_layer=2,intervention={operation}")
    assert not np.array_equal(one, changed)
    assert not np.array_equal(one, base)
    np.testing.assert_array_equal(scores(f"intervention={operation}"), changed)


def test_swapping_with_itself_changes_nothing(place):
    for tensors in ("convolution-and-scan", "scan", "mixer"):
        itself = scores(f"donor=hopper-medium,intervened_tensors={tensors},intervention=swap")
        np.testing.assert_array_equal(itself, scores("default"))


def test_each_choice_of_tensors_and_of_values_is_another_intervention(place):
    kinds = [
        (), ("intervened_tensors=scan",), ("intervened_tensors=mixer",), ("random_values=normal",),
        ("random_values=initialisation",),
    ]  # fmt: skip
    found = [tuple(scores(",".join([*kind, "intervention=random"]))) for kind in kinds]
    assert len(set(found)) == len(kinds)


def test_values_as_at_initialisation_are_those_of_an_untrained_model(place):
    job = job_of("intervene", "intervention=random,random_values=initialisation")
    trained, _ = load_last(job.upstream[0])
    learner, _ = load_last(job.upstream[0])
    change(learner, job, None)
    for before, after in zip(mamba_mixers(trained.model), mamba_mixers(learner.model), strict=True):
        ladder = torch.log(torch.arange(1.0, 5.0)).expand(16, 4)
        assert not torch.equal(before.A_log, ladder), "two updates have moved it"
        torch.testing.assert_close(after.A_log, ladder)
        assert torch.equal(after.in_proj.weight, before.in_proj.weight)


def test_a_transformers_attention_is_swapped_with_that_of_its_own_training_on_the_donor(place):
    base = scores("default", method="dt")
    assert not np.array_equal(scores("intervention=swap", method="dt"), base)
    itself = scores("donor=hopper-medium,intervention=swap", method="dt")
    np.testing.assert_array_equal(itself, base)


def test_a_swap_waits_for_both_trainings_with_one_seed_and_the_rest_for_one():
    swap = job_of("intervene", "intervention=swap", seed=2)
    assert [(job.stage, job.cell.key, job.seed) for job in swap.upstream] == [
        ("train", "hopper-medium/dema/default", 2),
        ("train", "hopper-medium-delayed/dema/default", 2),
    ]
    for settings in ("default", "intervention=zero", "intervention=random"):
        assert [job.cell.key for job in job_of("intervene", settings).upstream] == [
            "hopper-medium/dema/default"
        ]


def test_a_donor_is_the_same_variant_of_the_method():
    swap = job_of("intervene", "block=post,intervention=swap,tokens=bl3d")
    assert [job.cell.slug for job in swap.upstream] == ["block=post,tokens=bl3d"] * 2


def test_a_donor_of_other_shapes_is_refused(place):
    job = job_of("intervene", "donor=hopper-medium-expert,intervention=swap")
    with pytest.raises(SpecError) as refused:
        run(job, intervene)
    assert str(refused.value) == (
        "hopper-medium/dema/donor=hopper-medium-expert,intervention=swap: option donor=hopper-medium-expert: "
        "donor: expected conv1d.weight of shape (16, 1, 4) in layer 1, got (32, 1, 4). Choose a donor whose "
        "layers have the same sizes (d_model, d_state and expand, or embedding_dim), or train both with "
        "equal ones."
    )
    assert not job.record.exists()


def test_an_untrained_donor_is_a_status(place):
    for file in job_of("train", task="hopper-medium-delayed").folder.glob("train.*"):
        file.unlink()
    job = job_of("intervene", "intervention=swap")
    run(job, intervene)
    said = "skipped: the training of its donor hopper-medium-delayed is not made"
    assert str(job.recorded().status) == said


def test_a_donor_that_is_no_task_is_named():
    with pytest.raises(
        SpecError, match=r"option donor of hopper-medium/dema/donor=hoper,.*unknown task 'hoper'"
    ):
        _ = job_of("intervene", "donor=hoper,intervention=swap").upstream


def test_a_dataset_that_nothing_is_trained_on_is_named():
    said = "nothing that an artifact shows is trained on walker2d-medium with settings 'default'"
    with pytest.raises(SpecError, match=re.escape(f"workflow/tiers/tiny.yaml: {said}")):
        _ = dataset_job(
            SUITE, "tiny", parse_slug(SUITE.catalogue, "walker2d-medium", "dema", "default")
        ).options


def test_a_method_without_mamba_has_no_hidden_attention_to_look_at(place):
    with pytest.raises(SpecError, match="hopper-medium/dt/default: the model has no Mamba layers"):
        run(job_of("attend", method="dt"), attend)


def test_a_method_without_attention_is_refused(place):
    with pytest.raises(SpecError) as refused:
        run(job_of("intervene", "intervention=zero", method="dc"), intervene)
    assert str(refused.value) == (
        "hopper-medium/dc/intervention=zero: dc has no layer whose attention could be replaced. Choose a "
        "method with Mamba or attention layers."
    )


def test_a_layer_or_channel_the_model_lacks_is_refused(place):
    with pytest.raises(SpecError, match=r"channel: expected 1 to 16.*, got 17\. Choose"):
        run(job_of("attend", "attention_channel=17"), attend)


def test_a_swap_whose_donor_the_tier_does_not_train_is_not_run():
    shown = entries(SUITE, "dema_fig05", "lone")
    hopper = [entry for entry in shown if (entry.cell.task, entry.cell.method) == ("hopper-medium", "dema")]
    reasons = {entry.cell.slug: entry.missing for entry in hopper}
    assert reasons["intervention=swap"] == "its donor walker2d-medium: needs the quick tier"
    assert reasons["intervention=zero"] == reasons["default"] == ""
    assert {job.cell.task for job in all_jobs(SUITE, "lone", ("dema_fig05",))} == {"hopper-medium"}
