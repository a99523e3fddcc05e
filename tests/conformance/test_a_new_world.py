"""The world of docs/extending.md keeps the contract, in a suite that its files were copied into."""

import re
import sys

import pytest
from dag.conftest import ROOT, copy_suite

PAGE = (ROOT / "docs" / "extending.md").read_text()
FILES = [
    "bench/worlds/line/world.py", "bench/worlds/line/data.py", "bench/worlds/line/test.py",
    "workflow/tasks/line.yaml", "workflow/protocols/line.yaml",
]  # fmt: skip


@pytest.mark.slow
def test_the_example_of_a_world_keeps_the_contract(tmp_path):
    suite = copy_suite(tmp_path / "suite")
    for path in FILES:
        text = re.search(rf"`{re.escape(path)}`:\n\n```\w+\n(.*?)```", PAGE, re.S)[1]
        (suite.root / path).parent.mkdir(exist_ok=True)
        (suite.root / path).write_text(text)
    for method in ("bc", "dema", "ad-mamba"):
        said = suite.run(
            [sys.executable, "-m", "bench", "conform", "--method", method, "--task", "line"], check=False
        )
        assert suite.exit_code == 0, said
        assert said.count(f"kept    {method} on line: ") == 17
        assert "broken" not in said


@pytest.mark.slow
def test_a_broken_promise_is_named_and_the_command_fails(tmp_path):
    suite = copy_suite(tmp_path / "suite")
    suite.edit(
        "bench/methods/transitions.py",
        "index = generator.integers(",
        "index = np.random.default_rng().integers(",
    )
    said = suite.run(
        [sys.executable, "-m", "bench", "conform", "--method", "bc", "--task", "maze2d-umaze"], check=False
    )
    assert suite.exit_code == 1
    assert (
        "broken  bc on maze2d-umaze: draws are pure: draw() gives another batch from an equal generator"
        in said
    )
