"""The next tokens of one sequence, from what they are made of to an action, as one compiled call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from bench.nn.backbone import Backbone
from bench.nn.backends.numba_program import Builder
from bench.nn.compiled import Compiled, add_blocks, add_chain, can_compile, finished, knows_chain

# How many numbers of a kind there are, and what embeds them.
Maps = Mapping[str, tuple[int, nn.Module]]


def reading_program(
    maps: Maps,
    tokens: Sequence[Sequence[str]],
    positions: Tensor | None,
    backbone: Backbone,
    head: nn.Module,
    parameters: Sequence[Tensor],
    *,
    entry: nn.Module | None = None,
    joined: bool = False,
) -> Compiled | None:
    """The program of tokens that are each a sum of embeddings, and pass an entry, a backbone and a head.

    Inputs are the numbers of each kind (1, numbers) in the order of `maps`; then, if there are learnt
    `positions` (places, width), which are added to each token, the place of each (1, 1). `joined` puts the
    tokens side by side in one. `parameters` are those of the model. None where programs do not know a part.
    """
    blocks, norm = backbone.parts()
    entry = nn.Identity() if entry is None else entry
    chains = [chain for _, chain in maps.values()]
    if not (can_compile(blocks) and all(map(knows_chain, [*chains, entry, head]))):
        return None
    builder = Builder()
    inputs = {kind: builder.register(numbers, single=True) for kind, (numbers, _) in maps.items()}
    places = [builder.register(1, single=True) for _ in tokens] if positions is not None else []
    rows = []
    for number, (first, *others) in enumerate(tokens):
        row = add_chain(builder, maps[first][1], inputs[first])
        for kind in others:
            builder.add(row, add_chain(builder, maps[kind][1], inputs[kind]))
        if positions is not None:
            builder.add(row, builder.look_up(places[number], positions))
        rows.append(row)
    read = add_chain(builder, entry, builder.join(rows) if joined else builder.stack(rows))
    output, rooms = add_blocks(builder, blocks, norm, read)
    return finished(builder, [*inputs.values(), *places], add_chain(builder, head, output), rooms, parameters)
