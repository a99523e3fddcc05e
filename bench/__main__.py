"""The one command: `python -m bench NAME ...` runs the stage or command of that name; `--help` lists them."""

from __future__ import annotations

import runpy
import sys

if __name__ == "__main__":
    name = sys.argv.pop(1)
    runpy.run_module(f"bench.{name}", run_name="__main__", alter_sys=True)
