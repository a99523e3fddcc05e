"""Seeds beyond those of a budget, which `bench settle` asks for: `results/<tier>/settle.json`.

The file says how many seeds a stage of a cell is to have. Every command that works on a whole tier then sees
these jobs; a table or figure does not, since a mean whose number of seeds was chosen by what it showed is
biased. No fingerprint depends on the file: a job is the same whoever asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.catalogue.stages import STAGES
from bench.errors import UserError
from bench.files import shown, write_atomically
from bench.work.availability import why_missing
from bench.work.cells import parse_slug
from bench.work.jobs import RESULTS, Job, make_job
from bench.work.stored import SEEDS
from bench.work.suite import Suite

NAME = SEEDS
# `stage task method settings` -> number of seeds, which are 0, 1, ...
Seeds = Mapping[str, int]


def ledger_of(tier: str) -> Path:
    """The file of a run; the store has one of the same name."""
    return RESULTS / tier / NAME


def key_of(job: Job) -> str:
    """What names a job's stage and cell in the file."""
    return " ".join((job.stage, job.cell.task, job.cell.method, job.cell.slug))


def read_seeds(path: Path) -> dict[str, int]:
    """What a file asks for, nothing where there is none; UserError for what is no such file."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
        names = [name.split(" ") for name in found]
        named = all(len(name) == 4 and name[0] in STAGES for name in names)
        if named and all(type(n) is int and n > 0 for n in found.values()):
            return dict(found)
    except (json.JSONDecodeError, AttributeError):
        pass
    raise UserError(
        f"{shown(path)}: not what `bench settle` writes, which is `stage task method settings` and a number "
        "of seeds in each line. Delete it: `bench settle` writes it again."
    )


def united(*asked: Seeds) -> dict[str, int]:
    """The most seeds that any of them asks for, cell by cell."""
    names = sorted({name for one in asked for name in one})
    return {name: max(one.get(name, 0) for one in asked) for name in names}


def ask_seeds(tier: str, wanted: Seeds) -> None:
    """Add to the file what it does not ask for yet.

    Another machine may write it at the same moment, so it is read again until it asks for all of this; what
    that takes from the other machine, it asks for again before its next job.
    """
    path = ledger_of(tier)
    while (held := read_seeds(path)) != (both := united(held, wanted)):
        write_atomically(path, seeds_text(both))


def seeds_text(asked: Seeds) -> str:
    """The text of such a file."""
    return json.dumps(dict(sorted(asked.items())), indent=0) + "\n"


def seeds_for(jobs: Iterable[Job]) -> dict[str, int]:
    """The seeds to ask for so that a tier has these jobs; a dataset has none."""
    found: dict[str, int] = {}
    for job in jobs:
        if job.row.subject == "cell":
            name = key_of(job)
            found[name] = max(found.get(name, 0), job.seed + 1)
    return found


def extra_jobs(suite: Suite, tier: str) -> list[Job]:
    """Every job that the files of run and store ask for; those of a cell that the tier does not run are out.

    Raises UserError for a file that is none, for one of the store that is not as it was promoted, and for a
    cell that nothing declares.
    """
    stored = read_seeds(suite.store.seeds(tier))
    asked = united(stored, read_seeds(ledger_of(tier))) if suite.source.makes else stored
    found = []
    for name, seeds in asked.items():
        stage, task, method, slug = name.split(" ")
        cell = parse_slug(suite.catalogue, task, method, slug)
        if not why_missing(suite.catalogue, tier, cell, stage):
            found += [make_job(suite, stage, tier, cell, seed) for seed in range(seeds)]
    return found
