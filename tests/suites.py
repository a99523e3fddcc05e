"""Suites that tests work on: the committed one, and copies with tiers of their own."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.catalogue.catalogue import WORKFLOW
from bench.work.suite import Suite

SUITE = Suite.open()
CATALOGUE = SUITE.catalogue


def suite_with(**tiers: str) -> Suite:
    """The suite with these tiers, name -> text, beside its own or in their place."""
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(WORKFLOW, Path(folder) / "workflow"))
        for name, text in tiers.items():
            (copy / "tiers" / f"{name}.yaml").write_text(text)
        return Suite.open(copy)


def table_of(
    cells: list[dict[str, Any]], rows: str = "method", seeds: int = 3, **more: Any
) -> dict[str, Any]:
    """An artifact of a paper of one's own: a table of these cells, a metric a column."""
    return {
        "title": "A table",
        "printed": "Table 1",
        "section": "none: our own",
        "layout": {"kind": "table", "rows": [rows], "columns": ["metric"]},
        "seeds": seeds,
        "cells": cells,
        "open_choices": [],
        **more,
    }


def change(path: Path, old: str, new: str) -> None:
    """Put a text in the place of another that a file holds."""
    text = path.read_text()
    assert old in text, f"{path} holds no {old!r}: the test is out of date"
    path.write_text(text.replace(old, new, 1))
