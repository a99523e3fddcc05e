"""Which jobs `regress` makes anew and compares with the committed store."""

from __future__ import annotations

from bench.spec.cells import parse_slug
from bench.spec.jobs import Job, all_jobs
from bench.spec.load import WORKFLOW, read_yaml


def regressed_jobs(tier: str) -> list[Job]:
    """Every probe of the tier, and the evaluations `workflow/regress.yaml` names."""
    probes = [job for job in all_jobs(tier) if job.stage == "probe"]
    named = read_yaml(WORKFLOW / "regress.yaml")["cells"]
    return probes + [
        Job("evaluate", tier, parse_slug(cell["task"], cell["method"], cell["settings"]), cell["seed"])
        for cell in named
    ]
