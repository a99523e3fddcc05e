"""The folders that the catalogue is read from: `workflow/`, and one of a lab's own that mirrors it.

A run is given the second by one value, the environment variable BENCH_PAPERS (Snakemake's config key
`papers` sets it). Beside its YAML it may hold code, which is imported as the suite's own is:
`methods/<name>.py` of that folder is `bench.methods.<name>`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from bench.errors import SpecError, unknown
from bench.files import ROOT, shown

VARIABLE = "BENCH_PAPERS"
# Folders of YAML, those of code (methods have both), and what the papers print.
SPECIFICATION = ("papers", "claims", "methods", "tasks", "options", "protocols", "tiers")
CODE = ("methods", "worlds")
REPORTED = "reported"
# Files of that folder that hold no printed numbers: what the papers' code holds, and what is stated of them.
CODE_DEFAULTS = "code_defaults.csv"
CONTRADICTIONS = "contradictions.csv"
METRICS = "metrics.yaml"
SETS = "sets.yaml"
PAPER = "paper.yaml"
READINGS = "readings.yaml"


def given_papers(value: str) -> Path | None:
    """The folder that a run was given; None where that is empty.

    Raises SpecError where there is no such folder, or it holds what is no part of one.
    """
    if not value:
        return None
    where = f"config key papers (environment variable {VARIABLE})"
    folder = Path(value).expanduser().resolve()
    if not folder.is_dir():
        raise SpecError(
            f"{where}: there is no folder {value}. Name the folder that holds papers/, claims/ and what else "
            "your papers take, or leave it out."
        )
    known = sorted({*SPECIFICATION, *CODE, REPORTED})
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__")):
            continue
        if path.is_dir() and path.name not in known:
            raise unknown("folder", path.name, known, f"{where}: {shown(folder)}")
        if path.suffix in (".yaml", ".yml") and path.name not in (METRICS, SETS):
            raise unknown("file", path.name, [METRICS, SETS], f"{where}: {shown(folder)}")
    return folder


def yaml_files(roots: tuple[Path, ...], part: str) -> dict[str, Path]:
    """Name -> file of one part of the specification, the suite's first.

    Raises SpecError where two folders declare one name, and for a file with another ending.
    """
    found: dict[str, Path] = {}
    for path in (path for root in roots for path in sorted((root / part).glob("*.y*ml"))):
        if path.suffix != ".yaml":
            raise SpecError(f"{shown(path)}: a file of the specification ends in .yaml. Rename it.")
        if path.stem in found:
            refuse_twice(path, path.stem, found[path.stem])
        found[path.stem] = path
    return found


def refuse_twice(path: Path, name: str, before: Path) -> None:
    """Raise SpecError: a name that one file declares, another one has already."""
    raise SpecError(f"{shown(path)}: {name} is also declared by {shown(before)}. Rename one of them.")


def paper_folders(roots: tuple[Path, ...]) -> dict[str, Path]:
    """Paper -> its folder; SpecError for one without paper.yaml, and for an artifact outside of a paper."""
    found: dict[str, Path] = {}
    for path in (path for root in roots for path in _entries(root / "papers")):
        if path.is_file():
            raise SpecError(
                f"{shown(path)}: no paper's folder, so nobody knows whose artifact this is. Move it into "
                f"papers/<paper>/, beside that paper's {PAPER}."
            )
        if not (path / PAPER).is_file():
            raise SpecError(
                f"{shown(path)}: there is no {PAPER} in it, so this is no paper. Add one with title, "
                "full_title and order, or correct the folder's name."
            )
        if path.name in found:
            refuse_twice(path / PAPER, f"paper {path.name}", found[path.name] / PAPER)
        found[path.name] = path
    return found


def artifact_files(folder: Path) -> list[Path]:
    """The files of a paper's artifacts, by name."""
    return [path for path in yaml_files((folder,), "").values() if path.name not in (PAPER, READINGS)]


def _entries(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))


def import_from(folder: Path | None) -> None:
    """Let modules of a lab's folder be imported as the suite's own; None: the suite's alone.

    Raises SpecError where one is called as a module of the suite.
    """
    for room in CODE:
        own = ROOT / "bench" / room
        package = importlib.import_module(f"bench.{room}")
        package.__path__ = [str(own)]
        if folder is None or not (folder / room).is_dir():
            continue
        for path in _entries(folder / room):
            if path.suffix not in ("", ".py") or path.name.startswith("__"):
                continue
            if (own / path.name).exists():
                refuse_twice(path, f"module bench.{room}.{path.stem}", own / path.name)
        package.__path__ = [str(own), str(folder / room)]
    importlib.invalidate_caches()
