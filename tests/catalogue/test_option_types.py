"""Options have types: mypy knows the name and the kind of each."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAD = "from bench.catalogue.option_types import Options\n\n\ndef read(options: Options) -> {kind}:\n"


def said_by_mypy(folder, kind, expression):
    path = folder / "reads_an_option.py"
    path.write_text(f"{HEAD.format(kind=kind)}    return {expression}\n")
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", path]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False).stdout


@pytest.mark.parametrize(
    ("kind", "expression", "said"),
    [
        ("int", 'options["context_length"]', "no issues found"),
        ("int", 'options["contxt_length"]', 'TypedDict "Options" has no key "contxt_length"'),
        ("str", 'options["context_length"]', 'got "int", expected "str"'),
    ],
)
def test_a_misspelt_option_is_an_error_and_so_is_another_type(tmp_path, kind, expression, said):
    assert said in said_by_mypy(tmp_path, kind, expression)
