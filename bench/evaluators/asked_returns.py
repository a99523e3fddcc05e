"""Episodes of a policy that is asked for one whole return after another, as DeMa's code does in Atari.

`target_returns` are the returns, joined by hyphens; `largest` stands for the largest return of the dataset.
Each is asked for in episodes of its own, and all of them begin alike. The score is read at the first, or
where the protocol's `target_selection` says so at that of the highest mean.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.errors import SpecError
from bench.evaluators.contract import Agent
from bench.evaluators.return_conditioned import chosen, play, trial_of
from bench.work.record import Facts
from bench.worlds.contract import Test, TestRows

LARGEST = "largest"


def evaluate(agent: Agent, test: Test, options: Options, task: str, seed: int, facts: Facts) -> TestRows:
    """A row `return_at_target` for each return that was asked for, then the rows of the scored episodes.

    Raises SpecError for returns that are no whole numbers.
    """
    played = {}
    for target in asked(options, facts):
        world = test.make_world(options, task, seed, facts)
        played[target] = play(world, agent, target, trial_of(world, options, task, seed), options)
    returns, lengths = chosen(played, options)
    return [
        *(("return_at_target", target, float(earned.mean())) for target, (earned, _) in played.items()),
        *test.scores(returns, lengths, options),
    ]


def asked(options: Options, facts: Facts) -> list[float]:
    """The returns to ask for, in their order; `facts` are those of the dataset."""
    written = options["target_returns"]
    if written == LARGEST:
        return [float(facts["largest_return"])]
    parts = written.split("-")
    if not all(part.isdecimal() for part in parts):
        raise SpecError(
            f"option target_returns: {written!r} is neither whole numbers joined by hyphens, such as "
            f"90-150-180, nor {LARGEST!r}. Correct it."
        )
    return [float(part) for part in parts]
