"""What a stage leaves: rows of numbers, in these columns."""

from __future__ import annotations

COLUMNS = ("metric", "step", "index", "value")
Rows = list[tuple[str, int, float, float]]
