"""Every table and figure of every paper is made from the committed store, and holds what its cells say."""

import csv
import sys

import pytest
from dag.conftest import ROOT, copy_suite
from suites import CATALOGUE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "endings"),
    [("table", ("csv", "md", "tex", "json")), ("figure", ("csv", "png", "pdf", "json"))],
)
def test_every_artifact_is_made_from_the_store(tmp_path, monkeypatch, command, endings):
    suite = copy_suite(tmp_path / "suite", kept={})
    (suite.root / "results/stored").symlink_to(ROOT / "results/stored")
    monkeypatch.setenv("BENCH_SOURCE", "stored")
    suite.run([sys.executable, "-m", "bench", command, "--tier", "quick"])
    made = [
        name
        for name, artifact in CATALOGUE.artifacts.items()
        if (artifact.layout.kind == "table") == (command == "table")
    ]
    assert made
    for name in made:
        (folder,) = {path.parent for path in suite.root.rglob(f"{name}.csv")}
        assert {ending for ending in endings if (folder / f"{name}.{ending}").stat().st_size} == set(endings)
        with (folder / f"{name}.csv").open() as file:
            assert list(csv.DictReader(file)), name
