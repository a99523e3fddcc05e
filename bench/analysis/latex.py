r"""Tables in LaTeX with booktabs, ready for a paper's `\input`.

They need the packages booktabs, graphicx and rotating. What is the same for many cells (why there is no
number, what a printed spread is) stands once below it; a column without any printed number is left out.
"""

from __future__ import annotations

import math
import textwrap
from typing import Any

import pandas as pd

from bench.analysis.notes import SILENT, with_notes, without_silent
from bench.analysis.reported import explained
from bench.analysis.tables import wide_table
from bench.catalogue.catalogue import Catalogue

# A table of more columns is set sideways; one of still more in upright blocks below each other.
UPRIGHT_COLUMNS, SIDEWAYS_COLUMNS = 6, 9
HEADER_WIDTH = 24
SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}",
    # After a line's end a bracket would be read as a length.
    "[": "{[}",
}  # fmt: skip


def escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(SPECIAL.get(character, character) for character in text)


def _written(text: str, mark: str) -> str:
    """A cell with the mark of its note, a dash standing for no text."""
    return (escaped(text) if text else "--") + (rf"\textsuperscript{{{mark}}}" if mark else "")


def _header(text: str) -> str:
    """A column's head, in as many lines as it takes."""
    lines = textwrap.wrap(text, HEADER_WIDTH) or [""]
    inside = r"\\".join(escaped(line) for line in lines)
    return inside if len(lines) == 1 else rf"\shortstack{{{inside}}}"


def _tabular(block: pd.DataFrame) -> str:
    """One tabular, no wider than the line."""
    columns = list(dict.fromkeys(block.columns.get_level_values(0)))
    sides = {column: list(block[column].columns) for column in columns}
    heads = [rf"\multicolumn{{{len(sides[name])}}}{{c}}{{{_header(name)}}}" for name in columns]
    rules, first = [], 2
    for name in columns:
        rules.append(rf"\cmidrule(lr){{{first}-{first + len(sides[name]) - 1}}}")
        first += len(sides[name])
    lines = [
        rf"\begin{{tabular}}{{l{'l' * block.shape[1]}}}",
        r"\toprule",
        " & ".join(["", *heads]) + r" \\",
        "".join(rules),
        " & ".join(["", *(side for name in columns for side in sides[name])]) + r" \\",
        r"\midrule",
        *(
            " & ".join([escaped(str(row)), *cells]) + r" \\"
            for row, cells in zip(block.index, block.to_numpy(), strict=True)
        ),
        r"\bottomrule",
        r"\end{tabular}",
    ]  # fmt: skip
    inside = "\n".join(lines)
    fitted = r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi"
    return f"\\sbox0{{%\n{inside}}}%\n{fitted}"


def _blocks(wide: pd.DataFrame) -> list[pd.DataFrame]:
    """The columns in blocks of about one size; one head's stay together, and rows without a word go."""
    if wide.shape[1] <= SIDEWAYS_COLUMNS:
        return [wide]
    size = math.ceil(wide.shape[1] / math.ceil(wide.shape[1] / UPRIGHT_COLUMNS))
    blocks: list[list[Any]] = [[]]
    for name in dict.fromkeys(wide.columns.get_level_values(0)):
        own = [column for column in wide.columns if column[0] == name]
        if len(blocks[-1]) >= size or len(blocks[-1]) + len(own) > UPRIGHT_COLUMNS:
            blocks.append([])
        blocks[-1] += own
    return [block[(block != "").any(axis=1)] for block in (wide[columns] for columns in blocks)]


def to_latex(catalogue: Catalogue, table: pd.DataFrame, title: str) -> str:
    """A table float: caption, label, the numbers, and notes on what has none."""
    wide = wide_table(catalogue, table)
    wide, silent = without_silent(wide)
    wide, notes = with_notes(wide, _written, brackets=True)
    said = [rf"\textsuperscript{{{mark}}} {escaped(explained(reason))}." for reason, mark in notes.items()]
    if silent:
        said.insert(0, SILENT)
    note = [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize", *said, r"\end{minipage}"]
    blocks = _blocks(wide)
    sideways = UPRIGHT_COLUMNS < wide.shape[1] <= SIDEWAYS_COLUMNS
    float_, place = ("sidewaystable", "p") if sideways else ("table", "htbp")
    lines = [
        rf"\begin{{{float_}}}[{place}]",
        r"\centering" + (r"\small" if len(blocks) < 3 else r"\footnotesize"),
        rf"\caption{{{escaped('. '.join(line[:1].upper() + line[1:] for line in title.splitlines()))}.}}",
        rf"\label{{tab:{table['artifact'].iloc[0]}}}",
        "\n\\par\\medskip\n".join(_tabular(block) for block in blocks),
        *(note if said else []),
        rf"\end{{{float_}}}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
