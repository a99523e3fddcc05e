"""Downloading real data: whole and checked, or not there at all."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest
from suites import CATALOGUE

from bench.catalogue.sources import DatasetRow
from bench.commands.fetch import download, download_minari, main
from bench.errors import DatasetError, UserError

NAME = "halfcheetah_medium_expert-v2.hdf5"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which a server on this machine gives its files."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / NAME


def fetch(target: Path, *addresses: str) -> None:
    row = DatasetRow(id="d4rl-made-up", source=addresses[0], mirrors=" ".join(addresses[1:]))
    download(CATALOGUE, row, target, CATALOGUE.tasks["halfcheetah-medium-expert"])


def write_file(path: Path, value: float = 0.0) -> bytes:
    with h5py.File(path, "w") as file:
        for key, shape in {"observations": (4, 17), "actions": (4, 6), "rewards": 4, "timeouts": 4}.items():
            file[key] = np.full(shape, value, np.float32)
        file["terminals"] = np.array([False, False, False, True])
    return path.read_bytes()


def test_a_mirror_is_asked_where_the_source_does_not_answer(served: tuple[Path, str], target: Path) -> None:
    folder, address = served
    content = write_file(folder / NAME)
    fetch(target, f"{address}/moved.hdf5", f"{address}/{NAME}")
    assert target.read_bytes() == content
    assert list(target.parent.iterdir()) == [target]


def test_what_is_not_the_dataset_is_refused_and_leaves_nothing(
    served: tuple[Path, str], target: Path
) -> None:
    folder, address = served
    content = write_file(folder / NAME, np.nan)
    with pytest.raises(DatasetError, match="hold NaN or infinity"):
        fetch(target, f"{address}/{NAME}")
    (folder / NAME).write_bytes(content[:1000])
    with pytest.raises(DatasetError, match="cannot be read as HDF5"):
        fetch(target, f"{address}/{NAME}")
    assert not list(target.parent.iterdir())


def test_no_address_that_answers_is_a_message(served: tuple[Path, str], target: Path) -> None:
    address = served[1]
    with pytest.raises(UserError) as caught:
        fetch(target, f"{address}/one.hdf5", f"{address}/two.hdf5")
    for part in (
        f"d4rl-made-up: could not be downloaded from {address}/one.hdf5 (",
        f" nor {address}/two.hdf5 (",
        f"Check the network, or put the file into {target.parent} yourself, under the name {NAME}",
    ):
        assert part in str(caught.value)
    assert not list(target.parent.iterdir())


def test_without_minaris_client_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", "elsewhere")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    row = CATALOGUE.datasets["minari-hopper-medium-v0"]
    with pytest.raises(UserError) as caught:
        download_minari(row, tmp_path)
    for part in ("minari-hopper-medium-v0: Minari could not", "bench[minari-download]", f"into {tmp_path}"):
        assert part in str(caught.value)


def test_what_is_there_is_not_fetched_again_and_what_is_not_known_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / NAME).write_bytes(b"")
    main(["halfcheetah-medium-expert"], str(tmp_path))
    assert capsys.readouterr().out == f"{tmp_path}/{NAME} is there\n"
    with pytest.raises(SystemExit):
        main(["darkroom"], str(tmp_path))
    assert "darkroom: workflow/tasks/gridworld.yaml names no dataset" in capsys.readouterr().err
