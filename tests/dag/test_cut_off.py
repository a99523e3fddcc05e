"""A run that was killed after a record was written and before Snakemake noted it goes on, and ends whole."""

import base64
import json

import pytest

pytestmark = pytest.mark.slow
CELLS = "results/tiny/cells/darkroom"


@pytest.fixture
def cut_off(suite):
    """A suite with one method's trainings to do, another's record whole, and its job noted as unfinished."""
    for pattern in ("figures/tiny/dmh_fig02.*", f"{CELLS}/*/default/seed-*/evaluate.*"):
        for path in suite.root.glob(pattern):
            path.unlink()
    for path in suite.root.glob(f"{CELLS}/ad-mamba/default/seed-*/train.[jc]*"):
        path.unlink()
    notes = suite.root / ".snakemake" / "incomplete"
    notes.mkdir(exist_ok=True)
    for suffix in ("json", "csv"):
        name = f"{CELLS}/ad-transformer/default/seed-1/train.{suffix}"
        (notes / base64.b64encode(name.encode()).decode()).write_text(json.dumps({"external_jobid": None}))
    return suite


def test_a_run_killed_between_a_record_and_its_note_makes_its_target(cut_off):
    cut_off.snakemake("dmh_fig02", "--cores", "1")
    assert (cut_off.root / "figures/tiny/dmh_fig02.csv").exists()
    records = cut_off.root.glob(f"{CELLS}/*/default/seed-*/evaluate.json")
    evaluated = sorted(path.parts[-4] for path in records)
    assert evaluated == ["ad-mamba"] * 2 + ["ad-transformer"] * 2
    assert cut_off.would_run("dmh_fig02") == set()


def test_a_run_that_ends_well_without_its_target_is_an_error(cut_off):
    """With the remedy taken out: what Snakemake takes for done is looked at once more."""
    cut_off.edit("workflow/rules/common.smk", "if stands and not was_cut_off(path)", "if stands")
    said = cut_off.snakemake("dmh_fig02", "--cores", "1", check=False)
    assert cut_off.exit_code != 0
    assert "although Snakemake ended well. Run the same command again" in said
    cut_off.snakemake("dmh_fig02", "--cores", "1")
    assert (cut_off.root / "figures/tiny/dmh_fig02.csv").exists()
