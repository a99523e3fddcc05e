"""The numeric profile of a process: it has all of it from its start, or it is refused."""

import json
import os
import subprocess
import sys

import pytest

from bench.commands import store
from bench.commands.portable import differing, unlike, verdict
from bench.errors import SpecError
from bench.work import numerics
from bench.work.cells import make_cell
from bench.work.fingerprint import changes, fingerprint, fingerprint_parts
from bench.work.jobs import make_job
from bench.work.record import OK, Record
from bench.work.suite import Suite

PROFILE = numerics.PROFILES[numerics.PORTABLE]
KERNELS = """
import json, os, re, sys, torch, numba, numpy
from bench.work import numerics
numerics.require()
from bench.nn.kernels import scan_forward
kernel = numba.njit(nogil=True, error_model="numpy")(scan_forward.scan_forward)
kernel.compile(scan_forward.SIGNATURE)
code = "".join(kernel.inspect_asm().values())
print(json.dumps({
    "torch": torch.backends.cpu.get_cpu_capability(),
    "numpy": [name for name in numpy._core._multiarray_umath.__cpu_dispatch__
              if numpy._core._multiarray_umath.__cpu_features__[name]],
    "fused": len(re.findall(r"\\bvf\\w*m(add|sub)", code)),
    "approximate": len(re.findall(r"\\bv?(rcp|rsqrt)", code)),
    "products": len(re.findall(r"\\bmulps", code)) > 0,
}))
"""


def said(code, **environment):
    """A process of its own: its exit status, what it printed, and what it said went wrong."""
    kept = {name: value for name, value in os.environ.items() if name not in PROFILE}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | environment, text=True, capture_output=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_under_the_profile_no_library_uses_what_only_some_processors_have():
    status, printed, wrong = said(KERNELS, BENCH_NUMERICS="portable", **PROFILE)
    assert status == 0, wrong
    assert json.loads(printed) == {
        "torch": "DEFAULT", "numpy": [], "fused": 0, "approximate": 0, "products": True
    }  # fmt: skip


def test_a_process_that_began_without_the_profile_begins_anew_with_it():
    code = "import json; from bench.work import numerics; numerics.enter(); "
    code += "print(json.dumps(sorted(numerics.at_start())))"
    status, printed, wrong = said(code, BENCH_NUMERICS="portable")
    assert status == 0, wrong
    assert set(PROFILE) <= set(json.loads(printed))


def test_it_is_too_late_once_a_library_is_loaded():
    status, _, wrong = said(
        "import numpy; from bench.work import numerics; numerics.enter()", BENCH_NUMERICS="portable"
    )
    assert status != 0
    assert "numpy is imported already" in wrong


def test_variables_that_are_set_after_the_start_do_not_count(monkeypatch):
    monkeypatch.setenv(numerics.VARIABLE, numerics.PORTABLE)
    for name, value in PROFILE.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SpecError, match="the process began without them"):
        numerics.require()


def test_a_variable_that_asks_for_something_else_is_refused():
    status, _, wrong = said(
        "from bench.work import numerics; numerics.enter()", BENCH_NUMERICS="portable", MKL_CBWR="AVX2"
    )
    assert status != 0
    assert "MKL_CBWR: 'AVX2', where BENCH_NUMERICS=portable sets 'COMPATIBLE'" in wrong


def test_an_unknown_profile_is_refused(monkeypatch):
    monkeypatch.setenv(numerics.VARIABLE, "portabel")
    with pytest.raises(SpecError, match="Did you mean 'portable'"):
        numerics.chosen()


def test_the_command_of_a_job_names_the_profile_unless_it_is_native(monkeypatch):
    suite = Suite.open()
    job = make_job(suite, "train", "quick", make_cell(suite.catalogue, "hopper-medium", "dt", {}), 0)
    monkeypatch.delenv(numerics.VARIABLE, raising=False)
    native = job.command
    monkeypatch.setenv(numerics.VARIABLE, numerics.PORTABLE)
    assert native.startswith("python -m bench train ")
    assert job.command == f"BENCH_NUMERICS=portable {native}"


def test_a_fingerprint_names_the_profile_unless_it_is_native(monkeypatch):
    monkeypatch.delenv(numerics.VARIABLE, raising=False)
    native = fingerprint_parts([], {}, 0, [])
    monkeypatch.setenv(numerics.VARIABLE, numerics.PORTABLE)
    portable = fingerprint_parts([], {}, 0, [])
    assert "numerics" not in native
    assert fingerprint(native) != fingerprint(portable)
    assert changes(native, portable) == ["numerics: native -> portable"]


def test_a_variable_of_the_profile_is_in_the_fingerprint_and_a_change_of_it_is_named(monkeypatch):
    monkeypatch.setenv(numerics.VARIABLE, numerics.PORTABLE)
    before = fingerprint_parts([], {}, 0, [])
    monkeypatch.setitem(numerics.PROFILES, numerics.PORTABLE, PROFILE | {"ONEDNN_MAX_CPU_ISA": "AVX"})
    after = fingerprint_parts([], {}, 0, [])
    assert fingerprint(before) != fingerprint(after)
    assert changes(before, after) == ["numerics ONEDNN_MAX_CPU_ISA: SSE41 -> AVX"]


def test_a_portable_run_is_not_promoted(monkeypatch, capsys):
    monkeypatch.setenv(numerics.VARIABLE, numerics.PORTABLE)
    with pytest.raises(SystemExit, match="2"):
        store.main("quick", False)
    assert "nothing under portable numerics. Leave it out." in capsys.readouterr().err


def test_a_portable_record_compares_on_any_processor_and_a_native_one_on_its_own():
    def made(platform, profile):
        return Record(status=OK, platform=platform, numerics=profile, libc="glibc 2.36").arithmetic

    assert made("Intel", numerics.PORTABLE) == made("AMD", numerics.PORTABLE)
    assert made("Intel", numerics.NATIVE) != made("AMD", numerics.NATIVE)
    assert made("AMD", numerics.NATIVE) != made("AMD", numerics.PORTABLE)
    assert Record(status=OK, platform="AMD").arithmetic == "AMD", "a record from before there were profiles"


def test_the_verdict_counts_stages_and_names_those_that_differ():
    stored, made = {"train a": "1", "train b": "2"}, {"train a": "1", "train b": "3", "train c": "4"}
    assert differing(stored, made) == ["train b", "train c"]
    assert verdict(stored, made)[0] == "portable numerics: 1 of 3 stages equal"


def test_other_software_is_named():
    here = {"versions": {"torch": "2.13.0"}, "libc": "glibc 2.36"}
    assert unlike(here, here | {"libc": "glibc 2.41"}) == ["C library: glibc 2.36 -> glibc 2.41"]
