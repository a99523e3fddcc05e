"""What a run shows of itself, on a terminal and in a file; errors are never hidden behind it."""

import sys

import pytest
from records import reseal

pytestmark = pytest.mark.slow
TARGETS = ["results/tiny/health.txt", "results/tiny/tables/dema_table07.json", "--cores", "1"]


@pytest.fixture
def half_broken(suite):
    """A suite of which one table has to be made again, and whose check of health will fail."""
    record = suite.root / "results/tiny/cells/darkroom/ad-mamba/default/seed-0/probe.json"
    reseal(record, status="failed: KeyError: planted")
    for name in ("health.txt", "tables/dema_table07.json"):
        (suite.root / "results/tiny" / name).unlink()
    return suite


def test_a_file_gets_a_line_now_and_then_and_every_error(half_broken):
    said = half_broken.snakemake(*TARGETS, check=False)
    assert half_broken.exit_code != 0
    lines = [line for line in said.splitlines() if line.startswith("progress: ")]
    assert 1 <= len(lines) <= 4
    assert lines[-1].startswith("progress: 1 of 2 jobs done, 0 running, 1 failed")
    # The failed job and its log, as Snakemake shows them; no notes on jobs that merely start or end.
    assert "Error in rule health" in said
    assert "probe of darkroom/ad-mamba/default seed 0 (failed: KeyError: planted)" in said
    assert "Finished jobid" not in said
    logs = (half_broken.root / ".snakemake/log").glob("*.log")
    assert "Finished jobid" in max(logs, key=lambda path: path.stat().st_mtime).read_text()


def test_a_terminal_gets_a_bar_that_does_not_cover_errors(half_broken):
    spawn = (
        f"import pty; pty.spawn({[sys.executable, '-m', 'snakemake', *TARGETS, '--config', 'tier=tiny']!r})"
    )
    said = half_broken.run([sys.executable, "-c", spawn], check=False)
    assert "━" in said
    assert "Error in rule health" in said
    assert "progress: 1 of 2 jobs done, 0 running, 1 failed" in said


def test_a_dry_run_shows_what_it_always_showed(finished):
    said = finished.snakemake("dmh_fig02", "--dry-run", "--forceall")
    assert "rule evaluate" in said
    assert "progress:" not in said
