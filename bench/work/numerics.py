"""In which arithmetic a process computes: as fast as its processor can, or with the same bits everywhere.

Libraries choose their kernels by the processor: products add in another order, and a fused multiply-add
rounds once where two instructions round twice. `native` leaves them the choice. `portable` takes it from
each of them that is known here to make one, down to SSE4.2, as x86-64 processors have it since 2008. The
kernels then have no wide vectors and no fused multiply-add, and MKL a path that its makers promise to be the
same on Intel's and other processors.

Most of these variables are read when a library is loaded, and those of glibc when the process starts. So a
process either began with them or it does not have the profile: `enter` begins it anew.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from bench.errors import SpecError, unknown

NATIVE, PORTABLE = "native", "portable"
# Set by Snakemake's config key `numerics`.
VARIABLE = "BENCH_NUMERICS"
# Variable -> value, by profile.
PROFILES: dict[str, dict[str, str]] = {
    NATIVE: {},
    PORTABLE: {
        # MKL's products and vector functions.
        "MKL_CBWR": "COMPATIBLE",
        # torch's own kernels: those of every x86-64 processor.
        "ATEN_CPU_CAPABILITY": "default",
        # oneDNN's convolutions: the least that it has a name for.
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        # numba's: without a fused multiply-add, each multiplication rounds by itself.
        "NUMBA_CPU_NAME": "x86-64-v2",
        "NUMBA_CPU_FEATURES": "+sse4.2",
        # numpy's: by the names of numpy 2.4 and by those before. It passes over names that it does not know.
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512_SKX",
        # The products of numpy and scipy.
        "OPENBLAS_CORETYPE": "Nehalem",
        # exp, log, sin and the like of the C library: by the names of glibc 2.33, and by those before.
        "GLIBC_TUNABLES": (
            "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F,-AVX2_Usable,-FMA_Usable,-FMA4_Usable,-AVX512F_Usable"
        ),
    },
}
# What reads its variables when it is imported, or at its first sum.
READERS = ("numpy", "torch", "numba", "scipy", "mujoco")


def chosen() -> str:
    """The profile that BENCH_NUMERICS names, `native` without; SpecError for a name that is no profile."""
    name = os.environ.get(VARIABLE) or NATIVE
    if name not in PROFILES:
        raise unknown("numerics", name, PROFILES, f"environment variable {VARIABLE}", every=True)
    return name


def assignment() -> str:
    """`BENCH_NUMERICS=... `, to stand before a command; empty for `native`, which needs no saying."""
    name = chosen()
    return "" if name == NATIVE else f"{VARIABLE}={name} "


def at_start() -> dict[str, str]:
    """The environment with which this process began, whatever it has set since."""
    text = Path("/proc/self/environ").read_bytes().decode(errors="surrogateescape")
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def lacking() -> dict[str, str]:
    """The variables of the profile with which this process did not begin; none for `native`.

    Raises SpecError where the profile cannot be had: away from x86-64, Linux and glibc, or where a variable
    already asks for something else.
    """
    wanted = PROFILES[chosen()]
    if not wanted:
        return {}
    if (sys.platform, platform.machine(), platform.libc_ver()[0]) != ("linux", "x86_64", "glibc"):
        raise SpecError(
            f"environment variable {VARIABLE}: {chosen()} is for Linux on x86-64 with glibc, and this is "
            f"{platform.platform()}. Leave it out."
        )
    began = at_start()
    for name, value in wanted.items():
        if began.get(name, value) != value:
            raise SpecError(
                f"environment variable {name}: {began[name]!r}, where {VARIABLE}={chosen()} sets {value!r}. "
                f"Unset one of the two."
            )
    return {name: value for name, value in wanted.items() if name not in began}


def enter() -> None:
    """See to it that this process has its profile: where it lacks a variable, it begins anew with all.

    To be called before anything is computed. Raises SpecError as `lacking` does, and where it is too late:
    one of the libraries is loaded, and has chosen.
    """
    missing = lacking()
    if not missing:
        return
    loaded = [name for name in READERS if name in sys.modules]
    if loaded:
        raise SpecError(_too_late(missing, f"{', '.join(loaded)} is imported already"))
    os.environ.update(missing)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def require() -> None:
    """Pass where this process began with its profile; SpecError otherwise, before a number is made."""
    missing = lacking()
    if missing:
        raise SpecError(_too_late(missing, "the process began without them"))


def _too_late(missing: dict[str, str], why: str) -> str:
    return (
        f"environment variable {VARIABLE}: {chosen()} needs {', '.join(missing)}, and {why}. Start with "
        "`python -m bench ...` or snakemake, which set them, or set them before Python starts."
    )


def library() -> str:
    """The C library, whose functions a profile holds to one version of their code but not across releases."""
    return " ".join(platform.libc_ver()).strip()
