"""One GPU for each training: which one this process may use, held for as long as it lives.

Several trainings on one machine would all take the first GPU. Each therefore locks a file that stands for a
device and hides all others from CUDA. The system lets go of the lock when the process ends, however it ends.
Where a cluster has given the job its devices (`CUDA_VISIBLE_DEVICES`), the choice is among those alone.

Imported by `bench.stages.runner` and the command line only, which no fingerprint follows: which GPU computes
changes no number.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from pathlib import Path
from typing import IO

from bench.catalogue.stages import STAGES

VISIBLE = "CUDA_VISIBLE_DEVICES"
SECONDS_BETWEEN_TRIES = 1.0
# The locks of this process: a closed file would give its device back.
_held: list[IO[str]] = []


def devices() -> list[str]:
    """The GPUs this process may choose from, as CUDA names them; none where it may use none."""
    if VISIBLE in os.environ:
        named = [name.strip() for name in os.environ[VISIBLE].split(",")]
        return [name for name in named if name not in ("", "-1", "NoDevFiles")]
    # Only what trains asks, and it has imported torch already; analysis never gets here.
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def hide_from(stage: str) -> None:
    """Hide every GPU from a process of a stage that computes on the CPU, unless `BENCH_DEVICE` names one.

    Done before torch is imported: asked whether there is a GPU it would start that one's driver, which takes
    time and memory that are no part of the stage's work.
    """
    asked = os.environ.get("BENCH_DEVICE", "auto")
    if stage in STAGES and not STAGES[stage].gpu and asked in ("auto", "cpu"):
        os.environ[VISIBLE] = ""


def lock_folder() -> Path:
    """Where the locks lie: for each user, and within a cluster's job, whose devices are numbered anew."""
    return Path(tempfile.gettempdir()) / f"bench-gpus-{os.getuid()}" / os.environ.get("SLURM_JOB_ID", "local")


def hold_device() -> str:
    """Take a GPU that no other process of ours holds, waiting for one if need be, and hide the others.

    Returns its name, and nothing where there is no GPU, or where `BENCH_DEVICE` names the device to use.
    """
    if os.environ.get("BENCH_DEVICE", "auto") not in ("auto", "cuda"):
        return ""
    names = devices()
    if not names:
        return ""
    folder = lock_folder()
    folder.mkdir(parents=True, exist_ok=True)
    told = False
    while True:
        for name in names:
            if _locked(folder / f"{name.replace('/', '-')}.lock"):
                os.environ[VISIBLE] = name
                return name
        if not told:
            print(f"every GPU is taken ({', '.join(names)}): waiting for one", flush=True)
            told = True
        time.sleep(SECONDS_BETWEEN_TRIES)


def _locked(path: Path) -> bool:
    """Whether the file is now locked by this process."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    _held.append(file)
    return True
