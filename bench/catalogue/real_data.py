"""The files of the real data that a task was given: what is in them, and where they lie."""

from __future__ import annotations

from pathlib import Path

from bench.catalogue.catalogue import Task
from bench.catalogue.sources import REPLAY_REMEDY, VARIABLE, DatasetRow, file_sha256, replay_digest
from bench.errors import UnavailableError


def content(task: Task) -> dict[str, str]:
    """File -> sha256, or `absent`, of the real data a task was given: its names and bytes, not its place.

    Of a folder it is `replay_digest`.
    """
    if task.given is None:
        return {}
    return {row.file: _digest(row, task.given.folder / row.file) for row in task.rows}


def _digest(row: DatasetRow, path: Path) -> str:
    if not is_there(row, path):
        return "absent"
    return replay_digest(path) if row.is_folder else file_sha256(path)


def is_there(row: DatasetRow, path: Path) -> bool:
    """Whether a row's file, or its folder, lies at the path."""
    return path.is_dir() if row.is_folder else path.is_file()


def located(task: Task) -> list[tuple[DatasetRow, Path]]:
    """The rows of the real data a task was given, each with its file.

    Raises UnavailableError, saying what is missing, where it can be had and what to do.
    """
    assert task.given is not None, task.name
    found = [(row, task.given.folder / row.file) for row in task.rows]
    if not found:
        raise UnavailableError(
            f"{task.name}: workflow/tasks/{task.family}.yaml names no dataset of this kind for it "
            f"({task.given.assignment.strip()}). Give the folder of its files, or leave {VARIABLE} out for "
            "the stand-in."
        )
    for row, path in found:
        if not is_there(row, path):
            command = f"{task.given.assignment}python -m bench fetch {task.name}"
            remedy = (
                f"Download it with `{command}`, or put it there yourself; it can be had from "
                f"{' or '.join(row.addresses)}."
            )
            raise UnavailableError(
                f"{task.name}: {path} is missing. {REPLAY_REMEDY if row.is_folder else remedy} Without "
                f"{VARIABLE} the stand-in is used."
            )
    return found
