import os

# One thread a process, as everywhere in the suite, and before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
