"""Ask the package index whether every pin of constraints.txt can be had for every Python the suite allows.

Resolves all that `make test` installs, for each Python in turn, and downloads metadata only. Exits with 1
where a pin has no wheel for one of them, or where the packages do not go together. What a package needs on
some Pythons alone is read as the running one's: pip knows no better.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Published as source alone, all pure Python. pip resolves for another Python than its own from wheels only,
# so these are built here first: one wheel serves every version.
SOURCE_ONLY = ["fvcore", "iopath", "connection_pool"]
# Needed by Snakemake and without a wheel for Python 3.14, where a C compiler makes it (see README.md). One
# made here stands in for it, for nothing is installed.
COMPILED = "immutables"


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pip, quietly."""
    command = [sys.executable, "-m", "pip", *arguments, "--quiet"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """What pip failed for, without its warnings and the versions it passed over."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return "\n".join(line for line in lines if "Ignored the following" not in line)


def resolved(python: str, built: str, *wanted: str) -> list[str]:
    """The files pip would install for this Python; RuntimeError with its words where it would not."""
    report = Path(built) / "report.json"
    done = pip(
        "install", "--dry-run", "--ignore-installed", "--only-binary=:all:", "--python-version", python,
        "--target", built, "--find-links", built, "--report", str(report), *wanted,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(complaint(done))
    return [found["download_info"]["url"] for found in json.loads(report.read_text())["install"]]


def main() -> None:
    """Print a line for each Python; exit with 1 if one of them lacks something."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    everything = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    allowed = SpecifierSet(PROJECT["requires-python"])
    failed = False
    with tempfile.TemporaryDirectory() as built:
        done = pip(
            "wheel", "--no-deps", "-c", "constraints.txt", "--wheel-dir", built, *SOURCE_ONLY, COMPILED
        )
        if done.returncode != 0:
            sys.exit(complaint(done))
        for wheel in Path(built).glob(f"{COMPILED}-*.whl"):
            name, version, *_ = wheel.stem.split("-")
            wheel.rename(wheel.with_name(f"{name}-{version}-py3-none-any.whl"))
        for python in [f"3.{minor}" for minor in range(100) if f"3.{minor}" in allowed]:
            try:
                alone = resolved(python, built, "--no-deps", *pins)
                together = resolved(python, built, "-c", "constraints.txt", *everything)
            except RuntimeError as error:
                failed = True
                print(f"Python {python}: {error}")
            else:
                print(f"Python {python}: {len(alone)} pins found, {len(together)} packages go together")
    sys.exit(failed)


if __name__ == "__main__":
    main()
