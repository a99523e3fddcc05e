"""Which file, and what in it, set each option of a cell."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.choices import TEXT, parse_reading
from bench.catalogue.strict import Value
from bench.catalogue.values import read_values
from bench.files import shown
from bench.work.cells import Cell, Resolved


class Origin(NamedTuple):
    """A value, the file that set it, and what in that file did."""

    value: Value
    file: str
    layer: str


def origins(catalogue: Catalogue, resolved: Resolved) -> dict[str, Origin]:
    """Option -> where its value comes from, by name. The layers are those of `resolve`, in its order."""
    cell, budget = resolved.cell, resolved.budget
    task, method = catalogue.tasks[cell.task], catalogue.methods[cell.method]
    files = {
        shown(path)
        for path, spending in catalogue.spendings[resolved.tier].items()
        if any(one is budget for one in spending.budgets)
    }
    reading = parse_reading(cell.reading or TEXT, catalogue.choices, cell.key)
    read = partial(read_values, catalogue, cell.task, cell.method, reading)
    method_file = catalogue.where("methods", cell.method)
    layers: list[tuple[Iterable[str], str, str]] = [
        (task.values, catalogue.where("tasks", task.family), f"task {cell.task}"),
        *(
            (override.values, method_file, f"per_task, {cell.task}")
            for override in method.per_task
            if cell.task in override.tasks
        ),
        (read(scale=True), "-", f"reading {reading.text}, scale"),
        (budget.options, min(files), f"budget {budget.label!r}"),
        (read(scale=False), "-", f"reading {reading.text}"),
        (dict(cell.settings), "-", "setting of the cell"),
    ]
    found = _declared(catalogue, cell)
    for names, file, layer in layers:
        found |= dict.fromkeys(names, (file, layer))
    return {name: Origin(resolved.options[name], *found[name]) for name in sorted(resolved.options)}


def _declared(catalogue: Catalogue, cell: Cell) -> dict[str, tuple[str, str]]:
    """Option -> the file that declares it, whose default it has if nothing else sets it."""
    task = catalogue.tasks[cell.task]
    method = catalogue.methods[cell.method]
    protocol, protocol_file = catalogue.protocols[task.protocol], catalogue.where("protocols", task.protocol)
    tables = [
        (task.environment_options, catalogue.where("tasks", task.family)),
        (task.data_options, catalogue.where("tasks", task.family)),
        (task.model_options, catalogue.where("tasks", task.family)),
        (protocol.options, protocol_file),
        (protocol.drawn, protocol_file),
        *((catalogue.option_groups[group], catalogue.where("options", group)) for group in method.groups),
        (method.options, catalogue.where("methods", cell.method)),
        (catalogue.probe_options, catalogue.where("options", "probe")),
    ]
    return {name: (file, "default") for table, file in tables for name in table}
