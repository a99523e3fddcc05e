"""`readings.yaml` of a paper: what it may hold, and how its mistakes are named."""

import pytest
from reading_cases import TASK, choice, choices, lab
from suites import CATALOGUE

from bench.catalogue.choices import Choice, ReadingName, parse_reading
from bench.catalogue.load import load_catalogue
from bench.catalogue.values import choices_on
from bench.errors import SpecError


def opened(folder, declared, reading=""):
    return load_catalogue(papers=str(lab(folder, declared)), reading=reading)


def refused(folder, declared, *parts, reading=""):
    with pytest.raises(SpecError) as caught:
        opened(folder, declared, reading)
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text, f"{part!r} not in: {text}"


def test_the_options_of_a_papers_choices_are_found_by_name(tmp_path):
    catalogue = opened(tmp_path, choices(CATALOGUE) | {"built": why(default="both say it")})
    assert {"noise", "step", "length", "bc-noise", "test", "data"} <= catalogue.choices.keys()
    assert "built" not in catalogue.choices
    assert catalogue.readings["mine"].choices["built"].status == "default"
    assert catalogue.where("readings", "mine").endswith("papers/mine/readings.yaml")


def why(**reason):
    sentences = ("choice", "text", "code", "source")
    return dict.fromkeys(sentences, "one") | reason


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "a choice has values, or else it says why"),
        ({"default": "both", "refused": "a mistake"}, "default or refused, and one of them"),
        ({"default": "both", "scale": True}, "say where values hold"),
        ({"values": {"text": {"dropout": 0.1}, "code": {"dropout": 0.1}}}, "no choice"),
        ({"values": {"text": {"dropout": 0.1}, "code": {"layers": 1}}}, "sets dropout, layers"),
    ],
)
def test_a_choice_is_an_option_or_says_why_it_is_none(changes, said):
    with pytest.raises(ValueError, match=said):
        Choice.model_validate(why(**changes))


def test_an_unknown_key_is_refused(tmp_path):
    refused(tmp_path, {"noise": why(defualt="both")}, "mine/readings.yaml", "choices.noise.defualt")


def test_text_is_the_default_of_the_method_on_the_task(tmp_path):
    wrong = choice(CATALOGUE, {"dropout": 0.375}, ("dt",))
    wrong["values"]["text"] = {"dropout": 0.25}
    refused(
        tmp_path, {"noise": wrong},
        "mine/readings.yaml: key choices.noise.values.text (dt on hopper-medium)", "option dropout is 0.25",
        f"by default {CATALOGUE.option_groups['optimisation']['dropout'].default!r}",
        "Correct the value, or the default",
    )  # fmt: skip


def test_a_choice_without_tasks_is_for_those_that_have_its_options(tmp_path):
    values = {"text": {"waypoint_spread": 0.1}, "code": {"waypoint_spread": 0.25}}
    catalogue = opened(tmp_path, {"spread": why(values=values)})
    mazes = {name for name, task in catalogue.tasks.items() if task.family == "maze"}
    for method in ("", "dt", "bc"):
        on = {task for task in catalogue.tasks if "spread" in choices_on(catalogue, task, method)}
        assert on == mazes


def test_a_choice_whose_options_no_task_has_is_refused(tmp_path):
    misspelt = why(methods=["dt"], values={"text": {"dropuot": 0.1}, "code": {"dropuot": 0.2}})
    refused(tmp_path, {"noise": misspelt}, "choices.noise.values: no task has all options of dropuot of dt")


def test_values_of_the_code_fit_their_options(tmp_path):
    wrong = choice(CATALOGUE, {"dropout": "none"}, ("dt",))
    refused(
        tmp_path, {"noise": wrong}, "choices.noise.values.code (dt on hopper-medium): option dropout must"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": ["dtt"]}, "choices.noise.methods: unknown method 'dtt'. Did you mean 'dt'"),
        ({"tasks": ["hoper-medium"]}, "choices.noise.tasks: unknown task 'hoper-medium'. Did you mean"),
        (
            {"values": {"text": {"dropuot": 0.1}, "code": {"dropuot": 0.2}}},
            "choices.noise.values: hopper-medium lacks an option of dropuot of dt",
        ),
    ],
)
def test_methods_tasks_and_options_that_nothing_declares(tmp_path, changes, said):
    refused(tmp_path, {"noise": choice(CATALOGUE, {"dropout": 0.375}, ("dt",)) | changes}, said)


def test_one_option_is_in_one_choice(tmp_path):
    again = choice(CATALOGUE, {"dropout": 0.5, "updates": 5}, ("dt",))
    first = choice(CATALOGUE, {"dropout": 0.375}, ("dt",))
    refused(
        tmp_path, {"noise": first, "again": again},
        "key choices.", "option dropout of dt on hopper-medium is also set by choice",
        "name other methods or tasks",
    )  # fmt: skip


def test_no_methods_scale_is_one_of_the_data(tmp_path):
    scaled = choice(CATALOGUE, {"transitions": 99}, ("dt",), scale=True)
    refused(tmp_path, {"data": scaled}, "choices.data.scale: option transitions", "all methods share")


def test_the_reading_of_a_run(tmp_path):
    assert opened(tmp_path, choices(CATALOGUE), "code+noise").reading == ReadingName(
        "code", frozenset({"noise"})
    )
    where = "config key reading (environment variable BENCH_READING)"
    refused(tmp_path, choices(CATALOGUE), where, "unknown reading 'cod'. Did you mean 'code'", reading="cod")
    refused(
        tmp_path, choices(CATALOGUE), where, "unknown choice of a reading 'nois'. Did you mean 'noise'",
        reading="text+nois",
    )  # fmt: skip


def test_a_name_turns_a_choice_once():
    with pytest.raises(SpecError, match="names a choice twice"):
        parse_reading("text+noise+noise", ["noise"], "here")


def test_commands_of_a_run_say_its_reading(tmp_path):
    assert opened(tmp_path, choices(CATALOGUE), "code").assignments(TASK).endswith("BENCH_READING=code ")
    assert "READING" not in opened(tmp_path, choices(CATALOGUE), "text").assignments(TASK)
