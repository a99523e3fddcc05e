"""Where the file of a module of this package lies."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bench.files import ROOT


@cache
def module_path(name: str) -> Path | None:
    """File of a module of this package, or None if there is no such module."""
    base = ROOT / Path(*name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None
