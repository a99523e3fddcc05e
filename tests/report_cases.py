"""A report of a paper with a single table, from records that were never run."""

import shutil
from pathlib import Path

import pandas as pd
import yaml
from suites import table_of

from bench.analysis.report.pages import Report
from bench.analysis.reported import COLUMNS
from bench.catalogue.catalogue import WORKFLOW
from bench.commands import table
from bench.work import gathered
from bench.work.renderings import Rendering
from bench.work.suite import Suite

PAPER = "title: Mine\nfull_title: A paper of mine\norder: 9\nown: true\n"


def suite_of(folder: Path, cells: list[dict], **more) -> Suite:
    """A suite whose only artifact is a table of these cells."""
    copy = Path(shutil.copytree(WORKFLOW, folder / "workflow"))
    for kind in ("papers", "claims"):
        shutil.rmtree(copy / kind)
    paper = copy / "papers" / "mine"
    paper.mkdir(parents=True)
    (copy / "claims").mkdir()
    (paper / "paper.yaml").write_text(PAPER)
    (paper / "table01.yaml").write_text(yaml.safe_dump(table_of(cells, **more)))
    return Suite.open(copy)


def printed(**numbers: str) -> pd.DataFrame:
    """What the table prints: metric or option -> its value, of DeMa on Hopper."""
    of = {"artifact": "mine_table01", "task": "hopper-medium", "method": "dema", "settings": "default",
          "confidence": "printed"}  # fmt: skip
    rows = [
        dict.fromkeys(COLUMNS, "") | of | {"metric": key, "value": value} for key, value in numbers.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def report_of(suite: Suite, reported: pd.DataFrame) -> Report:
    """The report of the quick tier, its table rendered first; no claims, and no audit."""
    table.render(Rendering(suite, "quick", "mine_table01"), reported)
    for path, column in {"results/quick/claims.csv": "claim", "results/audit/audit.csv": "verdict"}.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(columns=[column]).to_csv(path, index=False)
    for files in (gathered.files_of("quick", "claims.csv"), gathered.AUDIT):
        for path in files[1:]:
            path.write_text("")
        gathered.seal(files)
    return Report(suite, "quick", reported)
