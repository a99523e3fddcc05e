"""What a cell's number depends on, hashed.

The parts: the digest of the code that the stage can run (`bench.work.digests`), the data files shipped beside
that code that the options name, the resolved options, the seed, the fingerprints of what was made before, and
the versions of the packages that the code names, and the numeric profile with its variables where it is not
native. `code`
and `python` are kept beside them, outside of the hash: the first to say what changed, the second because the
interpreter's version changes no number.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bench.work.digests import Closure
from bench.work.modules import module_path
from bench.work.numerics import NATIVE, PROFILES, chosen

HASHED = ("digest", "files", "options", "seed", "upstream", "packages")
# Hashed where it is there: what is made natively has the fingerprint that it had before there were profiles.
NUMERICS = "numerics"
# What no number of a CPU depends on: on a GPU the device in the record tells the numbers apart.
GPU_PACKAGES = frozenset({"mamba_ssm", "triton"})

# What a fingerprint is made of: digests, options, files, packages and fingerprints of what is read.
Ingredients = dict[str, Any]


@cache
def closure_of(roots: tuple[str, ...]) -> Closure:
    """The code that runs from these names. Thousands of jobs share a few closures."""
    return Closure(roots)


@cache
def _version(package: str) -> str:
    """The version of a package; a build's local suffix, as in `2.13.0+cpu`, is left out."""
    try:
        return importlib.metadata.version(package).split("+")[0]
    except importlib.metadata.PackageNotFoundError:
        names = sorted(set(importlib.metadata.packages_distributions().get(package, [])))
        return ",".join(f"{name} {_version(name)}" for name in names) or "absent"


@cache
def _versions(roots: tuple[str, ...]) -> dict[str, str]:
    return {name: _version(name) for name in sorted(closure_of(roots).packages - GPU_PACKAGES)}


@cache
def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@cache
def _files_beside(module: str) -> tuple[Path, ...]:
    """Data files beside a module: what is no code in `x/` beside `x.py`."""
    path = module_path(module)
    folder = path.with_suffix("") if path else None
    if not folder or not folder.is_dir():
        return ()
    return tuple(file for file in sorted(folder.iterdir()) if file.is_file() and file.suffix != ".py")


@cache
def _files_of(roots: tuple[str, ...]) -> dict[str, list[Path]]:
    """First part of a data file's name -> the files of that name beside the code that these roots run."""
    found: dict[str, list[Path]] = {}
    for module in sorted(closure_of(roots).modules):
        for file in _files_beside(module):
            found.setdefault(file.name.split(".")[0], []).append(file)
    return found


def _shipped_files(roots: tuple[str, ...], options: Mapping[str, object]) -> dict[str, str]:
    """Data files beside the code whose name an option's value names."""
    beside = _files_of(roots)
    wanted = sorted({value for value in options.values() if isinstance(value, str) and value in beside})
    return {f"{file.parent.name}/{file.name}": _file_hash(file) for value in wanted for file in beside[value]}


def fingerprint_parts(
    roots: Iterable[str],
    options: Mapping[str, object],
    seed: int,
    upstream: Iterable[str],
    files: dict[str, str] | None = None,
) -> Ingredients:
    """The parts of a fingerprint, as kept in the sidecar so that a change can be named.

    `roots` are the definitions from which the work starts, as `bench.stages.train.train`, or whole modules;
    `files` further data files that it reads, as name -> hash of the content.
    """
    roots = tuple(roots)
    closure = closure_of(roots)
    return {
        "digest": closure.digest,
        "code": closure.code,
        "files": _shipped_files(roots, options) | (files or {}),
        "options": dict(sorted(options.items())),
        "seed": seed,
        "upstream": list(upstream),
        "packages": _versions(roots),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        **({} if chosen() == NATIVE else {NUMERICS: {"profile": chosen(), **PROFILES[chosen()]}}),
    }


def fingerprint(parts: Ingredients) -> str:
    """Hash of the parts: 16 hexadecimal digits."""
    hashed = {name: parts[name] for name in (*HASHED, NUMERICS) if name != NUMERICS or name in parts}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()[:16]


def changes(before_parts: Ingredients, after_parts: Ingredients) -> list[str]:
    """What differs between the parts of two fingerprints, one line each, by name and kind.

    As in `bench.nn.scan.selective_scan`, `option updates: 165 -> 300`, `file ...`, `package torch: 2.13.0 ->
    2.14.0`, with `(new)` or `(gone)` behind what only one of them has. A definition
    that only moved is no change. Seed and upstream are left out: a job's upstream has parts of its own.
    """
    files, options, packages = (
        _changed(before_parts, after_parts, kind) for kind in ("files", "options", "packages")
    )
    return [
        *_changed_code(before_parts, after_parts),
        *(f"option {name}{suffix or f': {values}'}" for name, suffix, values in options),
        *(f"file {name}{suffix}" for name, suffix, _ in files),
        *(f"package {name}{suffix}" for name, suffix, version in packages if suffix and version != "absent"),
        *_package_versions(before_parts, after_parts),
        *_changed_numerics(before_parts, after_parts),
    ]


def _changed_numerics(before_parts: Ingredients, after_parts: Ingredients) -> list[str]:
    before, after = (parts.get(NUMERICS, {"profile": NATIVE}) for parts in (before_parts, after_parts))
    if before["profile"] != after["profile"]:
        return [f"{NUMERICS}: {before['profile']} -> {after['profile']}"]
    sides = {NUMERICS: before}, {NUMERICS: after}
    return [
        f"{NUMERICS} {name}{suffix or f': {values}'}" for name, suffix, values in _changed(*sides, NUMERICS)
    ]


def _changed_code(before_parts: Ingredients, after_parts: Ingredients) -> list[str]:
    """The definitions that differ; if none does but what they refer to, `code` alone."""
    if before_parts.get("digest") == after_parts.get("digest"):
        return []
    before, after = before_parts.get("code", {}), after_parts.get("code", {})
    before, after = _without(before, after), _without(after, before)
    moved = Counter(_anywhere(before)) & Counter(_anywhere(after))
    old, new = _unmoved(before, moved.copy()), _unmoved(after, moved.copy())
    found = [
        name + ("" if name in old and name in new else " (new)" if name in new else " (gone)")
        for name in sorted(old.keys() | new.keys())
    ]
    return found or ["code"]


def _without(code: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in code.items() if other.get(name) != text}


def _anywhere(code: dict[str, str]) -> list[tuple[str, str]]:
    """Each definition by its own name and text, without its module."""
    return [(name.rpartition(".")[2], text) for name, text in code.items()]


def _unmoved(code: dict[str, str], moved: Counter[tuple[str, str]]) -> dict[str, str]:
    left = {}
    for (name, text), key in zip(code.items(), _anywhere(code), strict=True):
        if moved[key] > 0:
            moved[key] -= 1
        else:
            left[name] = text
    return left


def package_changes(before_parts: Ingredients, after_parts: Ingredients) -> list[str]:
    """The packages that both use in different versions, as `changes` has them, and `python 3.11 -> 3.12`."""
    found = _package_versions(before_parts, after_parts)
    pythons = [str(parts["python"]) for parts in (before_parts, after_parts) if "python" in parts]
    return [*found, f"python {' -> '.join(pythons)}"] if len(set(pythons)) > 1 else found


def _package_versions(before_parts: Ingredients, after_parts: Ingredients) -> list[str]:
    """The packages that both use in different versions. One that is `absent` on either side is no change."""
    return [
        f"package {name}: {versions}"
        for name, suffix, versions in _changed(before_parts, after_parts, "packages")
        if not suffix and "absent" not in versions.split(" -> ")
    ]


def _changed(before: Ingredients, after: Ingredients, kind: str) -> list[tuple[str, str, str]]:
    """(name, ` (new)` or ` (gone)` or nothing, `old -> new`) of every entry of a part that differs."""
    old, new = before.get(kind, {}), after.get(kind, {})
    found = []
    for name in sorted(old.keys() | new.keys()):
        texts = [_text(side[name]) for side in (old, new) if name in side]
        if len(texts) == 2 and json.dumps(old[name]) == json.dumps(new[name]):
            continue
        suffix = "" if len(texts) == 2 else " (new)" if name in new else " (gone)"
        found.append((name, suffix, " -> ".join(texts)))
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
