"""What a probe times a cell against: a method, as `timed_against: dt`, or one with settings of its own.

`timed_against: dema+mode=recurrent` names DeMa with a setting. What else a rival is set to, it has from the
cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.strict import Value
from bench.catalogue.values import defaults, typed
from bench.errors import SpecError, unknown

# The option, and its value for a cell that is timed against none.
TIMED_AGAINST, NONE = "timed_against", "none"


@dataclass(frozen=True)
class RivalName:
    """A method, and the settings that it has beside those of the cell it is timed with."""

    method: str
    settings: dict[str, Value]


def parse_rival(catalogue: Catalogue, text: str, where: str) -> RivalName | None:
    """The rival of that name, None for `none`; SpecError, beginning with `where`, if there is none such."""
    if text == NONE:
        return None
    method, *pairs = text.split("+")
    place = f"{where}: {TIMED_AGAINST}"
    if method not in catalogue.methods:
        raise unknown("method", method, catalogue.methods, place)
    options = catalogue.method_options[method]
    settings: dict[str, Value] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in options:
            raise unknown(f"option of {method}", key, options, place)
        settings[key] = typed(value, options[key].default, f"{place}: option {key}")
        problem = options[key].problem(settings[key])
        if problem:
            raise SpecError(f"{place}: option {key} {problem}. Correct the value and run again.")
    return RivalName(method, settings)


def check_shared(
    catalogue: Catalogue,
    task: str,
    method: str,
    settings: Mapping[str, Value | tuple[Value, ...]],
    where: str,
) -> None:
    """A value that is a default, and so stands in no cell's name, has to be a default of the rival too.

    Raises SpecError, beginning with `where`: each would be built with a value of its own.
    """
    named = {key: value if isinstance(value, tuple) else (value,) for key, value in settings.items()}
    own = defaults(catalogue, task, method)
    for text in map(str, named.get(TIMED_AGAINST, ())):
        rival = parse_rival(catalogue, text, where)
        if rival is None:
            continue
        theirs = defaults(catalogue, task, rival.method)
        for key in named.keys() & theirs.keys() - rival.settings.keys() - {TIMED_AGAINST}:
            if own[key] in named[key] and theirs[key] != own[key]:
                raise SpecError(
                    f"{where}: {key} is {own[key]} by default of {method} and {theirs[key]} of "
                    f"{rival.method}, which it is timed against, and a cell's name leaves out defaults. "
                    f"Write {TIMED_AGAINST}: {text}+{key}={own[key]} for that value."
                )
