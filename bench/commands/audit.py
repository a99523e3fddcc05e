"""Check what the papers print against itself: `python -m bench audit`.

Writes `results/audit/audit.csv` and `audit.md`, from what the papers print alone.
"""

from __future__ import annotations

from dataclasses import asdict, fields

import pandas as pd

from bench.analysis.audit import audit, counted
from bench.analysis.audit.finding import Finding
from bench.analysis.audit.stated import load_stated
from bench.analysis.code_defaults import load_code_defaults
from bench.analysis.reported import load_reported
from bench.catalogue.catalogue import Catalogue
from bench.errors import exit_with_message
from bench.files import write_atomically
from bench.work.gathered import AUDIT, seal
from bench.work.suite import Suite

INTRODUCTION = """\
What the papers print, held against itself, against their own code, and against the papers that they cite or
that cite them; no number of this suite takes part. `agrees`: it can be so, given that printed digits are
rounded and drawings read with an error. `conflicts`: it cannot. `noted`: a fact a reader should know. `open`:
it cannot be told from what is known of the papers. Their numbers stand in `results/reported`, those of a
folder of papers in its `reported`, with sources. What no number shows is stated in `contradictions.csv`
there.
"""


def page_of(findings: list[Finding]) -> str:
    """The page: counts, the conflicts, then everything that was checked."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in counted(findings).items())
    conflicts = [finding for finding in findings if finding.verdict == "conflicts"]
    lines = ["# Audit of the papers\n", f"{counts}.\n", INTRODUCTION, "## Conflicts\n", *_table(conflicts)]
    lines += ["\n## Everything that was checked"]
    for check in dict.fromkeys(finding.check for finding in findings):
        own = [finding for finding in findings if finding.check == check]
        lines += [f"\n### {check.capitalize()}\n", *_table(own)]
    return "\n".join(lines) + "\n"


def _table(findings: list[Finding]) -> list[str]:
    cells = [(f.place, f.printed, f.found, f.verdict, f.source) for f in findings]
    rows = ["| " + " | ".join(text.replace("|", "/") for text in row) + " |" for row in cells]
    return ["| where | printed | found | verdict | read in |", "|---|---|---|---|---|", *rows]


def findings_of(catalogue: Catalogue) -> list[Finding]:
    """What the audit finds in the files of a catalogue."""
    return audit(
        catalogue,
        load_reported(catalogue, catalogue.reported),
        load_code_defaults(catalogue, catalogue.code_defaults),
        load_stated(catalogue, catalogue.contradictions),
    )


@exit_with_message
def main() -> None:
    """Write audit.csv and audit.md."""
    findings = findings_of(Suite.from_environment().catalogue)
    rows, page = AUDIT
    columns = [field.name for field in fields(Finding)]
    table = pd.DataFrame([asdict(finding) for finding in findings], columns=columns)
    write_atomically(rows, table.to_csv(index=False, lineterminator="\n"))
    write_atomically(page, page_of(findings))
    seal(AUDIT)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in counted(findings).items())
    print(f"{counts}: {page}")
