"""What `regress` makes of the portable comparison, which runs in a process of its own."""

import subprocess
import sys

import pytest

from bench.commands import portable, regress
from bench.commands.portable import DIFFERS, compared_apart, environment_apart
from bench.files import ROOT


@pytest.fixture
def ended(monkeypatch):
    """Stands in for the process: how it ends, what it prints, what it says went wrong."""

    def ends(status, printed="", wrong=""):
        done = subprocess.CompletedProcess([], status, printed, wrong)
        monkeypatch.setattr(portable.subprocess, "run", lambda *_, **__: done)

    return ends


def test_a_stage_that_differs_is_an_alarm(ended):
    ended(DIFFERS, "portable numerics: 12 of 13 stages equal\n")
    assert compared_apart() == (["portable numerics: 12 of 13 stages equal"], True)


def test_where_the_profile_cannot_be_had_nothing_is_compared_and_there_is_no_alarm(ended):
    ended(2, "", "error: BENCH_NUMERICS: portable is for Linux on x86-64 with glibc\n")
    said = "portable numerics: not compared: BENCH_NUMERICS: portable is for Linux on x86-64 with glibc"
    assert compared_apart() == ([said], False)


def test_a_process_that_breaks_is_an_alarm_with_its_last_lines_and_no_difference(ended):
    broken = subprocess.run(
        [sys.executable, "-c", "raise RuntimeError('no memory')"], capture_output=True, text=True, check=False
    )
    assert broken.returncode != DIFFERS
    ended(broken.returncode, "half of it", broken.stderr)
    (line,), alarm = compared_apart()
    assert alarm
    assert "the comparison broke, exit status 1" in line
    assert line.endswith("RuntimeError: no memory")


def test_what_a_run_was_given_does_not_reach_the_comparison(monkeypatch):
    given = ("BENCH_DATA", "BENCH_PAPERS", "BENCH_READING", "BENCH_SOURCE", "MKL_CBWR")
    for name in given:
        monkeypatch.setenv(name, "something")
    kept = environment_apart()
    assert not kept.keys() & set(given)
    assert kept["BENCH_NUMERICS"] == "portable"


@pytest.mark.parametrize("alarm", [True, False])
def test_the_page_is_written_before_the_comparison_and_has_what_it_says(tmp_path, monkeypatch, alarm):
    (tmp_path / "quick").mkdir()
    page = tmp_path / "quick" / "regress.md"

    def compared():
        assert page.read_text() == "page\n"
        return ["portable numerics: a line"], alarm

    class Compared:
        findings = ()

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(regress, "RESULTS", tmp_path)
    monkeypatch.setattr(regress, "regress", lambda *_: (Compared, None))
    monkeypatch.setattr(regress, "page_of", lambda *_: "page\n")
    monkeypatch.setattr(regress, "show", lambda *_: None)
    monkeypatch.setattr(regress, "compared_apart", compared)
    if alarm:
        with pytest.raises(SystemExit) as ended:
            regress.main("quick", False)
        assert ended.value.code == 1
    else:
        regress.main("quick", False)
    assert page.read_text() == "page\n\n- portable numerics: a line\n"
