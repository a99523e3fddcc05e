"""Every table of both papers compiles with booktabs and fits its page."""

import re
import shutil
import subprocess

import pandas as pd
import pytest
from suites import CATALOGUE, SUITE

from bench.analysis.latex import to_latex
from bench.analysis.readings import read_entry
from bench.analysis.rendering import heading
from bench.analysis.reported import load_reported
from bench.analysis.tables import COLUMNS, long_table
from bench.work.renderings import Rendering

DOCUMENT = r"""\documentclass{article}
\usepackage[a4paper,margin=2.5cm]{geometry}
\usepackage{booktabs,graphicx,rotating}
\begin{document}
%s
\end{document}
"""


def compiled(folder, tables):
    """The log of pdflatex on a document of these tables, a page each."""
    if not shutil.which("pdflatex"):
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-base texlive-latex-recommended)")
    (folder / "all.tex").write_text(DOCUMENT % "\\clearpage\n".join(tables))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = (folder / "all.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    return log


def rows(*changes):
    """A long table, one row a change."""
    plain = {
        "artifact": "dmh_table02", "row": "a task", "column": "a method", "metric": "normalised_score",
        "reported": "", "reported_spread": "", "reported_as": "", "ours": None, "status": "ok", "n": 0,
        "each_seed": "", "verdict": "unreported",
    }  # fmt: skip
    return pd.DataFrame([plain | change for change in changes], columns=COLUMNS)


def test_every_table_compiles_and_fits_its_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reported, tables = load_reported(CATALOGUE, CATALOGUE.reported), []
    for name, artifact in CATALOGUE.artifacts.items():
        if artifact.layout.kind == "table":
            rendering = Rendering(SUITE, "quick", name)
            readings = [read_entry(entry, "quick") for entry in rendering.entries]
            table = long_table(rendering, readings, reported)
            # Nothing has run in this folder; numbers take more room than marks.
            table.loc[table["ours"].isna(), ["ours", "low", "high", "n"]] = [1234.5, -1234.5, 3703.5, 10]
            tables.append(to_latex(CATALOGUE, table, heading(rendering, readings)))
    log = compiled(tmp_path, tables)
    assert f"({len(tables)} pages" in log
    assert re.findall(r"^(?:Overfull|LaTeX Warning: Float).*", log, re.MULTILINE) == []


def test_every_character_that_latex_reads_as_a_command_is_printed(tmp_path):
    hostile = r"100 % & $x_1$ #2 {a} ~ ^ \end [3] <4>"
    table = rows({"row": hostile, "column": hostile, "reported": "1.0 ± 0.5", "status": f"failed: {hostile}"})
    compiled(tmp_path, [to_latex(CATALOGUE, table, f"{hostile}\n{hostile}")])


def test_a_reason_is_written_once_below_and_marked_where_a_number_is_missing():
    latex = to_latex(
        CATALOGUE,
        rows(*({"row": f"task {k}", "status": "not-run: needs the cpu tier"} for k in range(3))),
        "Title\ntier",
    )
    assert latex.count(r"--\textsuperscript{a}") == 3
    assert latex.count("needs the cpu tier") == 1
    assert "not-run" not in latex


def test_a_column_without_a_printed_number_is_left_out_and_that_is_said():
    silent, known = rows({"status": "ok"}), rows({"reported": "41.2"})
    assert "& ours" in to_latex(CATALOGUE, silent, "Title\ntier")
    assert "columns without any known value are omitted" in to_latex(CATALOGUE, silent, "Title\ntier")
    assert "& reported & ours" in to_latex(CATALOGUE, known, "Title\ntier")


def test_how_a_number_was_read_is_said_once_below_where_it_was_not_in_the_paper():
    own = {"reported": "41.2", "reported_as": "printed"}
    cited = [{"row": f"task {k}", "reported": f"4{k}.0", "reported_as": "cited"} for k in range(3)]
    latex = to_latex(CATALOGUE, rows(own, *cited), "Title\ntier")
    assert [latex.count(rf"4{k}.0\textsuperscript{{a}}") for k in range(3)] == [1, 1, 1]
    assert latex.count("a cell of the baseline's own paper") == 1
    assert r"41.2 &" in latex


@pytest.mark.parametrize(
    ("heads", "place", "blocks"), [(6, "table", 1), (9, "sidewaystable", 1), (13, "table", 3)]
)
def test_the_number_of_columns_decides_how_a_table_is_set(heads, place, blocks):
    latex = to_latex(
        CATALOGUE, rows(*({"column": f"method {k}", "status": "oom"} for k in range(heads))), "Title\ntier"
    )
    assert latex.startswith(rf"\begin{{{place}}}")
    assert latex.count(r"\begin{tabular}") == blocks
