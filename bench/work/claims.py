"""Every claim of the papers, read from `claims/` and checked against the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from bench.catalogue.catalogue import Catalogue, paper_name
from bench.catalogue.check import check_names, check_settings, check_tasks
from bench.catalogue.names import Names
from bench.catalogue.once import once
from bench.catalogue.reading import read_model
from bench.catalogue.strict import OptionName, Value
from bench.errors import SpecError
from bench.files import ROOT
from bench.work.cells import Cell, cells_of
from bench.work.claim import Claim, Comparison, Side
from bench.work.suite import Suite

# The trials of planted faults, whose scores stand beside the claims; `benchmarks.mutations` writes them.
MUTATIONS = ROOT / "results" / "benchmarks" / "mutations.csv"
# The unit of what one process timed in turns; other times are of one cell alone.
TURNS = "ratio"


@once
def load_claims(suite: Suite) -> dict[str, Claim]:
    """Every claim by name; SpecError on the first that names what nothing declares, or no artifact runs."""
    catalogue = suite.catalogue
    names = Names(catalogue.sets)
    claims = {name: read_model(path, Claim, names) for name, path in catalogue.files["claims"].items()}
    asked = {
        (cell, metric)
        for artifact in catalogue.artifacts.values()
        for query in artifact.queries
        for cell in cells_of(catalogue, query)
        for metric in query.metrics
    }
    for name, claim in claims.items():
        where = catalogue.where("claims", name)
        if paper_name(name) not in catalogue.papers:
            papers = " or ".join(catalogue.papers)
            raise SpecError(f"{where}: name: must begin with {papers} and an underscore. Rename it.")
        for number, comparison in enumerate(claim.comparisons):
            at = f"{where}: key comparisons.{number}"
            _check(catalogue, comparison, at)
            for cell, metric in asked_cells(catalogue, claim, comparison):
                if (cell, metric) not in asked:
                    raise SpecError(
                        f"{at}: no artifact asks for {metric} of {cell.key}, so no tier would run "
                        f"it. Compare cells of an artifact, or add one to a paper's folder."
                    )
        _check_registration(claim, where)
    return claims


def is_ratio(catalogue: Catalogue, comparison: Comparison) -> bool:
    """Whether first is divided by second and not lessened by it."""
    return catalogue.metrics[comparison.metric].is_cost


def asked_cells(
    catalogue: Catalogue, claim: Claim, comparison: Comparison
) -> Iterator[tuple[Cell, OptionName]]:
    """Every (cell, metric) that a comparison reads, under each specification and for its gates."""
    sides = [(side, side.metric or comparison.metric) for side in comparison.sides()]
    for side, metric in [*sides, *comparison.gate_sides()]:
        for more in ({}, *claim.specifications.values()):
            for step in comparison.steps():
                for cell in side.cells(catalogue, comparison.tasks, {**more, **step}):
                    yield cell, metric


def _check(catalogue: Catalogue, comparison: Comparison, where: str) -> None:
    check_tasks(catalogue, comparison.tasks, f"{where}.tasks")
    check_names([comparison.metric], "metric", catalogue.metrics, f"{where}.metric")
    metric = catalogue.metrics[comparison.metric]
    if metric.timed and metric.unit != TURNS:
        raise SpecError(
            f"{where}.metric: {comparison.metric} is timed for each cell alone, and a busy machine would "
            "decide the comparison. Compare a ratio of a cell with `timed_against`, timed in turns."
        )
    if is_ratio(catalogue, comparison) and comparison.smallest <= 0 and comparison.along is None:
        raise SpecError(
            f"{where}.smallest: a ratio must be above 0, got {comparison.smallest:g}. Correct it."
        )
    for side, metric_name in comparison.gate_sides():
        check_names([metric_name], "metric", catalogue.metrics, f"{where}: key gates")
        _check_side(catalogue, comparison, side, where, {})
    for side in comparison.sides():
        if side.metric:
            check_names([side.metric], "metric", catalogue.metrics, f"{where}: key metric of {side.method}")
        for step in comparison.steps():
            _check_side(catalogue, comparison, side, where, step)


def _check_side(
    catalogue: Catalogue, comparison: Comparison, side: Side, where: str, step: dict[str, Value]
) -> None:
    check_names([side.method], "method", catalogue.methods, f"{where}: key method")
    check_tasks(catalogue, side.tasks, f"{where}: key tasks of {side.method}")
    for task in side.tasks or comparison.tasks:
        options = catalogue.options(task, side.method)
        on = f"{where}: key settings of {side.method} on {task}"
        check_settings(catalogue, {**side.settings, **step}, options, on)


def _check_registration(claim: Claim, where: str) -> None:
    if not claim.registered:
        return
    dates = [one.date for one in claim.registered]
    if dates != sorted(dates):
        raise SpecError(f"{where}: key registered: its dates must follow each other. Put them in order.")
    if claim.registered[-1].digest != claim.digest():
        raise SpecError(
            f"{where}: key registered: what decides the claim is not what was registered on {dates[-1]}. "
            "Take the change back, or add an entry below the others with its date, the reason (why) and "
            f"digest: {claim.digest()}"
        )
