"""Which data a run rests on: a folder, Minari's store, or what the suite makes itself."""

import hashlib
import shutil

import pytest
from suites import CATALOGUE, SUITE

from bench.catalogue.catalogue import WORKFLOW
from bench.catalogue.real_data import content, located
from bench.catalogue.sources import given_data, read_rows
from bench.errors import SpecError, UnavailableError
from bench.work.cells import make_cell
from bench.work.jobs import Job, dataset_job
from bench.work.suite import Suite

REPLAY = "hopper_medium_replay-v2.hdf5"


def give(value):
    """The suite as a run sees it that was given these data."""
    return Suite.open(data=str(value))


def prints(suite, task):
    """What a dataset's fingerprint is made of."""
    return Job(suite, "dataset", "paper", make_cell(suite.catalogue, task, "", {}), 0).parts


def test_without_a_folder_tasks_have_the_data_that_the_suite_makes():
    task = CATALOGUE.tasks["hopper-medium"]
    assert (given_data(""), task.given, task.collector, task.data_source) == (
        None,
        None,
        "mujoco",
        "stand-in",
    )
    assert content(task) == {}
    assert CATALOGUE.assignments() == ""
    assert "transitions" in task.data_names


def test_a_folder_gives_d4rl_to_the_tasks_that_have_it_and_to_no_other(tmp_path):
    tasks = give(tmp_path).catalogue.tasks
    hopper = tasks["hopper-medium-replay"]
    assert (hopper.collector, hopper.data_source) == ("d4rl", "real")
    assert [row.file for row in hopper.rows] == [REPLAY]
    assert "transitions" not in hopper.data_names, "a file is read whole"
    assert (tasks["darkroom"].collector, tasks["darkroom"].data_source) == ("gridworld", "local")
    delayed = tasks["hopper-medium-replay-delayed"]
    assert delayed.rows == hopper.rows


def test_minari_gives_its_sets_and_says_so_in_a_word_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    task = give("minari").catalogue.tasks["walker2d-medium-expert"]
    assert (task.collector, task.data_source, task.given.folder) == ("minari-sets", "minari", tmp_path)
    assert [row.file for row in task.rows] == [
        "mujoco/walker2d/medium-v0/data/main_data.hdf5",
        "mujoco/walker2d/expert-v0/data/main_data.hdf5",
    ]
    monkeypatch.delenv("MINARI_DATASETS_PATH")
    assert given_data("minari").folder.parts[-2:] == (".minari", "datasets")


def test_the_fingerprint_depends_on_the_bytes_of_the_file_and_not_on_its_place(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / REPLAY).write_bytes(b"episodes")
    seen = {}
    for folder in (first, second):
        seen[folder] = prints(give(folder), "hopper-medium-replay")
    assert seen[first] == seen[second]
    assert seen[first]["files"] == {REPLAY: hashlib.sha256(b"episodes").hexdigest()}
    assert "bench.datasets.d4rl.make" in seen[first]["code"]
    assert "behaviour_policy" not in seen[first]["options"]
    (second / REPLAY).write_bytes(b"other episodes")
    assert content(give(second).catalogue.tasks["hopper-medium-replay"]) != seen[first]["files"]
    (second / REPLAY).unlink()
    assert content(give(second).catalogue.tasks["hopper-medium-replay"]) == {REPLAY: "absent"}


def test_a_setting_of_the_stand_in_names_no_other_dataset_of_real_data(tmp_path):
    cell = make_cell(CATALOGUE, "hopper-medium", "dt", {"transitions": 5000})
    assert dataset_job(SUITE, "paper", cell).cell.slug == "transitions=5000"
    assert dataset_job(give(tmp_path), "paper", cell).cell.slug == "default"


def test_a_missing_file_is_unavailable_and_the_message_says_where_it_is_to_be_had(tmp_path):
    task = give(tmp_path).catalogue.tasks["hopper-medium"]
    with pytest.raises(UnavailableError) as caught:
        located(task)
    for part in (
        f"hopper-medium: {tmp_path}/hopper_medium-v2.hdf5 is missing",
        f"`BENCH_DATA={tmp_path} python -m bench fetch hopper-medium`",
        "http://rail.eecs.berkeley.edu/",
        " or https://huggingface.co/",
        "Without BENCH_DATA the stand-in is used",
    ):
        assert part in str(caught.value)


def test_a_task_that_minari_has_nothing_for_is_unavailable():
    with pytest.raises(UnavailableError, match=r"hopper-medium-replay: .*tasks/mujoco.yaml names no dataset"):
        located(give("minari").catalogue.tasks["hopper-medium-replay"])


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SpecError, match=r"config key data .*BENCH_DATA.*no folder .*nowhere.*Name the"):
        give(tmp_path / "nowhere")


def test_a_command_names_its_data(tmp_path):
    (tmp_path / "a b").mkdir()
    assert give(tmp_path / "a b").catalogue.assignments() == f"BENCH_DATA='{tmp_path}/a b' "


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("5bdf1bc4", "5BDF1BC4", r"row 2 \(d4rl-hopper-medium-v2\): key sha256: .*Correct the row"),
        ("999906", "many", r"row 2 \(d4rl-hopper-medium-v2\): key transitions: "),
        ("d4rl-hopper-expert-v2", "d4rl-hopper-medium-v2", r"row 5 \(d4rl-hopper-medium-v2\): key id: decl"),
        ("bytes,", "size,", r"row 2 .*: key size: "),
    ],
)
def test_a_mistake_in_the_list_of_datasets_is_named(tmp_path, old, new, said):
    path = tmp_path / "datasets.csv"
    shutil.copy(WORKFLOW / "datasets.csv", path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SpecError, match=rf"workflow/datasets.csv: {said}"):
        read_rows(path)
