"""Fingerprints hold everything that counts.

Jobs of every method and stage are made under a profiler and an audit hook. Each definition that ran and each
file that was read has to be inside the job's own fingerprint.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.catalogue.stages import STAGES

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture
def every_method(tmp_path):
    """A copy of the suite with the tier `every_method` alone; returns its folder and what makes its jobs."""
    for name in ("bench", "workflow"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "results" / "reported", tmp_path / "results" / "reported")
    papers, claims = tmp_path / "workflow" / "papers", tmp_path / "workflow" / "claims"
    shutil.rmtree(claims)
    for paper in papers.iterdir():
        if paper.name != "extra":
            shutil.rmtree(paper)
    for artifact in (papers / "extra").glob("*.yaml"):
        if artifact.name not in ("paper.yaml", "readings.yaml"):
            artifact.unlink()
    shutil.copy(ROOT / "tests" / "every_method.yaml", tmp_path / "workflow" / "tiers")
    shutil.copy(ROOT / "tests" / "every_method_artifact.yaml", papers / "extra" / "every_method.yaml")

    def trace(*stages):
        done = subprocess.run(
            [sys.executable, str(HERE / "trace_jobs.py"), *stages],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)}, text=True, capture_output=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return tmp_path, trace


def test_what_runs_and_what_is_read_is_inside_the_fingerprint(every_method):
    _, trace = every_method
    traced = trace("dema")
    assert traced["found"] == {}
    assert traced["stages"] == sorted(STAGES)


@pytest.mark.campaign
def test_so_it_is_for_every_method_on_every_kind_of_world(every_method):
    _, trace = every_method
    traced = trace()
    assert traced["found"] == {}
    assert traced["jobs"] > 100


def test_code_that_is_called_by_a_computed_name_and_no_root_is_found(every_method):
    folder, trace = every_method
    rows = folder / "bench" / "catalogue" / "stages.py"
    root = '"evaluator.evaluate", '
    text = rows.read_text()
    assert root in text
    rows.write_text(text.replace(root, ""))
    found = trace("dpt")["found"]
    assert "bench.evaluators.in_context.evaluate ran" in found["evaluate darkroom/dpt/default"]
    assert set(found) == {key for key in found if key.startswith("evaluate ")}
