"""On the suite itself: where code stands changes no fingerprint, what it computes those that reach it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest
from suites import CATALOGUE

from bench.files import ROOT


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the code and its specification. Tests copy it again."""
    folder = tmp_path_factory.mktemp("copied")
    for name in ("bench", "workflow"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def fingerprints(folder):
    """(stage, task, method, settings, seed) -> fingerprint of the quick tier's jobs."""
    said = subprocess.run(
        [sys.executable, "-m", "bench", "fingerprints", "--tier", "quick"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, check=True, text=True, capture_output=True,
    ).stdout  # fmt: skip
    return {tuple(key): fingerprint for key, fingerprint in map(json.loads, said.splitlines())}


@pytest.fixture(scope="module")
def before(copied):
    return fingerprints(copied)


@pytest.fixture
def suite(copied, tmp_path):
    shutil.copytree(copied, tmp_path / "suite")
    return tmp_path / "suite"


def edit(folder, path, old, new):
    file = folder / path
    text = file.read_text()
    assert old in text, f"{old!r} is not in {path}"
    file.write_text(text.replace(old, new))


def edit_everywhere(folder, old, new):
    for path in (folder / "bench").rglob("*.py"):
        path.write_text(re.sub(old, new, path.read_text()))


def changed(folder, before):
    """(stage, task, method) of the jobs whose fingerprint differs, and how many there are of each."""
    after = fingerprints(folder)
    assert after.keys() == before.keys()
    return Counter(key[:3] for key in after if after[key] != before[key])


def jobs(before, wanted):
    return Counter(key[:3] for key in before if wanted(*key[:3]))


def test_a_module_may_be_renamed_and_a_room_too(suite, before):
    (suite / "bench/methods/heads.py").rename(suite / "bench/methods/output_heads.py")
    edit_everywhere(suite, r"bench\.methods\.heads\b", "bench.methods.output_heads")
    (suite / "bench/measure").rename(suite / "bench/gauges")
    edit_everywhere(suite, r"bench\.measure\b", "bench.gauges")
    assert not changed(suite, before)


def test_a_function_may_move_to_another_file(suite, before):
    optimisation = suite / "bench/methods/optimisation.py"
    text = optimisation.read_text()
    start, end = text.index("def learning_rate_factor"), text.index("def in_tokens")
    (suite / "bench/methods/schedule.py").write_text(
        "import math\n\nfrom bench.catalogue.option_types import Options\n"
        "from bench.methods.optimisation import in_tokens\n\n\n" + text[start:end]
    )
    optimisation.write_text(text[:start] + text[end:])
    edit_everywhere(
        suite,
        r"import in_tokens, learning_rate_factor, make_optimiser",
        "import in_tokens, make_optimiser\nfrom bench.methods.schedule import learning_rate_factor",
    )
    assert not changed(suite, before)


def test_types_docstrings_messages_and_the_order_of_imports_do_not_count(suite, before):
    for path in (suite / "bench").rglob("*.py"):
        lines = path.read_text().split("\n")
        imports = [
            number for number, line in enumerate(lines) if re.match(r"from bench\S+ import [\w, ]+$", line)
        ]
        for number, line in zip(imports, [lines[number] for number in reversed(imports)], strict=True):
            lines[number] = line
        path.write_text("\n".join(lines).replace("-> None:", "-> 'None':").replace('."""', '. Really."""'))
    edit(suite, "bench/stages/train.py", 'f"loss is {value} after', 'f"the loss, {value}, after')
    assert not changed(suite, before)


def test_a_constant_changes_the_cells_that_reach_it_and_no_others(suite, before):
    edit(suite, "bench/worlds/tmaze/test.py", "SOLVED = 0.95", "SOLVED = 0.9")
    assert changed(suite, before) == jobs(
        before, lambda stage, task, _: stage == "evaluate" and task.startswith("tmaze")
    )


def test_a_default_does(suite, before):
    file, tmaze = suite / "bench/worlds/scores.py", "bench/worlds/tmaze/test.py"
    file.write_text(file.read_text() + "\n\ndef factor(value=1):\n    return value\n")
    assert not changed(suite, before), "nothing calls it"
    edit(
        suite,
        tmaze,
        "import numpy as np\n",
        "import numpy as np\nfrom bench.worlds.scores import factor\n",
    )
    edit(suite, tmaze, "float(returns.mean())", "float(returns.mean() * factor())")
    called = fingerprints(suite)
    edit(suite, "bench/worlds/scores.py", "value=1", "value=2")
    assert changed(suite, called) == jobs(
        before, lambda stage, task, _: stage == "evaluate" and task.startswith("tmaze")
    )


def test_the_body_of_an_imported_function_does(suite, before):
    edit(suite, "bench/methods/dmh_goals.py", "horizon = rewards.shape[1]", "horizon = 0 + rewards.shape[1]")
    after_training = jobs(before, lambda stage, _, method: method == "dmh")
    assert changed(suite, before) == after_training


def test_which_function_is_imported_does(suite, before):
    edit(
        suite,
        "bench/evaluators/in_context.py",
        "import Agent, actions_generator",
        "import Agent, Evaluator as actions_generator",
    )
    assert changed(suite, before) == jobs(
        before,
        lambda stage, _, method: stage == "evaluate" and CATALOGUE.methods[method].in_context,
    )


def test_a_changed_training_reaches_what_is_made_from_it(suite, before):
    edit(suite, "bench/worlds/tmaze/data.py", "def make(", "EXTRA = 1\n\n\ndef make(")
    assert not changed(suite, before)
    edit(suite, "bench/worlds/tmaze/data.py", "def make(", "@property\ndef make(")
    assert changed(suite, before) == jobs(
        before,
        lambda stage, task, _: task.startswith("tmaze") and stage != "probe",
    )
