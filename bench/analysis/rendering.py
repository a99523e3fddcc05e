"""What tables and figures share: the check of the request, the heading, and the sidecar."""

from __future__ import annotations

from collections.abc import Iterable

from bench.analysis.agreement import agreement
from bench.analysis.readings import Reading
from bench.analysis.statistics import FEWEST_SEEDS
from bench.errors import SpecError
from bench.files import write_atomically
from bench.work.cells import values_of
from bench.work.integrity import described, sealed
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
    spread = "one seed" if seeds[-1] == 1 else f"n = {count} seeds"
    intervals = rendering.artifact.layout.intervals
    if seeds[-1] < FEWEST_SEEDS:
        spread += ", no interval"
    elif intervals:
        spread += f", {intervals}"
    changed = changed_tasks(ran, rendering.tier)
    older = sum(bool(reading.changed) for reading in ran)
    changed = "; ".join(
        filter(None, [changed, f"{older} of {len(ran)} numbers by older code" if older else ""])
    )
    return f"{said}\n{', '.join(parts)}; {spread}" + (f"; {changed}" if changed else "")


def changed_tasks(readings: list[Reading], tier: str) -> str:
    """What the tier changes of the tasks themselves, as in `Darkroom, 36 train tasks`; empty if nothing."""
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
            _in_words(n, resolved.options[n]) for n in task.data_names if resolved.options[n] != usual[n]
        ]
        if different:
            said[task.title] = ", ".join([task.title, *different])
    return "; ".join(said.values())


def _in_words(option: str, value: object) -> str:
    """An option as a reader says it: `20,000 transitions`, `room side 7`, `state code one-hot`."""
    name = option.replace("_", " ")
    counted = isinstance(value, int) and not isinstance(value, bool) and name.endswith("s")
    return f"{value:,} {name}" if counted else f"{name} {value}"


def command_of(rendering: Rendering) -> str:
    """The command that makes a rendering again."""
    suite = rendering.suite
    command = f"snakemake {rendering.name} --config tier={rendering.tier}{suite.source.config}"
    return suite.assignments() + command


def write_sidecar(rendering: Rendering, readings: list[Reading], judged: Iterable[tuple[str, str]]) -> None:
    """The fingerprint, what it holds, the command that makes it again, and its files as they were written.

    `judged` has the kind of each number whose printed value is known, and the verdict on it.
    """
    results = [reading for reading in readings if reading.entry.stage]
    *files, path = rendering.outputs
    written = described(rendering.folder, files)
    sidecar = {
        "artifact": rendering.name,
        "fingerprint": rendering.fingerprint,
        "results": sum(reading.summary is not None for reading in results),
        "results_wanted": len(results),
        "settings": len(readings) - len(results),
        **agreement(judged),
        "command": command_of(rendering),
        "files": {name: one.model_dump(exclude_unset=True) for name, one in written.items()},
    }
    write_atomically(path, sealed(sidecar))
