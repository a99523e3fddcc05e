import os
import shutil
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings

# One thread a process, as everywhere in the suite, and before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Whoever runs the tests may work with real data and papers of their own.
os.environ.pop("BENCH_DATA", None)
os.environ.pop("BENCH_PAPERS", None)

# A first call may compile, and tests share the machine: time is no property that is tested.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture(scope="session")
def copied_workflow():
    """A context in which a copy of workflow/, made in the folder it is given, is read in its place."""
    import bench.catalogue.load as load

    @contextmanager
    def copied(folder):
        shutil.copytree(load.WORKFLOW, folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(load, "WORKFLOW", folder)
            _forget_workflow()
            yield folder
        _forget_workflow()

    return copied


@pytest.fixture(scope="session")
def forget_workflow():
    """A function that lets what is read from workflow/ be read anew."""
    return _forget_workflow


def _forget_workflow():
    """Empty every cache of what is read from workflow/: tiers of one name differ from test to test."""
    import bench.catalogue.load
    import bench.work.claims
    import bench.work.jobs
    import bench.work.renderings

    for module in (bench.work.claims, bench.work.jobs, bench.catalogue.load, bench.work.renderings):
        for remembered in vars(module).values():
            if hasattr(remembered, "cache_clear"):
                remembered.cache_clear()


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
