"""Check that a method keeps the contract of methods: `python -m bench conform --method dema`.

The method is trained for a few updates and made to act, on a small dataset of one task of each family that it
is built for. The task's data and its test are checked too. Ends with 1 if a promise is broken.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from bench.catalogue.catalogue import Catalogue
from bench.errors import SpecError, exit_with_message, unknown
from bench.work.availability import why_not_built
from bench.work.cells import Cell
from bench.work.suite import Suite


@exit_with_message
def main(
    method: Annotated[str, typer.Option(help="a method, or all")],
    task: Annotated[str, typer.Option(help="a task; one of each family if none is given")] = "",
) -> None:
    """Put a method to every check, and print what it keeps and what it breaks."""
    catalogue = Suite.from_environment().catalogue
    pairs = chosen_pairs(catalogue, method, task)
    from bench.conformance.cases import make_case
    from bench.conformance.methods import CHECKS, Breach
    from bench.conformance.tasks import CHECKS as TASK_CHECKS

    console, broken = Console(soft_wrap=True), 0
    for name, on in pairs:
        case = make_case(catalogue, on, name)
        for check in (*CHECKS, *TASK_CHECKS):
            promise = f"{name} on {on}: {check.__name__.replace('_', ' ')}"
            try:
                check(case)
            # A newcomer's code may raise anything; the other promises are looked at all the same.
            except Exception as error:
                broken += 1
                said = str(error) if isinstance(error, Breach) else f"{type(error).__name__}: {error}"
                console.print(f"broken  {promise}: {said}", style="red", markup=False)
            else:
                console.print(f"kept    {promise}", markup=False)
    if broken:
        raise SystemExit(1)


def chosen_pairs(catalogue: Catalogue, method: str, task: str) -> list[tuple[str, str]]:
    """The methods and tasks asked for that are built for each other.

    Raises SpecError for an unknown name, if nothing is left, and if real data was given.
    """
    for given, known, kind in ((method, catalogue.methods, "method"), (task, catalogue.tasks, "task")):
        if given not in ("", "all") and given not in known:
            raise unknown(kind, given, known, f"--{kind}")
    if any(one.given for one in catalogue.tasks.values()):
        raise SpecError(
            "Environment variable BENCH_DATA is set, but conform makes small datasets of its own. Unset it."
        )
    from bench.conformance.cases import tasks_of

    names = list(catalogue.methods) if method == "all" else [method]
    if not task:
        pairs = [(name, on) for name in names for on in tasks_of(catalogue, name)]
        why = f"method {method} is not built for any task yet"
    else:
        missing = {name: why_not_built(catalogue, "train", Cell(task, name, ())) for name in names}
        pairs = [(name, task) for name, problem in missing.items() if not problem]
        why = next(iter(missing.values()))
    if not pairs:
        raise SpecError(f"Nothing to check: {why}. Name another method or task.")
    return pairs
