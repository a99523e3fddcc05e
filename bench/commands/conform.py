"""Check that a method keeps the contract of methods: `python -m bench conform --method dema`.

The method is trained for a few updates and made to act, on a small dataset of one task of each family that it
is built for. The task's data and its test are checked too. Ends with 1 if a promise is broken.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from bench.errors import SpecError, exit_with_message, unknown
from bench.work.suite import Suite


@exit_with_message
def main(
    method: Annotated[str, typer.Option(help="a method, or all")],
    task: Annotated[str, typer.Option(help="a task; one of each family if none is given")] = "",
) -> None:
    """Put a method to every check, and print what it keeps and what it breaks."""
    catalogue = Suite.from_environment().catalogue
    for given, known, kind in ((method, catalogue.methods, "method"), (task, catalogue.tasks, "task")):
        if given not in ("", "all") and given not in known:
            raise unknown(kind, given, known, f"--{kind}")
    from bench.conformance.cases import make_case, tasks_of
    from bench.conformance.methods import CHECKS, Breach
    from bench.conformance.tasks import CHECKS as TASK_CHECKS

    console, broken = Console(soft_wrap=True), 0
    for name in catalogue.methods if method == "all" else (method,):
        tasks = [task] if task else list(tasks_of(catalogue, name))
        if not tasks and method != "all":
            raise SpecError(
                f"--method {name}: it is not built for any task yet, so that nothing can be checked."
            )
        for chosen in tasks:
            case = make_case(catalogue, chosen, name)
            for check in (*CHECKS, *TASK_CHECKS):
                promise = f"{name} on {chosen}: {check.__name__.replace('_', ' ')}"
                try:
                    check(case)
                except Breach as breach:
                    broken += 1
                    console.print(f"broken  {promise}: {breach}", style="red", markup=False)
                else:
                    console.print(f"kept    {promise}", markup=False)
    if broken:
        raise SystemExit(1)
