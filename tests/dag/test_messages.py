"""What a user reads who made a mistake: one paragraph with file, key and remedy, and a non-zero exit."""

import shutil
import sys

import pytest

pytestmark = pytest.mark.slow


def refused(suite, *words):
    """Ask for a plan; the exit code must not be zero and the output must hold the words."""
    said = suite.snakemake("plan", check=False)
    assert suite.exit_code != 0
    assert "Traceback" not in said
    for word in words:
        assert word in said, said
    return said


def test_a_typo_in_an_artifact_file(suite):
    suite.edit("workflow/papers/dmh/fig02.yaml", "seeds:", "seedz:")
    refused(suite, "workflow/papers/dmh/fig02.yaml", "seedz", "Did you mean 'seeds'", "Correct the file")


def test_an_unknown_method(suite):
    suite.edit("workflow/papers/dmh/fig02.yaml", "ad-mamba", "ad-mambo")
    refused(suite, "workflow/papers/dmh/fig02.yaml", "unknown method 'ad-mambo'", "Did you mean 'ad-mamba'")


def test_an_impossible_tier(suite):
    said = suite.run([sys.executable, "-m", "snakemake", "plan", "--config", "tier=quik"], check=False)
    assert suite.exit_code != 0
    assert "config key tier" in said
    assert "unknown tier 'quik'. Did you mean 'quick'" in said


def test_a_value_of_retry_that_is_none(suite):
    said = suite.snakemake("plan", config=("retry=maybe",), check=False)
    assert suite.exit_code != 0
    assert "Traceback" not in said
    assert "config key retry: 'maybe' is neither true nor false. Say retry=true" in said


def test_an_unknown_stage_in_a_budget(suite):
    suite.edit("workflow/tiers/tiny.yaml", "stages: [probe]", "stages: [prob]")
    refused(suite, "workflow/tiers/tiny.yaml", "unknown stage 'prob'. Did you mean 'probe'")


def test_a_damaged_dataset_file(suite):
    data = suite.root / "results/tiny/datasets/darkroom/default/data/histories.npz"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(bytes(content))
    shutil.rmtree(suite.root / "results/tiny/cells/darkroom/ad-mamba/default/seed-0")
    said = suite.snakemake("dmh_fig02", "--cores", "1", check=False)
    assert suite.exit_code != 0
    assert "histories.npz: damaged or edited: its sha256 is" in said
    assert "results/tiny/datasets/darkroom/default/dataset.json says" in said
    assert "Make it again: snakemake all --config tier=tiny retry=true" in said
    assert not (suite.root / "results/tiny/cells/darkroom/ad-mamba/default/seed-0/train.json").exists()


def test_a_missing_checkpoint(suite):
    folder = suite.root / "results/tiny/cells/darkroom/ad-mamba/default/seed-0"
    shutil.rmtree(folder / "checkpoints")
    (folder / "evaluate.json").unlink()
    said = suite.snakemake("dmh_fig02", "--cores", "1", check=False)
    assert suite.exit_code != 0
    assert "checkpoints/step-0000003.json: missing" in said
    assert "Make it again: snakemake all --config tier=tiny retry=true" in said
    suite.snakemake("dmh_fig02", "--cores", "1", config=("retry=true",))
    assert sorted(path.name for path in (folder / "checkpoints").glob("*.json"))[-1] == "step-0000006.json"


def test_a_bad_setting_on_the_command_line(suite):
    said = suite.run(
        [
            sys.executable,
            "-m",
            "bench",
            "train",
            "--tier",
            "tiny",
            "--task",
            "darkroom",
            "--method",
            "ad-mamba",
            "--settings",
            "context_order=sideways",
        ],
        check=False,
    )
    assert suite.exit_code == 2
    assert "must be one of 'return', 'time', got 'sideways'" in said
