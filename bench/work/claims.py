"""Claims of the papers as data: `claims/<paper>_<name>.yaml`, checked against the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from bench.catalogue.catalogue import Catalogue, paper_name
from bench.catalogue.check import check_names, check_settings, check_tasks
from bench.catalogue.names import Names, Tasks
from bench.catalogue.once import once
from bench.catalogue.reading import read_model
from bench.catalogue.stages import STAGES
from bench.catalogue.strict import Name, OptionName, Strict, Value
from bench.errors import SpecError
from bench.work.cells import Cell, cells_of, make_cell
from bench.work.suite import Suite


class Side(Strict):
    """One side of a comparison: a method with settings on each task, as such or against a baseline.

    `tasks` names this side's own tasks, in the order of the comparison's, where they differ
    (delayed beside dense rewards). `against` is subtracted from it, or divides it on a ratio scale.
    """

    method: Name
    settings: dict[OptionName, Value] = Field(default={})
    tasks: Tasks = ()
    times: float = Field(default=1.0, gt=0)
    against: Side | None = None

    def cells(self, catalogue: Catalogue, tasks: tuple[Name, ...]) -> list[Cell]:
        """Its cell on each task of the comparison."""
        return [make_cell(catalogue, task, self.method, dict(self.settings)) for task in self.tasks or tasks]

    def parts(self) -> Iterator[Side]:
        """Itself and what it stands against."""
        yield self
        if self.against:
            yield from self.against.parts()


class Comparison(Strict):
    """Two sides on the same tasks, what is expected of their difference, and the smallest that counts.

    Metrics of a probe (sizes, times) are compared by ratio, scores by difference; `smallest` is in
    that unit. `more`: the effect is above it. `equal`: the effect lies within it, either way.
    """

    label: str
    tasks: Tasks
    metric: OptionName
    first: Side
    second: Side | float
    expect: Literal["more", "equal"]
    smallest: float

    @model_validator(mode="after")
    def _tasks_pair_up(self) -> Comparison:
        for side in self.sides():
            if side.tasks and len(side.tasks) != len(self.tasks):
                raise ValueError(
                    f"a side's own tasks stand for the comparison's one by one: {len(side.tasks)} for "
                    f"{len(self.tasks)}"
                )
        return self

    def sides(self) -> list[Side]:
        """Every side and what it stands against."""
        sides = [self.first] if isinstance(self.second, float) else [self.first, self.second]
        return [part for side in sides for part in side.parts()]

    def is_ratio(self, catalogue: Catalogue) -> bool:
        """Whether first is divided by second and not lessened by it."""
        return STAGES[catalogue.metrics[self.metric].stage].costs


class Claim(Strict):
    """A sentence of a paper, in our words, and the comparisons that all have to hold for it.

    `shared` holds what every comparison has, such as its tasks, unless the comparison says it itself.
    """

    title: str
    section: str
    says: str
    shared: dict[str, Any] = Field(default={})
    comparisons: tuple[Comparison, ...] = Field(min_length=1)
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def _with_what_is_shared(cls, given: Any) -> Any:
        shared = given.get("shared") if isinstance(given, dict) else None
        comparisons = given.get("comparisons") if isinstance(given, dict) else None
        if not isinstance(shared, dict) or not isinstance(comparisons, list):
            return given
        whole = [{**shared, **one} if isinstance(one, dict) else one for one in comparisons]
        return {**given, "comparisons": whole}


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
            _check(catalogue, comparison, f"{where}: key comparisons.{number}", asked)
    return claims


def _check(
    catalogue: Catalogue, comparison: Comparison, where: str, asked: set[tuple[Cell, OptionName]]
) -> None:
    check_tasks(catalogue, comparison.tasks, f"{where}.tasks")
    check_names([comparison.metric], "metric", catalogue.metrics, f"{where}.metric")
    if comparison.is_ratio(catalogue) and comparison.smallest <= 0:
        raise SpecError(
            f"{where}.smallest: a ratio must be above 0, got {comparison.smallest:g}. Correct it."
        )
    for side in comparison.sides():
        check_names([side.method], "method", catalogue.methods, f"{where}: key method")
        check_tasks(catalogue, side.tasks, f"{where}: key tasks of {side.method}")
        for task in side.tasks or comparison.tasks:
            options = catalogue.options(task, side.method)
            on = f"{where}: key settings of {side.method} on {task}"
            check_settings(catalogue, side.settings, options, on)
        for cell in side.cells(catalogue, comparison.tasks):
            if (cell, comparison.metric) not in asked:
                raise SpecError(
                    f"{where}: no artifact asks for {comparison.metric} of {cell.key}, so no tier would run "
                    f"it. Compare cells of an artifact, or add one to a paper's folder."
                )
