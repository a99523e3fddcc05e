"""Write the report of a tier: `python -m bench report --tier quick` makes `results/quick/report/`.

Made of files alone: tables, figures, claims and audit, and the records of the cells; it imports no torch.
The same files give the same bytes.
"""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

from bench.analysis.report.pages import Report
from bench.analysis.reported import load_reported
from bench.errors import exit_with_message
from bench.files import placed, write_atomically
from bench.work.gathered import seal
from bench.work.reporting import (
    ASSETS,
    TEMPLATES,
    figures_of,
    image_of,
    pages,
    report_files,
    report_folder,
)
from bench.work.suite import Suite


@exit_with_message
def main(tier: Annotated[str, typer.Option(help="quick, cpu or paper")]) -> None:
    """Write every page; nothing is written unless all of them can be."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    report = Report(suite, tier, load_reported(suite.catalogue, suite.catalogue.reported))
    texts = {f"{page}.html": report.page(page) for page in pages(suite.catalogue)}
    texts |= {name: (TEMPLATES / name).read_text() for name in ASSETS}
    folder = report_folder(tier)
    for rendering in figures_of(suite, tier):
        with placed(folder / image_of(rendering)) as temporary:
            shutil.copyfile(rendering.outputs[1], temporary)
    for name, text in texts.items():
        write_atomically(folder / name, text)
    seal(report_files(suite, tier))
    print(f"{len(pages(suite.catalogue))} pages: {folder / 'index.html'}")
