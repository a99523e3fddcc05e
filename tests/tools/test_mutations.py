"""Faults planted in the code, and the claims whose word they change."""

from dataclasses import replace

import pandas as pd
import pytest
from suites import CATALOGUE, SUITE

from bench.analysis.claims import examine
from bench.analysis.mutation_scores import UNDECIDED, read_trials, scores, scores_said
from bench.errors import SpecError
from bench.files import ROOT
from bench.work.claims import load_claims
from bench.work.suite import Suite
from benchmarks.faults import Fault, Faults, plant, read_faults
from benchmarks.faulty_copies import TIER, Copy
from benchmarks.mutation_trials import (
    Before,
    Trial,
    decided_with,
    jobs_read,
    moved_most,
    try_fault,
    without_fault,
)
from benchmarks.mutations import PAGE, earlier_trials
from benchmarks.mutations_page import page_of

FAULTS = read_faults()
CLAIM = "dema_parameters_in_mujoco"


@pytest.mark.parametrize("fault", FAULTS.faults, ids=lambda fault: fault.name)
def test_a_fault_fits_the_code_as_it_is_and_leaves_valid_python(fault):
    text = (ROOT / fault.file).read_text()
    assert text.count(fault.find) == 1
    compile(text.replace(fault.find, fault.put), fault.file, "exec")


def test_faults_are_tried_on_claims_that_there_are():
    claims = load_claims(SUITE)
    assert [name for fault in FAULTS.faults for name in FAULTS.claims_of(fault) if name not in claims] == []
    assert [fault.name for fault in FAULTS.faults if not FAULTS.claims_of(fault)] == []


def fault(**given) -> Fault:
    """A fault that writes 2 for 1 in `code.py`, unless it is given otherwise."""
    usual = {
        "name": "made-up",
        "file": "code.py",
        "find": "x = 1",
        "put": "x = 2",
        "says": "",
        "methods": ["dt"],
    }
    return Fault.model_validate({**usual, **given})


def test_a_fault_stands_in_the_place_of_what_it_names(tmp_path):
    (tmp_path / "code.py").write_text("x = 1\ny = 1\n")
    plant(fault(), tmp_path)
    assert (tmp_path / "code.py").read_text() == "x = 2\ny = 1\n"


@pytest.mark.parametrize(
    ("text", "file", "said"),
    [
        ("y = 1\n", "code.py", "fault made-up: key find: it stands 0 times in code.py, not once"),
        ("x = 1\nx = 1\n", "code.py", "fault made-up: key find: it stands 2 times in code.py, not once"),
        ("x = 1\n", "moved.py", "fault made-up: key file: there is no moved.py"),
    ],
)
def test_a_fault_that_no_longer_fits_is_refused_by_name(tmp_path, text, file, said):
    (tmp_path / "code.py").write_text(text)
    with pytest.raises(SpecError, match=said):
        plant(fault(file=file), tmp_path)
    assert (tmp_path / "code.py").read_text() == text


def test_a_name_that_no_fault_has_is_refused_with_the_nearest():
    with pytest.raises(SpecError, match=r"--fault: unknown fault 'made-upp'\. Did you mean 'made-up'\?"):
        Faults(claims={}, faults=(fault(),)).named(["made-upp"])


def parameters(task: str, dt: float, dema: float, made: str) -> pd.DataFrame:
    """Rows of both methods' parameters on a task, made under the fingerprints `dt-made` and `dema-made`."""
    return pd.DataFrame([
        {"task": task, "method": method, "settings": "default", "seed": 0, "step": 0, "index": 0.0,
         "metric": "parameters_as_published", "value": value, "status": "ok",
         "fingerprint": f"{method}-{made}"}
        for method, value in (("dt", dt), ("dema", dema))
    ])  # fmt: skip


def test_numbers_of_a_faulty_job_take_the_place_of_the_unchanged_ones_and_change_the_word():
    claim = load_claims(SUITE)[CLAIM]
    cells = parameters("hopper-medium", 800.0, 100.0, "unchanged")
    before = Before(claim, examine(CATALOGUE, claim, cells, "quick"), [], cells)
    assert before.answer.word == "supported"
    assert before.is_decided
    faulty = parameters("hopper-medium", 800.0, 400.0, "faulty").query("method == 'dema'")
    after = decided_with(SUITE, before, {"dema-unchanged"}, faulty)
    assert after.word == "contradicted"
    assert moved_most(SUITE, before.answer, after)[1] == pytest.approx((8.0, 2.0))


def test_a_claim_reads_the_jobs_of_its_cells_and_of_no_other():
    jobs = jobs_read(SUITE, load_claims(SUITE)["dema_macs"], "quick")
    assert {(job.stage, job.cell.task, job.cell.method, job.cell.slug) for job in jobs} == {
        ("probe", "breakout", method, "default") for method in ("dt", "dema")
    }


def trial(outcome: str, changed: str = "", **given) -> Trial:
    after = {"yes": "contradicted", "no": "supported"}.get(changed, "")
    return replace(Trial("made-up", "dt", "one", outcome, "supported", after, changed), **given)


def test_a_score_counts_what_ran_and_nothing_that_crashed():
    trials = [
        trial("tried", "yes"), trial("tried", "no"), trial("tried", "no"), trial("crashed"),
        trial("untouched"), trial("undecided", claim="two", before="inconclusive"),
    ]  # fmt: skip
    table = pd.DataFrame(trials)
    found = scores(table).set_index("claim")
    assert found.loc["one", ["tried", "changed", "score", "crashed", "untouched"]].tolist() == [
        3,
        1,
        "33%",
        1,
        1,
    ]
    assert found.loc["two", ["word", "tried", "score"]].tolist() == ["undecided (inconclusive)", 0, "-"]
    assert scores_said(table) == {"one": "1 of 3", "two": UNDECIDED}
    assert scores_said(pd.DataFrame([trial("crashed"), trial("left out")])) == {}
    page = page_of(Faults(claims={"dt": ("one",)}, faults=(fault(says="It counts wrongly."),)), table)
    assert "| one | supported | 3 | 1 | 33% | 1 | 1 | 0 |" in page
    assert "It counts wrongly." in page


def test_the_page_says_what_the_table_holds_of_the_faults_that_there_are():
    assert len(earlier_trials(FAULTS)) == len(read_trials())
    assert PAGE.read_text() == page_of(FAULTS, read_trials())


def test_without_a_table_of_trials_no_claim_has_a_score(tmp_path):
    assert scores_said(read_trials(tmp_path / "mutations.csv")) == {}


@pytest.mark.campaign
def test_a_fault_is_tried_once_and_changes_the_word_of_a_claim(tmp_path):
    unchanged = Copy(tmp_path / "unchanged")
    unchanged.fill()
    unchanged.ask_fingerprints()
    suite = Suite.open(unchanged.root / "workflow")
    befores = without_fault(suite, unchanged, [CLAIM])
    assert [(job.tier, job.cell.method) for job in befores[CLAIM].jobs] == [(TIER, "dt"), (TIER, "dema")]
    wrong = fault(
        file="bench/methods/dema_model.py",
        find='width, inner = options["embedding_dim"], options["d_model"]',
        put='width, inner = options["embedding_dim"], 8 * options["d_model"]',
    )
    (first,) = try_fault(suite, wrong, befores, unchanged, 150.0, {})
    assert (first.outcome, first.before, first.after) == ("tried", "supported", "contradicted")
    assert first.effect_after < first.effect_before
    assert first.core_seconds > 0
    known = {(wrong.name, CLAIM): replace(first, why="as it was")}
    assert try_fault(suite, wrong, befores, unchanged, 150.0, known) == [known[wrong.name, CLAIM]]
    (left_out,) = try_fault(suite, wrong, befores, unchanged, 1.0, {})
    assert left_out.outcome == "left out"
    broken = fault(
        file="bench/methods/dema_model.py",
        find='width, inner = options["embedding_dim"], options["d_model"]',
        put='width, inner = options["embedding_dim"], None',
    )
    assert try_fault(suite, broken, befores, unchanged, 150.0, {})[0].outcome == "crashed"
    harmless = fault(file="bench/methods/dmh.py", find="0.5 * sum(", put="0.25 * sum(")
    assert try_fault(suite, harmless, befores, unchanged, 150.0, {})[0].outcome == "untouched"
