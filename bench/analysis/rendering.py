"""What tables and figures share: the check of the request, the heading, and the sidecar."""

from __future__ import annotations

import json

from bench.analysis.readings import Reading
from bench.errors import SpecError
from bench.work.cells import values_of
from bench.work.jobs import Job
from bench.work.renderings import Rendering
from bench.work.suite import Suite


def asked_for(suite: Suite, tier: str, artifact: str, kind: str) -> list[Rendering]:
    """The rendering asked for, or all of a kind without a name; SpecError where these do not fit."""
    catalogue = suite.catalogue
    catalogue.tier(tier)
    if not artifact:
        every = (Rendering(suite, tier, name) for name in catalogue.artifacts)
        return [rendering for rendering in every if rendering.kind == kind]
    catalogue.artifact(artifact)
    rendering = Rendering(suite, tier, artifact)
    if rendering.kind != kind:
        raise SpecError(f"{artifact} is a {rendering.kind}: use python -m bench.{rendering.kind}.")
    return [rendering]


def heading(rendering: Rendering, readings: list[Reading]) -> str:
    """Which artifact this is, in which tier, on what data, with how much of its budget."""
    catalogue = rendering.suite.catalogue
    paper = catalogue.paper_of(rendering.name).title
    said = f"{paper} {rendering.artifact.printed}: {rendering.artifact.title}"
    tier = f"{rendering.tier} tier{rendering.suite.source.said}{catalogue.reading_said}"
    ran = [r for r in readings if r.summary is not None]
    if not ran:
        return f"{said}\n{tier}"
    sources = sorted({r.data_source for r in ran if r.entry.rests_on_data})
    seeds = sorted({r.summary.n for r in ran if r.summary})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    parts = [tier, f"{catalogue.tier(rendering.tier).budget} budget"]
    parts += [f"{' and '.join(sources)} data"] if sources else []
    spread = "one seed, no interval" if seeds[-1] == 1 else f"n = {count} seeds"
    intervals = rendering.artifact.layout.intervals
    if seeds[-1] > 1 and intervals:
        spread += f", {intervals}"
    changed = changed_tasks(ran, rendering.tier)
    older = sum(bool(reading.changed) for reading in ran)
    changed = "; ".join(
        filter(None, [changed, f"{older} of {len(ran)} numbers by older code" if older else ""])
    )
    return f"{said}\n{', '.join(parts)}; {spread}" + (f"; {changed}" if changed else "")


def changed_tasks(readings: list[Reading], tier: str) -> str:
    """What the tier changes of the tasks themselves, as in `darkroom with room side 7`; empty if nothing."""
    said: dict[str, str] = {}
    for reading in readings:
        cell = reading.entry.cell
        if reading.summary is None or not reading.entry.rests_on_data:
            continue
        suite = reading.entry.suite
        task = suite.catalogue.tasks[cell.task]
        resolved = Job(suite, reading.entry.stage, tier, cell, 0).resolved
        usual = values_of(suite.catalogue, cell)
        different = [
            f"{n.replace('_', ' ')} {resolved.options[n]}"
            for n in task.data_names
            if resolved.options[n] != usual[n]
        ]
        if different:
            said[task.title] = f"{task.title} with {', '.join(different)}"
    return "; ".join(said.values())


def command_of(rendering: Rendering) -> str:
    """The command that makes a rendering again."""
    suite = rendering.suite
    command = f"snakemake {rendering.name} --config tier={rendering.tier}{suite.source.config}"
    return suite.catalogue.assignments() + command


def write_sidecar(rendering: Rendering, readings: list[Reading]) -> None:
    """The fingerprint, how many of the entries hold a number, and the command that makes it again."""
    filled = sum(reading.summary is not None or reading.value is not None for reading in readings)
    sidecar = {
        "artifact": rendering.name,
        "fingerprint": rendering.fingerprint,
        "entries": len(readings),
        "filled": filled,
        "command": command_of(rendering),
    }
    rendering.outputs[-1].write_text(json.dumps(sidecar, indent=1) + "\n")
