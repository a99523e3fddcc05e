"""What is declared once and named elsewhere: sets of tasks, open choices, variants, recipes."""

import pytest
import yaml
from suites import CATALOGUE, change

from bench.catalogue.artifacts import CellBlock
from bench.catalogue.load import load_catalogue
from bench.catalogue.names import Names
from bench.catalogue.tiers import Tier
from bench.catalogue.values import defaults
from bench.errors import SpecError
from bench.work.claims import Claim, load_claims
from bench.work.suite import Suite


def refused(workflow, *parts):
    with pytest.raises(SpecError) as caught:
        load_catalogue(workflow)
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text, f"{part!r} not in: {text}"


def block(text, **sets):
    return CellBlock.model_validate(yaml.safe_load(text), context=Names(sets))


def tier(text, **recipes):
    head = "title: one\nbudget: reduced\n"
    return Tier.model_validate(yaml.safe_load(head + text), context=Names(recipes=recipes))


def budget(options):
    cost = "stages: [train], core_seconds: {train: 1}"
    return f"  - {{label: one, tasks: any, methods: any, {cost}, {options}}}"


def test_a_set_stands_for_its_tasks_in_their_order_alone_or_among_others():
    assert block("{tasks: two, methods: [m], metrics: [n]}", two=("a", "b")).tasks == ("a", "b")
    assert block("{tasks: [c, two], methods: [m], metrics: [n]}", two=("a", "b")).tasks == ("c", "a", "b")
    assert block("{tasks: c, methods: [m], metrics: [n]}", two=("a", "b")).tasks == ("c",)
    assert CATALOGUE.sets["tmaze-all"] == (*CATALOGUE.sets["tmaze-passive"], *CATALOGUE.sets["tmaze-active"])
    assert CATALOGUE.artifacts["dema_table06"].queries[0].tasks == CATALOGUE.sets["d4rl-nine"]


def test_a_set_can_be_named_wherever_tasks_are_listed(copied_workflow):
    with (copied_workflow / "sets.yaml").open("a") as sets:
        sets.write("breakout-alone: [breakout]\nlarge-alone: [large-darkroom-hard]\n")
    change(copied_workflow / "claims/dema_macs.yaml", "tasks: [breakout]", "tasks: breakout-alone")
    change(copied_workflow / "methods/dt.yaml", "tasks: [breakout]", "tasks: breakout-alone")
    change(copied_workflow / "tiers/cpu.yaml", "methods: [amago]", "methods: [amago]\n    tasks: large-alone")
    suite = Suite.open(copied_workflow)
    assert load_claims(suite)["dema_macs"].comparisons[0].tasks == ("breakout",)
    assert suite.catalogue.tiers["cpu"].left_out[0].tasks == ("large-darkroom-hard",)
    assert defaults(suite.catalogue, "breakout", "dt") == defaults(CATALOGUE, "breakout", "dt")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("key-rooms: [", "maze2d-umaze: [", ("set 'maze2d-umaze' is called as a task of", "Rename")),
        ("key-rooms: [", "any: [", ("stands for every task already",)),
        ("[rooms, large-rooms]", "[rooms, large-romes]", ("key grid-worlds: unknown task", "'large-rooms'")),
        ("[rooms, large-rooms]", "[rooms, key-rooms]", ("key grid-worlds", "'key-rooms' stands below it")),
        ("[rooms, large-rooms]", "[rooms, grid-worlds]", ("'grid-worlds' stands below it",)),
        ("[rooms, large-rooms]", "rooms", ("key grid-worlds: ", "valid tuple")),
    ],
)
def test_mistakes_in_the_sets(copied_workflow, old, new, parts):
    change(copied_workflow / "sets.yaml", old, new)
    refused(copied_workflow, "sets.yaml", *parts)


def test_a_misspelt_set_is_told_the_nearest(copied_workflow):
    change(copied_workflow / "papers/dema/table06.yaml", "tasks: d4rl-nine", "tasks: d4rl-nien")
    refused(copied_workflow, "dema/table06.yaml: key cells.0", "unknown task 'd4rl-nien'", "'d4rl-nine'")


def test_each_variant_is_a_query_with_its_label():
    read = block("""
        tasks: [a, b]
        settings: {updates: 5, layers: 1}
        metrics: [score]
        variants:
          DT: {method: dt}
          wide: {method: dema, settings: {width: 9, layers: 2}}
          split: [{method: dema, tasks: [a]}, {method: dt, tasks: [b]}]
        """)
    assert [(query.label, query.methods, query.tasks) for query in read.queries] == [
        ("DT", ("dt",), ("a", "b")),
        ("wide", ("dema",), ("a", "b")),
        ("split", ("dema",), ("a",)),
        ("split", ("dt",), ("b",)),
    ]
    assert read.queries[1].settings == {"updates": 5, "layers": 2, "width": 9}
    assert {query.metrics for query in read.queries} == {("score",)}


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("DT: {method: dt}", "DT: {}", ("cells.0", "and its variant 'DT' names no methods")),
        ("DT: {method: dt}", "DT: {methods: [dt]}", ("cells.0.variants.DT", "methods", "not a key")),
        ("method: dt}", "method: td}", ("cells.0.variants.DT", "unknown method 'td'")),
        (
            "  - tasks: d4rl-nine\n    metrics",
            "  - metrics",
            ("cells.0", "and its variant 'DT' names no tasks"),
        ),
        ("block: post", "block: pots", ("cells.0.variants.DeMa with post.", "must be one of")),
        ("    variants:", "    label: all\n    variants:", ("cells.0", "no label of its own")),
        ("metrics: [normalised_score]", "metrics: []", ("cells.0", "either metrics or options")),
    ],
)
def test_mistakes_in_variants(copied_workflow, old, new, parts):
    change(copied_workflow / "papers/dema/table04.yaml", old, new)
    refused(copied_workflow, "dema/table04.yaml", *parts)


def test_an_open_choice_is_written_once_and_named_by_its_key():
    for name in ("dema_table04", "dema_table06"):
        keys = [choice.option for choice in CATALOGUE.artifacts[name].open_choices]
        assert "context_length" in keys
    declared = CATALOGUE.papers["dema"].open_choices["context-in-mujoco"]
    assert declared in CATALOGUE.artifacts["dema_table04"].open_choices


def test_an_open_choice_that_is_not_declared(copied_workflow):
    change(copied_workflow / "papers/dema/table04.yaml", "context-in-mujoco", "context-in-mujocco")
    refused(
        copied_workflow, "dema/table04.yaml", "key open_choices: unknown open choice", "'context-in-mujoco'"
    )


def test_an_open_choice_of_another_paper_is_unknown(copied_workflow):
    change(copied_workflow / "papers/dema/table04.yaml", "context-in-mujoco", "long-token")
    refused(copied_workflow, "dema/table04.yaml", "unknown open choice 'long-token'")


def test_a_declared_choice_of_an_option_that_is_not_there_is_corrected_where_it_is_written(copied_workflow):
    change(copied_workflow / "papers/dmh/paper.yaml", "option: state_code", "option: state_kode")
    refused(copied_workflow, "dmh/paper.yaml: key open_choices.state-code.option", "(named by dmh_fig02)")


def test_an_open_choice_that_no_artifact_names(copied_workflow):
    with (copied_workflow / "papers/dmh/paper.yaml").open("a") as paper:
        paper.write("  planted:\n    choice: a\n    alternatives: [b, c]\n    option: layers\n")
    refused(copied_workflow, "dmh/paper.yaml: key open_choices.planted: no artifact", "or remove it")


def test_a_recipe_is_like_another_and_a_budget_like_a_recipe():
    read = tier(
        "recipes:\n  small: {layers: 1, updates: 9}\n  wide: {like: small, width: 8}\nbudgets:\n"
        + "\n".join(budget(o) for o in ("options: wide", "options: {like: small, updates: 3, decay: cosine}"))
    )
    assert read.budgets[0].options == {"layers": 1, "updates": 9, "width": 8}
    assert read.budgets[1].options == {"layers": 1, "updates": 3, "decay": "cosine"}
    assert read.recipes["wide"] == read.budgets[0].options


def test_a_labs_budget_is_like_a_recipe_of_the_suites_tier():
    assert tier(f"budgets:\n{budget('options: small')}", small={"layers": 1}).budgets[0].options == {
        "layers": 1
    }


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("options: rooms-ad", "options: room-ad", ("budgets.25.options: unknown recipe", "'rooms-ad'")),
        (
            "{like: mujoco-sequence, updates",
            "{like: mujoco-sequense, updates",
            ("budgets.44.options", "'mujoco-sequence'"),
        ),
        (
            "rooms-ad: {like: ad,",
            "rooms-ad: {like: tmaze,",
            ("recipes.rooms-ad (it may be like those above",),
        ),
        ("  tmaze-dema: {", "  planted: 5\n  tmaze-dema: {", ("key recipes.planted: ", "valid dictionary")),
        ("budgets:\n", "budgts:\n", ("unknown key 'budgts'", "key budgets: Field required")),
        ("  tmaze-dema: {", "  planted: {layers: 1}\n  tmaze-dema: {", ("recipes.planted: no budget names",)),
    ],
)
def test_mistakes_in_recipes(copied_workflow, old, new, parts):
    change(copied_workflow / "tiers/cpu.yaml", old, new)
    refused(copied_workflow, "tiers/cpu.yaml", *parts)


def test_what_comparisons_share_is_written_once():
    text = """
        title: t
        section: s
        says: x
        shared: {tasks: [a], metric: m, first: {method: p}, expect: more, smallest: 0.0}
        comparisons:
          - {label: one, second: {method: q}}
          - {label: two, second: {method: r}, tasks: [b]}
        """
    claim = Claim.model_validate(yaml.safe_load(text))
    assert [(one.label, one.tasks, one.first.method) for one in claim.comparisons] == [
        ("one", ("a",), "p"),
        ("two", ("b",), "p"),
    ]


def test_groups_of_values_belong_to_a_family(copied_workflow):
    change(copied_workflow / "tasks/mujoco.yaml", "groups: [hopper, medium]", "groups: [hoper, medium]")
    refused(copied_workflow, "tasks/mujoco.yaml: key tasks.hopper-medium.groups", "unknown group", "'hopper'")


def test_an_option_that_is_the_same_as_another(copied_workflow):
    assert defaults(CATALOGUE, "tmaze-active-30", "dt")["context_length"] == 33
    change(copied_workflow / "methods/dt.yaml", "same_as: max_episode_steps", "same_as: max_episode_step")
    refused(copied_workflow, "methods/dt.yaml: key per_task", "context_length.same_as", "'max_episode_steps'")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (
            "[continuous, discrete, frames]",
            "[continous]",
            ("key acts_in: unknown kind of space", "'continuous'"),
        ),
        ("groups:", "settings_for: [locomtion]\ngroups:", ("settings_for: unknown problem", "'locomotion'")),
    ],
)
def test_mistakes_in_what_a_method_acts_in(copied_workflow, old, new, parts):
    change(copied_workflow / "methods/dt.yaml", old, new)
    refused(copied_workflow, "methods/dt.yaml", *parts)
