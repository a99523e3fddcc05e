"""The Slurm profile on a real Slurm of one node: jobs go through it with what their rules ask for."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.dag.conftest import copy_suite

START = Path(__file__).with_name("start_slurm.sh")
PROFILE = ["--profile", "workflow/profiles/slurm"]
# This cluster keeps no accounts, and a test need not wait as long before it looks whether a job is done.
HERE = [
    "--slurm-no-account", "--slurm-status-command", "squeue", "--latency-wait", "10",
    "--slurm-init-seconds-before-status-checks", "2", "--slurm-keep-successful-logs", "--restart-times", "0",
]  # fmt: skip


def why_not():
    """Why Slurm cannot be started here; empty if it can."""
    missing = [name for name in ("slurmctld", "slurmd", "munged") if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: slurm-wlm munge)"
    if os.geteuid() != 0:
        return "only root can start Slurm's daemons"
    return "this machine belongs to a cluster" if Path("/etc/slurm/slurm.conf").exists() else ""


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can be started")]


@pytest.fixture(scope="module")
def cluster():
    """A cluster of this machine, gone afterwards."""
    # Not among pytest's folders, which are closed to munge's own user.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        log = Path(folder) / "start.log"
        try:
            # To a file, since the daemons would keep a pipe open for ever.
            with log.open("w") as said:
                started = subprocess.run([START, "start", folder], stdout=said, stderr=said, check=False)
            assert started.returncode == 0, log.read_text()
            yield folder
        finally:
            subprocess.run([START, "stop", folder], check=True)


def accounted(job):
    """What Slurm itself says of a job, as key -> value."""
    said = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"(\w+)=(\S*)", said))


def test_an_in_context_figure_is_made_through_slurm(cluster, tmp_path):
    suite = copy_suite(tmp_path / "suite")
    suite.edit(
        "workflow/tiers/tiny.yaml",
        "methods: [ad-transformer, ad-mamba]\n    stages: [train, evaluate]\n    seeds: 2",
        "methods: [ad-transformer]\n    stages: [train, evaluate]",
    )
    regressed = "".join(f"  - {{task: darkroom, method: ad-mamba, seed: {seed}}}\n" for seed in (0, 1))
    suite.edit("workflow/regress.yaml", regressed, "")
    suite.edit("workflow/tiers/tiny.yaml", "budget: reduced", "budget: reduced\ngpus_per_training: 1")
    suite.edit("workflow/tiers/tiny.yaml", "budget: reduced", "budget: reduced\nmemory_mib: 1500")
    said = suite.snakemake("dmh_fig02", *PROFILE, *HERE)
    assert (suite.root / "figures/tiny/dmh_fig02.png").exists()

    submitted = re.findall(r"submitted with SLURM jobid (\d+) \(log: (\S+?)\)", said)
    rules = {re.search(r"/rule_(\w+)/", log).group(1): (job, Path(log)) for job, log in submitted}
    assert set(rules) == {"dataset", "train", "evaluate"}
    for job, log in rules.values():
        facts = accounted(job)
        assert (facts["JobState"], facts["StdOut"]) == ("COMPLETED", str(log))
        assert (facts["MinMemoryNode"], facts["TimeLimit"]) == ("1500M", "00:10:00")
        assert log.exists()
    gpus = {rule: accounted(job).get("TresPerJob") for rule, (job, _) in rules.items()}
    assert gpus == {"dataset": None, "train": "gres:gpu:1", "evaluate": None}

    # What Slurm gave the training is what it held.
    record = suite.root / "results/tiny/cells/darkroom/ad-transformer/default/seed-0/train.json"
    assert '"gpu": "0"' in record.read_text()
    assert "Nothing to be done" in suite.run([sys.executable, "-m", "snakemake", "dmh_fig02", "--cores", "1",
                                              "--config", "tier=tiny"])  # fmt: skip
