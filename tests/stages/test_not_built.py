"""What is not built yet is refused by name, and only where it is needed: sizes need no world."""

from __future__ import annotations

import pytest
from suites import CATALOGUE

from bench.catalogue.stages import STAGES
from bench.stages.dataset import main as dataset
from bench.stages.evaluate import main as evaluate
from bench.stages.train import main as train
from bench.work.availability import why_not_built
from bench.work.cells import Cell


@pytest.mark.parametrize("stage", STAGES)
def test_atari_has_models_and_no_games_yet(stage):
    why = "" if stage == "probe" else "task breakout is not built yet"
    assert why_not_built(CATALOGUE, stage, Cell("breakout", "dema")) == why


@pytest.mark.parametrize(
    ("main", "stage", "method"),
    [(train, "train", "dt"), (evaluate, "evaluate", "dema"), (dataset, "dataset", "")],
)
def test_a_command_on_it_ends_with_its_reason(main, stage, method, capsys):
    with pytest.raises(SystemExit):
        main(tier="paper", task="breakout", method=method)
    said = capsys.readouterr().err
    assert said == f"error: breakout/{method}/default, stage {stage}: task breakout is not built yet.\n"
