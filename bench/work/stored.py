"""The committed store: what finished runs left, one folder a tier in `results/stored`.

`cells.csv` holds every number, `records.jsonl` the sidecar of every job (one a line), `closures.json` the
modules and packages that many of these share, and `arrays/` what is too large for a table. Nothing here is
written by a run; `bench.commands.store` promotes one.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from bench.catalogue.load import load_catalogue
from bench.catalogue.stages import STAGES
from bench.errors import SpecError, UserError, unknown
from bench.files import ROOT, shown

STORED = ROOT / "results" / "stored"
# Set by Snakemake's config key `source`: with `stored`, all numbers are read from the store and none is made.
VARIABLE = "BENCH_SOURCE"
Key = tuple[str, str, str, str, int]
# Parts of a fingerprint that many jobs have in common.
SHARED_PARTS = ("digest", "code", "packages", "python")


def from_store() -> bool:
    """Whether numbers are read from the store alone; SpecError where the variable says something else."""
    value = os.environ.get(VARIABLE, "")
    if value not in ("", "stored"):
        raise SpecError(
            f"config key source (environment variable {VARIABLE}): {value!r} is no source of results. Say "
            "'stored' to read the committed store, or leave it out to run."
        )
    return value == "stored"


def refuse_stored(why: str) -> None:
    """Raise UserError, saying why, where numbers are read from the store alone: the command needs a run."""
    if from_store():
        raise UserError(f"config key source (environment variable {VARIABLE}): {why}. Leave it out.")


def takes_stored(tier: str) -> bool:
    """Whether a run of this tier takes a stored result whose fingerprint is the one at hand as done."""
    return load_catalogue().tier(tier).takes_stored


def stored_files(tier: str) -> list[Path]:
    """The files of a tier's store; UserError where there is none."""
    files = [STORED / tier / name for name in ("cells.csv", "records.jsonl", "closures.json")]
    for path in files:
        if not path.exists():
            raise UserError(
                f"{shown(path)}: missing, so there is no store of the {tier} tier. Finish a run with "
                f"`snakemake all --config tier={tier}`, then promote it: snakemake store --config tier={tier}"
            )
    return files


def stored_digest(tier: str) -> str:
    """Hash of what the store of a tier holds, where numbers are read from it; else empty."""
    if not from_store():
        return ""
    digest = hashlib.sha256()
    for path in stored_files(tier):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def stored_records(tier: str) -> dict[Key, dict[str, Any]]:
    """Every sidecar in the store of a tier, by stage, task, method, settings and seed; none without a store.

    Raises UserError, naming file and line, for what is no record.
    """
    folder = STORED / tier
    if not (folder / "records.jsonl").exists():
        return {}
    _, records, closures = stored_files(tier)
    found: dict[Key, dict[str, Any]] = {}
    remedy = f"Restore the files: git checkout -- {shown(records)} {shown(closures)}"
    try:
        shared = _read_closures(json.loads(closures.read_text()))
    except (json.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
        raise UserError(f"{shown(closures)}: not what `bench store` writes ({why}). {remedy}") from None
    for number, line in enumerate(records.read_text().splitlines(), start=1):
        try:
            record = json.loads(line)
            record["parts"] = shared[record["parts"].pop("closure")] | record["parts"]
            key = tuple(record[name] for name in ("stage", "task", "method", "settings", "seed"))
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{shown(records)}: line {number} is no record ({type(error).__name__}: {error}). {remedy}"
            ) from None
        if key[0] not in STAGES:
            raise unknown("stage", key[0], STAGES, f"{shown(records)}: line {number}")
        if key in found:
            raise UserError(
                f"{shown(records)}: line {number} is a second record of {' '.join(map(str, key))}. {remedy}"
            )
        found[key] = record  # type: ignore[index]
    return found


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


def stored_texts(records: dict[Key, dict[str, Any]]) -> dict[str, str]:
    """The text of `records.jsonl` and `closures.json` for these records, in the order of their keys."""
    closures: dict[str, dict[str, Any]] = {}
    lines = []
    for key in sorted(records):
        parts = records[key]["parts"]
        closure = {name: parts[name] for name in SHARED_PARTS}
        name = hashlib.sha256(json.dumps(closure, sort_keys=True).encode()).hexdigest()[:12]
        closures[name] = closure
        own = {part: value for part, value in parts.items() if part not in SHARED_PARTS}
        lines.append(json.dumps(records[key] | {"parts": {"closure": name, **own}}))
    return {
        "records.jsonl": "".join(f"{line}\n" for line in lines),
        "closures.json": _closures_text(closures),
    }
