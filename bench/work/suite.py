"""The suite: what is declared, and where its numbers come from. Each command opens one and hands it on."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from bench.catalogue import folders, sources
from bench.catalogue.catalogue import WORKFLOW, Catalogue
from bench.catalogue.load import load_catalogue
from bench.errors import SpecError
from bench.work.results import Results, Run
from bench.work.stored import VARIABLE, Store

Given = ParamSpec("Given")
Found = TypeVar("Found")


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
    ) -> Suite:
        """Read and check what is declared in `workflow`, and in a lab's own folder `papers` if one is given.

        `data`: a folder with real data, `minari`, or nothing for what the suite makes. `source`: `stored` to
        read every number from the store, or nothing to read those of a run. Raises SpecError at the first
        mistake.
        """
        if source not in ("", "stored"):
            raise SpecError(
                f"config key source (environment variable {VARIABLE}): {source!r} is no source of results. "
                "Say 'stored' to read the committed store, or leave it out to run."
            )
        stored = Store() if store is None else Store(store)
        results: Results = stored if source else Run(stored)
        return cls(load_catalogue(workflow, papers, data), results, stored)

    @classmethod
    def from_environment(cls, data: str | None = None) -> Suite:
        """The suite that the environment variables BENCH_PAPERS, BENCH_DATA and BENCH_SOURCE describe."""
        papers, given, source = (
            os.environ.get(name, "") for name in (folders.VARIABLE, sources.VARIABLE, VARIABLE)
        )
        return cls.open(papers=papers, data=given if data is None else data, source=source)


def once(
    function: Callable[Concatenate[Suite, Given], Found],
) -> Callable[Concatenate[Suite, Given], Found]:
    """The function, called once for a suite and the same arguments."""

    @wraps(function)
    def asked(suite: Suite, /, *arguments: Given.args, **named: Given.kwargs) -> Found:
        key = (function, arguments, tuple(sorted(named.items())))
        if key not in suite.found:
            suite.found[key] = function(suite, *arguments, **named)
        found: Found = suite.found[key]
        return found

    return asked
