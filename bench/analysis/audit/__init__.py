"""What the papers print, checked against itself: no number of ours takes part.

Each check reads the reported numbers (columns as in results/reported) and yields findings. Printed
digits are rounded, so a number stands for everything that rounds to it, and one read off a drawing for all
within the error of reading: a check fails only where no such values could give what is printed.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from bench.analysis.audit.averages import averages, baselines_above, errors_of_averages, order_of_averages
from bench.analysis.audit.figures import best_possible, least_cost, out_of_memory, solved_everywhere
from bench.analysis.audit.finding import Finding, Verdict
from bench.analysis.audit.ratios import factors_in_the_text, ratios, ratios_of_others
from bench.analysis.audit.repeated import equal_elsewhere, printed_twice
from bench.analysis.audit.settings import heads, ranges, said_twice, text_and_code
from bench.analysis.audit.sizes import official_counts, sizes
from bench.analysis.audit.stated import stated
from bench.analysis.reported import REFERENCE
from bench.catalogue.catalogue import Catalogue


def audit(
    catalogue: Catalogue, reported: pd.DataFrame, defaults: pd.DataFrame, said: pd.DataFrame
) -> list[Finding]:
    """Every finding of every check, in order.

    `defaults` is what the papers' code holds (`load_code_defaults`), `said` what is stated of them
    (`load_stated`).
    """
    papers = reported[reported["paper"] != REFERENCE]
    return [
        *averages(papers),
        *errors_of_averages(papers),
        *order_of_averages(papers),
        *baselines_above(reported),
        *ratios(catalogue, papers),
        *ratios_of_others(catalogue, reported),
        *factors_in_the_text(catalogue, papers),
        *printed_twice(catalogue, papers),
        *sizes(papers),
        *official_counts(papers, defaults),
        *heads(catalogue, papers),
        *ranges(papers),
        *said_twice(catalogue, papers),
        *text_and_code(catalogue, papers, defaults),
        *out_of_memory(papers),
        *least_cost(catalogue, papers),
        *solved_everywhere(catalogue, papers),
        *best_possible(catalogue, papers),
        *equal_elsewhere(reported),
        *stated(said),
    ]


def counted(findings: Iterable[Finding]) -> dict[Verdict, int]:
    """How often each verdict fell, conflicts first."""
    every: tuple[Verdict, ...] = ("conflicts", "agrees", "noted", "open")
    listed = [finding.verdict for finding in findings]
    return {verdict: listed.count(verdict) for verdict in every}
