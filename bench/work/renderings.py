"""Renderings: an artifact's table or figure in a tier, with its files and fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.catalogue.artifacts import KINDS, TABLE, Artifact
from bench.catalogue.once import once
from bench.errors import UserError
from bench.work.cells import asked_by, resolve, values_of
from bench.work.entries import Entry, entries
from bench.work.fingerprint import fingerprint, fingerprint_parts
from bench.work.integrity import Written, first_trouble, unsealed
from bench.work.jobs import RESULTS, Job
from bench.work.plan import jobs_of
from bench.work.suite import Suite

FIGURES = Path("figures")


@dataclass(frozen=True)
class Rendering:
    """How one artifact is shown in one tier."""

    suite: Suite = field(repr=False, compare=False)
    tier: str
    name: str

    @property
    def artifact(self) -> Artifact:
        """Its specification."""
        return self.suite.catalogue.artifact(self.name)

    @property
    def kind(self) -> str:
        """`table` or `figure`; also the rule and the module that make it."""
        return "table" if self.artifact.layout.kind == TABLE else "figure"

    @property
    def folder(self) -> Path:
        """Where its files lie, relative to the working folder."""
        return self.outputs[0].parent

    @property
    def outputs(self) -> list[Path]:
        """Its files; the sidecar comes last."""
        return outputs(self.kind, self.tier, self.name)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Every number it shows."""
        return entries(self.suite, self.name, self.tier)

    @cached_property
    def jobs(self) -> list[Job]:
        """The jobs it reads, each once."""
        return list(dict.fromkeys(job for entry in self.entries for job in jobs_of(entry, self.tier)))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything it shows or that decides how."""
        missing = json.dumps([entry.missing for entry in self.entries])
        paper = self.suite.catalogue.paper_of(self.name).title
        said = paper + self.artifact.model_dump_json() + missing + self._spoken()
        options: dict[str, Any] = {
            "artifact": hashlib.sha256(said.encode()).hexdigest(),
            "reported": _reported_hash(self.suite),
            "stored": self.suite.source.digest(self.tier),
        }
        upstream = [job.fingerprint for job in self.jobs]
        code = [f"bench.commands.{self.kind}.render"]
        if self.kind == "figure":
            code.append(f"{KINDS}.{self.artifact.layout.kind}")
        return fingerprint(fingerprint_parts(code, options, 0, upstream))

    def _spoken(self) -> str:
        """What the catalogue says of its entries and the page rests on: titles, units, selection, margin."""
        catalogue = self.suite.catalogue
        said: set[tuple[str, ...]] = set()
        for entry in self.entries:
            # Hyper-parameters and axis labels are read from the resolved options.
            shown = resolve(catalogue, "paper", entry.cell, "train")
            options = shown.options if shown else values_of(catalogue, entry.cell)
            said.add((entry.cell.key, entry.reading, json.dumps(options, sort_keys=True)))
            task = catalogue.tasks[entry.cell.task]
            metric = catalogue.metrics.get(entry.metric)
            protocol = catalogue.protocols[task.protocol]
            said |= {
                (entry.metric, metric.model_dump_json() if metric else ""),
                (task.name, task.title, task.data_source, f"{protocol.margin}"),
                (entry.cell.method, catalogue.methods[entry.cell.method].title),
            }
        return json.dumps([catalogue.tier(self.tier).budget, *sorted(said)])

    @property
    def state(self) -> str:
        """`current`, `stale`, `damaged` or `missing`."""
        said = self.sidecar
        if not said:
            return "missing"
        if said["fingerprint"] != self.fingerprint:
            return "stale"
        return "damaged" if self._trouble else "current"

    @property
    def sidecar(self) -> dict[str, Any]:
        """What its sidecar says; nothing where it is missing, or differs in a byte from what was written."""
        try:
            return unsealed(self.outputs[-1])
        except (FileNotFoundError, ValueError):
            return {}

    @property
    def _trouble(self) -> str:
        """What is wrong with one of its files; empty where nothing is."""
        *files, sidecar = self.outputs
        written = {name: Written.model_validate(one) for name, one in self.sidecar.get("files", {}).items()}
        if set(written) != {path.name for path in files}:
            return f"{sidecar}: missing, damaged or edited"
        return first_trouble(self.folder, written, sidecar)

    def checked(self, path: Path) -> Path:
        """One of its files, once all of them were checked.

        Raises UserError, with the remedy, where one is missing or not as it was written.
        """
        if self._trouble:
            raise UserError(
                f"{self._trouble}. Make it again: snakemake {self.name} --config tier={self.tier}"
                f"{self.suite.source.config}"
            )
        return path


def outputs(kind: str, tier: str, name: str) -> list[Path]:
    """The files of a table or figure, relative to the working folder; the sidecar comes last."""
    folder = RESULTS / tier / "tables" if kind == "table" else FIGURES / tier
    forms = ("csv", "md", "tex") if kind == "table" else ("csv", "png", "pdf")
    return [folder / f"{name}.{form}" for form in (*forms, "json")]


def varied_in(option: str, rendering: Rendering) -> list[str]:
    """The artifacts of which the tier runs a method of this rendering's with several values of an option."""
    methods = {entry.cell.method for entry in rendering.entries}
    values: dict[tuple[str, str, str], set[Any]] = {}
    for name in rendering.suite.catalogue.artifacts:
        for entry in entries(rendering.suite, name, rendering.tier):
            cell = entry.cell
            if cell.method in methods and entry.stage and not entry.missing:
                # What is held differs from the default on its task.
                held = asked_by(rendering.suite.catalogue, cell).held
                values.setdefault((name, cell.task, cell.method), set()).add(held.get(option))
    return list(dict.fromkeys(name for (name, _, _), found in values.items() if len(found) > 1))


@once
def _reported_hash(suite: Suite) -> str:
    digest = hashlib.sha256()
    for path in suite.catalogue.reported:
        digest.update(path.read_bytes())
    return digest.hexdigest()
