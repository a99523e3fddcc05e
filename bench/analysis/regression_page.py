"""What a comparison with the store says, as lines for a console and as a page in Markdown."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bench.analysis.regression import Comparison, Finding, Key
from bench.work.busy import BUSY, MARK
from bench.work.jobs import RESULTS, Job

# On a console; the page names all.
MOST_NAMED = 3
NO_CAUSE = "none known: code, options and platform are the store's"
INTRODUCTION = """\
Counts, and scores that were made on the store's platform with its packages, have to be equal. Other scores
have to lie where the store's seeds foretell; gains count as well as losses. See docs/regression.md.
"""


@dataclass(frozen=True)
class Notes:
    """What is said beside the alarms: the tier's jobs by name, and what is out of date.

    `stale` holds each stored job that today's code would make under another fingerprint, with what changed;
    `means` in what each job of the run was made by other means; `outdated` the stale jobs of the run, which
    the target `again` makes again.
    """

    tier: str
    jobs: dict[Key, Job]
    stale: dict[Key, tuple[str, ...]]
    means: dict[Key, list[str]]
    outdated: list[Job]
    again: str

    def cause(self, finding: Finding) -> str:
        """The likely cause of an alarm."""
        named = dict.fromkeys(
            line for key in finding.keys for line in (*self.stale.get(key, ()), *self.means.get(key, ()))
        )
        return f"changed: {', '.join(named)}" if named else NO_CAUSE


def what_agrees(compared: Comparison) -> str:
    """How much was compared, and in which way."""
    said = [f"{compared.exact} numbers asked to be equal"]
    if compared.intervals:
        said.append(f"{compared.intervals} scores against the interval that the stored seeds foretell")
    if compared.margins:
        said.append(f"{compared.margins} scores, of cells with one seed, against the protocol's margin")
    if compared.uncompared:
        said.append(f"{compared.uncompared} numbers of other platforms or seeds not compared")
    if compared.taken:
        said.append(f"{compared.taken} jobs not run here but taken from the store, so not compared")
    return ", ".join(said)


def grouped(stale: dict[Key, tuple[str, ...]]) -> dict[tuple[str, ...], list[Key]]:
    """What changed -> the stored jobs it makes out of date."""
    groups: dict[tuple[str, ...], list[Key]] = {}
    for key, named in stale.items():
        groups.setdefault(named, []).append(key)
    return groups


def summary_of(compared: Comparison, notes: Notes) -> list[str]:
    """The lines under the table of alarms, or in its place."""
    page = RESULTS / notes.tier / "regress.md"
    verdict = "no alarm" if not compared.findings else f"{len(compared.findings)} alarms"
    lines = [f"regress: {verdict} in the {notes.tier} tier: {what_agrees(compared)}"]
    names: dict[str, dict[str, None]] = {}
    for finding in compared.findings:
        names.setdefault(notes.cause(finding), {})[finding.name] = None
    lines += [f"likely cause of {_first(list(own))}: {cause}" for cause, own in names.items()]
    for named, keys in grouped(notes.stale).items():
        lines.append(f"stale in the store: {_first(_together(keys))}; changed: {', '.join(named)}")
    lines += _busy(compared)
    if notes.outdated:
        lines.append(_outdated(notes))
    return [*lines, f"links and commands: {page}"]


def page_of(compared: Comparison, notes: Notes) -> str:
    """The page: every alarm with its cause, its files and its command, then what is stale."""
    lines = [f"# The {notes.tier} tier against the committed store\n", INTRODUCTION]
    lines += [f"{len(compared.findings) or 'No'} alarms; {what_agrees(compared)}.\n"]
    if compared.findings:
        lines += [
            "| cell | number | stored | ours | what is wrong | likely cause |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {finding.name} | {finding.number} | {finding.stored} | {finding.ours} | {finding.why} "
            f"| {notes.cause(finding)} |"
            for finding in compared.findings
        ]
        alarmed = dict.fromkeys(key for finding in compared.findings for key in finding.keys)
        lines += ["\n## To look at, and to make again\n", *(_files(key, notes) for key in alarmed)]
    if busy := _busy(compared, every=True):
        lines += ["\n## Timed on a busy machine\n", *(f"- {line}" for line in busy)]
    if notes.stale:
        lines += ["\n## Stale in the store\n", "Today's code would make these under another fingerprint.\n"]
        for named, keys in grouped(notes.stale).items():
            lines.append(f"- {'; '.join(_together(keys))}; changed: {', '.join(named)}")
    if notes.outdated:
        lines += ["\n## Out of date in the run\n", _outdated(notes)]
    return "\n".join(lines) + "\n"


def _busy(compared: Comparison, every: bool = False) -> list[str]:
    """Whose times were taken on a busy machine, a line each for the run and the store; none is compared."""
    lines = []
    for side, keys in compared.busy.items():
        names = [_named(key) for key in keys]
        said = "; ".join(names) if every else _first(names)
        if names:
            lines.append(
                f"times of {side} taken on a {MARK} (wall over processor time above {BUSY:g}), not compared: "
                f"{said}"
            )
    return lines


def _first(names: list[str]) -> str:
    """The first few names, and how many there are beyond them."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return "; ".join(names[:MOST_NAMED]) + more


def _named(key: Key) -> str:
    return f"{key.cell} seed {key.seed}, {key.stage}"


def _together(keys: list[Key]) -> list[str]:
    """Each cell and seed once, with its stages."""
    stages: dict[str, list[str]] = {}
    for key in keys:
        stages.setdefault(f"{key.cell} seed {key.seed}", []).append(key.stage)
    return [f"{name} ({', '.join(own)})" for name, own in stages.items()]


def _outdated(notes: Notes) -> str:
    first = notes.outdated[0]
    return (
        f"{len(notes.outdated)} records of the run are not what today's code would make, the first being "
        f"{first.stage} of {first.cell.key}; make them again with: "
        f"snakemake {notes.again} --config tier={notes.tier}"
    )


def _files(key: Key, notes: Notes) -> str:
    """Links to the record and the log of a job, as far as they stand, and its command."""
    job = notes.jobs.get(key)
    if job is None:
        return f"- {_named(key)}: the {notes.tier} tier has no such cell any more"
    folder = RESULTS / notes.tier
    links = [
        f"[{kind}]({Path(os.path.relpath(path, folder)).as_posix()})"
        for kind, path in (("record", job.record), ("log", job.record.with_suffix(".log")))
        if path.exists()
    ]
    return f"- {_named(key)}: {', '.join([*links, f'`{job.command}`'])}"
