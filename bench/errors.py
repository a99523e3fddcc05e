"""Errors that a user can mend, and the one way they are shown."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class UserError(Exception):
    """Something the user can mend: the message says what is wrong, where, and what to do."""


class SpecError(UserError):
    """A specification file, or a request for a cell, that does not hold together."""


class DatasetError(UserError):
    """A dataset file that is absent, damaged, or not what its sidecar promises."""


class DamagedError(UserError):
    """A file that is not as it was written. Whoever reads it adds how it is made again."""


class UnavailableError(Exception):
    """Something this machine does not have: a dataset, a policy, a GPU, an optional package.

    No mistake of the user's: a record keeps it as a status, and the tables still render.
    """


def unknown(kind: str, name: str, known: Iterable[str], where: str, every: bool = False) -> SpecError:
    """The error for a name that nothing declares, with the nearest names that exist; `every` lists all."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3)
    remedy = [f"Did you mean {' or '.join(repr(n) for n in near)}?"] if near else []
    remedy += [f"Known: {', '.join(names)}."] if every or not near else []
    return SpecError(f"{where}: unknown {kind} {name!r}. {' '.join(remedy)}")


def exit_with_message(
    main: Callable[Arguments, Result],
) -> Callable[Arguments, Result]:
    """Let a command end with its message and exit code 2, not a traceback, on a UserError."""

    @wraps(main)
    def command(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return main(*args, **kwargs)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None

    return command
