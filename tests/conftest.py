import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# One thread a process, as everywhere in the suite, and before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Whoever runs the tests may work with real data and papers of their own.
os.environ.pop("BENCH_DATA", None)
os.environ.pop("BENCH_PAPERS", None)
os.environ.pop("BENCH_SOURCE", None)
os.environ.pop("BENCH_READING", None)
os.environ.pop("BENCH_NUMERICS", None)

# A first call may compile, and tests share the machine: time is no property that is tested.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture
def copied_workflow(tmp_path):
    """A copy of workflow/, to be edited and then opened by `Suite.open(workflow=...)`."""
    from bench.catalogue.catalogue import WORKFLOW

    return Path(shutil.copytree(WORKFLOW, tmp_path / "workflow"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give the tests of the real DAG to one worker: the finished suite they start from is then made once.

    All others go to whichever worker is free. The mark `xdist_group` says the same, but xdist 3.8 cannot read
    it under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class OneWorkerForTheDag(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return "tests/dag" if nodeid.startswith("tests/dag/") else nodeid

    return OneWorkerForTheDag(config, log)
