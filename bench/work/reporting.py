"""The report of a tier: which files it is made of, and the templates it is made with."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.load import PAGES
from bench.files import ROOT
from bench.work.jobs import RESULTS
from bench.work.renderings import Rendering
from bench.work.suite import Suite

TEMPLATES = ROOT / "bench" / "analysis" / "report" / "templates"
# Copied as they are.
ASSETS = ("style.css", "report.js")


def pages(catalogue: Catalogue) -> dict[str, str]:
    """Page -> how it is called: one a paper, behind the claims of all."""
    first = {name: PAGES[name] for name in ("index", "claims")}
    papers = {name: paper.title for name, paper in catalogue.papers.items()}
    return first | papers | PAGES


def report_folder(tier: str) -> Path:
    """Where the report of a tier lies, relative to the working folder."""
    return RESULTS / tier / "report"


def figures_of(suite: Suite, tier: str) -> list[Rendering]:
    """The figures it shows, in the order of their papers."""
    shown = [Rendering(suite, tier, name) for name in suite.catalogue.artifacts]
    return [rendering for rendering in shown if rendering.kind == "figure"]


def image_of(rendering: Rendering) -> str:
    """Where a figure's picture lies in the report's folder."""
    return f"images/{rendering.name}.png"


def report_inputs(suite: Suite, tier: str) -> list[Path]:
    """The files of tables and figures that it reads; what it says of runs comes from their records."""
    shown = [Rendering(suite, tier, name) for name in suite.catalogue.artifacts]
    return [path for one in shown for path in one.outputs[: 1 if one.kind == "table" else 2]]


def report_files(suite: Suite, tier: str) -> list[Path]:
    """Every file of the report: pages, style and script, and the pictures of the figures."""
    names = [f"{page}.html" for page in pages(suite.catalogue)]
    names += [*ASSETS, *(image_of(rendering) for rendering in figures_of(suite, tier))]
    return [report_folder(tier) / name for name in names]


def template_hashes() -> dict[str, str]:
    """Each file that the pages are made with -> hash of its content."""
    return {
        str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in sorted(TEMPLATES.iterdir())
    }
