"""Circles in a graph of references: what refers to itself by way of others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeVar

Node = TypeVar("Node")


def circles_below(
    root: Node, below: Callable[[Node], Iterable[Node]], known: Collection[Node] = ()
) -> list[list[Node]]:
    """The strongly connected components that can be reached from a node, what is referred to first.

    A node in no circle is a component of its own. What is in `known` is not entered. Tarjan's algorithm, with
    a stack of its own in the place of recursion.
    """
    order = {root: 0}
    lowest = {root: 0}
    path = [root]
    on_path = {root}
    found: list[list[Node]] = []
    work: list[tuple[Node, Iterator[Node]]] = [(root, iter(below(root)))]
    while work:
        node, rest = work[-1]
        entered = next((one for one in rest if _enters(one, node, order, lowest, on_path, known)), None)
        if entered is not None:
            order[entered] = lowest[entered] = len(order)
            path.append(entered)
            on_path.add(entered)
            work.append((entered, iter(below(entered))))
            continue
        work.pop()
        if work:
            above = work[-1][0]
            lowest[above] = min(lowest[above], lowest[node])
        if lowest[node] == order[node]:
            start = path.index(node)
            found.append(path[start:])
            on_path.difference_update(path[start:])
            del path[start:]
    return found


def _enters(
    one: Node,
    node: Node,
    order: dict[Node, int],
    lowest: dict[Node, int],
    on_path: set[Node],
    known: Collection[Node],
) -> bool:
    """Whether a reference leads somewhere new; if it leads back onto the path, the node remembers how far."""
    if one in on_path:
        lowest[node] = min(lowest[node], order[one])
    return one not in order and one not in known
