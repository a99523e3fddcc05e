"""Seeds beyond a budget's: commands on a whole tier see them, tables do not, and no fingerprint changes."""

import json
from dataclasses import replace

import pytest
from suites import SUITE

from bench.errors import UserError
from bench.files import write_atomically
from bench.work.entries import entries
from bench.work.extra_seeds import NAME, ask_seeds, extra_jobs, key_of, ledger_of, read_seeds, seeds_for
from bench.work.jobs import make_job
from bench.work.plan import all_jobs, jobs_of, must_jobs
from bench.work.stored import Store, seal_store

TIER = "quick"


@pytest.fixture
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def last_evaluation(jobs):
    """The last seed of a cell's evaluation."""
    return next(
        job for job in reversed(jobs) if job.stage == "evaluate" and job.seed == job.resolved.seeds - 1
    )


def test_jobs_of_more_seeds_come_behind_the_others_and_change_none(working_folder):
    before = all_jobs(SUITE, TIER)
    digests = {job: job.fingerprint for job in before}
    job = last_evaluation(before)
    ask_seeds(TIER, {key_of(job): job.seed + 3})
    after = all_jobs(SUITE, TIER)
    assert after[: len(before)] == before
    assert {one: one.fingerprint for one in after[: len(before)]} == digests
    added = after[len(before) :]
    assert {(one.stage, one.seed) for one in added} == {
        (stage, job.seed + more) for stage in ("train", "evaluate") for more in (1, 2)
    }
    assert {one.cell.task for one in added} == {job.cell.task}


def test_tables_and_the_must_list_keep_to_the_budgets(working_folder):
    job = last_evaluation(all_jobs(SUITE, TIER))
    shown = [entry for name in SUITE.catalogue.artifacts for entry in entries(SUITE, name, TIER)]
    before = [jobs_of(entry, TIER) for entry in shown], must_jobs(SUITE, "cpu")
    ask_seeds(TIER, {key_of(job): 10})
    assert ([jobs_of(entry, TIER) for entry in shown], must_jobs(SUITE, "cpu")) == before


def test_two_machines_that_ask_get_the_most_that_either_asked_for(working_folder):
    job = last_evaluation(all_jobs(SUITE, TIER))
    ask_seeds(TIER, {key_of(job): 5, "train darkroom dmh default": 3})
    ask_seeds(TIER, {key_of(job): 4, "train darkroom dmh default": 7})
    assert read_seeds(ledger_of(TIER)) == {key_of(job): 5, "train darkroom dmh default": 7}


def test_what_is_asked_for_some_jobs_gives_those_jobs(working_folder):
    job = last_evaluation(all_jobs(SUITE, TIER))
    more = make_job(SUITE, job.stage, TIER, job.cell, job.seed + 2)
    assert more not in all_jobs(SUITE, TIER)
    ask_seeds(TIER, seeds_for([more, *more.upstream]))
    assert {more, *more.upstream} <= set(all_jobs(SUITE, TIER))


def test_a_file_that_is_none_is_refused_by_name(working_folder):
    path = ledger_of(TIER)
    path.parent.mkdir(parents=True)
    for text in (
        "[1, 2]",
        "{",
        json.dumps({"train darkroom": 3}),
        json.dumps({"fly darkroom dmh default": 3}),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=f"{NAME}: not what `bench settle` writes"):
            all_jobs(SUITE, TIER)


def test_the_stores_own_file_is_read_only_as_it_was_promoted(working_folder):
    store = Store(working_folder / "stored")
    path = store.folder / TIER / NAME
    assert read_seeds(store.seeds(TIER)) == {}
    write_atomically(path, '{"train darkroom dmh default": 7}\n')
    seal_store(path.parent)
    assert read_seeds(store.seeds(TIER)) == {"train darkroom dmh default": 7}
    path.write_text('{"train darkroom dmh default": 8}\n')
    with pytest.raises(UserError, match=rf"{NAME}: damaged or edited.*git checkout"):
        Store(store.folder).seeds(TIER)
    path.unlink()
    with pytest.raises(UserError, match=rf"{NAME}: missing.*git checkout"):
        Store(store.folder).seeds(TIER)


def test_jobs_of_a_damaged_file_of_the_store_are_not_listed(working_folder):
    folder = working_folder / "stored"
    write_atomically(folder / TIER / NAME, "{}\n")
    seal_store(folder / TIER)
    suite = replace(SUITE, store=Store(folder), found={})
    assert extra_jobs(suite, TIER) == []
    (folder / TIER / NAME).write_text("{} \n")
    with pytest.raises(UserError, match=f"{NAME}: damaged or edited"):
        extra_jobs(replace(SUITE, store=Store(folder), found={}), TIER)
