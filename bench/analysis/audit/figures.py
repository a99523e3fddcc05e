"""What the figures of a paper show, against its text: memory, costs, maxima, and what a room allows."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.analysis.audit.finding import Finding, Verdict, bounds_of, grouped, numbers, sources
from bench.catalogue.catalogue import Catalogue
from bench.catalogue.stages import STAGES

OUT_OF_MEMORY = "OOM"
# The world that pays on each step at its goal, so that its best return follows from its size.
PAYS_EACH_STEP = "darkroom"
# A best printed return of less than this share of the best possible one is in need of an explanation.
SMALL_SHARE = 0.5


def out_of_memory(reported: pd.DataFrame) -> Iterator[Finding]:
    """Where memory ran out for one number of a method on a task, it did for every other."""
    cell = ["paper", "task", "printed_method", "settings"]
    for (_, task, named, _), rows in reported[reported["artifact"] != ""].groupby(cell):
        lost = rows[rows["value"] == OUT_OF_MEMORY]
        if lost.empty:
            continue
        drawn = numbers(rows)
        verdict: Verdict = "agrees" if drawn.empty else "conflicts"
        given = [f"{row['metric']} {row['value']} ({row['artifact']})" for _, row in drawn.iterrows()]
        found = f"and yet {', '.join(given)}" if given else "no number of it is printed"
        said = f"{OUT_OF_MEMORY}: {', '.join(lost['metric'] + ' (' + lost['artifact'] + ')')}"
        yield Finding("out of memory", f"{task}, {named}", said, found, verdict, sources(rows))


def least_cost(catalogue: Catalogue, reported: pd.DataFrame) -> Iterator[Finding]:
    """The costs that a figure draws of the paper's own method, the one of its name, are the least of all."""
    drawn = numbers(reported[(reported["artifact"] != "") & (reported["settings"] == "default")])
    costs = [
        name
        for name, metric in catalogue.metrics.items()
        if STAGES[metric.stage].costs and metric.better == "lower"
    ]
    drawn = drawn[drawn["metric"].isin(costs) & (drawn["confidence"] == "digitised")]
    for (artifact, metric), rows in grouped(drawn, ["artifact", "metric"]):
        lower, beyond = [], False
        own = rows[rows["method"] == rows["paper"]].set_index("task")
        for _, row in rows[rows["method"] != rows["paper"]].iterrows():
            if row["task"] not in own.index or float(row["value"]) >= float(own.loc[row["task"], "value"]):
                continue
            ours = own.loc[row["task"]]
            lower.append(f"{row['printed_method']} {row['value']} against {ours['value']} on {row['task']}")
            beyond |= bounds_of(row)[1] < bounds_of(ours)[0]
        verdict: Verdict = "conflicts" if beyond else "noted" if lower else "agrees"
        within = "" if beyond or not lower else ", all within the error of reading"
        found = f"lower is {'; '.join(lower)}{within}" if lower else "no other method's is lower"
        said = f"{metric} of {own['printed_method'].iloc[0]} on {len(own)} tasks"
        yield Finding("least cost", artifact, said, found, verdict, sources(rows))


def best_possible(catalogue: Catalogue, reported: pd.DataFrame) -> Iterator[Finding]:
    """The best printed return of a room against the best that its printed side, horizon and reward allow."""
    values = {name: task.values.get("world", PAYS_EACH_STEP) for name, task in catalogue.tasks.items()}
    text = reported[(reported["artifact"] == "") & (reported["metric"].isin(["room_side", "horizon"]))]
    for (paper, task), rows in grouped(text, ["paper", "task"]):
        sizes = rows.drop_duplicates("metric").set_index("metric")["value"].astype(int)
        here = numbers(reported[(reported["paper"] == paper) & (reported["task"] == task)])
        scores = here[here["metric"].isin(["episode_return", "last_return"])]
        if values.get(task) != PAYS_EACH_STEP or len(sizes) < 2 or scores.empty:
            continue
        best = scores.loc[scores["value"].astype(float).idxmax()]
        optimum = best_return(sizes["room_side"], sizes["horizon"])
        targets = here.loc[here["metric"] == "target_return", "value"]
        said = f"best return {best['value']} ({best['printed_method']}), target {', '.join(targets)}"
        found = (
            f"{optimum:.1f} is possible from the centre of {sizes['room_side']} x {sizes['room_side']} cells "
            f"in {sizes['horizon']} steps, were each step at the goal paid"
        )
        verdict: Verdict = "agrees" if float(best["value"]) >= SMALL_SHARE * optimum else "open"
        read = sources(pd.concat([rows, here[here["metric"] == "target_return"], scores]))
        yield Finding(
            "best possible return", f"{paper}, {catalogue.tasks[task].title}", said, found, verdict, read
        )


def best_return(side: int, horizon: int) -> float:
    """The mean over all goals of the best return from a square room's centre, paid for each step at the goal.

    A goal d steps away is reached by step d and paid from then on; at the centre itself by every step.
    """
    centre = side // 2
    away = [abs(x - centre) + abs(y - centre) for x in range(side) for y in range(side)]
    return sum(max(0, horizon - max(d, 1) + 1) for d in away) / len(away)


def solved_everywhere(catalogue: Catalogue, reported: pd.DataFrame) -> Iterator[Finding]:
    """The paper's own method reaches the maximum in every T-maze, as the text says."""
    mazes = [name for name, task in catalogue.tasks.items() if task.family == "tmaze"]
    rows = numbers(reported[(reported["metric"] == "return") & reported["task"].isin(mazes)])
    own = rows[(rows["method"] == rows["paper"]) & (rows["settings"] == "default")]
    for (artifact,), group in grouped(own, ["artifact"]):
        below = group[group["value"].astype(float) < 1.0]
        listed = ", ".join(f"{row['value']} on {row['task']}" for _, row in below.iterrows())
        verdict: Verdict = "conflicts" if listed else "agrees"
        found = f"it is {listed}" if listed else "it is 1 on each"
        said = f"{group['printed_method'].iloc[0]} reaches the maximum at every length"
        yield Finding("solved everywhere", artifact, said, found, verdict, sources(group))
