"""`bench settle`: seeds come in stages until each claim is settled, whatever is killed on the way."""

import io
import json
import os
import random
import socket
import subprocess
import sys

import pandas as pd
import pytest
from records import write_record
from rich.console import Console
from suites import SUITE

from bench.analysis.settling import Campaign, in_order
from bench.commands.settle import Settler, plan
from bench.files import write_atomically
from bench.seeds import stream
from bench.work.claim import Claim
from bench.work.extra_seeds import ledger_of, read_seeds
from bench.work.jobs import make_job
from bench.work.plan import all_jobs
from bench.work.taking import take

TIER = "quick"
ROOM, HOPPER = ("darkroom",), ("hopper-medium",)
AD, ADM = "ad-transformer", "ad-mamba"


def claim(title, tasks, first, second, metric, smallest, expect="more"):
    """A claim of one comparison."""
    return Claim.model_validate({
        "title": title, "section": "1", "says": title,
        "comparisons": [{"label": title, "tasks": tasks, "metric": metric, "first": {"method": first},
                         "second": {"method": second}, "smallest": smallest, "expect": expect}],
    })  # fmt: skip


CLAIMS = {
    "made_clear": claim("clear", ROOM, AD, ADM, "in_context_gain", 1.0),
    "made_false": claim("false", ROOM, ADM, AD, "in_context_gain", 1.0),
    "made_close": claim("close", HOPPER, "dema", "dt", "normalised_score", 1.0),
}
# The true mean of a method's metrics, and how far seeds spread.
MEANS, SPREAD = {AD: 60.0, ADM: 50.0, "dema": 51.0, "dt": 50.0}, 0.3


class KilledError(BaseException):
    """Nothing catches it: what a kill leaves of the files is what is tested."""


class Machine:
    """Writes what a job would, and is killed at the moments it is told to: before, between files, after."""

    def __init__(self, killed_at=()):
        self.killed_at, self.moment, self.ran = set(killed_at), 0, []

    def __call__(self, job, taken):
        self._pass()
        metrics = [name for name, one in SUITE.catalogue.metrics.items() if one.stage == job.stage]
        draw = stream("made up", *job.key).normal(scale=SPREAD)
        value = MEANS.get(job.cell.method, 50.0) + draw
        rows = [{"metric": name, "step": 10, "index": 0.0, "value": value} for name in metrics]
        table = pd.DataFrame(rows, columns=["metric", "step", "index", "value"])
        write_atomically(job.table, table.to_csv(index=False))
        self._pass()
        write_record(job, seconds=1.0, cpu_seconds=1.0)
        self.ran.append(job.key)
        self._pass()
        return True

    def _pass(self):
        self.moment += 1
        if self.moment in self.killed_at:
            raise KilledError


def verdicts(folder="."):
    """What settled.csv says, but for what is left to do."""
    table = pd.read_csv(f"{folder}/results/{TIER}/settled.csv", keep_default_na=False)
    return table[["claim", "verdict", "seeds", "confidence", "why"]].to_dict("records")


def settle(machine, **given):
    return Settler(Campaign(SUITE, CLAIMS, TIER), run=machine, say=lambda said: None, **given).settle()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a campaign that nobody kills says, and how many moments it has."""
    folder, before = tmp_path_factory.mktemp("undisturbed"), os.getcwd()
    os.chdir(folder)
    try:
        machine = Machine()
        settle(machine)
        return verdicts(), machine, read_seeds(ledger_of(TIER)), all_jobs(SUITE, TIER)
    finally:
        os.chdir(before)


@pytest.fixture
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_claims_stop_as_soon_as_they_are_decided_and_at_ten_seeds_at_the_latest(undisturbed):
    found = {one["claim"]: one for one in undisturbed[0]}
    assert {name: one["verdict"] for name, one in found.items()} == {
        "made_clear": "supported", "made_false": "contradicted", "made_close": "futile",
    }  # fmt: skip
    assert found["made_clear"]["seeds"] < 10 == found["made_close"]["seeds"]
    assert found["made_close"]["why"].startswith("close: between 0.")
    seeds = {(stage, method): seed for stage, _, method, _, seed in undisturbed[1].ran}
    assert seeds["evaluate", "dt"] == 9
    assert seeds["evaluate", AD] == found["made_clear"]["seeds"] - 1


def test_no_job_runs_twice_and_cells_see_every_seed(undisturbed):
    _, machine, asked, jobs = undisturbed
    assert len(machine.ran) == len(set(machine.ran))
    assert asked["evaluate hopper-medium dt default"] == 10
    assert set(machine.ran) <= {job.key for job in jobs}


def test_killed_at_ten_random_moments_it_ends_with_the_same_verdicts(undisturbed, working_folder):
    moments = random.Random(0)
    for _ in range(10):
        machine = Machine([moments.randint(1, undisturbed[1].moment // 8)])
        with pytest.raises(KilledError):
            settle(machine)
    settle(Machine())
    assert verdicts() == undisturbed[0]


class LaidDownError(Exception):
    """A machine that has nothing left but what another runs, and would wait."""


@pytest.mark.campaign
def test_two_machines_run_no_job_twice_and_say_the_same(undisturbed, working_folder):
    one, other = Machine(), Machine()

    def give_up(seconds):
        raise LaidDownError

    def while_another_works(job, taken):
        if not other.ran:
            with pytest.raises(LaidDownError):
                settle(other, wait=give_up)
            assert other.ran, "it takes what is free"
            assert job.key not in other.ran
        return one(job, taken)

    settle(while_another_works)
    assert sorted(one.ran + other.ran) == sorted(set(undisturbed[1].ran))
    assert verdicts() == undisturbed[0]


def test_time_that_is_up_begins_no_job(working_folder):
    machine = Machine()
    standings = settle(machine, seconds=0.0)
    assert machine.ran == []
    assert {one.word for one in standings} == {"open"}


def test_a_job_that_leaves_nothing_is_not_tried_again_and_the_others_go_on(working_folder):
    machine, tried = Machine(), []

    def run(job, taken):
        if job.cell.method == "dt":
            tried.append(job.key)
            return False
        return machine(job, taken)

    words = {one.needs.name: one.word for one in settle(run)}
    assert words == {"made_clear": "supported", "made_false": "contradicted", "made_close": "open"}
    assert len(tried) == len(set(tried)) > 0


def test_the_claim_that_promises_most_a_core_second_comes_first(working_folder):
    campaign = Campaign(SUITE, CLAIMS, TIER)
    ordered = in_order(campaign.survey())
    promise = [one.chance / sum(job.core_seconds for job in one.next_jobs) for one, _ in ordered]
    assert promise[0] == max(promise)
    assert {one.chance for one, _ in ordered} == {0.5}
    shared = {one.needs.name: jobs for one, jobs in ordered}
    assert [] in (shared["made_clear"], shared["made_false"]), "one reads what the other has run"


def test_after_a_look_the_chance_is_that_of_the_effect_and_spread_seen(working_folder):
    machine = Machine()

    class Three(Campaign):
        """Until every claim has been looked at once."""

        def survey(self):
            return [one if one.seeds == 0 else stopped(one) for one in super().survey()]

    def stopped(one):
        return type(one)(one.needs, one.word, one.why, one.seeds)

    Settler(Three(SUITE, CLAIMS, TIER), run=machine, say=lambda said: None).settle()
    chances = {one.needs.name: one.chance for one in Campaign(SUITE, CLAIMS, TIER).survey() if one.is_open}
    assert chances["made_close"] < 0.1
    assert all(chances[name] > 0.9 for name in ("made_clear", "made_false") if name in chances)


def test_the_plan_says_what_is_open_what_it_costs_and_what_an_hour_decides(working_folder):
    console = Console(width=140, record=True, file=io.StringIO())
    out_of_reach = {"made_far": claim("far", ("breakout",), "dema", "dt", "normalised_score", 1.0)}
    plan(Campaign(SUITE, CLAIMS | out_of_reach, TIER), 1.0, console)
    said = console.export_text()
    rows = {line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
            for line in said.split("What the next")[0].splitlines() if line.startswith("│")}  # fmt: skip
    assert rows["made_far"][0] == "not in this tier"
    assert "breakout is not built yet" in rows["made_far"][-1]
    word, seeds, next_look, most, chance, _ = rows["made_close"]
    assert (word, seeds, chance) == ("open", "0", "0.50")
    assert 0 < float(next_look) < float(most)
    assert "claims decided, as expected" in said


def job_of(seed=0):
    cell = next(job.cell for job in all_jobs(SUITE, TIER) if job.stage == "train")
    return make_job(SUITE, "train", TIER, cell, seed)


def test_a_taken_job_is_free_again_at_the_end_and_not_before(working_folder):
    with take(job_of()):
        assert take(job_of()) is None
        assert take(job_of(1)) is not None
    assert take(job_of()) is not None


def test_what_a_dead_process_took_is_taken_over_and_what_another_host_took_is_not(working_folder):
    job = job_of()
    job.folder.mkdir(parents=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path = job.folder / ".train.taken"
    for host, free in (("elsewhere", False), (socket.gethostname(), True)):
        path.write_text(json.dumps({"host": host, "processes": [dead.pid]}))
        assert (take(job) is not None) is free
    path.write_text(json.dumps({"host": "elsewhere", "processes": [1]}))
    os.utime(path, (0, 0))
    assert take(job) is not None, "not touched for years"
