"""Placeholder until merged."""

from typing import Any

Options = dict[str, Any]
