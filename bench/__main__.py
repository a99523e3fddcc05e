"""The one command of the suite: `bench NAME ...`, or `python -m bench NAME ...`.

A name is a module of `bench.stages` or `bench.commands` that has a `main`. `python -m bench --help` lists
the names without importing any of them.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from bench.errors import exit_with_message, unknown
from bench.stages.devices import hide_from
from bench.work import numerics

ROOMS = ("stages", "commands")


def named_modules() -> dict[str, str]:
    """Every name that can be given, with the first sentence of its module."""
    found = {}
    for room in ROOMS:
        for path in sorted((Path(__file__).parent / room).glob("*.py")):
            text = path.read_text()
            if re.search(r"^(def main\(|main = )", text, re.M):
                found[f"{room}.{path.stem}"] = re.split(r': `|: "|\.\s|\n', text.lstrip('"'))[0]
    return found


def listing() -> str:
    """What `python -m bench --help` prints."""
    lines = ["usage: python -m bench NAME ...; `python -m bench NAME --help` tells what a name takes"]
    for room in ROOMS:
        lines += ["", f"{room}:"]
        for module, sentence in named_modules().items():
            if module.startswith(f"{room}."):
                lines.append(f"  {module.split('.')[1]:14}{sentence}")
    return "\n".join(lines)


@exit_with_message
def main() -> None:
    """Run the module that the first argument names, on the others."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("--help", "-h"):
        print(listing())
        return
    numerics.enter()
    modules = {module.split(".")[1]: module for module in named_modules()}
    if name not in modules:
        raise unknown("command", name, modules, "bench")
    import typer

    hide_from(name)
    app = typer.Typer(add_completion=False)
    app.command()(importlib.import_module(f"bench.{modules[name]}").main)
    app(sys.argv[2:], prog_name=f"python -m bench {name}")


if __name__ == "__main__":
    main()
