"""A frozen encoder is that of the task's behaviour cloning: what is read, and what is said without it."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.catalogue.catalogue import WORKFLOW
from bench.work.availability import why_missing
from bench.work.cells import make_cell, reads_of
from bench.work.suite import Suite

SEQUENCE = """
title: Sequence models with a cloned encoder
budget: reduced
budgets:
  - label: DT
    tasks: [breakout]
    methods: [dt]
    settings: any
    stages: [train, evaluate]
    options: {encoder: frozen}
    core_seconds: {train: 1, evaluate: 1}
"""
CLONE = """
  - label: BC
    tasks: [breakout]
    methods: [bc]
    settings: any
    stages: [train, evaluate]
    options: {}
    core_seconds: {train: 1, evaluate: 1}
"""


def suite_with_games(tier):
    """The suite with a tier `tiny`, and every game played."""
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(WORKFLOW, Path(folder) / "workflow"))
        games = copy / "tasks" / "atari.yaml"
        games.write_text(games.read_text().replace("    built: false\n", ""))
        (copy / "tiers" / "tiny.yaml").write_text(tier)
        return Suite.open(copy)


WITH, WITHOUT = suite_with_games(SEQUENCE + CLONE), suite_with_games(SEQUENCE)


def read_by(method, **settings):
    """What the training of a cell reads, as stages and names of cells."""
    cell = make_cell(WITH.catalogue, "breakout", method, settings)
    return [(stage, read.key) for stage, read in reads_of(WITH.catalogue, "tiny", "train", cell)]


def test_a_training_with_a_frozen_encoder_reads_that_of_cloning():
    assert read_by("dt") == [("dataset", "breakout//default"), ("train", "breakout/bc/default")]


def test_both_read_frames_alike_and_from_the_same_data():
    found = read_by("dt", frame_input="centred", transitions=5000, context_length=8)
    assert found[1] == ("train", "breakout/bc/frame_input=centred,transitions=5000")


def test_cloning_itself_reads_its_data_alone():
    assert read_by("bc") == [("dataset", "breakout//default")]


def test_a_tier_without_the_clone_says_that_the_encoder_is_missing():
    cell = make_cell(WITHOUT.catalogue, "breakout", "dt", {})
    why = why_missing(WITHOUT.catalogue, "tiny", cell, "train")
    assert why.startswith("its encoder: needs the ") or why.startswith("its encoder: no tier"), why
