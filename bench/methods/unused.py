"""Parameters of the authors' models that no pass uses: counted beside a model, and never built.

The Decision Transformer's code has, beside the head of actions, one of states and one of returns, whose
predictions its loss ignores, and GPT-2's embedding of words, of which there is one; DeMa's code keeps the
heads. In Atari DT's has an embedding of as many words as actions, and a place for one token more than a
window holds; DeMa's has nothing unused but in its post block, which is DT's without places. What a paper
counts as its model's parameters includes them.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.frames import reads_frames


def heads_of_states_and_returns(options: Options, width: int) -> int:
    """Two linear layers from `width` features, to a state and to a return; none in games."""
    if reads_frames(options):
        return 0
    return (options["observation_dim"] + 1) * (width + 1)


def unused_by_decision_transformer(options: Options, width: int) -> int:
    """The same heads, and an embedding of one word, or in games of as many as actions."""
    words = options["action_dim"] if reads_frames(options) else 1
    return heads_of_states_and_returns(options, width) + words * width


def unused_place(options: Options, width: int) -> int:
    """In games, a place for one token more than a window holds."""
    return width if reads_frames(options) else 0
