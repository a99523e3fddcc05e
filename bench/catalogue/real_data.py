"""The files of the real data that a task was given: what is in them, and where they lie."""

from __future__ import annotations

from pathlib import Path

from bench.catalogue.catalogue import Task
from bench.catalogue.sources import VARIABLE, DatasetRow, file_sha256
from bench.errors import UnavailableError


def content(task: Task) -> dict[str, str]:
    """File -> sha256, or `absent`, of the real data a task was given: its names and bytes, not its place."""
    if task.given is None:
        return {}
    paths = {row.file: task.given.folder / row.file for row in task.rows}
    return {name: file_sha256(path) if path.is_file() else "absent" for name, path in paths.items()}


def located(task: Task) -> list[tuple[DatasetRow, Path]]:
    """The rows of the real data a task was given, each with its file.

    Raises UnavailableError, saying what is missing, where it can be had and what to do.
    """
    assert task.given is not None, task.name
    found = [(row, task.given.folder / row.file) for row in task.rows]
    if not found:
        raise UnavailableError(
            f"{task.name}: workflow/tasks/{task.family}.yaml names no dataset of this kind for it "
            f"({task.given.assignment.strip()}). Give D4RL's files, or leave {VARIABLE} out for the stand-in."
        )
    for row, path in found:
        if not path.is_file():
            raise UnavailableError(
                f"{task.name}: {path} is missing. Download it with "
                f"`{task.given.assignment}python -m bench fetch {task.name}`, or put it there yourself; it "
                f"can be had from {' or '.join(row.addresses)}. Without {VARIABLE} the stand-in is used."
            )
    return found
