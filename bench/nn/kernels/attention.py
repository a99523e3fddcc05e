"""The compiled step of causal attention over a cache of keys and values.

The cache is cut into tiles of LANES tokens, each in one piece: first the keys, for each feature those of
sixteen tokens side by side, then the values, for each sixteen features those of one token side by side.
So both products read the cache in the order in which it lies, and neither adds across a vector's lanes. A
head has `size` features, whole vectors, padded with zeros.
"""

# numba compiles what is below; its intrinsics take an argument less than they declare.
# mypy: ignore-errors

from __future__ import annotations

from numba import njit, types

from bench.nn.kernels.arithmetic import exp2, fma, sum_of_four, total, where_negative, zero_quad
from bench.nn.kernels.functions import MINUS_LOG2_E, ONE, ZERO
from bench.nn.kernels.memory import broadcast, columns, load, load_quad, store
from bench.nn.kernels.vector import LANES, UNROLL

LOWEST = types.float32(-1e30)


@njit
def write_token(registers, row, width, cache, at, position):
    """Write the keys and values of a token, which follow its `width` queries, into the cache."""
    tile, token = position // LANES, position % LANES
    keys = at + tile * 2 * width * LANES
    values = keys + width * LANES
    for i in range(width):
        cache[keys + i * LANES + token] = registers[row + width + i]
    for i in range(0, width, LANES):
        store(cache, (values + (i + token) * LANES,), load(registers, (row + 2 * width + i,)))


@njit
def weigh(registers, row, width, head, size, scale, cache, at, position, logits):
    """Fill `logits` with exp(q k scale - the largest of them), 0 beyond `position`; returns their sum."""
    largest, tiles = broadcast(LOWEST), position // LANES + 1
    for tile in range(tiles):
        keys = at + tile * 2 * width * LANES
        products = zero_quad()
        for i in range(head * size, (head + 1) * size, UNROLL):
            products = fma(columns(registers, (row + i,)), load_quad(cache, (keys + i * LANES,)), products)
        store(logits, (tile * LANES,), sum_of_four(products) * broadcast(scale))
        if tile == tiles - 1:
            for j in range(position + 1, tiles * LANES):
                logits[j] = LOWEST
        logit = load(logits, (tile * LANES,))
        largest = where_negative(largest - logit, logit, largest)
    store(logits, (tiles * LANES,), largest)
    highest = LOWEST
    for j in range(tiles * LANES, (tiles + 1) * LANES):
        highest = max(highest, logits[j])
    summed = broadcast(ZERO)
    for j in range(0, tiles * LANES, LANES):
        weight = exp2((broadcast(highest) - load(logits, (j,))) * broadcast(MINUS_LOG2_E))
        store(logits, (j,), weight)
        summed = summed + weight
    for j in range(position + 1, tiles * LANES):
        logits[j] = ZERO
    return total(summed)


@njit
def attend(registers, row, width, heads, scale, cache, at, position, logits, target):
    """Attend from the token at `row` (queries, keys, values) over all up to `position`; writes `width`
    features at `target`. `logits` has room for a tile more than there are.
    """
    size, tiles = width // heads, position // LANES + 1
    write_token(registers, row, width, cache, at, position)
    for head in range(heads):
        summed = weigh(registers, row, width, head, size, scale, cache, at, position, logits)
        for i in range(head * size, (head + 1) * size, LANES):
            mixed = zero_quad()
            for tile in range(tiles):
                values = at + (tile * 2 * width + width + i) * LANES
                for j in range(0, LANES, UNROLL):
                    weights = columns(logits, (tile * LANES + j,))
                    mixed = fma(weights, load_quad(cache, (values + j * LANES,)), mixed)
            store(registers, (target + i,), sum_of_four(mixed) * broadcast(ONE / summed))
