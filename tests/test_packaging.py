"""What the suite declares to need, in every file that says so, and the size and cleanliness of its files."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
CONDA_TO_PYPI = {"pytorch": "torch"}
FOUNDATIONS = [
    "torch", "mamba-ssm", "d4rl", "minari", "ale-py", "pandas", "matplotlib", "seaborn", "snakemake",
    "fvcore",
]  # fmt: skip

# Written in pieces, so that this file does not hold what it looks for.
FOLDERS = "|".join(("home", "root", "work", "tmp", "Users", "mnt"))
REGISTRIES = [("pypi", "org"), ("pythonhosted", "org"), ("anaconda", "org"), ("download", "pytorch", "org")]
HOSTS = "|".join(r"\.".join(parts) for parts in REGISTRIES)
MACHINE_BOUND = re.compile(rf"(?<![\w.~$}}/*-])/(?:{FOLDERS})/|\b[A-Z]:\\\\|{HOSTS}")


def requirement(text):
    """(name, extras, bounds) of a requirement, in one spelling."""
    parsed = Requirement(text)
    name = canonicalize_name(CONDA_TO_PYPI.get(parsed.name, parsed.name))
    return name, frozenset(parsed.extras), parsed.specifier


def declared(*extras):
    """Requirements of the core and of the extras named."""
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    return [requirement(text) for texts in lists for text in texts]


def brought_by_extras(requirements):
    """Names that the installed versions of the requirements bring with the extras that are asked for."""
    return {
        canonicalize_name(Requirement(text).name)
        for name, extras, _ in requirements
        for extra in extras
        for text in importlib.metadata.requires(name) or []
        if (marker := Requirement(text).marker) and marker.evaluate({"extra": extra})
    }


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def tracked_texts():
    """(path, text) of every file that is in git, or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert len(listed) > 100
    for name in listed:
        path = ROOT / name
        if path.is_file() and b"\0" not in path.read_bytes()[:8000]:
            yield name, path.read_text()


def test_the_conda_environment_lists_what_pyproject_declares():
    pip = next(entry["pip"] for entry in ENVIRONMENT if isinstance(entry, dict))
    conda = [entry for entry in ENVIRONMENT if isinstance(entry, str)]
    assert conda[1] == "pip"
    listed = [requirement(text) for text in [*conda[2:], *pip]]
    assert len(listed) == len({name for name, _, _ in listed})
    assert set(listed) == set(declared("dev"))


def test_the_conda_environment_has_pyprojects_python():
    assert requirement(ENVIRONMENT[0]) == requirement(f"python{PROJECT['requires-python']}")


def make(folder, python):
    """What `make test` prints in a copy without an environment, with an interpreter that is a script."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    command = ["make", "test", f"PYTHON={python}"]
    # Not the flags of the `make` that may run this test.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def pretending_to_be(version, path):
    """An interpreter that says it is another version, and is asked to make no environment."""
    path.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] || exit 9\n'
        f'exec {sys.executable} -c "import sys; sys.version_info = {version}; $2"\n'
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("version", "is_called"),
    [((3, 10, 13), "Python 3.10"), ((3, 15, 0), "Python 3.15"), ((2, 7, 18), "Python 2.7")],
)
def test_make_says_what_to_do_where_the_interpreter_does_not_fit(tmp_path, version, is_called):
    python = pretending_to_be(version, tmp_path / "python")
    done = make(tmp_path, python)
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == (
        f"error: {python} is {is_called}, but the suite needs 3.11 to 3.14: "
        "name one with PYTHON=python3.12, as in `make test PYTHON=python3.12`"
    )
    assert not (tmp_path / ".venv").exists()


def test_make_says_what_to_do_where_there_is_no_such_interpreter(tmp_path):
    done = make(tmp_path, "python-of-nobody")
    assert done.returncode != 0
    assert done.stderr.startswith(
        "error: python-of-nobody is no Python here, but the suite needs 3.11 to 3.14: "
    )
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_make_goes_on_to_the_environment_with_every_python_that_pyproject_allows(tmp_path, minor):
    assert f"3.{minor}" in SpecifierSet(PROJECT["requires-python"])
    done = make(tmp_path, pretending_to_be((3, minor, 0), tmp_path / "python"))
    assert "error: " not in done.stderr
    assert "Error 9" in done.stderr, "it is asked for an environment, and makes none"


def test_pyproject_allows_no_other_python_than_make_does():
    allowed = [minor for minor in range(100) if f"3.{minor}" in SpecifierSet(PROJECT["requires-python"])]
    assert allowed == [11, 12, 13, 14]


@pytest.mark.parametrize("name", FOUNDATIONS)
def test_a_package_the_suite_is_built_on_is_declared(name):
    assert name in {found for found, _, _ in declared(*PROJECT["optional-dependencies"])}


@pytest.mark.parametrize("line", constraints())
def test_a_constraint_holds_a_declared_package_within_its_bounds(line):
    everything = declared(*PROJECT["optional-dependencies"])
    name, extras, held = requirement(line)
    (only,) = held
    assert only.operator == "=="
    assert not extras
    bounds = [bound for found, _, bound in everything if found == name]
    assert bounds or name in brought_by_extras(declared())
    for bound in bounds:
        assert bound.contains(only.version, prereleases=True)


def test_the_snakefile_reads_as_a_contents_page():
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 80


@pytest.mark.parametrize(
    "path", sorted((ROOT / "bench").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_a_module_can_be_read_in_a_sitting(path):
    assert len(path.read_text().splitlines()) <= 320


def test_the_pattern_of_machine_bound_text_finds_what_it_should():
    for planted in (
        "/".join(("", "home", "me", "data")),
        "C:" + 2 * "\\" + "data",
        "https://" + "pypi" + ".org",
    ):
        assert MACHINE_BOUND.search(planted), planted
    for fine in ("https://host/home/page", "~/tmp/x", "/proc/self/status", "/usr/bin/env"):
        assert not MACHINE_BOUND.search(fine), fine


def test_no_file_names_a_folder_of_one_machine_or_the_host_of_a_registry():
    found = [
        f"{name}:{number}: {match.group(0)}"
        for name, text in tracked_texts()
        for number, line in enumerate(text.splitlines(), 1)
        if (match := MACHINE_BOUND.search(line))
    ]
    assert found == []
