"""Faults that are planted in the code: what they are, and how one is put in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from bench.catalogue.reading import read_model
from bench.catalogue.strict import Name, OptionName, Strict
from bench.errors import SpecError, unknown
from bench.files import ROOT, shown, write_atomically

FAULTS = ROOT / "benchmarks" / "mutations.yaml"
# Whose code a fault is in.
Family = Literal["dema", "dmh", "ad", "dt", "probes"]


class Fault(Strict):
    """A plausible bug: `find`, which stands once in `file`, is replaced by `put`.

    `says` is what it does, in a sentence. `methods` are those whose code it is in. `claims` are those that it
    is tried on; without, those of its methods.
    """

    name: Name
    file: str
    find: str
    put: str
    says: str
    methods: tuple[Family, ...] = Field(min_length=1)
    claims: tuple[OptionName, ...] = ()


class Faults(Strict):
    """All faults, and the claims that those in the code of each method are tried on."""

    claims: dict[Family, tuple[OptionName, ...]]
    faults: tuple[Fault, ...]

    def claims_of(self, fault: Fault) -> tuple[str, ...]:
        """The claims that a fault is tried on, each once."""
        of_methods = (claim for method in fault.methods for claim in self.claims.get(method, ()))
        return fault.claims or tuple(dict.fromkeys(of_methods))

    def named(self, names: list[str]) -> list[Fault]:
        """The faults of these names, or all; SpecError for a name that none has."""
        by_name = {fault.name: fault for fault in self.faults}
        for name in names:
            if name not in by_name:
                raise unknown("fault", name, by_name, "--fault")
        return [by_name[name] for name in names] or list(self.faults)


def read_faults(path: Path = FAULTS) -> Faults:
    """The faults of a file; SpecError for a name that two of them have."""
    faults = read_model(path, Faults)
    names = [fault.name for fault in faults.faults]
    for name in names:
        if names.count(name) > 1:
            raise SpecError(f"{shown(path)}: two faults are called {name!r}. Rename one of them.")
    return faults


def plant(fault: Fault, root: Path) -> None:
    """Put a fault into the code at `root`; SpecError unless what it replaces stands there exactly once."""
    path = root / fault.file
    where = f"{shown(FAULTS)}: fault {fault.name}"
    if not path.is_file():
        raise SpecError(
            f"{where}: key file: there is no {fault.file}. Name the file that the code is in now."
        )
    text = path.read_text()
    count = text.count(fault.find)
    if count != 1:
        raise SpecError(
            f"{where}: key find: it stands {count} times in {fault.file}, not once. Take a piece of the "
            "code as it is now that stands there once."
        )
    write_atomically(path, text.replace(fault.find, fault.put))
