"""What separates the readings of each paper: `python -m bench readings` prints the page docs/readings.md.

`--write` writes it, for the suite's own papers. A test keeps it in step with the papers' `readings.yaml`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.choices import BASES, CODE, TEXT, Choice, PaperReadings
from bench.errors import UserError, exit_with_message
from bench.files import ROOT, shown, write_atomically
from bench.work.cells import slug_of
from bench.work.suite import Suite

PAGE = ROOT / "docs" / "readings.md"
INTRODUCTION = """\
# Readings

Written by `python -m bench readings --write` from the `readings.yaml` of each paper; a test fails if it is
out of step.

A paper and its authors' code do not always say the same, and each says what the other leaves open. So each
paper has two **readings**: `text` is what the paper says, and where it is silent what its code does; `code`
is what the authors' repository does. What separates them is a list of choices. `text` is what the options
are by default, and `code` sets the options of all choices to its own values.

| asked under | by |
|---|---|
| `code`, all of a run | `snakemake all --config reading=code`, or `BENCH_READING=code` before a command |
| `code`, cells of an artifact or a claim | `settings: {reading: code}`, or `{reading: [text, code]}` |
| a single choice of the code in the text's place | `reading: text+padding` |
| all of the code but a single choice | `reading: code+padding` |
| a cell, on a command line | `--settings reading=code` |

- A cell has what its reading sets, and settings of its own win over that. A choice that does not concern a
  method on a task changes nothing there: the cell is then the same under either reading, and is made once.
  So is a single choice and the setting that it stands for: `text+padding` and `padding: attended` are one
  cell.
- A choice of **scale**, such as the number of updates, gives way to what a tier's budget sets if `code` makes
  it; every other choice, and one that is named, wins over a budget. A budget is for `text` and for the
  reading of the run. Cells of other readings it runs if its `settings` name them, as in
  `settings: {reading: [text, code]}`, or if they are `any`.
- `selection` says which checkpoint a number is read at. It is read off finished records, so a choice of it,
  such as DeMa's `checkpoint`, trains and tests nothing anew: `text+checkpoint` shows the best score over
  training of the same runs of which `text` shows the last, in tables, figures, verdicts and claims.
- What is printed stands beside a number under every reading. Pages, tables and figures say which it is.
  `extra_table04` asks which one gives the printed number.

What became of each choice: **option**, with the values under either reading; **default**, where there is one
reading, and why; **refused**, where the code's is not built, and why.
"""
HEAD = "| choice | text | code | status | evidence |\n|---|---|---|---|---|"


def page(catalogue: Catalogue) -> str:
    """The page: how readings are asked for, then a table of the choices of each paper."""
    parts = [INTRODUCTION]
    for name, declared in catalogue.readings.items():
        parts.append(_section(catalogue, catalogue.papers[name].title, declared))
    return "\n".join(parts)


def _section(catalogue: Catalogue, title: str, declared: PaperReadings) -> str:
    counts = dict.fromkeys(("option", "default", "refused"), 0)
    for choice in declared.choices.values():
        counts[choice.status] += 1
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    sources = [f"- `{base}`: {declared.of(base).title} ({declared.of(base).source})" for base in BASES]
    rows = [_row(catalogue, name, choice) for name, choice in declared.choices.items()]
    return "\n".join([f"## {title}\n", *sources, f"\n{said}.\n", HEAD, *rows, ""])


def _row(catalogue: Catalogue, name: str, choice: Choice) -> str:
    cells = [
        f"`{name}`: {choice.choice}",
        choice.text + _values(choice, TEXT),
        choice.code + _values(choice, CODE),
        _status(catalogue, choice),
        choice.source,
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _values(choice: Choice, base: str) -> str:
    return f" (`{slug_of(choice.values.of(base)).replace(',', ', ')}`)" if choice.values else ""


def _status(catalogue: Catalogue, choice: Choice) -> str:
    if choice.values is None:
        return f"**{choice.status}** {'because ' if choice.refused else ''}{choice.refused or choice.default}"
    methods = ", ".join(choice.methods) or "all methods"
    where = f" on {', '.join(_tasks(catalogue, choice.tasks))}" if choice.tasks else ""
    return f"**option**{', scale,' if choice.scale else ''} of {methods}{where}"


def _tasks(catalogue: Catalogue, tasks: tuple[str, ...]) -> list[str]:
    """The tasks, with the name of the largest set in the place of those that are one."""
    if not tasks:
        return []
    sets = {name: held for name, held in catalogue.sets.items() if tasks[: len(held)] == held}
    name = max(sets, key=lambda each: len(sets[each]), default=tasks[0])
    return [name, *_tasks(catalogue, tasks[len(sets.get(name, (name,))) :])]


@exit_with_message
def main(write: Annotated[bool, typer.Option(help="write docs/readings.md")] = False) -> None:
    """Print what separates the readings of each paper, or write it to docs/readings.md."""
    catalogue = Suite.from_environment().catalogue
    text = page(catalogue)
    if not write:
        print(text, end="")
        return
    if catalogue.given:
        raise UserError(
            f"{shown(PAGE)} holds the suite's own papers, and nothing of the folder {catalogue.named}. Leave "
            "out --write, or the folder."
        )
    write_atomically(PAGE, text)
    print(shown(PAGE))
