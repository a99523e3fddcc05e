"""`regress` passes on an unchanged tree and fails by name on a planted change."""

import re
import sys

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def stored(suite):
    """A finished suite whose own results are its store."""
    suite.run([sys.executable, "-m", "bench.store", "--tier", "tiny"])
    return suite


def test_an_unchanged_tree_equals_its_store(stored):
    said = stored.snakemake("regress")
    assert re.search(r"regress: \d\d+ numbers of the tiny tier equal the store", said)


def test_a_changed_constant_of_a_probe_fails_by_name(stored):
    stored.edit("bench/counting.py", "SCAN_PRODUCTS = 4", "SCAN_PRODUCTS = 5")
    said = stored.snakemake("regress", check=False)
    assert stored.exit_code != 0
    assert "darkroom/ad-mamba/default seed 0: macs" in said
    assert "must be equal" in said
    assert "parameters" not in said


def test_a_wrong_reward_fails_by_name_in_both_directions(stored):
    stored.edit("bench/envs/gridworld.py", "rewards.astype(np.float32)", "(2 * rewards).astype(np.float32)")
    said = stored.snakemake("regress", check=False)
    assert stored.exit_code != 0
    assert "darkroom/ad-transformer/default seed 0: last_return" in said


def test_a_row_missing_from_the_store_is_named(stored):
    path = stored.root / "results/stored/tiny/cells.csv"
    lines = path.read_text().splitlines()
    kept = [line for line in lines if ",macs," not in line or "ad-mamba" not in line]
    path.write_text("\n".join(kept) + "\n")
    said = stored.snakemake("regress", check=False)
    assert stored.exit_code != 0
    assert "not in the store" in said


def test_storing_an_unfinished_run_is_refused(suite):
    (suite.root / "results/tiny/cells/darkroom/ad-mamba/default/seed-0/probe.json").unlink()
    said = suite.run([sys.executable, "-m", "bench.store", "--tier", "tiny"], check=False)
    assert suite.exit_code == 2
    assert "1 jobs of the tiny tier are missing or out of date" in said
    assert "the first being probe of darkroom/ad-mamba" in said
