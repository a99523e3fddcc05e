"""What `regress` makes of the portable comparison, which runs in a process of its own."""

import re
import shutil
import subprocess
import sys

import numpy as np
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


def test_stored_digests_that_are_damaged_are_an_alarm_and_nothing_is_run(tmp_path, monkeypatch):
    damaged = tmp_path / "portable.json"
    damaged.write_text(portable.PLACE.read_text().replace("train", "trian", 1))
    monkeypatch.setattr(portable, "PLACE", damaged)
    monkeypatch.setattr(portable.subprocess, "run", None)
    (line,), alarm = compared_apart()
    assert alarm
    assert line.startswith("portable numerics: not compared: ")
    assert "git checkout -- " in line


def test_a_constant_of_a_kernel_moved_by_its_last_bit_is_an_alarm(tmp_path, monkeypatch):
    suite = tmp_path / "suite"
    for name in ("bench", "workflow", "results/stored", "tools"):
        shutil.copytree(ROOT / name, suite / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "Snakefile"):
        shutil.copy(ROOT / name, suite / name)
    kernels = suite / "bench/nn/kernels/functions.py"
    written = re.search(r"MINUS_LOG2_E = types.float32\((-1\.44\d+)\)", kernels.read_text()).group(1)
    moved = np.nextafter(np.float32(written), np.float32(0), dtype=np.float32)
    kernels.write_text(kernels.read_text().replace(written, repr(float(moved))))
    monkeypatch.setattr(portable, "ROOT", suite)
    said, alarm = compared_apart()
    assert alarm
    differing = {line.removeprefix("differs from the store: ") for line in said[1:]}
    assert said[0] == f"portable numerics: {13 - len(differing)} of 13 stages equal"
    assert "train hopper-medium/dema" in differing
    # Nothing of these is computed by that kernel.
    assert not any(name.startswith("dataset") or name.endswith(("/bc", "/dt")) for name in differing)


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
