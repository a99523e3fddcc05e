"""Make a few small trainings under portable numerics and compare their bytes: `python -m bench portable`.

Data, final weights and scores of five methods are compared by SHA-256 with those of the committed store,
which should hold on every x86-64 machine with the same packages and C library. `regress` asks the same.
Ends with 3 where one differs. `--write` notes them anew, after a change that is meant to change numbers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated, Any

import typer

from bench.catalogue import choices, folders, sources
from bench.errors import UserError, exit_with_message
from bench.files import ROOT, shown, write_atomically
from bench.work import numerics
from bench.work.integrity import sealed, unsealed
from bench.work.provenance import provenance
from bench.work.stored import STORED
from bench.work.stored import VARIABLE as SOURCE
from bench.work.suite import Suite

PLACE = STORED / "portable.json"
NONE_STORED = f"portable numerics: not compared, as {shown(PLACE)} is not there"
REMEDY = f"BENCH_NUMERICS={numerics.PORTABLE} python -m bench portable --write"
# Exit status where a stage differs: not 1, with which Python ends where it breaks.
DIFFERS = 3
# That of a UserError: what cannot be done here, or has to be mended.
REFUSED = 2
# What is repeated of a process that broke.
LAST_LINES = 5
# What a run was given, by environment variable; the digests are of what the suite has by itself.
OF_A_RUN = (folders.VARIABLE, sources.VARIABLE, choices.VARIABLE, SOURCE)


def made_by() -> dict[str, Any]:
    """What has to be the same for bytes to be: versions of packages, and the C library.

    Not that of Python, since no number comes from the interpreter's own arithmetic.
    """
    here = provenance()
    return {"versions": here["versions"], "libc": here["libc"]}


def read_stored() -> dict[str, Any]:
    """What is stored: `made_by`, and `digests`; UserError where it is missing or damaged."""
    try:
        return unsealed(PLACE)
    except FileNotFoundError:
        raise UserError(f"{shown(PLACE)}: missing. Write it: {REMEDY}") from None
    except ValueError as error:
        raise UserError(f"{shown(PLACE)}: {error}. Restore it: git checkout -- {shown(PLACE)}") from None


def unlike(stored: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """In what the software here is not the one that made the digests, as `torch: 2.13.0 -> 2.14.0`."""
    before, after = ({**side["versions"], "C library": side["libc"]} for side in (stored, here))
    return [
        f"{name}: {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def differing(stored: dict[str, str], made: dict[str, str]) -> list[str]:
    """The stages that only one side has, or that both have with other bytes."""
    return [name for name in dict.fromkeys([*stored, *made]) if stored.get(name) != made.get(name)]


def verdict(stored: dict[str, str], made: dict[str, str]) -> list[str]:
    """`n of m stages equal`, and a line for each that is not."""
    other = differing(stored, made)
    count = len(stored.keys() | made.keys())
    return [
        f"portable numerics: {count - len(other)} of {count} stages equal",
        *(f"differs from the store: {name}" for name in other),
    ]


def environment_apart() -> dict[str, str]:
    """The environment of a comparison: under the profile, and of what the suite runs by itself."""
    # What this process was told of kernels and of its run holds for its own numbers.
    left_out = {*numerics.PROFILES[numerics.PORTABLE], *OF_A_RUN}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | {numerics.VARIABLE: numerics.PORTABLE, "PYTHONPATH": str(ROOT)}


def compared_apart() -> tuple[list[str], bool]:
    """What this command says in a process of its own, and whether that is an alarm.

    Any process may ask, whatever its own profile. A stage that differs is an alarm, and so is a process that
    broke, or stored digests that are damaged; one that refuses, as where the profile cannot be had, has
    compared nothing and is none.
    """
    if not PLACE.exists():
        return [NONE_STORED], False
    try:
        read_stored()
    except UserError as error:
        return [f"portable numerics: not compared: {error}"], True
    done = subprocess.run(
        [sys.executable, "-m", "bench", "portable"],
        cwd=ROOT,
        env=environment_apart(),
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode in (0, DIFFERS):
        return done.stdout.splitlines(), done.returncode == DIFFERS
    last = done.stderr.strip().splitlines()[-LAST_LINES:]
    if done.returncode == REFUSED:
        return [f"portable numerics: not compared: {' '.join(last).removeprefix('error: ')}"], False
    return [
        f"portable numerics: the comparison broke, exit status {done.returncode}: {' | '.join(last)}"
    ], True


@exit_with_message
def main(
    write: Annotated[bool, typer.Option(help="note what is made here as what is stored")] = False,
) -> None:
    """Compare, or note, the digests of the small trainings."""
    if numerics.chosen() != numerics.PORTABLE:
        raise UserError(
            f"environment variable {numerics.VARIABLE}: {numerics.chosen()}, whose bits are this machine's "
            f"own. Set it: {numerics.VARIABLE}={numerics.PORTABLE} python -m bench portable"
        )
    numerics.require()
    here = made_by()
    stored = {} if write else read_stored()
    others = [] if write else unlike(stored, here)
    if others:
        print(f"portable numerics: not compared, as other software may round otherwise: {', '.join(others)}")
        return
    from bench.conformance.travelling import digests
    from bench.stages.runtime import one_thread

    one_thread()
    made = digests(Suite.from_environment().catalogue)
    if write:
        write_atomically(PLACE, sealed({**here, "digests": made}))
        print(f"{len(made)} stages noted in {shown(PLACE)}")
        return
    print("\n".join(verdict(stored["digests"], made)))
    if differing(stored["digests"], made):
        raise SystemExit(DIFFERS)
