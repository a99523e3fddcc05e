"""Download the real data of tasks: `python -m bench fetch hopper-medium --data /folder`.

D4RL's files go into the folder, by the addresses of `workflow/datasets.csv` in their order; `--data minari`
lets the minari package download into its own store. A file of D4RL's is written beside its place, checked as
it is when it is used, and only then moved in. The DQN-replay data of Atari can be had from nowhere: a message
says what has to lie where.
"""

from __future__ import annotations

import http.client
import os
import shutil
import urllib.request
from pathlib import Path
from typing import Annotated

import minari
import typer

from bench.catalogue.catalogue import Catalogue, Task
from bench.catalogue.sources import MINARI_VARIABLE, REPLAY_REMEDY, VARIABLE, DatasetRow, file_sha256
from bench.catalogue.values import defaults
from bench.datasets.d4rl import read_d4rl
from bench.errors import SpecError, UserError, exit_with_message
from bench.work.suite import Suite

TIMEOUT = 60  # seconds without an answer


@exit_with_message
def main(
    tasks: Annotated[list[str], typer.Argument(help="tasks of workflow/tasks")],
    data: Annotated[str, typer.Option(envvar=VARIABLE, help="a folder, or `minari` for Minari's store")],
) -> None:
    """Download what is missing of the real data of TASKS; exit with a message where it cannot be had."""
    catalogue = Suite.from_environment(data).catalogue
    for name in tasks:
        task = catalogue.task(name)
        if task.given is None or not task.rows:
            raise SpecError(
                f"{name}: workflow/tasks/{task.family}.yaml names no dataset of this kind for it "
                f"(data is {data}), so there is nothing to download."
            )
        for row in task.rows:
            path = task.given.folder / row.file
            if path.exists():
                print(f"{path} is there")
            elif row.is_folder:
                raise UserError(f"{row.id}: {path} is missing. {REPLAY_REMEDY}")
            elif row.minari_id:
                download_minari(row, task.given.folder)
            else:
                download(catalogue, row, path, task)
                print(f"{path}: {path.stat().st_size} bytes, sha256 {file_sha256(path)}")


def download(catalogue: Catalogue, row: DatasetRow, path: Path, task: Task) -> None:
    """Fetch a file from the first address that answers, check it, and move it to `path`.

    Raises UserError where no address answers, DatasetError where what came is not the dataset.
    """
    part = path.with_name(f".{path.name}.part")
    problems = []
    try:
        for address in row.addresses:
            print(f"from {address}")
            try:
                with (
                    urllib.request.urlopen(address, timeout=TIMEOUT) as answer,
                    part.open("wb") as file,
                ):
                    shutil.copyfileobj(answer, file)
                break
            # A name that is not found, a refusal, a connection that breaks off
            except (OSError, http.client.HTTPException) as error:
                problems.append(f"{address} ({error})")
        else:
            raise UserError(
                f"{row.id}: could not be downloaded from {' nor '.join(problems)}. Check the network, or "
                f"put the file into {path.parent} yourself, under the name {path.name}."
            )
        options = defaults(catalogue, task.name, None)
        read_d4rl(part, row, options["observation_dim"], options["action_dim"])
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def download_minari(row: DatasetRow, folder: Path) -> None:
    """Let the minari package fetch a dataset; UserError, with the remedy, where it cannot."""
    os.environ[MINARI_VARIABLE] = str(folder)
    try:
        minari.download_dataset(row.minari_id)
    # Minari passes on whatever its storage client raises, and ImportError where there is no such client
    except Exception as error:
        raise UserError(
            f"{row.id}: Minari could not download {row.minari_id} ({type(error).__name__}: {error}). It "
            "needs a network and the extra minari-download: pip install "
            "'mamba-offline-rl-bench[minari-download]'. Or "
            f"put the dataset into {folder} yourself; {' and '.join(row.addresses[1:])} holds it."
        ) from error
