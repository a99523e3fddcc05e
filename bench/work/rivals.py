"""The rival that a probe builds beside a cell and times in turns with it, by the cell's `timed_against`."""

from __future__ import annotations

from dataclasses import dataclass

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.check import check_values
from bench.catalogue.choices import READING
from bench.catalogue.option_types import Options
from bench.catalogue.rivals import NONE, TIMED_AGAINST, parse_rival
from bench.work.cells import Cell, make_cell


@dataclass(frozen=True)
class Rival:
    """A cell, and the options that it is built with: those of the budget of the cell it is timed with."""

    cell: Cell
    options: Options


def rival_cell(catalogue: Catalogue, cell: Cell) -> Cell | None:
    """What a cell is timed against: same task, reading and settings, as far as the rival has such options.

    Where the cell has a default, the rival has its own. None if the cell names no rival; SpecError if its
    rival is no method, or cannot have a value that the cell has.
    """
    settings = dict(cell.settings)
    where = f"settings of {cell.key}"
    rival = parse_rival(catalogue, str(settings.pop(TIMED_AGAINST, NONE)), where)
    if rival is None:
        return None
    known = catalogue.options(cell.task, rival.method)
    shared = {key: value for key, value in settings.items() if key in known}
    check_values(shared, known, f"{where}, which its rival {rival.method} shares")
    return make_cell(catalogue, cell.task, rival.method, {READING: cell.reading} | shared | rival.settings)
