"""What a record says of where it was made: commit, packages, Python, processor and system."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from bench.files import ROOT
from bench.work import numerics
from bench.work.record import Facts

# The widest vector instructions of a processor, the widest first: which kernels of a library run on it.
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "sve": "SVE", "asimd": "NEON"}
# Variables by which torch, OpenBLAS and MKL are told to use other kernels.
KERNEL_CHOICES = ("ATEN_CPU_CAPABILITY", "OPENBLAS_CORETYPE", "MKL_CBWR")


def provenance() -> Facts:
    """Commit, versions of the packages that compute, Python, platform, and in which arithmetic."""
    names = ("torch", "numpy", "numba", "gymnasium", "mujoco", "minari", "pandas", "fvcore")
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "git_commit": git_commit(),
        "versions": versions,
        "python": platform.python_version(),
        "platform": platform_name(),
        "numerics": numerics.chosen(),
        "libc": numerics.library(),
    }


def git_commit() -> str:
    """The commit at hand, `+` behind it where the working tree differs; empty outside git."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return said.stdout.strip()


def platform_name() -> str:
    """Processor, its vector instructions, and system: results are compared exactly only if these agree.

    A name such as `AMD EPYC` covers generations that add in different orders, so family and model number
    stand behind it, with the variables that choose other kernels than the processor's own.
    """
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        pairs = (line.partition(":") for line in cpuinfo.read_text().split("\n\n")[0].splitlines())
        facts = {key.strip(): value.strip() for key, _, value in pairs}
        numbers = [f"{key.split()[-1]} {facts[key]}" for key in ("cpu family", "model") if key in facts]
        flags = facts.get("flags", facts.get("Features", "")).split()
        vectors = next((name for flag, name in VECTORS.items() if flag in flags), "")
        details = ", ".join([*numbers, *([vectors] if vectors else [])])
        model = facts.get("model name", model) + (f" ({details})" if details else "")
    chosen = [f"{name}={os.environ[name]}" for name in KERNEL_CHOICES if os.environ.get(name)]
    return ", ".join([model, f"{platform.system()} {platform.machine()}", *chosen])
