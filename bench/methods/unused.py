"""Parameters of the authors' models that no pass uses: counted beside a model, and never built.

The Decision Transformer's code has, beside the head of actions, one of states and one of returns, whose
predictions its loss ignores, and GPT-2's embedding of words, of which there is one; DeMa's code keeps the
heads. What a paper counts as its model's parameters includes them.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options


def heads_of_states_and_returns(options: Options, width: int) -> int:
    """Two linear layers from `width` features, to a state and to a return."""
    return (options["observation_dim"] + 1) * (width + 1)


def unused_by_decision_transformer(options: Options, width: int) -> int:
    """The same heads, and an embedding of one word."""
    return heads_of_states_and_returns(options, width) + width
