"""Functions of the catalogue or the suite that are called once for the same arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar


class Remembers(Protocol):
    """What keeps the results of such functions: function and arguments -> result."""

    @property
    def found(self) -> dict[Any, Any]:
        """Those found so far."""


Holder = TypeVar("Holder", bound=Remembers)
Given = ParamSpec("Given")
Found = TypeVar("Found")


def once(
    function: Callable[Concatenate[Holder, Given], Found],
) -> Callable[Concatenate[Holder, Given], Found]:
    """The function, called once for what holds its results and the same arguments."""

    @wraps(function)
    def asked(holder: Holder, /, *arguments: Given.args, **named: Given.kwargs) -> Found:
        key = (function, arguments, tuple(sorted(named.items())))
        if key not in holder.found:
            holder.found[key] = function(holder, *arguments, **named)
        found: Found = holder.found[key]
        return found

    return asked
