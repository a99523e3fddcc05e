"""Faults planted in the code, and the claims whose word they change: `python -m benchmarks.mutations`.

A claim whose word no fault changes tests nothing. For each fault of `mutations.yaml` the jobs that its claims
read, and whose fingerprint the fault changes, are made again in a copy of the repository that holds it. The
claims are then decided anew, with these numbers in the place of the unchanged ones. The tier is that of
`mutations_tier.yaml`. After each fault results/benchmarks/mutations.csv, one row a fault and claim, and
docs/mutations.md are written. What was made under the same fingerprints is not made again.

`--fault NAME ...` and `--claims NAME ...` take some of them. `--most-seconds N` bounds the expected
core-seconds of a fault: a claim that does not fit is left out for it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import asdict, fields

import pandas as pd

from bench.analysis.mutation_scores import read_trials
from bench.errors import exit_with_message
from bench.files import ROOT, write_atomically
from bench.work.claims import MUTATIONS
from bench.work.suite import Suite
from benchmarks.faults import Faults, read_faults
from benchmarks.faulty_copies import Copy
from benchmarks.mutation_trials import Trial, try_fault, without_fault
from benchmarks.mutations_page import page_of

PAGE = ROOT / "docs" / "mutations.md"
# What was made without a fault stays there from run to run.
WORK = ROOT / "results" / "mutations"
MOST_SECONDS = 150.0


def earlier_trials(faults: Faults) -> dict[tuple[str, str], Trial]:
    """The trials of earlier runs by fault and claim, of faults that there still are."""
    if not MUTATIONS.exists():
        return {}
    table = read_trials()
    trials = [Trial(**{str(name): value for name, value in row.items()}) for row in table.to_dict("records")]
    claims = {fault.name: faults.claims_of(fault) for fault in faults.faults}
    return {(one.fault, one.claim): one for one in trials if one.claim in claims.get(one.fault, ())}


def write(faults: Faults, trials: Mapping[tuple[str, str], Trial]) -> None:
    """Write the table and the page, in the order of the file of faults."""
    order = [fault.name for fault in faults.faults]
    ordered = sorted(trials.values(), key=lambda trial: order.index(trial.fault))
    table = pd.DataFrame([asdict(one) for one in ordered], columns=[field.name for field in fields(Trial)])
    write_atomically(MUTATIONS, table.to_csv(index=False, lineterminator="\n", float_format="%.6g"))
    write_atomically(PAGE, page_of(faults, read_trials()))


@exit_with_message
def main() -> None:
    """Try faults on claims, write after each, and print the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fault", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--claims", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--most-seconds", type=float, default=MOST_SECONDS, metavar="N")
    given = parser.parse_args()
    # One thread a process, as in every run: see docs/decisions.md.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    faults = read_faults()
    chosen = faults.named(given.fault)
    unchanged = Copy(WORK / "unchanged")
    unchanged.fill()
    unchanged.ask_fingerprints()
    suite = Suite.open(unchanged.root / "workflow")
    asked = dict.fromkeys(given.claims or [name for fault in chosen for name in faults.claims_of(fault)])
    befores = without_fault(suite, unchanged, asked)
    trials = earlier_trials(faults)
    for fault in chosen:
        wanted = {name: befores[name] for name in faults.claims_of(fault) if name in befores}
        for trial in try_fault(suite, fault, wanted, unchanged, given.most_seconds, trials):
            trials[trial.fault, trial.claim] = trial
            said = " -> ".join(filter(None, (trial.before, trial.after)))
            print(f"{fault.name}: {trial.claim}: {trial.outcome}: {said}", flush=True)
        write(faults, trials)
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
