"""Relation attention: its edges, that it is the sum over the tensor of edges, and its memory."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.nn.graph_attention import GraphTransformer, RelationAttention, edges

NEAR = {"rtol": 1e-4, "atol": 1e-5}
R, S, A = range(3)


def moved(module, seed=0):
    """A module whose weights are far enough from their start for every input to matter."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module.eval()


def drawn(steps):
    """The edges of the paper's graph as (query, key) pairs, step by step."""
    found = set()
    for t in range(steps):
        here, after = 3 * t, 3 * (t + 1)
        found |= {(here + A, here + R), (here + A, here + S)}
        if t + 1 < steps:
            found |= {(after + R, here + R), (after + R, here + S), (after + R, here + A)}
            found |= {(after + S, here + S), (after + S, here + A)}
    return found


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_edges_are_those_of_the_graph(steps):
    places = torch.arange(3 * steps)
    assert {tuple(pair) for pair in edges(places, places).nonzero().tolist()} == drawn(steps)


def by_the_tensor_of_edges(attention, x, relations, steps, scaled_twice):
    """The sum as the paper has it, with a relation (L, L, D) for every pair."""
    length, width, heads = 3 * steps, attention.width, attention.heads
    kinds = torch.zeros(length, length, dtype=torch.long)
    for query, key in drawn(steps):
        kinds[query, key] = 1
    of_query, of_key = attention.relation(relations[kinds]).chunk(2, dim=-1)
    q, k, v = attention.qkv(x).chunk(3, dim=-1)
    out = torch.zeros_like(x)
    size = width // heads
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        queries, keys = q[:, :, None, part] + of_query[..., part], k[:, None, :, part] + of_key[..., part]
        scores = (queries * keys).sum(dim=-1) / (size if scaled_twice else math.sqrt(size))
        later = torch.ones(length, length).triu(1).bool()
        out[..., part] = torch.softmax(scores.masked_fill(later, float("-inf")), dim=-1) @ v[..., part]
    return attention.out_proj(out)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(steps=st.integers(1, 6), heads=st.sampled_from([1, 2, 4]), twice=st.booleans(), seed=st.integers(0, 9))
def test_attention_is_the_sum_with_the_tensor_of_edges(steps, heads, twice, seed):
    attention = moved(RelationAttention(8, heads, 0.0, scaled_twice=twice), seed)
    x, relations, places = torch.randn(2, 3 * steps, 8), torch.randn(2, 8), torch.arange(3 * steps)
    with torch.no_grad():
        found = attention.attend(
            *attention.project(x), relations, edges(places, places), places.unsqueeze(1) >= places
        )
        torch.testing.assert_close(
            found, by_the_tensor_of_edges(attention, x, relations, steps, twice), **NEAR
        )


def transformer(layers=2, **changes):
    torch.manual_seed(0)
    return moved(GraphTransformer(layers, 8, 2, **changes))


@torch.no_grad()
def test_an_edge_changes_a_score_and_hides_nothing():
    x = torch.randn(1, 9, 8)
    ours, none = transformer(layers=1), transformer(layers=1, drawn=False)
    apart = (ours(x) - none(x)).abs().amax(dim=-1)[0]
    # The first return and the first state have no edge leading to them.
    assert (apart[:2] < 1e-6).all()
    assert (apart[2:] > 1e-4).all()
    changed = x.clone()
    changed[:, 0] += 1.0
    seen = (ours(changed) - ours(x)).abs().amax(dim=-1)[0]
    assert (seen > 1e-4).all(), "every later token attends to the first, with an edge or without"


@torch.no_grad()
def test_without_visible_edges_the_second_row_of_relations_does_nothing():
    x, net = torch.randn(1, 9, 8), transformer(drawn=False)
    before = net(x)
    net.relations.weight[1] += 1.0
    torch.testing.assert_close(net(x), before, rtol=0, atol=0)


@torch.no_grad()
def test_no_token_is_seen_before_its_time():
    x, net = torch.randn(1, 9, 8), transformer()
    changed = x.clone()
    changed[:, 5] += 1.0
    torch.testing.assert_close(net(changed)[:, :5], net(x)[:, :5])


@torch.no_grad()
def test_beside_a_token_stands_the_one_before_it():
    x, net = torch.randn(2, 6, 8), transformer()
    own, before = net(x).chunk(2, dim=-1)
    assert (before[:, 0] == 0).all()
    torch.testing.assert_close(before[:, 1:], own[:, :-1])
    # Post-normalisation: with the last norm as it begins, tokens have mean 0 and deviation 1.
    with torch.no_grad():
        net.blocks[-1].mlp_norm.reset_parameters()
    own = net(x)[..., :8]
    torch.testing.assert_close(own.mean(dim=-1), torch.zeros(2, 6), atol=1e-5, rtol=0)
    torch.testing.assert_close(own.std(dim=-1, correction=0), torch.ones(2, 6), atol=1e-3, rtol=0)


@torch.no_grad()
def test_padding_on_the_left_contributes_nothing():
    bare, net = torch.randn(2, 6, 8), transformer()
    x = torch.cat([100.0 + torch.randn(2, 3, 8), bare], dim=1)
    mask = torch.arange(9).expand(2, -1) >= 3
    torch.testing.assert_close(net(x, mask)[:, 4:], net(bare)[:, 1:], **NEAR)


@pytest.mark.parametrize("counts", [(9,), (1,) * 9, (2, 3, 1, 3)])
@torch.no_grad()
def test_reading_part_by_part_is_reading_at_once(counts):
    x, net = torch.randn(2, 9, 8), transformer()
    whole, memory, done = net(x), net.allocate_state(2, 9), 0
    for count in counts:
        y, memory = net.read(x[:, done : done + count], memory)
        done += count
        torch.testing.assert_close(y, whole[:, done - 1], **NEAR)
    with pytest.raises(IndexError, match="memory: it was allocated for 9 tokens, which 10 exceed"):
        net.read(x[:, :1], memory)


@torch.no_grad()
def test_a_forked_memory_reads_as_that_of_repeated_rows():
    x, more, net = torch.randn(2, 4, 8), torch.randn(4, 2, 8), transformer()
    _, memory = net.read(x, net.allocate_state(2, 6))
    whole = torch.cat([x.repeat_interleave(2, dim=0), more], dim=1)
    torch.testing.assert_close(net.read(more, memory.forked(2))[0], net(whole)[:, -1], **NEAR)


@pytest.mark.parametrize(("layers", "width", "heads"), [(1, 8, 2), (3, 16, 4)])
def test_parameters_are_those_of_the_hand_count(layers, width, heads):
    net = GraphTransformer(layers, width, heads)
    attention = (3 + 2 + 1) * width * (width + 1)  # queries, keys, values; two relations; the way out
    feed_forward = width * 2 * width + 2 * width + 2 * width * width + width
    wanted = 2 * width + layers * (attention + feed_forward + 4 * width)
    assert sum(parameter.numel() for parameter in net.parameters()) == wanted


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="heads: expected a divisor of width = 8, got 3"):
        GraphTransformer(1, 8, 3)
    with pytest.raises(ValueError, match="layers: expected at least 1, got 0"):
        GraphTransformer(0, 8, 2)
