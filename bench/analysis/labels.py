"""How tasks, methods, settings and metrics are called where a reader sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.catalogue.choices import READING

if TYPE_CHECKING:
    from bench.catalogue.catalogue import Catalogue
    from bench.work.entries import Entry


def axis_value(entry: Entry, field: str) -> str:
    """The label of an entry on one axis: `task`, `method`, `metric`, `reading`, or an option's name."""
    # Kinds of figures import this module, and with them whoever reads the specification.
    from bench.work.cells import values_of

    catalogue = entry.suite.catalogue
    if field == "task":
        return catalogue.tasks[entry.cell.task].title
    if field == "method":
        return method_label(entry)
    if field == "metric":
        if entry.metric in catalogue.metrics:
            return metric_label(catalogue, entry.metric)
        return entry.metric.replace("_", " ")
    if field == READING:
        return entry.reading
    return str(values_of(catalogue, entry.cell).get(field, ""))


def method_label(entry: Entry) -> str:
    """The query's own label where it has one, else the method's title and its settings."""
    if entry.label:
        return entry.label
    settings = [entry.asked.slug.replace(",", ", ").replace("_", " ")] if entry.asked.settings else []
    catalogue = entry.suite.catalogue
    shown = READING in catalogue.artifacts[entry.artifact].layout.named_fields
    if entry.reading != catalogue.reading.text and not shown:
        settings.append(f"reading {entry.reading}")
    return method_title(entry) + (f" ({', '.join(settings)})" if settings else "")


def method_title(entry: Entry) -> str:
    """The title of the entry's method, without settings."""
    return entry.suite.catalogue.methods[entry.cell.method].title


def metric_label(catalogue: Catalogue, metric: str) -> str:
    """Title and unit."""
    known = catalogue.metrics[metric]
    return f"{known.title} [{known.unit}]" if known.unit else known.title


def axis_label(entry: Entry, fields: tuple[str, ...]) -> str:
    """The label of an entry on an axis that joins several fields."""
    return ", ".join(axis_value(entry, field) for field in fields)


def in_a_row(values: list[str]) -> str:
    """Each name once, in a row; beyond eight their number alone stands for the rest."""
    names = list(dict.fromkeys(value for value in values if value))
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def task_titles(entries: list[Entry]) -> str:
    """The titles of the entries' tasks, each once, in a row."""
    return in_a_row([axis_value(entry, "task") for entry in entries])


def lines_on_tasks(axes: str, lines: list[str], entries: list[Entry]) -> str:
    """A figure in a sentence: what its axes are, what is drawn in it, and on which tasks."""
    return f"{axes}; lines or bars: {in_a_row(lines)}; on {task_titles(entries)}."


def reason(status: str) -> str:
    """Why there is no number, as a status says it: of what is not run the reason alone."""
    return status.removeprefix("not-run: ")
