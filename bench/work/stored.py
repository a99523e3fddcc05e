"""The committed store: what finished runs left, one folder a tier in `results/stored`.

`cells.csv` holds every number, `records.jsonl` the sidecar of every job (one a line), `closures.json` the
modules and packages that many of these share, and `arrays/` what is too large for a table. `SHA256SUMS` has
the digest of each file, which is checked before one is read. Nothing here is written by a run;
`bench.commands.store` promotes one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from pydantic import ValidationError

from bench.catalogue.stages import STAGES
from bench.errors import UserError, unknown
from bench.files import ROOT, shown
from bench.work.integrity import digests_trouble, files_below, write_digests
from bench.work.record import COLUMNS, Key, Record, Status

STORED = ROOT / "results" / "stored"
# Set by Snakemake's config key `source`: with `stored`, all numbers are read from the store and none is made.
VARIABLE = "BENCH_SOURCE"
# The file of digests of a tier's store.
DIGESTS = "SHA256SUMS"
TABLES = ("cells.csv", "records.jsonl", "closures.json")
# The seeds beyond those of a budget that its records have; a store may be without.
SEEDS = "settle.json"
# Parts of a fingerprint that many jobs have in common.
SHARED_PARTS = ("digest", "code", "packages", "python")
# Unknown where it is empty, and for all of a store that was written before it was recorded.
LOAD = "wall_over_processor"
# Of a training: the seconds of all its updates, over every process that had a part in it. Unknown likewise.
TRAINED = "training_seconds"
# The columns of `cells.csv`.
CELL_COLUMNS = [
    "task", "method", "settings", "seed", "step", "metric", "index", "value", "unit", "protocol",
    "data_source", "budget", "status", "fingerprint", "seconds", "peak_memory_mib", "device", "scan_backend",
    "platform", "git_commit", LOAD, TRAINED,
]  # fmt: skip
NOT_STORED = Record(status=Status("not-run", "not in the committed results"))


class Filed(Protocol):
    """A job, as far as its results are concerned: its names, its files, and what it would be made under."""

    @property
    def tier(self) -> str:
        """The tier it belongs to."""

    @property
    def key(self) -> Key:
        """What names it in the store of its tier."""

    @property
    def record(self) -> Path:
        """Its sidecar in a run."""

    @property
    def table(self) -> Path:
        """Its tidy numbers in a run."""

    @property
    def arrays(self) -> Path:
        """What is too large for its table, in a run."""

    @property
    def arrays_name(self) -> Path:
        """Where that lies, relative to the folder of its tier."""

    @property
    def remedy(self) -> str:
        """How it is made again where one of its files is damaged."""

    @property
    def fingerprint(self) -> str:
        """Hash of everything its number depends on."""

    @property
    def takes_stored(self) -> bool:
        """Whether a run of its tier takes a stored result of this fingerprint as done."""


class Store:
    """The store in a folder, read once a tier; as a source of results it makes none."""

    said, config, makes = " from the committed store", " source=stored", False

    def __init__(self, folder: Path = STORED) -> None:
        self.folder = folder
        self._records: dict[str, dict[Key, Record]] = {}
        self._cells: dict[str, dict[str, pd.DataFrame]] = {}
        self._checked: set[Path] = set()

    def files(self, tier: str) -> list[Path]:
        """The files of a tier's store, each as it was promoted.

        Raises UserError where there is no store, or where one of them is missing or damaged.
        """
        files = [self.folder / tier / name for name in TABLES]
        if not self._holds(tier):
            raise UserError(
                f"{shown(files[0])}: missing, so there is no store of the {tier} tier. Finish a run with "
                f"`snakemake all --config tier={tier}`, then promote it: snakemake store --config tier={tier}"
            )
        self._check(tier, files)
        return files

    def _holds(self, tier: str) -> bool:
        return (self.folder / tier).is_dir()

    def _check(self, tier: str, files: list[Path]) -> None:
        """Raise UserError, naming the first of these files that is not as it was promoted; each once."""
        folder = self.folder / tier
        trouble = digests_trouble(folder / DIGESTS, [file for file in files if file not in self._checked])
        if trouble:
            raise UserError(f"{trouble}. {restoring_all(folder)}")
        self._checked |= {*files}

    def seeds(self, tier: str) -> Path:
        """The file of seeds beyond the budgets', which need not be there.

        Raises UserError where it is damaged, or missing although the store lists it.
        """
        path, digests = self.folder / tier / SEEDS, self.folder / tier / DIGESTS
        if path.exists() or (digests.is_file() and SEEDS.encode() in digests.read_bytes().split()):
            self._check(tier, [path])
        return path

    def digest(self, tier: str) -> str:
        """Hash of what the store of a tier holds."""
        digest = hashlib.sha256()
        for path in self.files(tier):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def refuse_store(self, why: str) -> None:
        """Raise UserError, saying why: the command needs a run."""
        raise UserError(f"config key source (environment variable {VARIABLE}): {why}. Leave it out.")

    def taken(self, job: Filed) -> Record | None:
        """The record of a job, whatever made it; None if there is none."""
        return self.records(job.tier).get(job.key)

    def record(self, job: Filed) -> Record:
        """The record of a job; one that is absent says so by its status."""
        return self.taken(job) or NOT_STORED

    def state(self, job: Filed) -> str:
        """`stored` or `missing`."""
        return "stored" if self.taken(job) else "missing"

    def rows(self, job: Filed) -> pd.DataFrame:
        """Metrics, steps, indices and values of a job; empty if it did not end well."""
        record = self.record(job)
        rows = self.cells(job.tier).get(record.fingerprint) if record.status.is_ok else None
        if rows is None:
            return pd.DataFrame(columns=list(COLUMNS))
        return rows[list(COLUMNS)].dropna(subset="value").reset_index(drop=True)

    def arrays(self, job: Filed) -> Path:
        """The file of what is too large for a job's table; UserError where it is missing or damaged."""
        path = self.place_of_arrays(job)
        self._check(job.tier, [path])
        return path

    def place_of_arrays(self, job: Filed) -> Path:
        """Where that file lies, or would."""
        return self.folder / job.tier / "arrays" / job.arrays_name

    def records(self, tier: str) -> dict[Key, Record]:
        """Every record in the store of a tier, by stage, task, method, settings and seed; none if not there.

        Raises UserError, naming file and line, for what is no record.
        """
        if tier not in self._records:
            self._records[tier] = self._read_records(tier)
        return self._records[tier]

    def _read_records(self, tier: str) -> dict[Key, Record]:
        if not self._holds(tier):
            return {}
        records, closures = (self.folder / tier / name for name in ("records.jsonl", "closures.json"))
        self._check(tier, [records, closures])
        found: dict[Key, Record] = {}
        remedy = restoring(self.folder / tier)
        try:
            shared = _read_closures(json.loads(closures.read_text()))
        except (json.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            raise UserError(f"{shown(closures)}: not what `bench store` writes ({why}). {remedy}") from None
        for number, line in enumerate(records.read_text().splitlines(), start=1):
            where = f"{shown(records)}: line {number}"
            try:
                text = json.loads(line)
                text["parts"] = shared[text["parts"].pop("closure")] | text["parts"]
                key = tuple(text[name] for name in ("stage", "task", "method", "settings", "seed"))
                record = Record.model_validate(text)
            except (json.JSONDecodeError, ValidationError, KeyError, TypeError, AttributeError) as error:
                said = " ".join(f"{type(error).__name__}: {error}".split())
                raise UserError(f"{where} is no record ({said}). {remedy}") from None
            if key[0] not in STAGES:
                raise unknown("stage", key[0], STAGES, where)
            if key in found:
                raise UserError(f"{where} is a second record of {' '.join(map(str, key))}. {remedy}")
            found[key] = record  # type: ignore[index]
        return found

    def cells(self, tier: str) -> dict[str, pd.DataFrame]:
        """Fingerprint -> the rows of a job in a tier's store; none without a store.

        Raises UserError, naming the file, where it is no table or lacks a column.
        """
        if tier not in self._cells:
            self._cells[tier] = self._read_cells(tier) if self._holds(tier) else {}
        return self._cells[tier]

    def _read_cells(self, tier: str) -> dict[str, pd.DataFrame]:
        path = self.folder / tier / "cells.csv"
        self._check(tier, [path])
        remedy = restoring(path.parent)
        try:
            cells = pd.read_csv(path, float_precision="round_trip", low_memory=False, keep_default_na=False,
                                na_values={"value": [""], LOAD: [""], TRAINED: [""]})  # fmt: skip
        except ValueError as error:
            raise UserError(f"{shown(path)}: not a table ({error}). {remedy}") from None
        later = {name: float("nan") for name in (LOAD, TRAINED) if name not in cells}
        cells = cells.assign(**later)
        lacking = set(CELL_COLUMNS) - set(cells.columns)
        if lacking:
            raise UserError(f"{shown(path)}: column {min(lacking)} is missing. {remedy}")
        return {str(name): rows for name, rows in cells.groupby("fingerprint", sort=False)}


def restoring(folder: Path) -> str:
    """How the files of a tier's store are had again as they were."""
    return f"Restore the files: git checkout -- {shown(folder)}"


def restoring_all(folder: Path) -> str:
    """The same, and what to do with what an interrupted promotion has left, of which git has nothing."""
    if (folder / DIGESTS).exists():
        return restoring(folder)
    return (
        f"{restoring(folder)}. Where git holds none of them, delete the folder and promote again: "
        f"python -m bench store --tier {folder.name}"
    )


def seal_store(folder: Path) -> None:
    """Write the digests of a tier's store, once its files are written; what else lies there has none."""
    files = [folder / name for name in (*TABLES, SEEDS)]
    arrays = [file for file in files_below(folder / "arrays") if file.suffix == ".npz"]
    write_digests(folder / DIGESTS, sorted([*filter(Path.is_file, files), *arrays]))


def _read_closures(text: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> parts, from a file in which each definition's text stands once."""
    definitions = [tuple(line.split(" ")) for line in text["definitions"]]
    return {
        name: closure | {"code": dict(definitions[number] for number in closure["code"])}
        for name, closure in text["closures"].items()
    }


def _closures_text(closures: dict[str, dict[str, Any]]) -> str:
    lines = {f"{name} {text}" for closure in closures.values() for name, text in closure["code"].items()}
    numbers = {line: number for number, line in enumerate(sorted(lines))}
    short = {
        name: closure | {"code": [numbers[f"{key} {text}"] for key, text in closure["code"].items()]}
        for name, closure in sorted(closures.items())
    }
    # A line for each definition and each closure, so that git shows what changed.
    listed = ",\n".join(json.dumps(line) for line in numbers)
    named = ",\n".join(f"{json.dumps(name)}: {json.dumps(closure)}" for name, closure in short.items())
    return f'{{"definitions": [\n{listed}\n],\n"closures": {{\n{named}\n}}}}\n'


def stored_texts(records: dict[Key, Record]) -> dict[str, str]:
    """The text of `records.jsonl` and `closures.json` for these records, in the order of their keys."""
    closures: dict[str, dict[str, Any]] = {}
    lines = []
    for key in sorted(records):
        parts = records[key].parts
        closure = {name: parts[name] for name in SHARED_PARTS}
        name = hashlib.sha256(json.dumps(closure, sort_keys=True).encode()).hexdigest()[:12]
        closures[name] = closure
        own = {part: value for part, value in parts.items() if part not in SHARED_PARTS}
        lines.append(json.dumps(records[key].as_dict() | {"parts": {"closure": name, **own}}))
    return {
        "records.jsonl": "".join(f"{line}\n" for line in lines),
        "closures.json": _closures_text(closures),
    }
