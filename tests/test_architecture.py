"""The rooms of the package: imports run one way, type-only imports included, and nothing runs in a circle."""

import ast
from pathlib import Path

import pytest

from bench.work.circles import circles_below
from bench.work.syntax import import_bindings

ROOT = Path(__file__).resolve().parents[1]
# From what everything may use to what nothing uses: a room knows of those before it.
ROOMS = (
    "ground", "catalogue", "work", "nn", "datasets", "worlds", "methods", "evaluators", "measure", "stages",
    "conformance", "analysis", "commands", "entrance",
)  # fmt: skip
GROUND = ("bench.errors", "bench.files", "bench.seeds")


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted((ROOT / "bench").rglob("*.py"))}


def room_of(module):
    if module in GROUND:
        return "ground"
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "entrance"


def imported_by(module):
    """Every module of the package that a module imports anywhere, for its types alone too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        for _, binding in import_bindings(node):
            for name in (f"{binding.module}.{binding.name}", binding.module):
                if name in MODULES and name != module:
                    found.add(name)
                    break
    return sorted(found)


ARROWS = {module: imported_by(module) for module in MODULES}


def test_every_module_is_in_a_room_and_few_stand_in_the_entrance():
    assert sorted(module for module in MODULES if room_of(module) == "entrance") == [
        "bench",
        "bench.__main__",
    ]
    assert len(list((ROOT / "bench").glob("*.py"))) <= 5


@pytest.mark.parametrize("room", ROOMS)
def test_no_arrow_runs_back_up(room):
    up = [
        f"{module} imports {other}"
        for module, others in ARROWS.items()
        if room_of(module) == room
        for other in others
        if ROOMS.index(room_of(other)) > ROOMS.index(room)
    ]
    assert up == []


def test_no_modules_import_each_other_in_a_circle():
    circles = {
        tuple(sorted(circle))
        for module in MODULES
        for circle in circles_below(module, ARROWS.__getitem__)
        if len(circle) > 1
    }
    assert circles == set()


def test_the_tools_use_the_package_and_it_does_not_use_them():
    names = [binding.module for path in MODULES.values() for node in ast.walk(ast.parse(path.read_text()))
             for _, binding in import_bindings(node)]  # fmt: skip
    assert not [name for name in names if name.split(".")[0] in ("tools", "tests", "benchmarks")]
