"""Compiling the kernels once a machine: numba's output kept on disk, under a name that hashes all it depends
on.

The folder is $BENCH_CACHE, else bench/ in the user's cache folder. A kernel's file lies in a subfolder named
by the hash of every source file beside this one, the versions of Python, numba and llvmlite, and the
processor's name and features: edited sources or another machine look elsewhere, so no stale kernel can be
found. A lock lets the first of several cold processes compile while the others wait; files appear whole, and
carry their own checksum.
"""

# numba's compiled results have no public type.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pickle
import platform
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

CHECKSUM_BYTES = hashlib.sha256().digest_size

# A kernel, or the Python function that it is compiled from.
Compiled = Callable[..., Any]


def compile_kernel(function: Compiled, signature: Any, folder: Path | None = None) -> Compiled:
    """Return `function` compiled for `signature`, from disk where an equal kernel was compiled before.

    `folder` overrides the cache folder. Where it cannot be written the kernel is compiled for this process
    alone, with a warning. The result releases the interpreter's lock while it runs.
    """
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy")(function)
    root = cache_folder() if folder is None else folder
    try:
        store = _Store(root / "kernels" / fingerprint(dispatcher.targetctx), function.__name__)
        with store.locked():
            dispatcher._cache = store
            dispatcher.compile(signature)
    except OSError as error:
        warnings.warn(
            f"kernel cache {root} cannot be used ({error}): compiling for this process only", stacklevel=2
        )
        dispatcher = numba.njit(nogil=True, error_model="numpy")(function)
        dispatcher.compile(signature)
    # From here on arguments are converted to the one signature, never compiled for anew.
    dispatcher.disable_compile()
    return dispatcher


def cache_folder() -> Path:
    """Return $BENCH_CACHE, else bench/ in the user's cache folder."""
    if os.environ.get("BENCH_CACHE"):
        return Path(os.environ["BENCH_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bench"


def fingerprint(target: Any) -> str:
    """Hash what a compiled kernel depends on: sources, versions, and the processor numba's `target` is."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    versions = (platform.python_version(), numba.__version__, llvmlite.__version__)
    settings = [getattr(numba.config, name) for name in ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")]
    digest.update(repr((versions, settings, target.codegen().magic_tuple())).encode())
    return digest.hexdigest()[:32]


class _Store:
    """One kernel's file, with the two methods by which a numba dispatcher reads and writes its cache."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.kernel"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the kernel's lock, which the system frees when the process ends, however it ends."""
        with open(self.path.with_suffix(".lock"), "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled kernel, or None where there is no whole file."""
        target.refresh()
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        checksum, payload = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
        if hashlib.sha256(payload).digest() != checksum:
            return None
        return CompileResult._rebuild(target, *pickle.loads(payload))

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Write the compiled kernel so that it appears at once and whole."""
        payload = dumps(compiled._reduce())
        with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as handle:
            handle.write(hashlib.sha256(payload).digest() + payload)
        os.replace(handle.name, self.path)
