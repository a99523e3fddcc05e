"""On which part of what it speaks of a claim was decided, in words that leave nothing out."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def numbers_said(some: Collection[int], of: Sequence[int]) -> str:
    """Some of several numbers: `10 to 100` where none between them is missing, else each of them."""
    order = sorted(of)
    listed = sorted(some)
    first, last = order.index(listed[0]), order.index(listed[-1])
    if len(listed) > 1 and order[first : last + 1] == listed:
        return f"{listed[0]:,} to {listed[-1]:,}"
    return in_words([f"{number:,}" for number in listed])


def tasks_said(some: Sequence[str], of: Sequence[str]) -> str:
    """Some of several tasks: by their lengths where each name ends with one, else by name."""
    lengths = {task: task.rpartition("-")[2] for task in of}
    if all(length.isdigit() for length in lengths.values()):
        numbers = {task: int(length) for task, length in lengths.items()}
        return f"at {numbers_said([numbers[task] for task in some], list(numbers.values()))} steps"
    return f"on {in_words(some)}"


def in_words(some: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(some[:-1]), some[-1]]))
