"""Suites that tests work on: the committed one, and copies with tiers of their own."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

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
