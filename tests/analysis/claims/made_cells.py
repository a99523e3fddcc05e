"""Cells whose truth is known: the rows that a run would leave, made up for one comparison."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from suites import CATALOGUE

from bench.analysis.claims import Answer, Finding, examine
from bench.work.claim import Claim, Comparison, Side
from bench.work.claims import is_ratio

TASKS = ("hopper-medium", "walker2d-medium")
DEMA, DT = {"method": "dema"}, {"method": "dt"}
TURNS = 7


def comparison(**given) -> Comparison:
    """DeMa's score less DT's on two tasks has to be above a point, unless it is given otherwise."""
    usual = {"label": "made up", "tasks": TASKS, "metric": "normalised_score", "first": DEMA, "second": DT,
             "expect": "more", "smallest": 1.0}  # fmt: skip
    return Comparison.model_validate({**usual, **given})


def rows(task, method, values, metric="normalised_score", settings="default", step=10, **columns):
    """Rows of a cell, one a seed; `values` are those of seeds 0, 1, ... or {seed: value}."""
    by_seed = values if isinstance(values, dict) else dict(enumerate(values))
    return pd.DataFrame([
        {"task": task, "method": method, "settings": settings, "seed": seed, "step": step, "index": 0.0,
         "metric": metric, "value": value, "status": "ok", "data_source": "stand-in", "budget": "reduced",
         "seconds": 1.0, "wall_over_processor": 1.0} | columns
        for seed, value in by_seed.items()
    ])  # fmt: skip


def turns(task, method, values, metric, settings="default", **columns):
    """Rows of a cell that was timed in turns: one seed, one row a turn."""
    made = rows(task, method, dict(enumerate(values)), metric, settings, **columns)
    return made.assign(index=made["seed"].astype(float), seed=0)


def claim_of(*comparisons: Comparison, **given) -> Claim:
    """A claim of these comparisons."""
    whole = Claim.model_construct(
        title="Made up", section="1", says="", reason="", tuning="", turns_on="", specifications={},
        shared={}, comparisons=comparisons, registered=(), note="",
    )  # fmt: skip
    return whole.model_copy(update=given)


def answered(claim: Claim, *frames: pd.DataFrame, more=None) -> Answer:
    """What the quick tier would say of the claim, had it these rows."""
    return examine(CATALOGUE, claim, pd.concat(frames, ignore_index=True), "quick", more)


def found(asked: Comparison, *frames: pd.DataFrame) -> Finding:
    """The only finding of a comparison."""
    (finding,) = answered(claim_of(asked), *frames).findings
    return finding


def rows_with_effect(
    asked: Comparison, effect: float | Callable[[str], float], seeds: int = 5, spread: float = 0.0, draw=None
) -> pd.DataFrame:
    """Rows under which the comparison's true effect is this one, its gates passed; `spread` that of a seed.

    The effect may be a function of the task. Of what is compared by ratio it is the ratio.
    """
    generator = draw or np.random.default_rng(0)
    of = effect if callable(effect) else lambda task: effect
    frames: list[pd.DataFrame] = []
    metric = CATALOGUE.metrics[asked.metric]
    for step, settings in zip(asked.along.values if asked.along else (1.0,), asked.steps(), strict=True):
        for number, task in enumerate(asked.tasks):
            noise = spread * generator.standard_normal(TURNS if metric.is_cost else seeds)
            if isinstance(asked.second, float):
                wanted = float(step) ** of(task) if asked.along else _joined(asked, asked.second, of(task))
                frames += _side(asked, asked.first, number, settings, wanted, noise)
                continue
            frames += _side(asked, asked.second, number, settings, 40.0, 0.0 * noise)
            wanted = _joined(asked, 40.0, of(task))
            frames += _side(asked, asked.first, number, settings, wanted, noise)
    made = pd.concat(frames, ignore_index=True)
    return pd.concat([made, *_gates(asked, seeds, made)], ignore_index=True)


def _joined(asked: Comparison, second: float, effect: float) -> float:
    return second * effect if is_ratio(CATALOGUE, asked) else second + effect


def _side(
    asked: Comparison, side: Side, number: int, settings, value: float, noise
) -> Iterable[pd.DataFrame]:
    """A side's rows, and of what it stands against: the value is that of both together."""
    ratio = is_ratio(CATALOGUE, asked)
    if side.against:
        base = 40.0
        yield from _side(asked, side.against, number, settings, base, 0.0 * noise)
        value = value * base if ratio else value + base
    cell = side.cells(CATALOGUE, asked.tasks, settings)[number]
    values = value / side.times * np.exp(noise) if ratio else (value + noise) / side.times
    metric = side.metric or asked.metric
    make = turns if CATALOGUE.metrics[metric].unit == "ratio" and ratio else rows
    if ratio and make is rows:
        values = values[:1]
    yield make(cell.task, cell.method, values, metric, cell.slug)
    yield rows(cell.task, cell.method, [1.0] * len(values), "training_loss", cell.slug)


def _gates(asked: Comparison, seeds: int, made: pd.DataFrame) -> Iterable[pd.DataFrame]:
    """Rows with which every gate is passed, of cells that have no such number yet."""
    has = set(zip(made["task"], made["method"], made["settings"], made["metric"], strict=True))
    for gate in asked.gates:
        named = {"first": asked.first, "second": asked.second}
        sides = [named[one] for one in gate.of if isinstance(named[one], Side)] or [gate.first]
        values = [(side, gate.above + 20.0) for side in sides] + [(gate.second, 0.0)] * bool(gate.second)
        for side, value in values:
            for cell in side.cells(CATALOGUE, asked.tasks):
                if (cell.task, cell.method, cell.slug, gate.metric) not in has:
                    yield rows(cell.task, cell.method, [value] * seeds, gate.metric, cell.slug)
