import os

from hypothesis import HealthCheck, settings

# One thread a process, as everywhere in the suite, and before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Whoever runs the tests may work with real data of their own.
os.environ.pop("BENCH_DATA", None)

# A first call may compile, and tests share the machine: time is no property that is tested.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
