"""The suite: what is declared, and where its numbers come from. Each command opens one and hands it on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.catalogue import choices, folders, sources
from bench.catalogue.catalogue import WORKFLOW, Catalogue
from bench.catalogue.load import load_catalogue
from bench.errors import SpecError
from bench.work import numerics
from bench.work.results import Results, Run
from bench.work.stored import VARIABLE, Store


@dataclass(frozen=True, eq=False)
class Suite:
    """Everything declared, the source of results, and the committed store, which may be that source."""

    catalogue: Catalogue
    source: Results
    store: Store
    # What `once` has found: function and arguments -> result.
    found: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def open(
        cls,
        workflow: Path = WORKFLOW,
        papers: str = "",
        data: str = "",
        source: str = "",
        store: Path | None = None,
        reading: str = "",
    ) -> Suite:
        """Read and check what is declared in `workflow`, and in a lab's own folder `papers` if one is given.

        `data`: a folder with real data, `minari`, or nothing for what the suite makes. `source`: `stored` to
        read every number from the store, or nothing to read those of a run. `reading`: that of the papers for
        whatever does not name one, `text` if empty. Raises SpecError at the first mistake.
        """
        if source not in ("", "stored"):
            raise SpecError(
                f"config key source (environment variable {VARIABLE}): {source!r} is no source of results. "
                "Say 'stored' to read the committed store, or leave it out to run."
            )
        stored = Store() if store is None else Store(store)
        results: Results = stored if source else Run(stored)
        return cls(load_catalogue(workflow, papers, data, reading), results, stored)

    @classmethod
    def from_environment(cls, data: str | None = None) -> Suite:
        """The suite that BENCH_PAPERS, BENCH_DATA, BENCH_SOURCE and BENCH_READING describe."""
        papers, given, source, reading = (
            os.environ.get(name, "")
            for name in (folders.VARIABLE, sources.VARIABLE, VARIABLE, choices.VARIABLE)
        )
        return cls.open(papers=papers, data=given if data is None else data, source=source, reading=reading)

    def assignments(self, task: str = "") -> str:
        """What stands before a command that is to compute what this process computes.

        The profile of its arithmetic, then what `Catalogue.assignments` says of a task, or of all.
        """
        return numerics.assignment() + self.catalogue.assignments(task)
