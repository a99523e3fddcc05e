"""The options beside a number: those that made it, as its records have them."""

from __future__ import annotations

from collections.abc import Mapping, Set

from bench.analysis.report.runs import Records, Run, listed
from bench.catalogue.catalogue import Catalogue

# Of the options of a training, those that what a probe measures depends on: its hours are of batches of that
# size, and dropout takes time. Of the protocol's, the episodes that are timed.
TIMED = frozenset({"batch_size", "dropout", "episodes", "evaluation_episodes"})


def options_of(run: Run, records: Records) -> list[tuple[str, str]]:
    """(what they are the options of, key=value) of each part of a run.

    A model is tested as it was trained: what a later stage was given of the training's options made nothing.
    """
    own = records.options(run.jobs)
    if run.row.costs:
        unread = _unread_by_probes(run.jobs[0].suite.catalogue, run)
        return [(run.row.noun, listed(_without(own, unread), "="))]
    trained = records.options(run.trainings)
    parts = {"training": trained, run.row.noun: _without(own, trained.keys())}
    return [(name, listed(options, "=")) for name, options in parts.items() if options]


def _unread_by_probes(catalogue: Catalogue, run: Run) -> Set[str]:
    """The options of a cell on which none of a probe's numbers depends: it trains and plays nothing."""
    task = catalogue.tasks[run.cell.task]
    tables = (
        task.data_options,
        catalogue.protocols[task.protocol].options,
        catalogue.option_groups["optimisation"],
    )
    return {name for table in tables for name in table} - TIMED


def _without(options: Mapping[str, object], names: Set[str]) -> dict[str, object]:
    return {key: value for key, value in options.items() if key not in names}
