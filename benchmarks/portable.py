"""Which bytes are the same under which caps, and what that costs: `python -m benchmarks.portable`.

Five methods are made in small (`bench.conformance.travelling`) by processes that see three machines: this one
as it is, one capped to AVX2 and one capped to SSE4.2, each natively and under portable numerics. A cap is all
that libraries let one say of their kernels; a processor cannot be told to lack instructions. A training step
is timed under both profiles in turns, each in a process of its own. Writes results/benchmarks/portable.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.work.numerics import NATIVE, PORTABLE, PROFILES, VARIABLE

NO_AVX512 = "-avx512f,-avx512vl,-avx512dq,-avx512bw,-avx512cd"
# What each library can be told of the machine. MKL listens on Intel's processors alone.
CAPS: dict[str, dict[str, str]] = {
    "uncapped": {},
    "AVX2": {
        "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
        "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": f"+avx2,+fma,{NO_AVX512}",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR", "OPENBLAS_CORETYPE": "Haswell",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F",
    },
    "SSE4.2": {
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41",
        "NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "+sse4.2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR", "OPENBLAS_CORETYPE": "Nehalem",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4,-AVX512F",
    },
}  # fmt: skip
TURNS, SECONDS = 9, 0.4


def environment(profile: str, cap: str) -> dict[str, str]:
    """The environment of a process on a machine that is capped; the profile has the last word."""
    kept = {name: value for name, value in os.environ.items() if name not in PROFILES[PORTABLE]}
    return kept | {"OMP_NUM_THREADS": "1"} | CAPS[cap] | {VARIABLE: profile} | PROFILES[profile]


def made(profile: str, cap: str) -> dict[str, str]:
    """The digests that such a process makes."""
    run = [sys.executable, "-m", "benchmarks.portable", "--worker", "digests"]
    done = subprocess.run(
        run, env=environment(profile, cap), check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def compared() -> Iterator[dict[str, object]]:
    """A row for each profile, machine and stage: whether its bytes are those made uncapped."""
    for profile in PROFILES:
        machines = {cap: made(profile, cap) for cap in CAPS}
        for machine, digests in machines.items():
            equal = [name for name in digests if digests[name] == machines["uncapped"][name]]
            print(f"{profile}, {machine}: {len(equal)} of {len(digests)} stages equal", flush=True)
            for name, digest in digests.items():
                yield {
                    "profile": profile, "machine": machine, "what": name, "sha256": digest,
                    "equal": int(name in equal),
                }  # fmt: skip


def timed() -> Iterator[dict[str, object]]:
    """A row for each method: what a training step takes under portable numerics over natively."""
    from bench.conformance.travelling import CELLS

    clocks = {profile: _Clock(profile) for profile in PROFILES}
    for task, method in CELLS:
        cell, ratios, native = f"{task}/{method}", [], []
        for clock in clocks.values():
            clock.ask(cell)
        for _ in range(TURNS):
            seconds = {profile: clock.ask(cell) for profile, clock in clocks.items()}
            ratios.append(seconds[PORTABLE] / seconds[NATIVE])
            native.append(seconds[NATIVE])
        ratio, step = statistics.median(ratios), statistics.median(native) * 1e3
        print(
            f"{cell}: {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}), natively {step:.3g} ms",
            flush=True,
        )
        yield {
            "profile": PORTABLE, "machine": "uncapped", "what": f"step {cell}", "ratio": f"{ratio:.4g}",
            "lowest": f"{min(ratios):.4g}", "highest": f"{max(ratios):.4g}", "turns": TURNS,
            "native_ms": f"{step:.4g}",
        }  # fmt: skip
    for clock in clocks.values():
        clock.close()


class _Clock:
    """A process under a profile that makes training steps and says what one takes, when it is asked."""

    def __init__(self, profile: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.portable", "--worker", "clock"], text=True,
            env=environment(profile, "uncapped"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, cell: str) -> float:
        """Processor seconds of a step of the cell."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(cell, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def _answer() -> None:
    """Read names of cells, and print what a step of each takes: the mean of SECONDS worth of them."""
    from bench.conformance.travelling import little_case, untrained, updates
    from bench.stages.runtime import one_thread
    from bench.work.suite import Suite

    one_thread()
    catalogue, known = Suite.from_environment().catalogue, {}
    with TemporaryDirectory() as scratch:
        for line in sys.stdin:
            task, method = line.strip().split("/")
            if (task, method) not in known:
                case = little_case(catalogue, task, method, Path(scratch) / task)
                if not case.folder.exists():
                    case.folder.mkdir()
                    case.make_dataset(case.folder)
                known[task, method] = updates(untrained(case))
                known[task, method]()
            begun, steps = time.process_time(), 0
            while not steps or time.process_time() - begun < SECONDS:
                known[task, method]()
                steps += 1
            print((time.process_time() - begun) / steps, flush=True)


def _digest() -> None:
    """Print the digests of the cells."""
    from bench.conformance.travelling import digests
    from bench.stages.runtime import one_thread
    from bench.work.suite import Suite

    one_thread()
    print(json.dumps(digests(Suite.from_environment().catalogue)))


def _write(rows: list[Mapping[str, object]]) -> None:
    import pandas as pd

    from benchmarks.timing import RESULTS, host

    facts = host()
    pd.DataFrame(rows).assign(**facts).to_csv(RESULTS / "portable.csv", index=False, lineterminator="\n")


def main() -> None:
    """Compare and time, or do what a process of ours was started for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", choices=("digests", "clock"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker == "clock":
        _answer()
    elif asked.worker == "digests":
        _digest()
    else:
        _write([*timed(), *compared()])


if __name__ == "__main__":
    main()
