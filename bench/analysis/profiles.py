"""Performance profiles: how often runs exceed a score, over many tasks, and the interquartile mean beside it.

After Agarwal et al. 2021 (arXiv 2108.13264). All methods are read on the same tasks, those on which each one
drawn has a number, and on as many runs of each, so that the lines differ by the method alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.aggregate import (
    Interval,
    Scores,
    interquartile_mean,
    performance_profile,
    stratified_bootstrap,
)
from bench.analysis.labels import metric_label
from bench.analysis.readings import Reading
from bench.analysis.style import COLOURS, MARKERS, PANEL, STYLES, say_why
from bench.catalogue.catalogue import Catalogue
from bench.seeds import stream

THRESHOLDS = 200
LEAST_TASKS = 3


def shared_scores(readings: list[Reading]) -> tuple[list[str], dict[str, Scores]]:
    """(tasks that every method with a number has, method -> its scores (tasks, runs) on these).

    A method's further runs are left out where another has fewer on the same tasks.
    """
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for reading in readings:
        if reading.scores:
            found.setdefault(reading.entry.cell.method, {})[reading.entry.cell.task] = reading.scores
    order = list(dict.fromkeys(reading.entry.cell.task for reading in readings))
    tasks = [task for task in order if found and all(task in own for own in found.values())]
    if not tasks:
        return [], {}
    runs = min(len(own[task]) for own in found.values() for task in tasks)
    return tasks, {
        method: np.array([own[task][:runs] for task in tasks], dtype=float) for method, own in found.items()
    }


def draw_profiles(readings: list[Reading], heading: str) -> Figure:
    """Two panels: the profile, and the interquartile mean of each method; or why there is none."""
    figure, axes = plt.subplots(
        1, 2, figsize=(PANEL[0] * 2.2, PANEL[1] + 1.2), layout="constrained", squeeze=True
    )
    tasks, scores = shared_scores(readings)
    if not tasks:
        for ax in axes:
            say_why(ax, readings)
    else:
        catalogue = readings[0].entry.suite.catalogue
        label = metric_label(catalogue, readings[0].entry.metric)
        _profile(axes[0], catalogue, scores, label)
        _interquartile_means(axes[1], catalogue, scores, label)
        heading += f"\n{_rests_on(catalogue, tasks, next(iter(scores.values())))}"
    figure.suptitle(heading, fontsize=9)
    return figure


def _rests_on(catalogue: Catalogue, tasks: list[str], scores: Scores) -> str:
    """How many runs and tasks are drawn, and what the intervals are of, in a line."""
    titles = [catalogue.tasks[task].title for task in tasks]
    every = f"{len(tasks)} tasks" if len(tasks) > 3 else ", ".join(titles)
    interval = "95 % stratified bootstrap over runs" if _has_interval(scores) else "too few for an interval"
    return f"{scores.shape[1]} runs each on {every}; {interval}"


def _has_interval(scores: Scores) -> bool:
    """A bootstrap of a run or two of a task or two covers far less than it says, and is not drawn."""
    tasks, runs = scores.shape
    return tasks >= LEAST_TASKS and runs > 1


def _interval(statistic: Callable[[Scores], Any], method: str, scores: Scores) -> Interval:
    """A statistic, with its interval where there are tasks and runs enough for one."""
    if not _has_interval(scores):
        return Interval(statistic(scores), None, None)
    return stratified_bootstrap(statistic, stream("bootstrap", method), scores)


def _profile(ax: Axes, catalogue: Catalogue, scores: dict[str, Scores], label: str) -> None:
    every = np.concatenate([each.ravel() for each in scores.values()])
    room = 0.05 * max(float(np.ptp(every)), 1.0)
    thresholds = np.linspace(every.min() - room, every.max() + room, THRESHOLDS)
    for place, (method, each) in enumerate(scores.items()):
        colour = COLOURS[place % len(COLOURS)]
        found = _interval(partial(performance_profile, thresholds=thresholds), method, each)
        ax.plot(thresholds, found.value, color=colour, linestyle=STYLES[place % len(STYLES)], linewidth=1.4,
                label=catalogue.methods[method].title)  # fmt: skip
        if found.low is not None:
            ax.fill_between(thresholds, found.low, found.high, color=colour, alpha=0.15, linewidth=0)
    ax.set_xlabel(f"{label}, threshold")
    ax.set_ylabel("share of runs above it")
    ax.set_ylim(-0.02, 1.02)
    ax.legend(fontsize=7, frameon=False)
    sns.despine(ax=ax)


def _interquartile_means(ax: Axes, catalogue: Catalogue, scores: dict[str, Scores], label: str) -> None:
    methods = list(scores)
    for place, method in enumerate(methods):
        found = _interval(interquartile_mean, method, scores[method])
        error = None
        if found.low is not None:
            error = [[max(found.value - found.low, 0.0)], [max(found.high - found.value, 0.0)]]
        ax.errorbar(found.value, place, xerr=error, color=COLOURS[place % len(COLOURS)], capsize=3,
                    marker=MARKERS[place % len(MARKERS)], markersize=5, linestyle="none")  # fmt: skip
    ax.set_yticks(range(len(methods)), [catalogue.methods[method].title for method in methods])
    ax.set_ylim(len(methods) - 0.5, -0.5)
    ax.set_xlabel(f"interquartile mean of the\n{label}")
    sns.despine(ax=ax)
