"""A copy of the suite with a tier small enough to run in seconds, and a way to ask Snakemake things."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# Learning rates are high and without warm-up: a few updates then move every weight far, and a planted fault
# is heard in training and evaluation on every processor, not in the last digits of some.
TINY_TIER = """
title: For tests, every stage for real on almost nothing
budget: reduced
budgets:
  - label: darkroom
    tasks: [darkroom]
    methods: [ad-transformer, ad-mamba]
    stages: [train, evaluate]
    seeds: 2
    options: {room_side: 5, train_tasks: 16, test_tasks: 9, history_steps: 20000, horizon: 10,
      evaluation_environments: 45, episodes: 3, context_episodes: 3, step_tokens: merged, embedding_dim: 16,
      layers: 1, batch_size: 4, updates: 6, checkpoints: 2, dropout: 0.0, learning_rate: 0.1,
      warmup_updates: 0}
    core_seconds: {train: 1, evaluate: 1}
  - label: darkroom probes
    tasks: [darkroom]
    methods: [ad-transformer, ad-mamba]
    stages: [probe]
    options: {room_side: 5, embedding_dim: 16, layers: 1, context_episodes: 2, horizon: 5, episodes: 2,
      probe_batch_size: 2, probe_repeats: 3}
    core_seconds: {probe: 1}
  - label: hopper
    tasks: [hopper-medium]
    methods: [dt]
    stages: [train, evaluate]
    options: {transitions: 2000, embedding_dim: 16, layers: 1, batch_size: 4, updates: 4, checkpoints: 1,
      evaluation_episodes: 2, context_length: 5, max_timestep: 1000, return_scale: 10.0, learning_rate: 0.01,
      warmup_updates: 0}
    core_seconds: {train: 1, evaluate: 1}
"""

TINY_REGRESSION = """
tiny:
  - {task: darkroom, method: ad-mamba, seed: 0}
  - {task: darkroom, method: ad-mamba, seed: 1}
  - {task: hopper-medium, method: dt}
"""


# Of a paper that has no cells in the tiny tier a copy keeps these artifacts, and no claim; of the others all.
# `tests/analysis/test_every_artifact.py` makes all there are.
KEPT = {"dema": {"table02", "table06", "table07"}, "extra": {"fig01", "table06", "table07", "table09"}}


@dataclass
class Suite:
    """A copy of the suite in a folder of its own."""

    root: Path

    def snakemake(self, *arguments: str, config: tuple[str, ...] = (), check: bool = True) -> str:
        """Everything Snakemake prints for these arguments, in the tiny tier."""
        command = [sys.executable, "-m", "snakemake", *arguments, "--config", "tier=tiny", *config]
        return self.run(command, check)

    def run(self, command: list[str], check: bool = True) -> str:
        """Everything a command prints."""
        # `python` is this interpreter, as it is for a user who activated the environment.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
        environment |= {"PYTHONPATH": str(self.root), "PATH": path}
        done = subprocess.run(
            command,
            cwd=self.root,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        self.exit_code = done.returncode
        return done.stdout

    def would_run(self, target: str, *config: str) -> set[str]:
        """The jobs a dry run names, as `stage task/method/settings/seed` or `rule artifact`."""
        said = self.snakemake(target, "--dry-run", "--quiet", "host", "progress", config=config)
        jobs = set()
        for block in re.split(r"\n(?=\s*(?:local)?rule )", said):
            rule = re.match(r"\s*(?:local)?rule (\w+)", block)
            wildcards = re.search(r"wildcards: (.*)", block)
            if rule and rule.group(1) in ("cells", "health"):
                jobs.add(rule.group(1))
            if rule and wildcards:
                named = dict(pair.split("=", 1) for pair in wildcards.group(1).split(", ") if "=" in pair)
                seed = f"/{named['seed']}" if "seed" in named else ""
                jobs.add(
                    f"{rule.group(1)} {named.get('method', named.get('task', named.get('artifact')))}{seed}"
                )
        return jobs

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a piece of a file, which must be there."""
        file = self.root / path
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new, 1))


def shortened(paper: Path, artifacts: set[str]) -> str:
    """A paper.yaml that asks for these artifacts alone, and holds the open choices that they name."""
    text = yaml.safe_load(paper.read_text())
    kept = [yaml.safe_load((paper.parent / f"{name}.yaml").read_text()) for name in artifacts]
    named = {choice for artifact in kept for choice in artifact["open_choices"] if isinstance(choice, str)}
    text["open_choices"] = {name: text["open_choices"][name] for name in sorted(named)}
    text.pop("prints", None)
    return yaml.safe_dump(text)


def copy_suite(target: Path, kept: dict[str, set[str]] = KEPT) -> Suite:
    """Copy what a run needs, with the tiny tier added; of the papers in `kept` these artifacts alone."""
    for name in ("bench", "workflow", "profiles"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "results" / "reported", target / "results" / "reported")
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / name, target / name)
    for paper, artifacts in kept.items():
        for path in (target / "workflow" / "papers" / paper).glob("*.yaml"):
            if path.stem == "paper":
                path.write_text(shortened(path, artifacts))
            elif path.stem not in ("readings", *artifacts):
                path.unlink()
        for path in (target / "workflow" / "claims").glob(f"{paper}_*.yaml"):
            path.unlink()
        gone = re.compile(rf"^[^,]*,{paper}_(?!({'|'.join(artifacts)}),).*\n", re.M)
        for path in (target / "results" / "reported").glob("*.csv"):
            path.write_text(gone.sub("", path.read_text()))
    (target / "workflow" / "tiers" / "tiny.yaml").write_text(TINY_TIER)
    with (target / "workflow" / "regress.yaml").open("a") as named:
        named.write(TINY_REGRESSION)
    return Suite(target)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """A suite in which `all` has run once. Tests copy it and leave it as it is."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The folder above is one for all workers; a second one that comes here fails.
        (tmp_path_factory.getbasetemp().parent / "finished-once").touch(exist_ok=False)
    suite = copy_suite(tmp_path_factory.mktemp("finished"))
    suite.snakemake("all", "--cores", "2")
    return suite


@pytest.fixture
def suite(finished: Suite, tmp_path: Path) -> Suite:
    """A finished suite that a test may edit."""
    shutil.copytree(finished.root, tmp_path / "suite", symlinks=True, copy_function=shutil.copy2)
    return Suite(tmp_path / "suite")
