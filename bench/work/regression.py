"""Which cells `regress` makes anew and compares with the committed store: `workflow/regress.yaml`."""

from __future__ import annotations

from pydantic import Field, RootModel

from bench.catalogue.reading import read_model
from bench.catalogue.strict import Strict
from bench.errors import SpecError
from bench.work.availability import why_missing
from bench.work.cells import parse_slug
from bench.work.jobs import Job, make_job
from bench.work.plan import all_jobs
from bench.work.suite import Suite


class RegressedCell(Strict):
    """A cell that is trained and evaluated anew, with one seed."""

    task: str
    method: str
    settings: str = "default"
    seed: int = Field(default=0, ge=0)


class Regressed(RootModel[dict[str, tuple[RegressedCell, ...]]]):
    """The whole file: tier -> its cells."""


def regressed_jobs(suite: Suite, tier: str) -> list[Job]:
    """Training and evaluation of each cell that the file names for the tier; none where it names none.

    Raises SpecError for an unknown tier, task, method or setting, and for a cell that the tier does not run.
    """
    catalogue = suite.catalogue
    named = read_model(catalogue.workflow / "regress.yaml", Regressed).root
    for name in named:
        catalogue.tier(name)
    jobs: list[Job] = []
    for number, one in enumerate(named.get(tier, ())):
        where = f"workflow/regress.yaml: key {tier}.{number}"
        catalogue.task(one.task, where)
        catalogue.method(one.method, where)
        cell = parse_slug(catalogue, one.task, one.method, one.settings)
        missing = why_missing(catalogue, tier, cell, "evaluate")
        if missing:
            raise SpecError(
                f"{where}: {cell.key} has no number in the {tier} tier ({missing}). Name a cell that the "
                "tier runs, or remove the entry."
            )
        evaluation = make_job(suite, "evaluate", tier, cell, one.seed)
        jobs += [*evaluation.upstream, evaluation]
    return list(dict.fromkeys(jobs))


def counted_jobs(suite: Suite, tier: str) -> list[Job]:
    """Every probe of the tier: its counts need no timing."""
    return [job for job in all_jobs(suite, tier) if job.row.costs]
