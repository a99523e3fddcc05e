"""Where a module of this package lies: in the suite, or in the folder of a lab's own papers."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from bench.files import ROOT


def module_path(name: str) -> Path | None:
    """File of a module of this package, or None if there is no such module.

    A lab's own modules are found once the catalogue was loaded, which extends the path of their package.
    """
    room, _, rest = name.removeprefix("bench.").partition(".")
    folders = getattr(sys.modules.get(f"bench.{room}"), "__path__", None)
    if not rest or folders is None:
        return _found(str(ROOT), name)
    return next((path for folder in folders if (path := _found(folder, rest))), None)


@cache
def _found(folder: str, name: str) -> Path | None:
    base = Path(folder, *name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None
